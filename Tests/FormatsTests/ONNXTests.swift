import Formats
import Testing

/// Bytes put together field by field as `onnx.proto3` numbers them. That programs read models, Tests/Launch/test_export.py shows.
@Suite struct ONNXTests {
    /// A field that holds bytes, a text or a message.
    private func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] { [number << 3 | 2, UInt8(bytes.count)] + bytes }
    private func field(_ number: UInt8, _ text: String) -> [UInt8] { field(number, Array(text.utf8)) }
    private func model(_ body: (inout ONNXModel) -> Void = { _ in }) -> [UInt8] {
        var model = ONNXModel(
            producer: ("p", "1"), name: "g", summary: "s", nodes: [], tensors: [], inputs: [], outputs: [], metadata: [:])
        body(&model)
        return model.bytes()
    }

    private var beginning: [UInt8] { [0x08, 8] + field(2, "p") + field(3, "1") + field(6, "s") }
    private var end: [UInt8] { field(8, field(1, "") + [0x10, 17]) }

    @Test func emptyGraph() { #expect(model() == beginning + field(7, field(2, "g")) + end) }

    @Test func nodesAndTheirAttributes() {
        let bytes = model {
            $0.nodes = [
                .init(
                    name: "n", operation: "Conv", inputs: ["x", "w"], outputs: ["y"],
                    attributes: ["b": .integers([1, 300]), "a": .number(1), "d": .integer(-1), "c": .text("t")])
            ]
        }
        // In the order of their names; the last number is the type.
        let type: [UInt8] = [0xa0, 0x01]
        let attributes =
            field(5, field(1, "a") + [0x15, 0, 0, 0x80, 0x3f] + type + [1])
            + field(5, field(1, "b") + field(8, [1, 0xac, 0x02]) + type + [7])
            + field(5, field(1, "c") + field(4, "t") + type + [3])
            + field(5, field(1, "d") + [0x18] + [UInt8](repeating: 0xff, count: 9) + [1] + type + [2])
        let node = field(1, "x") + field(1, "w") + field(2, "y") + field(3, "n") + field(4, "Conv") + attributes
        #expect(bytes == beginning + field(7, field(1, node) + field(2, "g")) + end)
    }

    @Test func tensorsAndValues() {
        let bytes = model {
            $0.tensors = [
                .init(name: "w", shape: [1, 2], numbers: .float32([1, -2])), .init(name: "k", shape: [], numbers: .int64([258])),
            ]
            $0.inputs = [.init(name: "x", sizes: [3])]
            $0.outputs = [.init(name: "y", elementType: .int64, sizes: [])]
        }
        let w = field(1, [1, 2]) + [0x10, 1] + field(8, "w") + field(9, [0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0])
        let k = field(1, []) + [0x10, 7] + field(8, "k") + field(9, [2, 1, 0, 0, 0, 0, 0, 0])
        let batch = field(1, field(2, "N"))
        let x = field(1, "x") + field(2, field(1, [0x08, 1] + field(2, batch + field(1, [0x08, 3]))))
        let y = field(1, "y") + field(2, field(1, [0x08, 7] + field(2, batch)))
        let graph = field(2, "g") + field(5, w) + field(5, k) + field(11, x) + field(12, y)
        #expect(bytes == beginning + field(7, graph) + end)
    }

    @Test func metadataAreSorted() {
        let bytes = model { $0.metadata = ["b": "2", "a": "1"] }
        let entries = field(14, field(1, "a") + field(2, "1")) + field(14, field(1, "b") + field(2, "2"))
        #expect(bytes == beginning + field(7, field(2, "g")) + end + entries)
    }
}
