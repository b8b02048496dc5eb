import CSIMD

// Twins of the matrix kernels: one accumulator for each element of the result.

extension Reference {
    /// C[m, n] = bias[m] + Σ_k A[m, k] B[k, n], k ascending; then, if asked, C = sign > 0 ? C : slope · C, where sign
    /// is gate[m, n], or C itself without a gate.
    static func product(_ arguments: UnsafePointer<Product>) {
        let p = arguments.pointee
        for m in 0..<p.rows {
            for n in 0..<p.columns {
                var sum = p.bias?[m] ?? 0
                for k in 0..<p.depth { sum = fma(p.a[m * p.a_row + k * p.a_depth], p.b[k * p.b_depth + n], sum) }
                if p.rectifies != 0 {
                    let sign = p.gate?[m * p.gate_row + n] ?? sum
                    if !(sign > 0) { sum = p.slope * sum }
                }
                p.c[m * p.c_row + n] = sum
            }
        }
    }

    /// out[j][m, n] = tree j of the shards' sums Σ_r A[m, r] B[r, n], r ascending through the runs of a shard; a shard
    /// is added to the subtrees before it, latest first, as many as its last run says.
    static func weightGradient(_ arguments: UnsafePointer<WeightGradient>) {
        let p = arguments.pointee
        for m in 0..<p.rows {
            for n in 0..<p.columns {
                var subtrees: [Float] = []
                var sum: Float = 0
                for run in UnsafeBufferPointer(start: p.runs, count: p.run_count) {
                    if run.begins != 0 { sum = 0 }
                    for r in Int(run.start)..<Int(run.start + run.count) {
                        let a = p.a[Int(run.pass) * p.a_pass + m * p.a_row + r]
                        sum = fma(a, p.b[n / 64 * p.b_panel + r * p.b_row + n % 64], sum)
                    }
                    guard run.ends != 0 else { continue }
                    for _ in 0..<run.merges { sum += subtrees.removeLast() }
                    if run.output < 0 {
                        subtrees.append(sum)
                    } else {
                        p.outputs[Int(run.output)][p.output_offset + m * p.c_row + n] = sum
                    }
                }
            }
        }
    }

    /// out[c, r] = x[r, c].
    static func transpose(
        _ x: Kernels.Floats, _ row: Int, _ rows: Int, _ columns: Int, _ out: Kernels.MutableFloats, _ outRow: Int
    ) {
        for r in 0..<rows {
            for c in 0..<columns { out[c * outRow + r] = x[r * row + c] }
        }
    }
}
