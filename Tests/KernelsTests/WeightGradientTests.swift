import Kernels
import Testing

@Suite struct WeightGradientTests {
    /// 32 tiles of the widest instruction set.
    private static let scratchCount = 32 * 6 * 4 * 16

    /// The outputs of a table, one of [rows, columns] a tree. A and B have `batchRows` rows of the batch over all passes.
    private static func outputs(
        _ kernels: Kernels, _ plan: ShardPlan, rows: Int, columns: Int, passes: Int = 2, passStride: Int, batchRows: Int,
        a: Memory<Float>, aRow: Int, b: Memory<Float>, padding: Int = 0
    ) -> [Memory<Float>] {
        let row = columns + padding
        let memories = plan.trees.map { _ in Memory<Float>(count: padding + (rows - 1) * row + columns) }
        let pointers = memories.map(\.base)
        let scratch = Memory<Float>(count: scratchCount)
        pointers.withUnsafeBufferPointer { pointers in
            plan.sums.withUnsafeBufferPointer { shards in
                let workspace = Memory<Float>(
                    count: WeightGradient.workspaceCount(rows: rows, passes: passes, shards: plan.sums))
                defer { keep(workspace) }
                var arguments = WeightGradient(
                    a: a.base, a_pass: passStride, a_row: aRow, b: b.base, b_panel: 64 * batchRows,
                    b_pass: 64 * passStride, b_row: 64,
                    outputs: pointers.baseAddress!,
                    output_offset: padding, c_row: row, rows: rows, columns: columns, passes: passes,
                    shards: shards.baseAddress!, shard_count: shards.count, scratch: scratch.base,
                    workspace: workspace.base, interlude: .none)
                kernels.weightGradient(&arguments)
            }
        }
        if !scratch.isPrefixIntact { Issue.record("\(kernels.instructionSet) wrote before the scratch") }
        return memories
    }

    /// The outputs for drawn values, B of the columns given in two passes.
    static func results(
        _ kernels: Kernels, _ plan: ShardPlan, rows: Int, columns: Int, _ values: Values, seed: UInt64
    ) -> [Memory<Float>] {
        var random = SplitMix64(seed)
        let batch = plan.sums.reduce(0) { $0 + Int($1.count) }
        let a = random.draw(values, rows * 2 * batch)
        let b = inPanels(random.draw(values, 2 * batch * columns), rows: 2 * batch, columns: columns, row: columns)
        return outputs(
            kernels, plan, rows: rows, columns: columns, passStride: batch, batchRows: 2 * batch, a: a, aRow: 2 * batch, b: b)
    }

    private func check(
        _ plan: ShardPlan, passes: Int, passStride: Int, batchRows: Int, rows: Int, columns: Int, padding: Int, seed: UInt64,
        values: Values = .units, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        var random = SplitMix64(seed)
        let aRow = batchRows + padding
        let a = random.draw(values, (rows - 1) * aRow + batchRows)
        let b = inPanels(random.draw(values, batchRows * columns), rows: batchRows, columns: columns, row: columns)
        func result(_ kernels: Kernels) -> [Memory<Float>] {
            Self.outputs(
                kernels, plan, rows: rows, columns: columns, passes: passes, passStride: passStride,
                batchRows: batchRows, a: a, aRow: aRow, b: b, padding: padding)
        }
        for family in families.prefix(seed % 4 == 0 ? 2 : 1) {
            let twins = result(family.twin)
            for kernels in family.tables {
                for (tree, (output, twin)) in zip(result(kernels), twins).enumerated() {
                    if let difference = output.difference(from: twin) {
                        Issue.record(
                            "\(kernels.name), \(rows) × \(columns), \(plan.trees), tree \(tree): \(difference)",
                            sourceLocation: sourceLocation)
                    }
                }
            }
        }
    }

    @Test(arguments: 1...13)
    func equalsTwinAtEverySize(rows: Int) {
        let plan = ShardPlan(shards: 0..<4, of: 4, batch: 6)
        for columns in 1...(2 * 4 * 16 + 1) {
            check(
                plan, passes: 2, passStride: 6, batchRows: 12, rows: rows, columns: columns, padding: columns % 4,
                seed: UInt64(rows * 1_000 + columns))
        }
    }

    @Test(arguments: [1, 2, 4, 8, 16, 32], [1, 2, 3])
    func equalsTwinForEveryPlan(shardCount: Int, passes: Int) {
        for batch in [shardCount, shardCount + 1, 64, 100] where batch >= shardCount {
            for ranks in [1, 2, 3, 5, shardCount] where ranks <= shardCount {
                for rank in 0..<ranks {
                    let shards = shardCount * rank / ranks..<shardCount * (rank + 1) / ranks
                    let local = batch * shards.upperBound / shardCount - batch * shards.lowerBound / shardCount
                    check(
                        ShardPlan(shards: shards, of: shardCount, batch: batch), passes: passes, passStride: local + 2,
                        batchRows: (passes - 1) * (local + 2) + local, rows: 7, columns: 21, padding: 2, seed: UInt64(batch))
                }
            }
        }
    }

    @Test(arguments: [Values.tiny, .special])
    func equalsTwinAtCornerValues(values: Values) {
        for (rows, columns) in [(1, 1), (3, 20), (4, 64), (7, 33), (13, 130)] {
            for (batch, shardCount) in [(8, 8), (21, 4), (6, 1)] {
                check(
                    ShardPlan(shards: 0..<shardCount, of: shardCount, batch: batch), passes: 2, passStride: batch,
                    batchRows: 2 * batch, rows: rows, columns: columns, padding: 1, seed: UInt64(4 * (rows + batch)),
                    values: values)
            }
        }
    }

    /// The outputs of a bias gradient for drawn values.
    static func biasResults(
        _ kernels: Kernels, _ plan: ShardPlan, rows: Int, passes: Int, _ values: Values, seed: UInt64
    ) -> [Memory<Float>] {
        var random = SplitMix64(seed)
        let batch = plan.sums.reduce(0) { $0 + Int($1.count) }
        // A vector may be read past the end.
        let a = random.starts(values, passes * rows * batch + 16)
        let ones = Memory<Float>([1])
        let outputs = plan.trees.map { _ in Memory<Float>(count: 3 + rows) }
        let scratch = Memory<Float>(count: scratchCount)
        defer { keep(a, ones, scratch) }
        outputs.map(\.base).withUnsafeBufferPointer { pointers in
            plan.sums.withUnsafeBufferPointer { shards in
                var arguments = WeightGradient(
                    a: a.base, a_pass: rows * batch, a_row: batch, b: ones.base, b_panel: 0, b_pass: 0, b_row: 0,
                    outputs: pointers.baseAddress!, output_offset: 3, c_row: 1, rows: rows, columns: 1, passes: passes,
                    shards: shards.baseAddress!, shard_count: shards.count, scratch: scratch.base, workspace: nil,
                    interlude: .none)
                kernels.biasGradient(&arguments)
            }
        }
        return outputs
    }

    /// Sums of rows: every count of rows, and shards that fill a vector, half of one, or neither.
    @Test(arguments: [1, 2, 4, 8])
    func biasGradientEqualsTwin(shardCount: Int) {
        for rows in 1...35 {
            for (batch, passes) in [(shardCount, 1), (64, 2), (100, 1), (200, 2), (7 * shardCount, 3)] {
                let plan = ShardPlan(shards: 0..<shardCount, of: shardCount, batch: batch)
                func result(_ kernels: Kernels) -> [Memory<Float>] {
                    Self.biasResults(
                        kernels, plan, rows: rows, passes: passes, Values.allCases[rows % 3], seed: UInt64(rows + batch))
                }
                for family in families {
                    let twins = result(family.twin)
                    for kernels in family.tables {
                        for (output, twin) in zip(result(kernels), twins) {
                            if let difference = output.difference(from: twin) {
                                Issue.record("\(kernels.name), \(rows) rows, batch \(batch), \(passes) passes: \(difference)")
                            }
                        }
                    }
                }
            }
        }
    }

    @Test func plansForestsOfAlignedTrees() {
        #expect(ShardPlan.forest(0..<8) == [0..<8])
        #expect(ShardPlan.forest(2..<5) == [2..<4, 4..<5])
        #expect(ShardPlan.forest(5..<8) == [5..<6, 6..<8])
        #expect(ShardPlan.forest(1..<8) == [1..<2, 2..<4, 4..<8])
    }

    /// The sum of each shard and the balanced tree over them, as the definition says, without a stack.
    @Test(arguments: [1, 2, 4, 8])
    func twinIsBalancedTree(shardCount: Int) {
        let (batch, rows, columns) = (100, 3, 5)
        var random = SplitMix64(7)
        let a = random.units(rows * 2 * batch)
        let b = random.units(2 * batch * columns)
        let plan = ShardPlan(shards: 0..<shardCount, of: shardCount, batch: batch)
        let result = Self.outputs(
            .reference, plan, rows: rows, columns: columns, passStride: batch, batchRows: 2 * batch, a: a,
            aRow: 2 * batch, b: inPanels(b, rows: 2 * batch, columns: columns, row: columns))
        for m in 0..<rows {
            for n in 0..<columns {
                func shard(_ v: Int) -> Float {
                    var sum: Float = 0
                    for pass in [0, batch] {
                        for r in batch * v / shardCount..<batch * (v + 1) / shardCount {
                            sum.addProduct(a[m * 2 * batch + pass + r], b[(pass + r) * columns + n])
                        }
                    }
                    return sum
                }
                func tree(_ shards: Range<Int>) -> Float {
                    guard shards.count > 1 else { return shard(shards.lowerBound) }
                    let middle = (shards.lowerBound + shards.upperBound) / 2
                    return tree(shards.lowerBound..<middle) + tree(middle..<shards.upperBound)
                }
                #expect(result[0][m * columns + n].bitPattern == tree(0..<shardCount).bitPattern)
            }
        }
    }

    /// Whoever owns the shards: the forests of 1 … 8 ranks, each over its own rows, finished by `treeSum`.
    @Test(arguments: 1...8)
    func everyRankCountGivesTheSameSum(ranks: Int) {
        let (shardCount, batch, rows, columns) = (8, 100, 8, 32)
        var random = SplitMix64(11)
        let a = random.units(rows * 2 * batch)
        let b = random.units(2 * batch * columns)
        let whole = ShardPlan(shards: 0..<shardCount, of: shardCount, batch: batch)
        for kernels in tables + bfloat16Tables {
            let expected = Self.outputs(
                kernels, whole, rows: rows, columns: columns, passStride: batch, batchRows: 2 * batch, a: a, aRow: 2 * batch,
                b: inPanels(b, rows: 2 * batch, columns: columns, row: columns))[0]
            var leaves: [Memory<Float>] = []
            var trees: [Range<Int>] = []
            for rank in 0..<ranks {
                let shards = shardCount * rank / ranks..<shardCount * (rank + 1) / ranks
                let own = batch * shards.lowerBound / shardCount..<batch * shards.upperBound / shardCount
                // The rank's real rows, then its fake rows.
                let sources = own.map { $0 } + own.map { $0 + batch }
                let rankA = Memory<Float>((0..<rows).flatMap { m in sources.map { a[m * 2 * batch + $0] } })
                let rankB = Memory<Float>(sources.flatMap { r in (0..<columns).map { b[r * columns + $0] } })
                let plan = ShardPlan(shards: shards, of: shardCount, batch: batch)
                leaves += Self.outputs(
                    kernels, plan, rows: rows, columns: columns, passStride: own.count, batchRows: 2 * own.count, a: rankA,
                    aRow: 2 * own.count, b: inPanels(rankB, rows: 2 * own.count, columns: columns, row: columns))
                trees += plan.trees
            }
            let sum = Memory<Float>(count: rows * columns)
            let scratch = Memory<Float>(count: 32 * 16)
            defer { keep(scratch, leaves) }
            let pointers = leaves.map { UnsafePointer($0.base) }
            let isFinite = kernels.treeSum(
                pointers, ShardPlan.merges(trees), pointers.count, 0, sum.base, sum.count, scratch.base)
            #expect(isFinite)
            #expect(sum.difference(from: expected) == nil, "\(kernels.name)")
        }
    }
}
