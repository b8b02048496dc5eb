import Testing

@testable import Formats

/// The examples of the format's documentation, and others worked out by its rules. Readers of others take whole files in
/// `test_export.py` and `test_tensorboard.py`.
@Suite struct ProtobufWriterTests {
    private func bytes(_ body: (inout ProtobufWriter) -> Void) -> [UInt8] {
        var writer = ProtobufWriter()
        body(&writer)
        return writer.bytes
    }

    @Test func numbers() {
        #expect(bytes { $0.write(150, field: 1) } == [0x08, 0x96, 0x01])
        #expect(bytes { $0.write(0, field: 16) } == [0x80, 0x01, 0x00])
        #expect(bytes { $0.write(-2, field: 1) } == [0x08, 0xfe] + [UInt8](repeating: 0xff, count: 8) + [0x01])
        #expect(bytes { $0.write(true, field: 3) } == [0x18, 0x01])
        #expect(bytes { $0.write(Float(1), field: 2) } == [0x15, 0, 0, 0x80, 0x3f])
        #expect(bytes { $0.write(-2.5, field: 1) } == [0x09, 0, 0, 0, 0, 0, 0, 0x04, 0xc0])
    }

    @Test func textsAndMessages() {
        #expect(bytes { $0.write("testing", field: 2) } == [0x12, 0x07] + Array("testing".utf8))
        #expect(bytes { $0.write(field: 3) { $0.write(150, field: 1) } } == [0x1a, 0x03, 0x08, 0x96, 0x01])
        #expect(bytes { $0.write(packed: [3, 270, 86_942], field: 4) } == [0x22, 0x06, 0x03, 0x8e, 0x02, 0x9e, 0xa7, 0x05])
        #expect(bytes { $0.write(packed: [1.0], field: 6) } == [0x32, 0x08, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f])
        // A length of two bytes.
        #expect(bytes { $0.write([UInt8](repeating: 7, count: 300), field: 1) }.prefix(3) == [0x0a, 0xac, 0x02])
    }
}
