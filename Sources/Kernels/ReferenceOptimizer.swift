import CSIMD

// Twins of the kernels that end a step.

extension Reference {
    /// out[i] = the tree over leaf[offset + i]: leaf j is added to the `merges[j]` subtrees before it, latest first.
    /// Returns whether every element of out is finite.
    static func treeSum(
        _ leaves: UnsafePointer<Kernels.Floats>, _ merges: UnsafePointer<Int32>, _ leafCount: Int, _ offset: Int,
        _ out: Kernels.MutableFloats, _ count: Int, _ scratch: Kernels.MutableFloats
    ) -> Bool {
        treeSum(leaves, merges, leafCount, offset, out, count, add: +)
    }

    static func treeSum(
        _ leaves: UnsafePointer<Kernels.Floats>, _ merges: UnsafePointer<Int32>, _ leafCount: Int, _ offset: Int,
        _ out: Kernels.MutableFloats, _ count: Int, add: (Float, Float) -> Float
    ) -> Bool {
        var isFinite = true
        for i in 0..<count {
            var subtrees: [Float] = []
            for leaf in 0..<leafCount {
                var sum = leaves[leaf][offset + i]
                for _ in 0..<merges[leaf] { sum = add(sum, subtrees.removeLast()) }
                subtrees.append(sum)
            }
            out[i] = subtrees.removeLast()
            isFinite = isFinite && out[i].isFinite
        }
        return isFinite
    }

    /// x, or zero where its magnitude is below 2⁻¹⁰⁰.
    private static func decayed(_ x: Float) -> Float { x.magnitude < 0x1p-100 ? 0 : x }

    /// m = β₁ m + (1 − β₁) g; v = β₂ v + (1 − β₂) g²; p = p − step_size · m / (√v · inverse_root + ε)
    /// (Kingma and Ba 2015).
    static func adam(
        _ constants: AdamConstants, _ gradient: Kernels.Floats, _ parameters: Kernels.MutableFloats,
        _ firstMoment: Kernels.MutableFloats, _ secondMoment: Kernels.MutableFloats, _ count: Int
    ) {
        for i in 0..<count {
            let g = gradient[i]
            let m = decayed(fma(constants.beta1, firstMoment[i], constants.one_minus_beta1 * g))
            let v = decayed(fma(constants.beta2, secondMoment[i], constants.one_minus_beta2 * (g * g)))
            firstMoment[i] = m
            secondMoment[i] = v
            parameters[i] -= constants.step_size * m / fma(v.squareRoot(), constants.inverse_root, constants.epsilon)
        }
    }

    /// v = α v + (1 − α) g²; p = p − learning_rate · g / (√v + ε) (Tieleman and Hinton 2012).
    static func rmsprop(
        _ constants: RMSpropConstants, _ gradient: Kernels.Floats, _ parameters: Kernels.MutableFloats,
        _ squareAverage: Kernels.MutableFloats, _ count: Int
    ) {
        for i in 0..<count {
            let g = gradient[i]
            let v = decayed(fma(constants.alpha, squareAverage[i], constants.one_minus_alpha * (g * g)))
            squareAverage[i] = v
            parameters[i] -= constants.learning_rate * g / (v.squareRoot() + constants.epsilon)
        }
    }

    /// b = momentum · b + g, or g without a buffer; p = p − learningRate · b.
    static func sgd(
        _ learningRate: Float, _ momentum: Float, _ gradient: Kernels.Floats, _ parameters: Kernels.MutableFloats,
        _ buffer: Kernels.MutableFloats?, _ count: Int
    ) {
        for i in 0..<count {
            let b = buffer.map { decayed(fma(momentum, $0[i], gradient[i])) } ?? gradient[i]
            buffer?[i] = b
            parameters[i] = fma(-learningRate, b, parameters[i])
        }
    }

    /// x = min(max(x, −limit), limit), NaN kept.
    static func clip(_ x: Kernels.MutableFloats, _ limit: Float, _ count: Int) {
        for i in 0..<count { x[i] = x[i] > limit ? limit : x[i] < -limit ? -limit : x[i] }
    }

    /// average = average + weight · (x − average).
    static func average(_ average: Kernels.MutableFloats, _ x: Kernels.Floats, _ weight: Float, _ count: Int) {
        for i in 0..<count { average[i] = fma(weight, x[i] - average[i], average[i]) }
    }
}
