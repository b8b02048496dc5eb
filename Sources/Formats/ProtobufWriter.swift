/// Writes one message of Protocol Buffers, field by field (https://protobuf.dev/programming-guides/encoding).
///
/// TensorBoard and ONNX need few messages: one small writer serves both, without generated code for their whole schemas.
public struct ProtobufWriter {
    public private(set) var bytes: [UInt8] = []

    public init() {}

    private enum WireType: UInt64 {
        case varint = 0
        case fixed64 = 1
        case lengthDelimited = 2
        case fixed32 = 5
    }

    private mutating func appendVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    private mutating func appendTag(_ field: Int, _ type: WireType) {
        precondition((1...536_870_911).contains(field), "field \(field) of a message")
        appendVarint(UInt64(field) << 3 | type.rawValue)
    }

    private mutating func append(littleEndian value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    /// int32, int64, and enumerations; a negative number takes ten bytes, as the format asks.
    public mutating func write(_ value: Int, field: Int) {
        appendTag(field, .varint)
        appendVarint(UInt64(bitPattern: Int64(value)))
    }

    public mutating func write(_ value: Bool, field: Int) { write(value ? 1 : 0, field: field) }

    public mutating func write(_ value: Float, field: Int) {
        appendTag(field, .fixed32)
        append(littleEndian: value.bitPattern)
    }

    public mutating func write(_ value: Double, field: Int) {
        appendTag(field, .fixed64)
        append(littleEndian: value.bitPattern)
    }

    public mutating func write(_ value: String, field: Int) { write(Array(value.utf8), field: field) }

    public mutating func write(_ value: [UInt8], field: Int) {
        appendTag(field, .lengthDelimited)
        appendVarint(UInt64(value.count))
        bytes.append(contentsOf: value)
    }

    /// A message inside this one.
    public mutating func write(field: Int, _ message: (inout ProtobufWriter) throws -> Void) rethrows {
        var inner = ProtobufWriter()
        try message(&inner)
        write(inner.bytes, field: field)
    }

    /// Repeated numbers, packed as proto3 has them.
    public mutating func write(packed values: [Int], field: Int) {
        var inner = ProtobufWriter()
        for value in values { inner.appendVarint(UInt64(bitPattern: Int64(value))) }
        write(inner.bytes, field: field)
    }

    public mutating func write(packed values: [Double], field: Int) {
        var inner = ProtobufWriter()
        for value in values { inner.append(littleEndian: value.bitPattern) }
        write(inner.bytes, field: field)
    }
}
