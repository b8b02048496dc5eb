import Formats
import Testing

@Suite struct IDXTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func header(_ dimensions: [UInt32]) -> [UInt8] {
        [0, 0, 8, UInt8(dimensions.count)]
            + dimensions.flatMap { size in [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: size >> $0) } }
    }

    /// Reads all items, `step` at a time.
    private func read(_ path: String, step: Int = 1) throws -> [UInt8] {
        let reader = try IDXReader(path: path)
        var bytes: [UInt8] = []
        while reader.remainingItems > 0 {
            let count = min(step, reader.remainingItems)
            var items = [UInt8](repeating: 0, count: count * reader.itemSize)
            try items.withUnsafeMutableBytes { try reader.readItems(count, into: $0) }
            bytes += items
        }
        try reader.finish()
        return bytes
    }

    @Test(arguments: [false, true]) func readsItems(isCompressed: Bool) throws {
        let payload: [UInt8] = (0..<60).map { $0 }
        let file = header([5, 3, 4]) + payload
        let path = try folder.write(isCompressed ? gzip(file) : file)
        let reader = try IDXReader(path: path)
        #expect(reader.dimensions == [5, 3, 4])
        #expect(reader.itemSize == 12)
        #expect(reader.headerBytes == header([5, 3, 4]))
        for step in [1, 2, 5] { #expect(try read(path, step: step) == payload) }
    }

    @Test(arguments: 1...4) func readsAnyNumberOfDimensions(rank: Int) throws {
        let path = try folder.write(header(Array(repeating: 2, count: rank)) + [UInt8](repeating: 7, count: 1 << rank))
        #expect(try read(path) == [UInt8](repeating: 7, count: 1 << rank))
    }

    @Test(arguments: [false, true]) func readsSetsWithoutBytes(isCompressed: Bool) throws {
        for dimensions in [[0], [0, 28, 28], [3, 0, 28]] as [[UInt32]] {
            let file = header(dimensions)
            #expect(try read(folder.write(isCompressed ? gzip(file) : file)) == [])
            let longer = try folder.write(isCompressed ? gzip(file + [1]) : file + [1])
            expectError(.invalid, "fetch the file again") { _ = try read(longer) }
        }
    }

    @Test(
        arguments: [
            [1, 0, 8, 1], [0, 1, 8, 1], [0, 0, 9, 1], [0, 0, 0x0d, 1], [0, 0, 8, 0], [0, 0, 8, 5], [0, 0, 8, 255],
        ] as [[UInt8]])
    func refusesOtherMagicNumbers(magic: [UInt8]) throws {
        let file = magic + [UInt8](repeating: 0, count: 1024)
        for path in [try folder.write(file), try folder.write(gzip(file), to: "compressed")] {
            expectError(.invalid, "found \(magic.map { [$0].hexadecimal }.joined(separator: " "))") {
                _ = try IDXReader(path: path)
            }
        }
    }

    @Test func refusesHeadersCutShort() throws {
        let file = header([2, 3])
        for count in 0..<file.count {
            let path = try folder.write(Array(file[..<count]))
            expectError(.invalid, "the file ends after") { _ = try IDXReader(path: path) }
        }
    }

    @Test func refusesDimensionsThatOverflow() throws {
        for dimensions in [[.max, .max, .max], [.max, .max, .max, .max], [0, .max, .max, .max]] as [[UInt32]] {
            let path = try folder.write(header(dimensions))
            expectError(.invalid, "larger than any file") { _ = try IDXReader(path: path) }
        }
    }

    @Test func refusesPlainFilesOfAnotherLengthAtOnce() throws {
        for count in [0, 5, 7, 100] {
            let path = try folder.write(header([2, 3]) + [UInt8](repeating: 1, count: count))
            expectError(.invalid, "ask for 6 bytes after the header, the file has \(count)") {
                _ = try IDXReader(path: path)
            }
        }
        let path = try folder.write(header([.max, 1 << 30]) + [1])
        expectError(.invalid, "the file has 1;") { _ = try IDXReader(path: path) }
    }

    @Test func refusesGzipOfAnotherLengthWhileReading() throws {
        let short = try folder.write(gzip(header([4, 3]) + [1, 2, 3, 4, 5, 6, 7]))
        for step in [1, 4] { expectError(.invalid, "the data end after 2;") { _ = try read(short, step: step) } }
        let long = try folder.write(gzip(header([2, 3]) + [1, 2, 3, 4, 5, 6, 7]))
        expectError(.invalid, "more data follow") { _ = try read(long) }
    }

    /// Deflate makes at most 1,032 bytes of one: a header that asks for more is refused before anything is read.
    @Test func refusesHeadersThatGzipCannotKeep() throws {
        let zeros = try gzip(header([1_000_000]) + [UInt8](repeating: 0, count: 1_000_000))
        #expect(zeros.count < 1_000_000 / 900)
        #expect(try read(folder.write(zeros), step: 1000).count == 1_000_000)
        for (claim, isRefused) in [(1_000_001, false), (4_000_000_000, true)] {
            let file = try gzip(header([UInt32(claim)]) + [UInt8](repeating: 0, count: 1_000_000))
            let path = try folder.write(file)
            if isRefused {
                expectError(.invalid, "ask for \(claim) bytes after the header, the gzip data hold \(file.count * 1032) at most") {
                    _ = try IDXReader(path: path)
                }
            } else {
                expectError(.invalid, "the data end after 1000000;") { _ = try read(path, step: 1000) }
            }
        }
    }

    /// Pieces are bounded, however long an item is said to be.
    @Test(arguments: [[200_000], [2, 300, 500], [3, 0, 5], [1, 200_000]] as [[UInt32]], [false, true])
    func readsEverythingInPieces(dimensions: [UInt32], isCompressed: Bool) throws {
        let count = Int(dimensions.reduce(1, *))
        let payload = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 7) }
        func all(_ payload: [UInt8]) throws -> [UInt8] {
            let file = header(dimensions) + payload
            let reader = try IDXReader(path: folder.write(isCompressed ? gzip(file) : file))
            var bytes: [UInt8] = []
            try reader.readAll {
                #expect($0.count <= 1 << 16)
                bytes += $0
            }
            return bytes
        }
        #expect(try all(payload) == payload)
        expectError(.invalid, "fetch the file again") { _ = try all(payload + [1]) }
        if count > 0 { expectError(.invalid, "fetch the file again") { _ = try all(payload.dropLast()) } }
    }

    @Test func finishFindsDamageInTheCheckValue() throws {
        var compressed = try gzip(header([3]) + [1, 2, 3])
        compressed[compressed.count - 6] ^= 0x10
        let path = try folder.write(compressed)
        expectError(.invalid, "incorrect data check") { _ = try read(path) }
        compressed[compressed.count - 6] ^= 0x10
        let cut = try folder.write(compressed.dropLast(3))
        expectError(.invalid, "cut short") { _ = try read(cut) }
    }
}
