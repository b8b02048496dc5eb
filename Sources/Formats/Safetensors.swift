/// A file of named tensors in the safetensors format (https://huggingface.co/docs/safetensors), checked before use.
///
/// Eight bytes little-endian give the length of a JSON header, which gives each tensor's type, shape and place in the
/// bytes that follow. Opening a file verifies all of it: no tensor overlaps another, no byte belongs to none.
/// The tensors stay in the file until they are read.
public final class SafetensorsFile: Sendable {
    /// An element type, spelled as the header spells it.
    public enum ElementType: String, Sendable {
        case bool = "BOOL"
        case uint8 = "U8"
        case uint16 = "U16"
        case uint32 = "U32"
        case uint64 = "U64"
        case int8 = "I8"
        case int16 = "I16"
        case int32 = "I32"
        case int64 = "I64"
        case float16 = "F16"
        case bfloat16 = "BF16"
        case float32 = "F32"
        case float64 = "F64"

        /// Bytes of an element.
        public var size: Int {
            switch self {
            case .bool, .uint8, .int8: 1
            case .uint16, .int16, .float16, .bfloat16: 2
            case .uint32, .int32, .float32: 4
            case .uint64, .int64, .float64: 8
            }
        }
    }

    public struct Tensor: Sendable, Equatable {
        public let elementType: ElementType
        /// Sizes, slowest first; empty for a scalar.
        public let shape: [Int]
        /// Where its elements lie in the file.
        public let byteRange: Range<Int>

        /// The number of elements.
        public var count: Int { byteRange.count / elementType.size }
    }

    public let path: String
    public let metadata: [String: String]
    public let tensors: [String: Tensor]
    /// In the order of the file.
    public let tensorNames: [String]

    private let file: InputFile
    /// Where the value of the metadata's `sha256` lies in the file.
    private let digestRange: Range<Int>?

    /// Reads and verifies the header; `verifyDigest()` verifies the rest.
    /// - Throws: `FormatError`: `missing`; `invalid` where the file breaks a rule of the format; `io`.
    public init(path: String) throws {
        self.path = path
        file = try InputFile(path: path)
        let bytes = try Self.readHeader(of: file)
        let header = try SafetensorsHeader(bytes, path: path, dataSize: file.size - 8 - bytes.count)
        let dataStart = 8 + bytes.count
        metadata = header.metadata
        tensorNames = header.entries.map(\.name)
        tensors = Dictionary(
            uniqueKeysWithValues: header.entries.map { entry in
                let start = dataStart + entry.offsets.lowerBound
                let range = start..<start + entry.offsets.count
                return (entry.name, Tensor(elementType: entry.elementType, shape: entry.shape, byteRange: range))
            })
        digestRange = header.digestRange.map { $0.lowerBound + 8..<$0.upperBound + 8 }
    }

    private static func readHeader(of file: InputFile) throws -> [UInt8] {
        guard file.size >= 8 else {
            throw FormatError(
                .invalid, path: file.path, "expected a safetensors file, found \(file.size) bytes; it is cut short")
        }
        var length: UInt64 = 0
        try withUnsafeMutableBytes(of: &length) { try file.readFully(into: $0, at: 0) }
        length = UInt64(littleEndian: length)
        let limit = min(100_000_000, file.size - 8)
        guard length <= limit else {
            throw FormatError(
                .invalid, path: file.path,
                "expected a safetensors header of at most \(limit) bytes, found \(length); "
                    + "the file is cut short, damaged or of another format")
        }
        return try [UInt8](unsafeUninitializedCapacity: Int(length)) { buffer, count in
            let bytes = UnsafeMutableRawBufferPointer(buffer)
            try file.readFully(into: UnsafeMutableRawBufferPointer(rebasing: bytes[..<Int(length)]), at: 8)
            count = Int(length)
        }
    }

    /// Reads all elements of a tensor of float32.
    /// - Throws: `FormatError`: `invalid` where there is no such tensor, its elements are not float32 or not as many
    ///   as the buffer holds; `io`.
    public func readFloats(_ name: String, into buffer: UnsafeMutableBufferPointer<Float>) throws {
        guard let tensor = tensors[name] else {
            throw FormatError(.invalid, path: path, "expected a tensor \(name.excerpt), found none of that name")
        }
        guard tensor.elementType == .float32, tensor.count == buffer.count else {
            throw FormatError(
                .invalid, path: path,
                "expected \(buffer.count) elements of F32 in tensor \(name.excerpt), "
                    + "found \(tensor.count) of \(tensor.elementType.rawValue), shape \(tensor.shape)")
        }
        try file.readFully(into: UnsafeMutableRawBufferPointer(buffer), at: tensor.byteRange.lowerBound)
    }

    /// Reads a tensor of float32 piece by piece, in order: of a large one no more is in memory.
    /// - Throws: as `readFloats`; what `body` throws.
    public func forEachPiece(of name: String, _ body: (UnsafeBufferPointer<Float>) throws -> Void) throws {
        guard let tensor = tensors[name], tensor.elementType == .float32 else {
            throw FormatError(.invalid, path: path, "expected a tensor \(name.excerpt) of F32, found none")
        }
        let piece = UnsafeMutableBufferPointer<Float>.allocate(capacity: min(1 << 14, tensor.count))
        defer { piece.deallocate() }
        for start in stride(from: 0, to: tensor.count, by: 1 << 14) {
            let part = UnsafeMutableBufferPointer(rebasing: piece[..<min(piece.count, tensor.count - start)])
            try file.readFully(into: UnsafeMutableRawBufferPointer(part), at: tensor.byteRange.lowerBound + 4 * start)
            try body(UnsafeBufferPointer(part))
        }
    }

    /// Verifies the SHA-256 under the metadata's key `sha256`: that of the whole file with these 64 characters as `0`.
    /// - Throws: `FormatError`: `invalid` where there is none or it does not match; `io`.
    public func verifyDigest() throws {
        guard let digestRange, let expected = metadata[sha256Key] else {
            throw FormatError(
                .invalid, path: path, "expected a SHA-256 of 64 lowercase digits under the metadata's key sha256")
        }
        let digest = SHA256Digest()
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
        defer { buffer.deallocate() }
        var offset = 0
        while offset < file.size {
            let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(buffer.count, file.size - offset)])
            try file.readFully(into: piece, at: offset)
            for index in digestRange.clamped(to: offset..<offset + piece.count) {
                piece[index - offset] = UInt8(ascii: "0")
            }
            digest.update(UnsafeRawBufferPointer(piece))
            offset += piece.count
        }
        let found = digest.finish().hexadecimal
        guard found == expected else {
            throw FormatError(
                .invalid, path: path,
                "expected SHA-256 \(expected), found \(found): the file is damaged; use an older one")
        }
    }
}

/// The metadata's key for the digest of the file.
let sha256Key = "sha256"
