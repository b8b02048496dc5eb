import Formats
import Testing

@Suite struct ByteSourceTests {
    let folder: TemporaryFolder
    /// Longer than the reader's buffer, and not compressible to a few bytes.
    let bytes: [UInt8] = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 7) }

    init() throws { folder = try TemporaryFolder() }

    @Test func readsPlainFiles() throws {
        let path = try folder.write(bytes, to: "plain.gz")
        #expect(try ByteSource(path: path).size == bytes.count)
        #expect(try contents(of: path) == bytes)
        for short in [[], [0x1f], [0x1f, 0x8c]] as [[UInt8]] {
            #expect(try contents(of: folder.write(short)) == short)
        }
    }

    @Test func readsGzipUnderAnyName() throws {
        let path = try folder.write(gzip(bytes), to: "plain.txt")
        #expect(try ByteSource(path: path).size == nil)
        #expect(try contents(of: path) == bytes)
        #expect(try contents(of: path, pieceSize: 1 << 20) == bytes)
        #expect(try contents(of: folder.write(gzip([])), pieceSize: 1) == [])
    }

    /// `printf hello | gzip --no-name`
    @Test func readsWhatGzipWrote() throws {
        let golden: [UInt8] = [
            0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0, 0x03, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0, 0x86, 0xa6, 0x10, 0x36,
            0x05, 0, 0, 0,
        ]
        #expect(try contents(of: folder.write(golden), pieceSize: 1) == Array("hello".utf8))
    }

    @Test func readsMembersAsOne() throws {
        let path = try folder.write(gzip(bytes) + gzip([]) + gzip([1, 2]))
        #expect(try contents(of: path) == bytes + [1, 2])
    }

    @Test func refusesGzipCutShortAnywhere() throws {
        let compressed = try gzip(Array("cut short".utf8)) + gzip([1])
        let boundary = try gzip(Array("cut short".utf8)).count
        for count in 2..<compressed.count where count != boundary {
            let path = try folder.write(Array(compressed[..<count]))
            expectError(.invalid, "cut short after \(count) bytes") { _ = try contents(of: path) }
        }
    }

    @Test func refusesDamagedGzip() throws {
        var compressed = try gzip(Array("damaged".utf8))
        compressed[compressed.count - 8] ^= 1
        let path = try folder.write(compressed)
        expectError(.invalid, "incorrect data check") { _ = try contents(of: path) }
        compressed[compressed.count - 8] ^= 1
        compressed[2] = 7
        try folder.write(compressed)
        expectError(.invalid, "damaged") { _ = try contents(of: path) }
    }

    @Test(
        arguments: [
            ([0], "found something else"), ([1, 2, 3], "found something else"), ([0x1f], "cut short"),
            ([0x1f, 0x8b], "cut short"), ([0x1f, 0x8c, 0x08], "incorrect header check"),
        ] as [([UInt8], String)])
    func refusesWhatFollowsGzip(garbage: [UInt8], message: String) throws {
        let path = try folder.write(gzip([1, 2, 3]) + garbage)
        expectError(.invalid, message) { _ = try contents(of: path) }
    }

    @Test func refusesWhatIsNoFile() {
        expectError(.missing, "No such file") { _ = try ByteSource(path: folder.file("absent")) }
        expectError(.missing, "Not a directory") { _ = try ByteSource(path: folder.write([1]) + "/under") }
        expectError(.invalid, "regular file") { _ = try ByteSource(path: folder.path) }
        expectError(.invalid, "regular file") { _ = try ByteSource(path: "/dev/null") }
    }
}
