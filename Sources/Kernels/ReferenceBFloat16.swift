import CSIMD

// Twins of the kernels in bf16. Every operation takes a denormal for a zero of its sign, as operand and as result; a
// result is tiny if rounding it with unlimited exponents gives less than the smallest normal number.

extension Reference {
    /// The nearest bf16, the even one of two.
    static func bfloat16(_ x: Float) -> Float {
        guard x.isFinite else { return x }
        let bits = flushed(x).bitPattern
        return Float(bitPattern: (bits + 0x7fff + bits >> 16 & 1) & 0xffff_0000)
    }

    /// Σ_k a(k) b(k) added to `sum`: pairs of k in ascending order, the second of a pair first, zeros after an odd count.
    static func addPairs(_ sum: Float, count: Int, _ a: (Int) -> Float, _ b: (Int) -> Float) -> Float {
        var sum = sum
        for pair in 0..<(count + 1) / 2 {
            for k in [2 * pair + 1, 2 * pair] {
                sum = flushedFMA(k < count ? bfloat16(a(k)) : 0, k < count ? bfloat16(b(k)) : 0, sum)
            }
        }
        return sum
    }

    /// `product` of factors rounded to bf16, k in pairs.
    static func bfloat16GEMM(_ arguments: UnsafePointer<GEMM>) {
        let p = arguments.pointee
        for m in 0..<p.rows {
            for n in 0..<p.columns {
                var sum = addPairs(
                    p.bias?[m] ?? 0, count: p.depth, { p.a[m * p.a_row + $0 * p.a_depth] }, { p.b[$0 * p.b_depth + n] })
                if p.rectifies != 0 { sum = flushedRectified(sum, gate: p.gate?[m * p.gate_row + n], slope: p.slope) }
                p.c[m * p.c_row + n] = sum
            }
        }
    }

    /// `weightGradient` of factors rounded to bf16, the rows of a shard in a pass in pairs.
    static func bfloat16WeightGradient(_ arguments: UnsafePointer<WeightGradient>) {
        sumShards(arguments.pointee, add: flushedSum) { sum, count, a, b in addPairs(sum, count: count, a, b) }
    }

    /// `biasGradient`, denormals flushed.
    static func flushedBiasGradient(_ arguments: UnsafePointer<WeightGradient>) {
        sumShards(arguments.pointee, add: flushedSum) { sum, count, a, b in
            (0..<count).reduce(sum) { flushedFMA(a($1), b($1), $0) }
        }
    }

    /// `treeSum`, denormals flushed.
    static func flushedTreeSum(
        _ leaves: UnsafePointer<Kernels.Floats>, _ merges: UnsafePointer<Int32>, _ leafCount: Int, _ offset: Int,
        _ out: Kernels.MutableFloats, _ count: Int, _ scratch: Kernels.MutableFloats
    ) -> Bool {
        treeSum(leaves, merges, leafCount, offset, out, count, add: flushedSum)
    }

    /// `rectified`, denormals flushed; −0 leaves every product as it is.
    static func flushedRectified(_ sum: Float, gate: Float?, slope: Float) -> Float {
        flushed(gate ?? sum) > 0 ? sum : flushedFMA(slope, sum, -0.0)
    }

    private static func flushed(_ x: Float) -> Float { x.isSubnormal ? Float(sign: x.sign, exponent: 0, significand: 0) : x }

    /// A sum that is tiny is exact.
    static func flushedSum(_ a: Float, _ b: Float) -> Float { flushed(flushed(a) + flushed(b)) }

    private static func flushedFMA(_ a: Float, _ b: Float, _ c: Float) -> Float {
        let (a, b, c) = (flushed(a), flushed(b), flushed(c))
        let result = c.addingProduct(a, b)
        // Near the smallest normal number the sum in double precision is exact.
        let sum = Double(a) * Double(b) + Double(c)
        guard result.magnitude <= .leastNormalMagnitude, sum != 0 else { return result }
        let isTiny = sum.magnitude < 0x1p-126 - 0x1p-151
        return Float(sign: sum.sign, exponent: 0, significand: isTiny ? 0 : .leastNormalMagnitude)
    }
}
