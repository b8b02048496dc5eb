import Kernels

/// `{"type": "relu"}`, `tanh`, `sigmoid`, or `{"type": "leaky_relu", "slope": 0.2}`
public struct ActivationDescription: LayerDescription {
    public enum Function: String, Sendable {
        case relu, leakyReLU = "leaky_relu", tanh, sigmoid
    }

    public let function: Function
    /// For negative values, of a leaky ReLU.
    public var slope: Double

    init(_ function: Function, slope: Double = 0) {
        self.function = function
        self.slope = slope
    }

    public var type: String { function.rawValue }
    public var rectifierSlope: Float? {
        switch function {
        case .relu: 0
        case .leakyReLU: Float(slope)
        case .tanh, .sigmoid: nil
        }
    }
    public var fields: [LayerField<Self>] {
        guard function == .leakyReLU else { return [] }
        return [.number("slope", \.slope) { (0...1).contains($0) ? nil : "a slope of \($0); it must be 0 … 1" }]
    }

    public func append(to chain: inout ChainBuilder) {
        let function: Activation.Function =
            switch function {
            case .relu: .leakyReLU(slope: 0)
            case .leakyReLU: .leakyReLU(slope: Float(slope))
            case .tanh: .tanh
            case .sigmoid: .sigmoid
            }
        chain.append(Activation(features: chain.shape.features, function: function), output: chain.shape)
    }

    public func addOperations(to graph: inout OperationGraph) {
        switch function {
        case .relu: graph.apply("Relu")
        case .leakyReLU: graph.apply("LeakyRelu", [], ["alpha": .number(Float(slope))])
        case .tanh: graph.apply("Tanh")
        case .sigmoid: graph.apply("Sigmoid")
        }
    }
}

extension LayerSpecification {
    /// max(x, 0)
    public static let relu = LayerSpecification(ActivationDescription(.relu))
    /// x where x > 0, slope · x elsewhere
    public static func leakyReLU(slope: Double) -> LayerSpecification {
        LayerSpecification(ActivationDescription(.leakyReLU, slope: slope))
    }
    public static let tanh = LayerSpecification(ActivationDescription(.tanh))
    public static let sigmoid = LayerSpecification(ActivationDescription(.sigmoid))
}

/// y = f(x) for a function whose derivative follows from its output: relu, leaky relu, tanh, sigmoid. Backward keeps y.
final class Activation: Layer {
    enum Function: Sendable {
        case leakyReLU(slope: Float)
        case tanh, sigmoid
    }

    let inputs: Int
    let function: Function
    var outputs: Int { inputs }
    var sharesGradient: Bool { true }
    var isColumnwise: Bool { true }

    init(features: Int, function: Function) {
        inputs = features
        self.function = function
    }

    func worksInPlace(after previous: any Layer) -> Bool {
        (previous as? any AffineLayer).map { $0.fusion.slope == nil && !$0.isSpectral } ?? false
    }

    func forward(_ x: Matrix, _ y: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        copy(x, y, features: inputs, columns: pass.columns)
        switch function {
        case .leakyReLU(let slope): pass.kernels.leakyReLU(y.base, inputs, pass.columns, y.stride, slope)
        case .tanh: pass.kernels.tanh(y.base, inputs, pass.columns, y.stride)
        case .sigmoid: pass.kernels.sigmoid(y.base, inputs, pass.columns, y.stride)
        }
    }

    var isPiecewiseLinear: Bool {
        if case .leakyReLU = function { return true }
        return false
    }

    func tangent(_ dx: Matrix, _ dy: Matrix, y: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        copy(dx, dy, features: inputs, columns: pass.columns)
        preactivationGradient(dy, x: y, y: y, memory, pass)
    }

    func preactivationGradient(_ dy: Matrix, x: Matrix, y: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        precondition(dy.stride == y.stride, "output gradient of stride \(dy.stride) for activations of \(y.stride)")
        switch function {
        case .leakyReLU(let slope): pass.kernels.leakyReLUBackward(dy.base, y.base, inputs, pass.columns, dy.stride, slope)
        case .tanh: pass.kernels.tanhBackward(dy.base, y.base, inputs, pass.columns, dy.stride)
        case .sigmoid: pass.kernels.sigmoidBackward(dy.base, y.base, inputs, pass.columns, dy.stride)
        }
    }

    func inputGradient(_ dy: Matrix, _ dx: Matrix, x: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        copy(dy, dx, features: inputs, columns: pass.columns)
    }
}
