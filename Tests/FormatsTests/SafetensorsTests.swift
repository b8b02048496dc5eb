import Formats
import Glibc
import Testing

@Suite struct SafetensorsTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Writes `a` [2, 3], `empty` [0, 4] and `scalar` [], the elements in pieces of `step`.
    private func writeSample(_ name: String = "file", step: Int = 7) throws -> String {
        let writer = try SafetensorsWriter(
            file: AtomicFile(path: folder.file(name)),
            tensors: [("a", [2, 3]), ("empty", [0, 4]), ("scalar", [])],
            metadata: ["zeta": "1", "configuration": "{\"latent\": 64,\n \"name\": \"\u{1}ü\\\"}"])
        let elements: [Float] = [0, 1, -2, 0.5, .infinity, 6, 7]
        for start in stride(from: 0, to: elements.count, by: step) {
            try elements[start..<min(start + step, elements.count)].withUnsafeBufferPointer { try writer.append($0) }
        }
        try writer.finish()
        return folder.file(name)
    }

    private func floats(_ file: SafetensorsFile, _ name: String, count: Int) throws -> [Float] {
        var floats = [Float](repeating: .nan, count: count)
        try floats.withUnsafeMutableBufferPointer { try file.readFloats(name, into: $0) }
        return floats
    }

    @Test func readsWhatItWrote() throws {
        let file = try SafetensorsFile(path: try writeSample())
        try file.verifyDigest()
        #expect(file.tensorNames == ["a", "empty", "scalar"])
        #expect(file.tensors["a"]?.shape == [2, 3])
        #expect(file.tensors["empty"]?.shape == [0, 4])
        #expect(file.tensors["scalar"]?.shape == [])
        #expect(file.tensors["a"]?.elementType == .float32)
        #expect(file.metadata["configuration"] == "{\"latent\": 64,\n \"name\": \"\u{1}ü\\\"}")
        #expect(file.metadata.keys.sorted() == ["configuration", "sha256", "zeta"])
        #expect(try floats(file, "a", count: 6) == [0, 1, -2, 0.5, .infinity, 6])
        #expect(try floats(file, "empty", count: 0) == [])
        #expect(try floats(file, "scalar", count: 1) == [7])
    }

    @Test func bytesAreDeterministicAndAligned() throws {
        _ = try writeSample("first", step: 7)
        _ = try writeSample("second", step: 2)
        let bytes = try folder.read("first")
        #expect(try folder.read("second") == bytes)
        let length = bytes[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
        #expect(length % 8 == 0)
        #expect(bytes.count == 8 + length + 28)
        let header = String(decoding: bytes[8..<8 + length], as: UTF8.self)
        #expect(
            header.hasPrefix(
                #"{"__metadata__":{"configuration":"{\"latent\": 64,\u000a \"name\": \"\u0001ü\\\"}","sha256":""#))
        let tensors = [
            #","zeta":"1"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}"#,
            #""empty":{"dtype":"F32","shape":[0,4],"data_offsets":[24,24]}"#,
            #""scalar":{"dtype":"F32","shape":[],"data_offsets":[24,28]}}"#,
        ]
        #expect(header.contains(tensors.joined(separator: ",")))
    }

    @Test func digestIsThatOfTheFileWithZeros() throws {
        let file = try SafetensorsFile(path: try writeSample())
        var bytes = try folder.read("file")
        let digits = Array(try #require(file.metadata["sha256"]).utf8)
        let start = try #require(bytes.indices.first { bytes[$0...].starts(with: digits) })
        bytes.replaceSubrange(start..<start + 64, with: [UInt8](repeating: UInt8(ascii: "0"), count: 64))
        let digest = SHA256Digest()
        bytes.withUnsafeBytes { digest.update($0) }
        #expect(Array(digest.finish().hexadecimal.utf8) == digits)
    }

    @Test func digestCrossesTheReadersBuffer() throws {
        // The digest lies across byte 65,536 of the file, where the reader's first piece ends.
        for padding in [65_400, 65_430, 65_464, 65_500] {
            let writer = try SafetensorsWriter(
                file: AtomicFile(path: folder.file("file")), tensors: [],
                metadata: ["padding": String(repeating: "x", count: padding)])
            try writer.finish()
            try SafetensorsFile(path: folder.file("file")).verifyDigest()
        }
    }

    @Test func everyFlippedBitIsNoticed() throws {
        let path = try writeSample()
        let bytes = try folder.read("file")
        let descriptor = open(path, O_WRONLY)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        var unnoticed: [String] = []
        for index in bytes.indices {
            for bit in 0..<8 {
                var damaged = bytes[index] ^ 1 << bit
                try #require(pwrite(descriptor, &damaged, 1, index) == 1)
                do {
                    try SafetensorsFile(path: path).verifyDigest()
                    unnoticed.append("bit \(bit) of byte \(index)")
                } catch let error as FormatError where error.kind == .invalid {}
            }
            var original = bytes[index]
            try #require(pwrite(descriptor, &original, 1, index) == 1)
        }
        #expect(unnoticed == [])
    }

    @Test func everyCutIsNoticed() throws {
        let path = try writeSample()
        let bytes = try folder.read("file")
        for count in bytes.indices {
            try folder.write(Array(bytes[..<count]))
            expectError(.invalid, "cut short") { _ = try SafetensorsFile(path: path) }
        }
        try folder.write(bytes + [0])
        expectError(.invalid, "the file has 29 after its header") { _ = try SafetensorsFile(path: path) }
    }

    @Test func nothingIsLeftOfAnUnfinishedFile() throws {
        _ = try SafetensorsWriter(file: AtomicFile(path: folder.file("file")), tensors: [("a", [1])])
        #expect(try folder.names == [])
    }

    @Test func refusesToReadOtherFloats() throws {
        let file = try SafetensorsFile(path: try writeSample())
        expectError(.invalid, "expected a tensor \"b\"") { _ = try floats(file, "b", count: 1) }
        expectError(.invalid, "expected 5 elements of F32 in tensor \"a\", found 6 of F32, shape [2, 3]") {
            _ = try floats(file, "a", count: 5)
        }
    }

    @Test func reportsWhatCannotBeOpened() {
        expectError(.missing, "No such file") { _ = try SafetensorsFile(path: folder.file("absent")) }
    }
}
