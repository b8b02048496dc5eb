/// A model in the Open Neural Network Exchange format: a graph of operations with its weights.
///
/// Only what a network without control flow needs is here. Numbers of fields and types are those of `onnx.proto3`
/// (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3).
public struct ONNXModel: Sendable {
    /// Version 8 of the format is that of onnx 1.10 … 1.13; all later programs read it, as they do operator set 17.
    public static let formatVersion = 8
    public static let operatorSet = 17
    /// A message of Protocol Buffers may not be larger: 2 GiB − 1.
    public static let largestSize = Int(Int32.max)

    public enum ElementType: Int, Sendable {
        case float32 = 1
        case int64 = 7
    }

    public enum Attribute: Sendable {
        case integer(Int)
        case integers([Int])
        case number(Float)
        case text(String)
    }

    public struct Node: Sendable {
        public var name: String
        public var operation: String
        public var inputs: [String]
        public var outputs: [String]
        public var attributes: [String: Attribute]

        public init(name: String, operation: String, inputs: [String], outputs: [String], attributes: [String: Attribute] = [:]) {
            self.name = name
            self.operation = operation
            self.inputs = inputs
            self.outputs = outputs
            self.attributes = attributes
        }
    }

    /// Numbers that the model holds.
    public struct Tensor: Sendable {
        public enum Numbers: Sendable {
            case float32([Float])
            case int64([Int64])
        }

        public var name: String
        /// Its product is the count of numbers; none for a single one.
        public var shape: [Int]
        public var numbers: Numbers

        public init(name: String, shape: [Int], numbers: Numbers) {
            self.name = name
            self.shape = shape
            self.numbers = numbers
        }
    }

    /// What goes in or comes out: its first axis is the batch, of any length; then come these sizes.
    public struct Value: Sendable {
        public var name: String
        public var elementType: ElementType
        public var sizes: [Int]

        public init(name: String, elementType: ElementType = .float32, sizes: [Int]) {
            self.name = name
            self.elementType = elementType
            self.sizes = sizes
        }
    }

    public var producer: (name: String, version: String)
    public var name: String
    public var summary: String
    /// In an order in which each comes after those that it needs.
    public var nodes: [Node]
    public var tensors: [Tensor]
    public var inputs: [Value]
    public var outputs: [Value]
    public var metadata: [String: String]

    public init(
        producer: (name: String, version: String), name: String, summary: String, nodes: [Node], tensors: [Tensor],
        inputs: [Value], outputs: [Value], metadata: [String: String]
    ) {
        self.producer = producer
        self.name = name
        self.summary = summary
        self.nodes = nodes
        self.tensors = tensors
        self.inputs = inputs
        self.outputs = outputs
        self.metadata = metadata
    }

    /// The file, a message of type `ModelProto`. The same model gives the same bytes.
    public func bytes() -> [UInt8] {
        var model = ProtobufWriter()
        model.write(ONNXModel.formatVersion, field: 1)
        model.write(producer.name, field: 2)
        model.write(producer.version, field: 3)
        model.write(summary, field: 6)
        model.write(field: 7, writeGraph)
        model.write(field: 8) { operators in
            operators.write("", field: 1)
            operators.write(ONNXModel.operatorSet, field: 2)
        }
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
            model.write(field: 14) { entry in
                entry.write(key, field: 1)
                entry.write(value, field: 2)
            }
        }
        return model.bytes
    }

    private func writeGraph(_ graph: inout ProtobufWriter) {
        for node in nodes { graph.write(field: 1, node.write) }
        graph.write(name, field: 2)
        for tensor in tensors { graph.write(field: 5, tensor.write) }
        for input in inputs { graph.write(field: 11, input.write) }
        for output in outputs { graph.write(field: 12, output.write) }
    }
}

extension ONNXModel.Node {
    fileprivate func write(_ node: inout ProtobufWriter) {
        for input in inputs { node.write(input, field: 1) }
        for output in outputs { node.write(output, field: 2) }
        node.write(name, field: 3)
        node.write(operation, field: 4)
        for (name, attribute) in attributes.sorted(by: { $0.key < $1.key }) {
            node.write(field: 5) { message in
                message.write(name, field: 1)
                attribute.write(&message)
            }
        }
    }
}

extension ONNXModel.Attribute {
    fileprivate func write(_ attribute: inout ProtobufWriter) {
        let type: Int
        switch self {
        case .number(let value):
            attribute.write(value, field: 2)
            type = 1
        case .integer(let value):
            attribute.write(value, field: 3)
            type = 2
        case .text(let value):
            attribute.write(value, field: 4)
            type = 3
        case .integers(let values):
            attribute.write(packed: values, field: 8)
            type = 7
        }
        attribute.write(type, field: 20)
    }
}

extension ONNXModel.Tensor {
    fileprivate func write(_ tensor: inout ProtobufWriter) {
        tensor.write(packed: shape, field: 1)
        let type: ONNXModel.ElementType
        let bytes: [UInt8]
        switch numbers {
        case .float32(let values): (type, bytes) = (.float32, values.withUnsafeBytes { Array($0) })
        case .int64(let values): (type, bytes) = (.int64, values.withUnsafeBytes { Array($0) })
        }
        tensor.write(type.rawValue, field: 2)
        tensor.write(name, field: 8)
        tensor.write(bytes, field: 9)
    }
}

extension ONNXModel.Value {
    /// The name of the batch's size.
    private static let batch = "N"

    fileprivate func write(_ value: inout ProtobufWriter) {
        value.write(name, field: 1)
        value.write(field: 2) { type in
            type.write(field: 1) { tensor in
                tensor.write(elementType.rawValue, field: 1)
                tensor.write(field: 2) { shape in
                    shape.write(field: 1) { $0.write(ONNXModel.Value.batch, field: 2) }
                    for size in sizes { shape.write(field: 1) { $0.write(size, field: 1) } }
                }
            }
        }
    }
}
