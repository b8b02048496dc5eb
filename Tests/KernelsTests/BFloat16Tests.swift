import Foundation
import Kernels
import Testing

/// What bf16 means, without the twins' help: rounding, the order within a pair, and what is tiny.
@Suite struct BFloat16Tests {
    /// fma by fma over the depth: sum = bias, then A[0, k] B[k, 0].
    private func product(
        _ kernels: Kernels, bias: Float, _ factors: [(Float, Float)], interlude: Interlude = .none
    ) -> Float {
        let columns = 16
        let a = Memory(factors.map(\.0))
        let b = Memory(factors.flatMap { Array(repeating: $0.1, count: columns) })
        let start = Memory([bias])
        let output = Memory<Float>(count: columns)
        let workspace = Memory<Float>(count: GEMM.workspaceCount)
        defer { keep(a, b, start, workspace) }
        var arguments = GEMM(
            a: a.base, a_row: factors.count, a_depth: 1, b: b.base, b_depth: columns, c: output.base, c_row: columns, rows: 1,
            columns: columns, depth: factors.count, bias: UnsafePointer(start.base), gate: nil, gate_row: 0, rectifies: 0,
            slope: 0, workspace: workspace.base, interlude: interlude)
        kernels.gemm(&arguments)
        for i in 1..<columns { #expect(areSame(output[i], output[0]), "\(kernels.name), column \(i)") }
        return output[0]
    }

    private var everyTable: [Kernels] { bfloat16Tables + [.bfloat16Reference] }

    /// The multiple of 2⁻⁷ of its leading power of two that is nearest, the even one of two; a denormal is zero.
    private func rounded(_ x: Float) -> Float {
        guard x.isNormal else { return x.isSubnormal ? (x.sign == .minus ? -0.0 : 0) : x }
        let unit = Double(sign: .plus, exponent: Int(x.exponent) - 7, significand: 1)
        return Float((Double(x) / unit).rounded(.toNearestOrEven) * unit)
    }

    @Test func roundsFactorsToNearestEven() {
        var random = SplitMix64(21)
        var values = specialAndRandomValues(atLeast: 400, seed: 22)
        // Exactly between two, and a bit beside that.
        for _ in 0..<400 {
            let middle = UInt32(truncatingIfNeeded: random.next()) & 0xffff_0000 | 0x8000
            values += [middle - 1, middle, middle + 1].map(Float.init(bitPattern:))
        }
        for kernels in everyTable {
            // In the place of the first factor and of the second, of the first of a pair and of the second.
            for x in values where !x.isNaN {
                let expected = rounded(x) + 0
                #expect(areSame(product(kernels, bias: 0, [(x, 1)]), expected), "\(kernels.name): \(x)")
                #expect(areSame(product(kernels, bias: 0, [(1, x)]), expected), "\(kernels.name): \(x)")
                #expect(areSame(product(kernels, bias: 0, [(0, 0), (x, 1)]), expected), "\(kernels.name): \(x)")
                #expect(areSame(product(kernels, bias: 0, [(0, 0), (1, x)]), expected), "\(kernels.name): \(x)")
            }
            #expect(product(kernels, bias: 0, [(.nan, 1)]).isNaN, "\(kernels.name)")
            #expect(product(kernels, bias: 0, [(1, Float(bitPattern: 0xffff_ffff))]).isNaN, "\(kernels.name)")
        }
    }

    /// The second of a pair comes first, and each multiply-add is rounded.
    @Test func addsSecondOfPairFirst() {
        let large: Float = 0x1p24
        for kernels in everyTable {
            // 1 + 2²⁴ rounds to 2²⁴; the other way round nothing would be lost.
            #expect(product(kernels, bias: 1, [(-large, 1), (large, 1)]) == 0, "\(kernels.name)")
            #expect(product(kernels, bias: 1, [(0, 0), (-large, 1), (large, 1)]) == 1, "\(kernels.name)")
            #expect(product(kernels, bias: 1, [(0, 0), (0, 0), (-large, 1), (large, 1)]) == 0, "\(kernels.name)")
            // The product is not rounded before it is added: (1 + 2⁻⁷)² − 1 − 2⁻⁶.
            let x: Float = 1 + 0x1p-7
            #expect(product(kernels, bias: -1 - 0x1p-6, [(x, x)]) == 0x1p-14, "\(kernels.name)")
        }
    }

    /// A denormal is zero as a bias and as a result, however it came about.
    @Test func flushesDenormals() {
        let least = Float.leastNormalMagnitude
        for kernels in everyTable {
            #expect(areSame(product(kernels, bias: least / 2, [(0, 0)]), 0), "\(kernels.name)")
            #expect(areSame(product(kernels, bias: 0, [(0x1p-100, 0x1p-27)]), 0), "\(kernels.name)")
            #expect(areSame(product(kernels, bias: 0, [(-0x1p-100, 0x1p-27)]), -0.0), "\(kernels.name)")
            #expect(areSame(product(kernels, bias: 0, [(0x1p-100, 0x1p-26)]), least), "\(kernels.name)")
            #expect(areSame(product(kernels, bias: 1.5 * least, [(-1, least)]), 0), "\(kernels.name)")
            // Halfway between the two largest numbers of 24 bits below 2⁻¹²⁶ and it: rounds to even, and is not tiny.
            #expect(areSame(product(kernels, bias: least, [(-0x1p-100, 0x1p-51)]), least), "\(kernels.name)")
            #expect(areSame(product(kernels, bias: -least, [(0x1p-100, 0x1p-51)]), -least), "\(kernels.name)")
            // A bit more than that, and it is.
            let more: Float = 0x1.02p-100
            #expect(areSame(product(kernels, bias: least, [(-more, 0x1p-51)]), 0), "\(kernels.name)")
            #expect(areSame(product(kernels, bias: -least, [(more, 0x1p-51)]), -0.0), "\(kernels.name)")
        }
    }

    /// A sum that the slope takes to the least normal number: tiny is what is less after it was rounded. The sum is the bias.
    @Test(arguments: [0.2, 0.1, 0.01, 0.02, 0.001, 0.3] as [Float])
    func flushesRectifiedSums(slope: Float) {
        let (middle, columns) = (Float.leastNormalMagnitude / slope, 16)
        for steps in -40...40 {
            let bias = -Float(bitPattern: UInt32(Int(middle.bitPattern) + steps))
            // Exact: the product of two floats fits a double.
            let exact = Double(slope) * Double(bias)
            let isTiny = exact.magnitude < 0x1p-126 - 0x1p-151
            let expected = isTiny ? -0.0 : min(Float(exact), -Float.leastNormalMagnitude)
            for kernels in everyTable {
                let zeros = Memory<Float>(Array(repeating: 0, count: columns))
                let start = Memory<Float>([bias])
                let output = Memory<Float>(count: 2 * columns)
                let workspace = Memory<Float>(count: GEMM.workspaceCount)
                let (positions, taps) = (Memory([ConvolutionPosition()]), Memory([ConvolutionTap()]))
                defer { keep(zeros, start, workspace, positions, taps) }
                var product = GEMM(
                    a: zeros.base, a_row: 1, a_depth: 1, b: zeros.base, b_depth: columns, c: output.base, c_row: columns,
                    rows: 1, columns: columns, depth: 1, bias: start.base, gate: nil, gate_row: 0, rectifies: 1, slope: slope,
                    workspace: workspace.base, interlude: .none)
                kernels.gemm(&product)
                var convolution = Convolution(
                    a: zeros.base, a_output: 1, x: zeros.base, x_channel: columns, x_row: columns, y: output.base + columns,
                    y_channel: columns, y_row: columns, outputs: 1, channels: 1, columns: columns, positions: positions.base,
                    position_count: 1, taps: taps.base, tap_count: 1, bias: start.base, gate: nil, rectifies: 1,
                    slope: slope, workspace: workspace.base, interlude: .none)
                kernels.convolution(&convolution)
                for i in 0..<output.count where !areSame(output[i], expected) {
                    Issue.record("\(kernels.name), \(slope) · \(hex(bias)): \(hex(output[i])), not \(hex(expected))")
                    break
                }
            }
        }
    }

    /// A slope times a zero has the sign of the product.
    @Test(arguments: [0, -0.0, 0.2] as [Float])
    func rectifiedZeroKeepsSign(slope: Float) {
        let columns = 16
        let gates = Memory<Float>(Array(repeating: -1, count: columns))
        for sum in [0, -0.0, 3, -3, 0x1p-140, -0x1p-140] as [Float] {
            for kernels in everyTable {
                let empty = Memory<Float>(count: 0)
                let start = Memory<Float>([sum])
                let output = Memory<Float>(count: columns)
                let workspace = Memory<Float>(count: GEMM.workspaceCount)
                defer { keep(gates, empty, start, workspace) }
                var arguments = GEMM(
                    a: empty.base, a_row: 0, a_depth: 1, b: empty.base, b_depth: columns, c: output.base, c_row: columns,
                    rows: 1, columns: columns, depth: 0, bias: start.base, gate: gates.base, gate_row: columns, rectifies: 1,
                    slope: slope, workspace: workspace.base, interlude: .none)
                kernels.gemm(&arguments)
                let expected = sum.isSubnormal ? slope * (sum.sign == .minus ? -0.0 : 0) : slope * sum
                #expect((0..<columns).allSatisfy { areSame(output[$0], expected) }, "\(kernels.name), \(slope) · \(sum)")
            }
        }
    }

    /// Denormals are flushed within a kernel only: neither in what it calls between its blocks, nor after it.
    @Test func leavesDenormalsToTheRest() {
        for kernels in tables + bfloat16Tables {
            // How often the interlude was called, the least normal number, and half of it.
            let seen = Memory<Float>([0, .leastNormalMagnitude, 0])
            let interlude = Interlude(
                call: { context in
                    guard let seen = context?.assumingMemoryBound(to: Float.self) else { return }
                    seen[0] += 1
                    seen[2] = seen[1] / 2
                }, context: seen.base)
            _ = product(kernels, bias: 0, Array(repeating: (1, 1), count: 600), interlude: interlude)
            #expect(seen[0] >= 2, "\(kernels.name)")
            #expect(seen[2].isSubnormal, "\(kernels.name)")
            #expect((seen[1] / 2).isSubnormal, "\(kernels.name)")
        }
    }

    /// Sums of leaves of any kind, flushed.
    @Test func treeSumEqualsTwin() {
        let leaves = (0..<5).map { Memory<Float>(specialAndRandomValues(atLeast: 4_096, seed: UInt64($0))) }
        // Sums that are denormal.
        for i in 200..<2_000 {
            leaves[0][i] = Float.leastNormalMagnitude * (1 + Float(i) * 0x1p-12)
            leaves[1][i] = -Float.leastNormalMagnitude
        }
        func sum(_ kernels: Kernels) -> Memory<Float> {
            let out = Memory<Float>(count: leaves[0].count)
            let scratch = Memory<Float>(count: 32 * 16)
            defer { keep(scratch, leaves) }
            _ = kernels.treeSum(leaves.map { UnsafePointer($0.base) }, [0, 1, 0, 1, 1], 5, 0, out.base, out.count, scratch.base)
            return out
        }
        let twin = sum(.bfloat16Reference)
        #expect(twin.difference(from: sum(.reference)) != nil)
        for kernels in bfloat16Tables { #expect(sum(kernels).difference(from: twin) == nil, "\(kernels.name)") }
    }

    /// Bias gradients are sums of numbers that are not rounded.
    @Test func biasGradientKeepsPrecision() {
        // A vector may be read past the end.
        let a = Memory<Float>(([1 + 0x1p-20, 0x1p-10] as [Float]) + Array(repeating: 0, count: 16))
        let b = Memory<Float>(Array(repeating: 1, count: 16))
        let shards = [ShardSum(count: 2, merges: 0, output: 0)]
        for kernels in everyTable {
            let out = Memory<Float>(count: 1)
            let scratch = Memory<Float>(count: 32 * 6 * 4 * 16)
            let workspace = Memory<Float>(count: WeightGradient.workspaceCount(rows: 1, passes: 1, shards: shards))
            defer { keep(a, b, scratch, workspace) }
            func run(_ gradient: (UnsafePointer<WeightGradient>) -> Void) -> Float {
                withUnsafePointer(to: out.base) { output in
                    shards.withUnsafeBufferPointer { shards in
                        var arguments = WeightGradient(
                            a: a.base, a_pass: 0, a_row: 2, b: b.base, b_panel: 0, b_pass: 0, b_row: 0, outputs: output,
                            output_offset: 0, c_row: 1, rows: 1, columns: 1, passes: 1, shards: shards.baseAddress!,
                            shard_count: 1, scratch: scratch.base, workspace: workspace.base, interlude: .none)
                        gradient(&arguments)
                    }
                }
                return out[0]
            }
            #expect(run(kernels.biasGradient) == 1 + 0x1p-20 + 0x1p-10, "\(kernels.name)")
            #expect(run(kernels.weightGradient) == 1 + 0x1p-10, "\(kernels.name)")
        }
    }
}
