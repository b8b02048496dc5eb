import Kernels

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
        (previous as? any AffineLayer).map { $0.slope == nil && !$0.isSpectral } ?? false
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

/// y = 1 where x ≥ 0, −1 elsewhere, with a gradient of zero: what follows sees a code of random bits in place of normal noise.
/// A generator of a code need not put anything between two kinds of images, as a continuous one must.
final class Sign: Layer {
    let inputs: Int
    var outputs: Int { inputs }
    var isColumnwise: Bool { true }

    init(features: Int) { inputs = features }

    func forward(_ x: Matrix, _ y: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        for feature in 0..<inputs {
            let (from, to) = (x.base + feature * x.stride, y.base + feature * y.stride)
            for column in 0..<pass.columns { to[column] = from[column] < 0 ? -1 : 1 }
        }
    }

    func tangent(_ dx: Matrix, _ dy: Matrix, y: Matrix, _ memory: LayerMemory, _ pass: Pass) { clear(dy, pass) }

    func inputGradient(_ dy: Matrix, _ dx: Matrix, x: Matrix, _ memory: LayerMemory, _ pass: Pass) { clear(dx, pass) }

    private func clear(_ x: Matrix, _ pass: Pass) {
        for feature in 0..<inputs { (x.base + feature * x.stride).update(repeating: 0, count: pass.columns) }
    }
}

/// Inverted dropout (Srivastava et al. 2014): y = x · m / (1 − p), m = 0 with probability p. A mask is a function of seed,
/// step, pass, layer, row and feature; backward makes it again.
public final class Dropout: Layer {
    public let shape: Shape
    public var inputs: Int { shape.features }
    /// The layer's number in the model file.
    public let index: Int
    let network: NetworkRole
    let threshold: UInt32
    let scale: Float
    public var outputs: Int { inputs }
    public var sharesGradient: Bool { true }

    /// - Parameter index: the layer's number in the model file.
    init(index: Int, of network: NetworkRole, shape: Shape, probability: Double) {
        self.network = network
        self.shape = shape
        self.index = index
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
            seed: pass.seed, stream: RandomStream.dropout(of: network, pass: pass.kind, layer: index), step: pass.step,
            firstRow: pass.firstRow)
        pass.kernels.dropout(key, x.base, inputs, pass.columns, x.stride, threshold, scale)
    }
}

/// y = x, unless they are the same memory.
func copy(_ x: Matrix, _ y: Matrix, features: Int, columns: Int) {
    guard x.base != y.base else { return }
    for feature in 0..<features {
        (y.base + feature * y.stride).update(from: x.base + feature * x.stride, count: columns)
    }
}
