import Kernels
import Testing

@Suite struct ConvolutionTests {
    struct Case {
        var outputs, channels, columns, pixels, positions, taps: Int
        var bias = true
        var rectifies = true
        var usesGate = false
        /// Floats between the columns and the next pixel.
        var padding = 0
        var values = Values.units
        var slope: Float = 0.2
    }

    /// What gives Y of some kernels, for the same inputs.
    static func results(_ c: Case, seed: UInt64) -> (Kernels) -> Memory<Float> {
        var random = SplitMix64(seed)
        let row = c.columns + c.padding
        // Some taps follow one another in a row of A, some do not.
        var weight = 0
        let taps = (0..<c.taps).map { _ -> ConvolutionTap in
            defer { weight += c.channels + (Bool.random(using: &random) ? 0 : 3) }
            return ConvolutionTap(weight: Int32(weight), source: Int32.random(in: 0..<Int32(c.pixels), using: &random))
        }
        let aRow = weight + 1
        let tapList = Memory<ConvolutionTap>(taps)
        let reach = c.pixels
        let positions = Memory<ConvolutionPosition>((0..<c.positions).shuffled(using: &random).map {
            ConvolutionPosition(source: Int32.random(in: 0..<Int32(reach), using: &random), target: Int32($0))
        })
        let a = random.draw(c.values, (c.outputs - 1) * aRow + weight)
        // Channels of a pixel side by side, or pixels of a channel.
        let isPixelMajor = seed % 2 == 0
        let (xChannel, xRow) = isPixelMajor ? (row, c.channels * row) : (2 * reach * row, row)
        let x = random.draw(c.values, c.channels * 2 * reach * row)
        let (yChannel, yRow) = isPixelMajor ? (row, c.outputs * row) : (c.positions * row, row)
        let gate = random.draw(c.values, c.outputs * c.positions * row)
        let bias = random.starts(c.values, c.outputs)
        let blank = Memory<Float>(count: c.outputs * c.positions * row)
        return { kernels in
            let output = blank.copy
            let workspace = Memory<Float>(count: GEMM.workspaceCount)
            defer { keep(workspace, tapList, positions, a, x, gate, bias) }
            var arguments = Convolution(
                a: a.base, a_output: aRow, x: x.base, x_channel: xChannel, x_row: xRow, y: output.base, y_channel: yChannel, y_row: yRow,
                outputs: c.outputs, channels: c.channels, columns: c.columns, positions: positions.base,
                position_count: c.positions, taps: tapList.base, tap_count: c.taps,
                bias: c.bias ? UnsafePointer(bias.base) : nil, gate: c.usesGate ? UnsafePointer(gate.base) : nil,
                rectifies: c.rectifies ? 1 : 0, slope: c.slope, workspace: workspace.base,
                interlude: .none)
            kernels.convolution(&arguments)
            return output
        }
    }

    private func difference(_ c: Case, seed: UInt64) -> String? {
        let result = Self.results(c, seed: seed)
        for family in families.prefix(seed % 3 == 0 ? 2 : 1) {
            let twin = result(family.twin)
            for kernels in family.tables where c.columns % kernels.columnMultiple == 0 {
                if let difference = result(kernels).difference(from: twin) { return "\(kernels.name), \(c): \(difference)" }
            }
        }
        return nil
    }

    @Test(arguments: [1, 2, 3, 7, 8, 16, 17, 40])
    func equalsTwinAtEverySize(channels: Int) {
        var seed = UInt64(channels)
        for outputs in 1...13 {
            for (columns, positions) in [(8, 1), (8, 3), (8, 17), (16, 5), (24, 3), (48, 2), (64, 3), (80, 2)] {
                seed += 1
                let number = Int(seed)
                let c = Case(
                    outputs: outputs, channels: channels, columns: columns, pixels: 3, positions: positions,
                    taps: 1 + number % 5, bias: number % 2 == 0, rectifies: number % 3 != 0, usesGate: number % 3 == 2,
                    padding: number % 4 == 0 ? 16 : 0)
                if let difference = difference(c, seed: seed) { Issue.record("\(difference)") }
            }
        }
    }

    /// Depths of several blocks, and more rows of A than a group has.
    @Test(arguments: [(30, 9), (64, 16), (100, 5), (257, 2), (5, 60)])
    func equalsTwinAcrossBlocks(channels: Int, taps: Int) {
        var seed = UInt64(1_000 * channels + taps)
        for (outputs, columns, positions) in [(1, 64, 2), (25, 16, 5), (49, 8, 9), (50, 64, 1), (97, 32, 2)] {
            seed += 1
            let c = Case(
                outputs: outputs, channels: channels, columns: columns, pixels: 4, positions: positions, taps: taps,
                bias: seed % 2 == 0, rectifies: seed % 4 < 2, usesGate: seed % 4 == 1)
            if let difference = difference(c, seed: seed) { Issue.record("\(difference)") }
        }
    }

    @Test(arguments: [Values.tiny, .special])
    func equalsTwinAtCornerValues(values: Values) {
        var seed: UInt64 = 3_000
        for (channels, taps) in [(1, 1), (1, 4), (2, 1), (3, 2), (8, 3), (17, 2), (4, 0)] {
            for (outputs, columns, positions) in [(1, 16, 3), (1, 24, 2), (2, 8, 5), (6, 64, 2), (7, 48, 3), (25, 16, 2)] {
                for usesGate in [false, true] {
                    seed += 3
                    let c = Case(
                        outputs: outputs, channels: channels, columns: columns, pixels: 3, positions: positions, taps: taps,
                        bias: seed % 2 == 0, usesGate: usesGate, values: values)
                    if let difference = difference(c, seed: seed) { Issue.record("\(difference)") }
                }
            }
        }
    }

    /// Images of colours: to many channels and back, also where a vector's columns, or a group's vectors, are not all there.
    @Test(arguments: [(64, 3, 16), (33, 3, 12), (3, 64, 4), (3, 33, 2), (2, 64, 4), (4, 18, 4), (3, 3, 9)])
    func equalsTwinForColours(outputs: Int, channels: Int, taps: Int) {
        var seed = UInt64(6 * (1_000 * outputs + channels))
        for (columns, positions) in [(8, 19), (16, 7), (24, 5), (48, 3), (64, 5), (80, 2), (112, 1)] {
            // Forward, backward, and a tangent.
            for (bias, rectifies, usesGate) in [(true, true, false), (false, false, false), (false, true, true)] {
                // In fp32 and in bf16, of both layouts.
                seed += 3
                let c = Case(
                    outputs: outputs, channels: channels, columns: columns, pixels: 5, positions: positions, taps: taps,
                    bias: bias, rectifies: rectifies, usesGate: usesGate, padding: columns % 32)
                if let difference = difference(c, seed: seed) { Issue.record("\(difference)") }
            }
        }
    }

    /// A pixel without a tap is the bias.
    @Test func emptySumIsBias() {
        let c = Case(outputs: 7, channels: 3, columns: 16, pixels: 2, positions: 3, taps: 0)
        #expect(difference(c, seed: 3) == nil)
    }
}

@Suite struct ConvolutionGradientTests {
    struct Case {
        var rows, channels, taps, positions, passes, batch: Int
        var shards: Range<Int>
        var shardCount: Int
        var hasPadding = false
        var values = Values.units
    }

    /// What gives the outputs of some kernels, for the same inputs.
    static func results(_ c: Case, seed: UInt64) -> (Kernels) -> [Memory<Float>] {
        var random = SplitMix64(seed)
        let plan = ShardPlan(shards: c.shards, of: c.shardCount, batch: c.batch)
        let count = plan.sums.reduce(0) { $0 + Int($1.count) }
        let row = roundedUp(count)
        let pixels = 3
        let positions = Memory<ConvolutionPosition>((0..<c.taps * c.positions).map { place in
            ConvolutionPosition(
                source: Int32.random(in: (c.hasPadding ? -1 : 0)..<Int32(pixels), using: &random),
                target: Int32(place % c.positions))
        })
        let shards = Memory<ShardSum>(plan.sums)
        let a = random.draw(c.values, c.passes * c.rows * c.positions * row + 16)
        let x = random.draw(c.values, c.passes * c.channels * pixels * row + 16)
        let outRow = c.taps * c.channels + 3
        let isPixelMajor = seed % 2 == 0
        return { kernels in
            let outputs = plan.trees.map { _ in Memory<Float>(count: 5 + c.rows * outRow) }
            let pointers = Memory<UnsafeMutablePointer<Float>>(outputs.map(\.base))
            let scratch = Memory<Float>(count: ConvolutionGradient.scratchCount(
                rows: c.rows, pixels: c.channels % 16 == 0 ? pixels : 0, shards: plan.sums))
            defer { keep(pointers, scratch, positions, shards, a, x) }
            var arguments = ConvolutionGradient(
                a: a.base, a_pass: c.rows * c.positions * row, a_channel: isPixelMajor ? row : c.positions * row,
                a_row: isPixelMajor ? c.rows * row : row, x: x.base, x_pass: c.channels * pixels * row,
                x_channel: isPixelMajor ? row : pixels * row, x_row: isPixelMajor ? c.channels * row : row, pixels: pixels, rows: c.rows,
                channels: c.channels, passes: c.passes, positions: positions.base, tap_count: c.taps, position_count: c.positions,
                outputs: pointers.base, output_offset: 5, out_row: outRow, shards: shards.base,
                shard_count: plan.sums.count, scratch: scratch.base, interlude: .none)
            kernels.convolutionGradient(&arguments)
            return outputs
        }
    }

    private func difference(_ c: Case, seed: UInt64) -> String? {
        let result = Self.results(c, seed: seed)
        for family in families.prefix(seed % 3 == 0 ? 2 : 1) {
            let twins = result(family.twin)
            for kernels in family.tables {
                for (output, twin) in zip(result(kernels), twins) {
                    if let difference = output.difference(from: twin) { return "\(kernels.name), \(c): \(difference)" }
                }
            }
        }
        return nil
    }

    @Test(arguments: [1, 2, 3, 7, 8, 9, 16, 33, 70, 80])
    func equalsTwinAtEverySize(channels: Int) {
        var seed = UInt64(channels)
        for rows in 1...14 {
            for (taps, positions, batch, shards, shardCount) in [
                (1, 1, 8, 0..<8, 8), (4, 3, 16, 0..<1, 1), (3, 2, 21, 2..<8, 8), (16, 1, 9, 0..<4, 4), (1, 5, 64, 3..<8, 8),
                (2, 0, 8, 0..<2, 2),
            ] {
                seed += 1
                let c = Case(
                    rows: rows, channels: channels, taps: taps, positions: positions, passes: 1 + Int(seed) % 3, batch: batch,
                    shards: shards, shardCount: shardCount, hasPadding: seed % 2 == 0)
                if let difference = difference(c, seed: seed) { Issue.record("\(difference)") }
            }
        }
    }

    /// With and without channels that fill vectors, whose padding the kernels take another way.
    @Test(arguments: [Values.tiny, .special])
    func equalsTwinAtCornerValues(values: Values) {
        var seed: UInt64 = 3_000
        for channels in [1, 3, 16, 20, 64, 80] {
            for (taps, positions, batch, shardCount) in [(1, 1, 8, 8), (1, 3, 8, 4), (4, 3, 6, 2), (3, 5, 21, 8), (2, 0, 8, 2)] {
                for rows in [1, 3, 8] {
                    seed += 3
                    let c = Case(
                        rows: rows, channels: channels, taps: taps, positions: positions, passes: 1 + rows % 2, batch: batch,
                        shards: 0..<shardCount, shardCount: shardCount, hasPadding: rows != 3, values: values)
                    if let difference = difference(c, seed: seed) { Issue.record("\(difference)") }
                }
            }
        }
    }

    /// Images of colours: 48 columns of sixteen taps, and others that do not fill their vectors.
    @Test(arguments: [3, 8, 33, 64]) func equalsTwinForColours(rows: Int) {
        var seed = UInt64(3_000 * rows)
        for (taps, positions, batch, shards, shardCount) in [
            (16, 9, 64, 0..<8, 8), (16, 20, 8, 0..<1, 1), (16, 5, 21, 2..<7, 8), (9, 7, 100, 0..<8, 8), (12, 3, 9, 1..<4, 4),
            (4, 6, 33, 0..<2, 2),
        ] {
            for passes in 1...2 {
                seed += 3
                let c = Case(
                    rows: rows, channels: 3, taps: taps, positions: positions, passes: passes, batch: batch, shards: shards,
                    shardCount: shardCount, hasPadding: true)
                if let difference = difference(c, seed: seed) { Issue.record("\(difference)") }
            }
        }
    }

    /// Depths of several blocks, among them shards of more rows than a block holds.
    @Test(arguments: [(40, 8, 8), (3, 200, 1), (2, 300, 1), (17, 63, 4), (5, 500, 2)])
    func equalsTwinAcrossBlocks(positions: Int, batch: Int, shardCount: Int) {
        for (index, (rows, channels, taps)) in [(13, 20, 1), (6, 1, 16), (25, 70, 2), (25, 80, 3)].enumerated() {
            let c = Case(
                rows: rows, channels: channels, taps: taps, positions: positions, passes: 2, batch: batch,
                shards: 0..<shardCount, shardCount: shardCount, hasPadding: index == 1)
            if let difference = difference(c, seed: UInt64(index + positions)) { Issue.record("\(difference)") }
        }
    }
}

@Suite struct NormalizationTests {
    @Test(arguments: [(1, 8, 0), (1, 16, 0), (5, 16, 16), (9, 48, 0), (7, 80, 3)])
    func equalTwins(pixels: Int, columns: Int, padding: Int) {
        for values in Values.allCases { check(pixels: pixels, columns: columns, padding: padding, values) }
    }

    private func check(pixels: Int, columns: Int, padding: Int, _ values: Values) {
        var random = SplitMix64(UInt64(pixels * columns))
        let row = columns + padding
        let count = (pixels - 1) * row + columns
        let (x, y, gate) = (random.draw(values, count), random.draw(values, count), random.draw(values, count))
        defer { keep(x, y, gate) }
        for kernels in tables where columns % kernels.columnMultiple == 0 {
            for usesGate in [false, true] {
                let results = [kernels, .reference].map { kernels in
                    let values = x.copy
                    let sums = Memory<Double>(count: 2 * columns)
                    kernels.moments(values.base, y.base, usesGate ? UnsafePointer(gate.base) : nil, 0.2, pixels, columns, row, sums.base)
                    let pixelSums = Memory<Float>(count: columns)
                    kernels.sumPixels(values.base, pixels, columns, row, pixelSums.base)
                    let output = y.copy
                    kernels.normalize(values.base, output.base, pixels, columns, row, 0.3, 1.7, -0.2, usesGate ? 0.2 : 1)
                    let gradient = gate.copy
                    kernels.normalizeBackward(gradient.base, y.base, pixels, columns, row, 0.3, 1.7, -0.2, 0.01)
                    return (values, sums, pixelSums, output, gradient)
                }
                #expect(results[0].0.difference(from: results[1].0) == nil, "\(kernels.name)")
                #expect(results[0].1.difference(from: results[1].1) == nil, "\(kernels.name)")
                #expect(results[0].2.difference(from: results[1].2) == nil, "\(kernels.name)")
                #expect(results[0].3.difference(from: results[1].3) == nil, "\(kernels.name)")
                #expect(results[0].4.difference(from: results[1].4) == nil, "\(kernels.name)")
            }
        }
    }
}
