import Kernels

/// How a gradient changes parameters, as PyTorch does it but for moments below 2⁻¹⁰⁰, which are zeros: no update is that
/// small, and denormals are slow.
public enum Optimizer: Sendable, Equatable {
    case adam(Adam)
    case rmsprop(RMSprop)
    case sgd(SGD)

    public var name: String {
        switch self {
        case .adam: "adam"
        case .rmsprop: "rmsprop"
        case .sgd: "sgd"
        }
    }

    /// What is kept of each parameter from one update to the next, first and second, by PyTorch's names.
    public var moments: [String] {
        switch self {
        case .adam: ["exp_avg", "exp_avg_sq"]
        case .rmsprop: ["square_avg"]
        case .sgd(let sgd): sgd.momentum == 0 ? [] : ["momentum_buffer"]
        }
    }

    /// Update number t, from 1, of a segment, the learning rate multiplied by a scale; count is a multiple of 16. Moments
    /// start as zeros, and those that `moments` does not name are not touched.
    public func apply(
        update t: Int, learningRateScale scale: Double = 1, gradient: UnsafePointer<Float>,
        parameters: UnsafeMutablePointer<Float>, first: UnsafeMutablePointer<Float>, second: UnsafeMutablePointer<Float>,
        count: Int, kernels: Kernels
    ) {
        switch self {
        case .adam(let adam):
            kernels.adam(adam.constants(update: t, learningRateScale: scale), gradient, parameters, first, second, count)
        case .rmsprop(let rmsprop):
            kernels.rmsprop(rmsprop.constants(learningRateScale: scale), gradient, parameters, first, count)
        case .sgd(let sgd):
            let buffer = sgd.momentum == 0 ? nil : first
            kernels.sgd(Float(scale * sgd.learningRate), Float(sgd.momentum), gradient, parameters, buffer, count)
        }
    }
}

/// Adam (Kingma and Ba 2015) as PyTorch computes it.
public struct Adam: Sendable, Equatable {
    public var learningRate: Double
    public var beta1: Double
    public var beta2: Double
    public var epsilon: Double

    public init(learningRate: Double, beta1: Double, beta2: Double, epsilon: Double) {
        self.learningRate = learningRate
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
    }

    /// The constants of update number t, from 1: a function of t and the scale alone, in double precision.
    public func constants(update t: Int, learningRateScale scale: Double = 1) -> AdamConstants {
        AdamConstants(
            beta1: Float(beta1), one_minus_beta1: Float(1 - beta1), beta2: Float(beta2), one_minus_beta2: Float(1 - beta2),
            step_size: Float(scale * learningRate / (1 - power(beta1, t))),
            inverse_root: Float(1 / (1 - power(beta2, t)).squareRoot()), epsilon: Float(epsilon))
    }
}

/// RMSprop (Tieleman and Hinton 2012) as PyTorch computes it, without momentum or centring:
/// v = α v + (1 − α) g²; p = p − lr · g / (√v + ε).
public struct RMSprop: Sendable, Equatable {
    public var learningRate: Double
    public var alpha: Double
    public var epsilon: Double

    public init(learningRate: Double, alpha: Double = 0.99, epsilon: Double = 1e-8) {
        self.learningRate = learningRate
        self.alpha = alpha
        self.epsilon = epsilon
    }

    /// The constants of an update.
    public func constants(learningRateScale scale: Double = 1) -> RMSpropConstants {
        RMSpropConstants(
            alpha: Float(alpha), one_minus_alpha: Float(1 - alpha), learning_rate: Float(scale * learningRate),
            epsilon: Float(epsilon))
    }
}

/// Gradient descent with momentum as PyTorch computes it: b = momentum · b + g; p = p − lr · b.
public struct SGD: Sendable, Equatable {
    public var learningRate: Double
    public var momentum: Double

    public init(learningRate: Double, momentum: Double = 0) {
        self.learningRate = learningRate
        self.momentum = momentum
    }
}

/// xⁿ by repeated squaring: the same roundings everywhere, which a library's pow does not promise.
func power(_ x: Double, _ n: Int) -> Double {
    var result = 1.0
    var square = x
    var n = n
    while n > 0 {
        if n & 1 == 1 { result *= square }
        square *= square
        n >>= 1
    }
    return result
}
