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

    /// m = β₁ m + (1 − β₁) g; v = β₂ v + (1 − β₂) g²; p = p − step_size · m / (√v · inverse_root + ε)
    /// (Kingma and Ba 2015).
    static func adam(
        _ constants: AdamConstants, _ gradient: Kernels.Floats, _ parameters: Kernels.MutableFloats,
        _ firstMoment: Kernels.MutableFloats, _ secondMoment: Kernels.MutableFloats, _ count: Int
    ) {
        for i in 0..<count {
            let g = gradient[i]
            let m = fma(constants.beta1, firstMoment[i], constants.one_minus_beta1 * g)
            let v = fma(constants.beta2, secondMoment[i], constants.one_minus_beta2 * (g * g))
            firstMoment[i] = m
            secondMoment[i] = v
            parameters[i] -= constants.step_size * m / fma(v.squareRoot(), constants.inverse_root, constants.epsilon)
        }
    }
}
