import Formats
import Testing

@Suite struct NPYWriterTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func write(_ shape: [Int], _ elements: [Float]) throws -> [UInt8] {
        try elements.withUnsafeBufferPointer { try writeNPY(path: folder.file("a.npy"), shape: shape, elements: $0) }
        #expect(try folder.names == ["a.npy"])
        return try folder.read("a.npy")
    }

    @Test(arguments: [
        ([2, 3], "(2, 3)"), ([6], "(6,)"), ([1, 6, 1, 1], "(1, 6, 1, 1)"),
    ]) func writesVersionOne(shape: [Int], text: String) throws {
        let file = try write(shape, [0, 1, -2, 0.5, .infinity, 6])
        #expect(file.count == 128 + 24)
        #expect(file[..<10] == [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, 118, 0])
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': \(text), }"
        #expect(file[10..<127] == (Array(header.utf8) + [UInt8](repeating: 0x20, count: 117 - header.utf8.count))[...])
        #expect(file[127] == 0x0a)
        #expect(
            file[128...] == [
                0, 0, 0, 0, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 0, 0, 0, 0x3f, 0, 0, 0x80, 0x7f, 0, 0, 0xc0, 0x40,
            ])
    }

    @Test func writesScalarsAndNothing() throws {
        #expect(try write([], [1]).count == 132)
        #expect(try write([0, 28, 28], []).count == 128)
    }
}
