import CSIMD

// Twins of the matrix kernels: one accumulator for each element of the result.

extension Reference {
    /// C[m, n] = bias[m] + Σ_k A[m, k] B[k, n], k ascending; then, if asked, C = sign > 0 ? C : slope · C, where sign
    /// is gate[m, n], or C itself without a gate.
    static func gemm(_ arguments: UnsafePointer<GEMM>) {
        let p = arguments.pointee
        for m in 0..<p.rows {
            for n in 0..<p.columns {
                var sum = p.bias?[m] ?? 0
                for k in 0..<p.depth { sum = fma(p.a[m * p.a_row + k * p.a_depth], p.b[k * p.b_depth + n], sum) }
                if p.rectifies != 0 { sum = rectified(sum, gate: p.gate?[m * p.gate_row + n], slope: p.slope) }
                p.c[m * p.c_row + n] = sum
            }
        }
    }

    /// The sum, times the slope unless the gate, or where there is none the sum itself, is positive.
    static func rectified(_ sum: Float, gate: Float?, slope: Float) -> Float { (gate ?? sum) > 0 ? sum : slope * sum }

    /// out[j][m, n] = tree j of the shards' sums Σ_r A[m, r] B[r, n], r ascending through the passes; a shard is added to
    /// the subtrees before it, latest first, as many as it says.
    static func weightGradient(_ arguments: UnsafePointer<WeightGradient>) {
        sumShards(arguments.pointee, add: +) { sum, count, a, b in (0..<count).reduce(sum) { fma(a($1), b($1), $0) } }
    }

    /// `weightGradient`, of a B of ones.
    static func biasGradient(_ arguments: UnsafePointer<WeightGradient>) { weightGradient(arguments) }

    /// `weightGradient` with `accumulate` for the sum over the rows of a shard in a pass, and `add` for the tree.
    static func sumShards(
        _ p: WeightGradient, add: (Float, Float) -> Float,
        accumulate: (_ sum: Float, _ count: Int, _ a: (Int) -> Float, _ b: (Int) -> Float) -> Float
    ) {
        for m in 0..<p.rows {
            for n in 0..<p.columns {
                var subtrees: [Float] = []
                var start = 0
                for shard in UnsafeBufferPointer(start: p.shards, count: p.shard_count) {
                    var sum: Float = 0
                    for pass in 0..<p.passes {
                        let a = p.a + pass * p.a_pass + m * p.a_row + start
                        let b = p.b + n / 64 * p.b_panel + pass * p.b_pass + start * p.b_row + n % 64
                        sum = accumulate(sum, Int(shard.count), { a[$0] }, { b[$0 * p.b_row] })
                    }
                    start += Int(shard.count)
                    for _ in 0..<shard.merges { sum = add(sum, subtrees.removeLast()) }
                    if shard.output < 0 {
                        subtrees.append(sum)
                    } else {
                        p.outputs[Int(shard.output)][p.output_offset + m * p.c_row + n] = sum
                    }
                }
            }
        }
    }

    /// out[r, c] = x[r, c].
    static func copyColumns(
        _ x: Kernels.Floats, _ rowStride: Int, _ rows: Int, _ columns: Int, _ out: Kernels.MutableFloats, _ outRow: Int
    ) {
        for r in 0..<rows {
            for c in 0..<columns { out[r * outRow + c] = x[r * rowStride + c] }
        }
    }

    /// out[c, r] = x[r, c].
    static func transpose(
        _ x: Kernels.Floats, _ rowStride: Int, _ rows: Int, _ columns: Int, _ out: Kernels.MutableFloats, _ outRow: Int
    ) {
        for r in 0..<rows {
            for c in 0..<columns { out[c * outRow + r] = x[r * rowStride + c] }
        }
    }
}
