/// What a network computes once it is trained, as a graph of operations that others know: their names, attributes and meaning are
/// those of ONNX's operator set 17 (https://onnx.ai/onnx/operators).
///
/// Values are [N, C, H, W] or, where that is all that matters, [N, features]; both number features as PyTorch does. Normalisation
/// of a batch goes by the running statistics, dropout lets all through, and weights are those that `Network.usedValues` gives.
public struct OperationGraph: Sendable {
    public enum Attribute: Sendable, Equatable {
        case integer(Int)
        case integers([Int])
        case number(Float)
        case text(String)
    }

    public struct Node: Sendable, Equatable {
        public let operation: String
        /// Names of values; an empty one stands for an optional input that is left away.
        public let inputs: [String]
        /// Also the node's own name.
        public fileprivate(set) var output: String
        public let attributes: [String: Attribute]
    }

    public enum Numbers: Sendable, Equatable {
        case integers([Int])
        case floats([Float])
    }

    /// A list of numbers, or a single one of no dimensions.
    public struct Constant: Sendable, Equatable {
        public let name: String
        public let numbers: Numbers
        public let isScalar: Bool
    }

    /// What goes in or comes out.
    public struct Value: Sendable, Equatable {
        public let name: String
        public let shape: Shape
        /// Whether it is [N, features], rather than [N, C, H, W].
        public let isFlat: Bool

        public init(_ name: String, _ shape: Shape, isFlat: Bool = false) {
            self.name = name
            self.shape = shape
            self.isFlat = isFlat
        }

        /// Its sizes behind the batch's.
        public var sizes: [Int] { isFlat ? [shape.features] : [shape.channels, shape.height, shape.width] }
    }

    /// The name of the classes' input, [N] whole numbers.
    public static let classes = "classes"

    public private(set) var nodes: [Node] = []
    public private(set) var constants: [Constant] = []
    /// Names of the parameters and running statistics that the nodes take.
    public private(set) var tensors: [String] = []
    /// Whether it is told the class of a row.
    public private(set) var takesClasses = false
    /// What the layers so far give.
    public private(set) var shape: Shape
    /// Its name.
    public private(set) var value: String
    /// Whether it is [N, features], rather than [N, C, H, W].
    public private(set) var isFlat: Bool
    /// What the names of the next layer's tensors begin with.
    private var layer = "main"
    private var names: Set<String>

    /// - Parameters:
    ///   - layers: of which a `NetworkPlan` from the one shape to the other can be made.
    public init(_ layers: [LayerSpecification], from input: Value, to output: Value) {
        (value, shape, isFlat) = (input.name, input.shape, input.isFlat)
        names = [input.name, output.name, OperationGraph.classes]
        append(layers)
        if shape != output.shape { reshape(to: output.shape) }
        setFlat(output.isFlat)
        // The last operation gives the output.
        if let last = nodes.indices.last { nodes[last].output = output.name }
        value = output.name
    }

    private mutating func append(_ layers: [LayerSpecification]) {
        let outer = layer
        for (index, specification) in layers.enumerated() {
            layer = "\(outer).\(index)"
            specification.layer.addOperations(to: &self)
        }
        layer = outer
    }

    /// Goes on with the layers inside the next layer.
    /// - Parameter attribute: the name that a module of PyTorch's has for their chain.
    mutating func append(_ layers: [LayerSpecification], attribute: String) {
        let outer = layer
        layer += ".\(attribute)"
        append(layers)
        layer = outer
    }

    /// The name of one of the layer's own tensors.
    public mutating func tensor(_ name: String) -> String {
        let name = "\(layer).\(name)"
        tensors.append(name)
        names.insert(name)
        return name
    }

    /// The name of the classes' input.
    public mutating func classes() -> String {
        takesClasses = true
        return OperationGraph.classes
    }

    /// The name of a list of numbers, or of a single one.
    public mutating func constant(_ integers: [Int]) -> String { constant(.integers(integers), isScalar: false) }
    public mutating func constant(_ floats: [Float]) -> String { constant(.floats(floats), isScalar: false) }
    public mutating func scalar(_ integer: Int) -> String { constant(.integers([integer]), isScalar: true) }
    public mutating func scalar(_ float: Float) -> String { constant(.floats([float]), isScalar: true) }

    private mutating func constant(_ numbers: Numbers, isScalar: Bool) -> String {
        if let known = constants.first(where: { $0.numbers == numbers && $0.isScalar == isScalar }) { return known.name }
        let name = unusedName("constant")
        constants.append(Constant(name: name, numbers: numbers, isScalar: isScalar))
        return name
    }

    private mutating func unusedName(_ wanted: String) -> String {
        var (name, number) = (wanted, 1)
        while !names.insert(name).inserted { (name, number) = ("\(wanted).\(number)", number + 1) }
        return name
    }

    /// Adds an operation beside the chain of values.
    /// - Returns: the name of what it gives.
    public mutating func add(_ operation: String, _ inputs: [String], _ attributes: [String: Attribute] = [:]) -> String {
        let output = unusedName("\(layer)/\(operation)")
        nodes.append(Node(operation: operation, inputs: inputs, output: output, attributes: attributes))
        return output
    }

    /// Goes on with another value.
    public mutating func take(_ value: String, _ shape: Shape? = nil) {
        self.value = value
        self.shape = shape ?? self.shape
    }

    /// Adds an operation on what the layers so far give, and goes on with what it makes of it.
    /// - Parameter shape: its shape, if it is another.
    public mutating func apply(
        _ operation: String, _ others: [String] = [], _ attributes: [String: Attribute] = [:], giving shape: Shape? = nil
    ) {
        take(add(operation, [value] + others, attributes), shape)
    }

    /// Makes the value [N, features], or [N, C, H, W].
    public mutating func setFlat(_ isFlat: Bool) {
        guard isFlat != self.isFlat else { return }
        if isFlat {
            apply("Flatten", [], ["axis": .integer(1)])
        } else {
            apply("Reshape", [constant([0, shape.channels, shape.height, shape.width])])
        }
        self.isFlat = isFlat
    }

    /// The value becomes features, which are then seen as another shape.
    public mutating func reshape(to shape: Shape) {
        setFlat(true)
        self.shape = shape
    }

    /// Lets channels of pixels, or else features, be the second dimension, for a layer that has a number for each of so many.
    public mutating func setChannels(_ channels: Int) {
        if channels != shape.channels {
            setFlat(true)
        } else if shape.pixels > 1 {
            setFlat(false)
        }
    }
}
