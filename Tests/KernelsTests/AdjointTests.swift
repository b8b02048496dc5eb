import Kernels
import Testing

/// Y = W X, dX = Wᵗ dY and dW = dY Xᵗ are one trilinear form: ⟨W X, dY⟩ = ⟨X, Wᵗ dY⟩ = ⟨W, dY Xᵗ⟩.
@Suite struct AdjointTests {
    /// Σ a b in Double.
    private func inner(_ a: Memory<Float>, _ b: Memory<Float>) -> Double {
        (0..<a.count).reduce(0) { $0 + Double(a[$1]) * Double(b[$1]) }
    }

    private func norm(_ a: Memory<Float>) -> Double { inner(a, a).squareRoot() }

    @Test(arguments: [(outputs: 1, inputs: 1, batch: 16), (19, 37, 16), (256, 64, 64), (64, 784, 48), (1, 256, 112)])
    func productsAreAdjoint(outputs: Int, inputs: Int, batch: Int) {
        var random = SplitMix64(UInt64(outputs))
        let w = random.units(outputs * inputs)
        let x = random.units(inputs * batch)
        let dy = random.units(outputs * batch)
        for kernels in tables {
            let y = Memory<Float>(count: outputs * batch)
            let workspace = Memory<Float>(count: GEMM.workspaceCount)
            defer { keep(workspace) }
            var forward = GEMM(
                a: w.base, a_row: inputs, a_depth: 1, b: x.base, b_depth: batch, c: y.base, c_row: batch,
                rows: outputs, columns: batch, depth: inputs, bias: nil, gate: nil, gate_row: 0, rectifies: 0, slope: 0,
                workspace: workspace.base, interlude: .none)
            kernels.gemm(&forward)

            let dx = Memory<Float>(count: inputs * batch)
            var backward = GEMM(
                a: w.base, a_row: 1, a_depth: inputs, b: dy.base, b_depth: batch, c: dx.base, c_row: batch,
                rows: inputs, columns: batch, depth: outputs, bias: nil, gate: nil, gate_row: 0, rectifies: 0, slope: 0,
                workspace: workspace.base, interlude: .none)
            kernels.gemm(&backward)

            let xRow = roundedUp(inputs)
            let rowMajor = Memory<Float>(count: roundedUp(batch) * xRow)
            kernels.transpose(x.base, batch, inputs, batch, rowMajor.base, xRow)
            let transposed = inPanels(rowMajor, rows: batch, columns: inputs, row: xRow)
            let dw = Memory<Float>(count: outputs * inputs)
            let scratch = Memory<Float>(count: 32 * 6 * 4 * 16)
            defer { keep(transposed, scratch) }
            let plan = ShardPlan(shards: 0..<8, of: 8, batch: batch)
            withUnsafePointer(to: dw.base) { output in
                plan.sums.withUnsafeBufferPointer { shards in
                    var gradient = WeightGradient(
                        a: dy.base, a_pass: 0, a_row: batch, b: transposed.base, b_panel: 64 * batch, b_pass: 0, b_row: 64,
                        outputs: output, output_offset: 0, c_row: inputs, rows: outputs, columns: inputs, passes: 1,
                        shards: shards.baseAddress!, shard_count: shards.count, scratch: scratch.base, workspace: nil,
                        interlude: .none)
                    kernels.weightGradient(&gradient)
                }
            }

            // Each sum of n products is off by at most n/2 ulp of their sizes; random signs leave far less.
            let tolerance = 4 * Double(Float.ulpOfOne) * norm(w) * norm(x) * norm(dy)
            #expect(abs(inner(y, dy) - inner(x, dx)) < tolerance, "\(kernels.instructionSet)")
            #expect(abs(inner(y, dy) - inner(w, dw)) < tolerance, "\(kernels.instructionSet)")
        }
    }
}
