import CSIMD

extension Implementation {
    /// out[i] = the tree over the leaves: leaf j is added to the `merges[j]` complete subtrees before it, one by one,
    /// latest first. count is a multiple of 16; scratch holds 32 vectors of 16. A single leaf may be `out` itself.
    /// Returns false if an element of out is infinite or NaN.
    public static func treeSum(
        _ leaves: UnsafePointer<UnsafePointer<Float>>, merges: UnsafePointer<Int32>, leafCount: Int, offset: Int,
        _ out: UnsafeMutablePointer<Float>, count: Int, scratch: UnsafeMutablePointer<Float>
    ) -> Bool {
        var largest = Integers()
        let isInPlace = leafCount == 1 && UnsafePointer(out) == leaves[0] + offset
        var i = 0
        while i < count {
            var sum = Vector()
            if isInPlace {
                sum = load(out + i)
            } else {
                sum = treeSum(leaves, merges, leafCount, offset + i, scratch)
                store(sum, out + i)
            }
            let bits = integers(magnitude(sum))
            largest.replace(with: bits, where: bits .> largest)
            i += lanes
        }
        // Not `max`, a generic of the standard library.
        var isFinite = true
        var lane = 0
        while lane < lanes {
            if largest[lane] >= 0x7f80_0000 { isFinite = false }
            lane += 1
        }
        return isFinite
    }

    /// The tree over one vector of each leaf.
    @inline(__always)
    private static func treeSum(
        _ leaves: UnsafePointer<UnsafePointer<Float>>, _ merges: UnsafePointer<Int32>, _ leafCount: Int, _ offset: Int,
        _ scratch: UnsafeMutablePointer<Float>
    ) -> Vector {
        var sum = Vector()
        var kept = 0
        var leaf = 0
        while leaf < leafCount {
            sum = load(leaves[leaf] + offset)
            var merge: Int32 = 0
            while merge < merges[leaf] {
                kept -= 1
                sum += load(scratch + kept * lanes)
                merge += 1
            }
            store(sum, scratch + kept * lanes)
            kept += 1
            leaf += 1
        }
        return sum
    }
}

/// x, or zero where its magnitude is below 2⁻¹⁰⁰. The moments of a dead unit, which gets no gradient any more, would become
/// denormals and stay some. Each would then cost about a hundred cycles in every step.
@inline(__always)
private func decayed(_ x: Vector) -> Vector { select(magnitude(x) .< Vector(repeating: 0x1p-100), Vector(), x) }

/// How many elements ahead an update prefetches. The parameters are in other cores' caches, and the moments have left the
/// nearer ones.
@inline(__always) private var updateAhead: Int { 768 }

extension Implementation {
    /// Adam (Kingma and Ba 2015) on a segment; see `csimd_adam`. count is a multiple of 16.
    public static func adam(
        _ constants: csimd_adam, gradient: UnsafePointer<Float>, parameters: UnsafeMutablePointer<Float>,
        firstMoment: UnsafeMutablePointer<Float>, secondMoment: UnsafeMutablePointer<Float>, count: Int
    ) {
        let beta1 = Vector(repeating: constants.beta1)
        let beta2 = Vector(repeating: constants.beta2)
        var i = 0
        while i < count {
            prefetchToWrite(parameters + i + updateAhead)
            prefetchToWrite(firstMoment + i + updateAhead)
            prefetchToWrite(secondMoment + i + updateAhead)
            prefetch(gradient + i + updateAhead)
            let g = load(gradient + i)
            let m = decayed(fma(beta1, load(firstMoment + i), constants.one_minus_beta1 * g))
            let v = decayed(fma(beta2, load(secondMoment + i), constants.one_minus_beta2 * (g * g)))
            let denominator = fma(squareRoot(v), Vector(repeating: constants.inverse_root), Vector(repeating: constants.epsilon))
            store(m, firstMoment + i)
            store(v, secondMoment + i)
            store(load(parameters + i) - (constants.step_size * m) / denominator, parameters + i)
            i += lanes
        }
    }

    /// RMSprop (Tieleman and Hinton 2012) on a segment; see `csimd_rmsprop`. count is a multiple of 16.
    public static func rmsprop(
        _ constants: csimd_rmsprop, gradient: UnsafePointer<Float>, parameters: UnsafeMutablePointer<Float>,
        squareAverage: UnsafeMutablePointer<Float>, count: Int
    ) {
        let alpha = Vector(repeating: constants.alpha)
        var i = 0
        while i < count {
            prefetchToWrite(parameters + i + updateAhead)
            let g = load(gradient + i)
            let v = decayed(fma(alpha, load(squareAverage + i), constants.one_minus_alpha * (g * g)))
            store(v, squareAverage + i)
            let change = (constants.learning_rate * g) / (squareRoot(v) + constants.epsilon)
            store(load(parameters + i) - change, parameters + i)
            i += lanes
        }
    }

    /// Gradient descent with momentum on a segment: b = momentum · b + g, below 2⁻¹⁰⁰ zero; p = p − learningRate · b. Without
    /// a buffer for b, p = p − learningRate · g. count is a multiple of 16.
    public static func sgd(
        learningRate: Float, momentum: Float, gradient: UnsafePointer<Float>, parameters: UnsafeMutablePointer<Float>,
        buffer: UnsafeMutablePointer<Float>?, count: Int
    ) {
        var i = 0
        while i < count {
            prefetchToWrite(parameters + i + updateAhead)
            var g = load(gradient + i)
            if let buffer {
                g = decayed(fma(Vector(repeating: momentum), load(buffer + i), g))
                store(g, buffer + i)
            }
            store(fma(Vector(repeating: -learningRate), g, load(parameters + i)), parameters + i)
            i += lanes
        }
    }

    /// x = min(max(x, −limit), limit); NaN stays NaN. count is a multiple of 16.
    public static func clip(_ x: UnsafeMutablePointer<Float>, limit: Float, count: Int) {
        let high = Vector(repeating: limit)
        var i = 0
        while i < count {
            let value = load(x + i)
            store(select(value .> high, high, select(value .< -high, -high, value)), x + i)
            i += lanes
        }
    }

    /// Exponential moving average: average = average + weight · (x − average). count is a multiple of 16.
    public static func average(_ average: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, weight: Float, count: Int) {
        var i = 0
        while i < count {
            let before = load(average + i)
            store(fma(Vector(repeating: weight), load(x + i) - before, before), average + i)
            i += lanes
        }
    }
}
