/// The bytes of a file from first to last, decompressed where the file is gzip.
///
/// The first two bytes, `1f 8b`, tell a gzip file, not its name. One of several members is read as their
/// concatenation (RFC 1952, 2.2).
public final class ByteSource {
    public let path: String
    /// The number of bytes in all; nil for gzip, which only tells at its end.
    public let size: Int?
    /// The most bytes that there can be in all: a byte of gzip stands for 1,032 at most, four matches of 258 bytes in two
    /// bits each (RFC 1951, 3.2.5).
    let largestSize: Int
    private let file: InputFile
    private let inflater: GzipInflater?
    private var offset = 0

    /// - Throws: `FormatError` of any kind.
    public init(path: String) throws {
        let file = try InputFile(path: path)
        var magic: [UInt8] = [0, 0]
        let count = try magic.withUnsafeMutableBytes { try file.read(into: $0, at: 0) }
        let isGzip = count == 2 && magic == [0x1f, 0x8b]
        inflater = isGzip ? try GzipInflater(file: file) : nil
        size = isGzip ? nil : file.size
        largestSize = isGzip ? product([file.size, 1032]) ?? .max : file.size
        self.file = file
        self.path = path
    }

    /// Reads at most `buffer.count` bytes, and returns how many; 0 only at the end, or for an empty buffer.
    ///
    /// The check value of a gzip file comes last, so only a read that returned 0 has proved its data.
    /// - Throws: `FormatError`: `invalid` where gzip data are damaged, cut short or followed by something else; `io`.
    public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        if let inflater { return try inflater.read(into: buffer) }
        let count = try file.read(into: buffer, at: offset)
        offset += count
        return count
    }

    /// Reads until the buffer is full or the data end, and returns how many bytes.
    func readFully(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        var filled = 0
        while filled < buffer.count {
            let count = try read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[filled...]))
            if count == 0 { break }
            filled += count
        }
        return filled
    }
}
