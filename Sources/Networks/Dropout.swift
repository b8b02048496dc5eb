import Kernels

/// `{"type": "dropout", "probability": 0.3}`
public struct DropoutDescription: LayerDescription {
    public var probability = 0.0

    public let type = "dropout"
    public var fields: [LayerField<Self>] {
        [
            .number("probability", \.probability) {
                $0 >= 0 && $0 < 1 ? nil : "a dropout probability of \($0); it must be at least 0 and less than 1"
            }
        ]
    }

    public func append(to chain: inout ChainBuilder) {
        chain.append(
            Dropout(
                number: chain.randomNumber, path: chain.path, of: chain.role, shape: chain.shape, probability: probability),
            output: chain.shape)
    }

    public func addOperations(to graph: inout OperationGraph) {
        // It lets all through.
    }
}

extension LayerSpecification {
    /// Inverted dropout: in training each feature is 0 with this probability and scaled by 1 / (1 − p) otherwise.
    public static func dropout(probability: Double) -> LayerSpecification {
        LayerSpecification(DropoutDescription(probability: probability))
    }
}

/// Inverted dropout (Srivastava et al. 2014): y = x · m / (1 − p), m = 0 with probability p. A mask is a function of seed,
/// step, pass, layer, row and feature; backward makes it again.
public final class Dropout: Layer {
    public let shape: Shape
    public var inputs: Int { shape.features }
    /// The layer's number in the model file, behind those of the blocks that it is in.
    public let path: String
    private let number: Int
    let network: NetworkRole
    let threshold: UInt32
    let scale: Float
    public var isPiecewiseLinear: Bool { true }
    public var outputs: Int { inputs }
    public var sharesGradient: Bool { true }

    /// - Parameter number: what random numbers know the layer by.
    init(number: Int, path: String, of network: NetworkRole, shape: Shape, probability: Double) {
        self.network = network
        self.shape = shape
        self.number = number
        self.path = path
        // A word below the threshold keeps the feature.
        threshold = UInt32(min(((1 - probability) * 0x1p32).rounded(), 0x1p32 - 1))
        scale = Float(1 / (1 - probability))
    }

    /// A rectifier's derivative needs only the sign of its output, which dropout keeps where it does not cut it off.
    public func worksInPlace(after previous: any Layer) -> Bool {
        if let activation = previous as? Activation, case .leakyReLU = activation.function { return true }
        return (previous as? any AffineLayer).map { !$0.isSpectral } ?? false
    }

    public func forward(_ x: Matrix, _ y: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        copy(x, y, features: inputs, columns: pass.columns)
        if pass.isTraining { applyMask(y, pass) }
    }

    public func tangent(_ dx: Matrix, _ dy: Matrix, y: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        copy(dx, dy, features: inputs, columns: pass.columns)
        if pass.isTraining { applyMask(dy, pass) }
    }

    public func preactivationGradient(_ dy: Matrix, x: Matrix, y: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        if pass.isTraining { applyMask(dy, pass) }
    }

    public func inputGradient(_ dy: Matrix, _ dx: Matrix, x: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        copy(dy, dx, features: inputs, columns: pass.columns)
    }

    /// x *= m / (1 − p)
    public func applyMask(_ x: Matrix, _ pass: Pass) {
        let key = RandomKey(
            seed: pass.seed, stream: RandomStream.dropout(of: network, pass: pass.kind, layer: number), step: pass.step,
            firstRow: pass.firstRow)
        pass.kernels.dropout(key, x.base, inputs, pass.columns, x.stride, threshold, scale)
    }
}
