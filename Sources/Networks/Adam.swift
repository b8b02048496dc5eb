import Kernels

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

    /// The constants of update number t, from 1: a function of t alone, in double precision.
    public func constants(update t: Int) -> AdamConstants {
        AdamConstants(
            beta1: Float(beta1), one_minus_beta1: Float(1 - beta1), beta2: Float(beta2), one_minus_beta2: Float(1 - beta2),
            step_size: Float(learningRate / (1 - power(beta1, t))),
            inverse_root: Float(1 / (1 - power(beta2, t)).squareRoot()), epsilon: Float(epsilon))
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
