/// Reads an IDX file of unsigned bytes, plain or gzip, item by item.
///
/// The format (http://yann.lecun.com/exdb/mnist): two zero bytes, the element type (8 is unsigned byte), the number
/// of dimensions, each dimension as four bytes big-endian, then the elements, last dimension fastest. An *item* is
/// one entry of the leading dimension: an image, or a label.
///
/// Nothing is ever allocated by what a header claims. A leading dimension of 0 is valid here: whether an empty set is
/// of use is for the caller to say.
public final class IDXReader {
    /// 1 to 4 sizes, the number of items first. Their product does not overflow `Int`.
    public let dimensions: [Int]
    /// The header as it stands in the file, for a digest of the whole.
    public let headerBytes: [UInt8]
    /// Bytes of an item.
    public let itemSize: Int
    public var path: String { source.path }
    /// Items not yet read.
    public private(set) var remainingItems: Int

    private let source: ByteSource

    /// Reads the header.
    /// - Throws: `FormatError`: `missing`; `invalid` where the header is none of IDX, or disagrees with the length of
    ///   a plain file; `io`.
    public init(path: String) throws {
        source = try ByteSource(path: path)
        let magic = try source.readPrefix(4, of: "an IDX magic number")
        guard magic[0...2] == [0, 0, 8], (1...4).contains(magic[3]) else {
            throw FormatError(
                .invalid, path: path,
                "expected the IDX magic number 00 00 08 01 to 04 (unsigned bytes), found \(magic.spacedHexadecimal)")
        }
        let sizes = try source.readPrefix(4 * Int(magic[3]), of: "\(magic[3]) IDX dimensions")
        headerBytes = magic + sizes
        dimensions = stride(from: 0, to: sizes.count, by: 4).map { start in
            sizes[start..<start + 4].reduce(0) { $0 << 8 | Int($1) }
        }
        guard let itemSize = product(dimensions.dropFirst()), let payload = product([dimensions[0], itemSize]) else {
            throw FormatError(.invalid, path: path, "IDX dimensions \(dimensions) are larger than any file")
        }
        self.itemSize = itemSize
        remainingItems = dimensions[0]
        if let size = source.size, size - headerBytes.count != payload {
            throw FormatError(
                .invalid, path: path,
                "IDX dimensions \(dimensions) ask for \(payload) bytes after the header, "
                    + "the file has \(size - headerBytes.count); fetch the file again")
        }
        guard payload <= source.largestSize else {
            throw FormatError(
                .invalid, path: path,
                "IDX dimensions \(dimensions) ask for \(payload) bytes after the header, "
                    + "the gzip data hold \(source.largestSize) at most; fetch the file again")
        }
    }

    /// Reads everything after the header in pieces of bounded size, whatever an item is, and verifies the end.
    /// - Precondition: No item has been read.
    /// - Throws: as `readItems` and `finish`.
    public func readAll(_ take: (UnsafeRawBufferPointer) -> Void) throws {
        precondition(remainingItems == dimensions[0], "\(remainingItems) of \(dimensions[0]) items remain")
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
        defer { piece.deallocate() }
        let size = dimensions[0] * itemSize
        var count = 0
        while count < size {
            let wanted = UnsafeMutableRawBufferPointer(rebasing: piece[..<min(piece.count, size - count)])
            let filled = try source.readFully(into: wanted)
            count += filled
            guard filled == wanted.count else { throw cutShort(after: count) }
            take(UnsafeRawBufferPointer(wanted))
        }
        remainingItems = 0
        try finish()
    }

    private func cutShort(after bytes: Int) -> FormatError {
        FormatError(
            .invalid, path: path,
            "expected \(dimensions[0]) items of \(itemSize) bytes, the data end after \(bytes / itemSize); "
                + "fetch the file again")
    }

    /// Reads the next `count` items.
    ///
    /// The check value of a gzip file comes last: only `finish()` proves its data.
    /// - Precondition: `count` is at most `remainingItems`, and the buffer holds `count * itemSize` bytes.
    /// - Throws: `FormatError`: `invalid` where the file ends too early or its gzip data are damaged; `io`.
    public func readItems(_ count: Int, into buffer: UnsafeMutableRawBufferPointer) throws {
        precondition(0...remainingItems ~= count, "\(count) items wanted, \(remainingItems) remain")
        precondition(buffer.count == count * itemSize, "\(count) items of \(itemSize) bytes, buffer of \(buffer.count)")
        let filled = try source.readFully(into: buffer)
        guard filled == buffer.count else {
            throw cutShort(after: (dimensions[0] - remainingItems) * itemSize + filled)
        }
        remainingItems -= count
    }

    /// Verifies that the file ends after its last item, and with it the check value of a gzip file.
    /// - Precondition: All items have been read.
    /// - Throws: `FormatError`: `invalid` where something follows or gzip data are damaged; `io`.
    public func finish() throws {
        precondition(remainingItems == 0, "\(remainingItems) items have not been read")
        var byte: UInt8 = 0
        guard try withUnsafeMutableBytes(of: &byte, { try source.read(into: $0) }) == 0 else {
            throw FormatError(
                .invalid, path: source.path,
                "expected the end after \(dimensions[0]) items of \(itemSize) bytes, more data follow; "
                    + "fetch the file again")
        }
    }
}

extension ByteSource {
    /// The next `count` bytes, a few that the format fixes.
    fileprivate func readPrefix(_ count: Int, of what: String) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let filled = try bytes.withUnsafeMutableBytes { try readFully(into: $0) }
        guard filled == count else {
            throw FormatError(
                .invalid, path: path,
                "expected \(what), \(count) bytes, the file ends after \(filled) of them; fetch the file again")
        }
        return bytes
    }
}

/// The product, or nil where it overflows.
func product(_ factors: some Sequence<Int>) -> Int? {
    var product = 1
    for factor in factors {
        let (next, overflow) = product.multipliedReportingOverflow(by: factor)
        if overflow { return nil }
        product = next
    }
    return product
}
