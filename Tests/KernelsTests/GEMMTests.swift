import Kernels
import Testing

@Suite struct GEMMTests {
    enum Form: CaseIterable { case plain, transposed }
    enum Rectification: CaseIterable { case none, ownSign, gate }

    struct Case {
        var rows, columns, depth: Int
        var form: Form
        var bias: Bool
        var rectification: Rectification
        /// Extra elements between the rows of A, B and C; of the gate one more than of C.
        var padding: (a: Int, b: Int, c: Int)
        var values = Values.units
        var slope: Float = 0.2
    }

    /// What gives C of some kernels, for the same inputs.
    static func results(_ c: Case, seed: UInt64) -> (Kernels) -> Memory<Float> {
        var random = SplitMix64(seed)
        let aStride = (c.form == .plain ? c.depth : c.rows) + c.padding.a
        let bStride = c.columns + c.padding.b
        let stride = c.columns + c.padding.c
        let gateStride = stride + 1
        let aCount = c.form == .plain ? (c.rows - 1) * aStride + c.depth : (c.depth - 1) * aStride + c.rows
        let a = random.draw(c.values, max(0, aCount))
        let b = random.draw(c.values, max(0, (c.depth - 1) * bStride + c.columns))
        let bias = random.starts(c.values, c.rows)
        let gate = random.draw(c.values, (c.rows - 1) * gateStride + c.columns)
        let blank = Memory<Float>(count: (c.rows - 1) * stride + c.columns)
        return { kernels in
            let output = blank.copy
            let workspace = Memory<Float>(count: GEMM.workspaceCount)
            defer { keep(workspace) }
            var arguments = GEMM(
                a: a.base, a_row: c.form == .plain ? aStride : 1, a_depth: c.form == .plain ? 1 : aStride,
                b: b.base, b_depth: bStride, c: output.base, c_row: stride,
                rows: c.rows, columns: c.columns, depth: c.depth,
                bias: c.bias ? UnsafePointer(bias.base) : nil,
                gate: c.rectification == .gate ? UnsafePointer(gate.base) : nil, gate_row: gateStride,
                rectifies: c.rectification == .none ? 0 : 1, slope: c.slope,
                workspace: workspace.base, interlude: .none)
            kernels.gemm(&arguments)
            return output
        }
    }

    /// The first element of C that a table gives otherwise than the twin, if any.
    private func difference(_ c: Case, seed: UInt64) -> String? {
        let result = Self.results(c, seed: seed)
        // Twins in bf16 are slow, and blocks and tiles are the same.
        for family in families.prefix(seed % 4 == 0 ? 2 : 1) {
            let twin = result(family.twin)
            for kernels in family.tables where c.columns % kernels.columnMultiple == 0 {
                if let difference = result(kernels).difference(from: twin) { return "\(kernels.name), \(c): \(difference)" }
            }
        }
        return nil
    }

    @Test(arguments: [1, 2, 3, 63, 64, 65, 127, 128, 129, 257])
    func equalsTwinAtEverySize(depth: Int) {
        var seed = UInt64(depth)
        for rows in 1...13 {
            for columns in stride(from: 8, through: 2 * 4 * 16 + 16, by: 8) {
                seed += 1
                let number = Int(seed)
                let c = Case(
                    rows: rows, columns: columns, depth: depth, form: Form.allCases[number % 2],
                    bias: number / 2 % 2 == 0, rectification: Rectification.allCases[number % 3],
                    padding: (number % 4, number % 5, number % 7))
                if let difference = difference(c, seed: seed) { Issue.record("\(difference)") }
            }
        }
    }

    @Test func equalsTwinWithEveryOption() {
        var seed: UInt64 = 1_000
        for form in Form.allCases {
            for bias in [false, true] {
                for rectification in Rectification.allCases {
                    for (rows, columns, depth) in [(1, 16, 1), (7, 48, 130), (13, 80, 5), (6, 64, 128), (9, 112, 300), (48, 64, 64), (103, 80, 67)] {
                        seed += 1
                        let c = Case(
                            rows: rows, columns: columns, depth: depth, form: form, bias: bias,
                            rectification: rectification, padding: (3, 2, 1))
                        if let difference = difference(c, seed: seed) { Issue.record("\(difference)") }
                    }
                }
            }
        }
    }

    /// Blocks of the depth, groups of rows and of columns, and what is left of each.
    @Test(arguments: [64, 128, 256, 257, 600])
    func equalsTwinAcrossBlocks(depth: Int) {
        var seed = UInt64(10_000 + depth)
        for rows in [23, 24, 25, 47, 48, 49, 53, 97] {
            for columns in [8, 16, 24, 32, 48, 64, 72, 128, 176] {
                for form in Form.allCases {
                    seed += 1
                    let c = Case(
                        rows: rows, columns: columns, depth: depth, form: form, bias: seed % 2 == 0,
                        rectification: Rectification.allCases[Int(seed) % 3],
                        padding: (Int(seed) % 4, Int(seed) % 5 == 0 ? 16 : 0, Int(seed) % 3))
                    if let difference = difference(c, seed: seed) { Issue.record("\(difference)") }
                }
            }
        }
    }

    @Test(arguments: [Values.tiny, .special])
    func equalsTwinAtCornerValues(values: Values) {
        var seed: UInt64 = 20_000
        for depth in [0, 1, 2, 3, 5, 17, 130] {
            for (rows, columns) in [(1, 16), (2, 8), (6, 64), (7, 24), (9, 80), (25, 48)] {
                for rectification in Rectification.allCases {
                    seed += 4
                    let c = Case(
                        rows: rows, columns: columns, depth: depth, form: Form.allCases[depth % 2], bias: seed % 8 == 0,
                        rectification: rectification, padding: (1, 2, 3), values: values)
                    if let difference = difference(c, seed: seed) { Issue.record("\(difference)") }
                }
            }
        }
    }

    /// A sum over nothing is the bias.
    @Test(arguments: [false, true])
    func emptySumIsBias(hasBias: Bool) {
        let (rows, columns, slope) = (7, 48, Float(0.5))
        let bias = Memory<Float>([-1, 2, -3, 4, -5, 6, -7])
        let empty = Memory<Float>(count: 0)
        defer { keep(bias, empty) }
        let sums = (0..<rows * columns).map { hasBias ? bias[$0 / columns] : 0 }
        let expected = Memory<Float>(sums.map { $0 > 0 ? $0 : slope * $0 })
        for kernels in tables + [.reference] {
            let output = Memory<Float>(count: rows * columns)
            let workspace = Memory<Float>(count: GEMM.workspaceCount)
            defer { keep(workspace) }
            var arguments = GEMM(
                a: empty.base, a_row: 0, a_depth: 1, b: empty.base, b_depth: columns, c: output.base, c_row: columns,
                rows: rows, columns: columns, depth: 0, bias: hasBias ? UnsafePointer(bias.base) : nil, gate: nil,
                gate_row: 0, rectifies: 1, slope: slope, workspace: workspace.base, interlude: .none)
            kernels.gemm(&arguments)
            #expect(output.difference(from: expected) == nil, "\(kernels.instructionSet)")
        }
    }

    /// A gate or a sum of −0 or NaN is not positive.
    @Test func rectifiesWhatIsNotPositive() {
        let gate = specialAndRandomValues(atLeast: 128, seed: 3)
        let count = gate.count
        let ones = Memory<Float>(Array(repeating: 1, count: count))
        for usesGate in [false, true] {
            let values = Memory<Float>(usesGate ? Array(repeating: 3, count: count) : gate)
            let gates = Memory<Float>(gate)
            defer { keep(ones, values, gates) }
            for kernels in tables {
                let output = Memory<Float>(count: count)
                let workspace = Memory<Float>(count: GEMM.workspaceCount)
                defer { keep(workspace) }
                var arguments = GEMM(
                    a: ones.base, a_row: 1, a_depth: 1, b: values.base, b_depth: count, c: output.base, c_row: count,
                    rows: 1, columns: count, depth: 1, bias: nil, gate: usesGate ? UnsafePointer(gates.base) : nil,
                    gate_row: count, rectifies: 1, slope: 0.25, workspace: workspace.base, interlude: .none)
                kernels.gemm(&arguments)
                for i in 0..<count {
                    let sum = 0 + values[i]
                    let expected = gate[i] > 0 ? sum : 0.25 * sum
                    #expect(areSame(output[i], expected), "\(kernels.instructionSet) at \(gate[i])")
                }
            }
        }
    }
}
