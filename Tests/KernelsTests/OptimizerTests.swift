import Foundation
import Kernels
import Testing

@Suite struct OptimizerTests {
    /// No beta is a power of two: its products would be exact, and a fused multiply-add like any other.
    private static func constants(step: Int) -> AdamConstants {
        let (rate, beta1, beta2) = (2e-4, 0.9, 0.999)
        return AdamConstants(
            beta1: Float(beta1), one_minus_beta1: Float(1 - beta1), beta2: Float(beta2),
            one_minus_beta2: Float(1 - beta2),
            step_size: Float(rate / (1 - pow(beta1, Double(step)))),
            inverse_root: Float(1 / (1 - pow(beta2, Double(step))).squareRoot()), epsilon: 1e-8)
    }

    /// A kernel that changes a segment: gradient, parameters, m and v, of which v is not negative.
    struct Update: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let run: @Sendable (_ kernels: Kernels, _ state: [Kernels.MutableFloats], _ count: Int) -> Void

        static let all: [Update] = [
            Update(testDescription: "adam") { $0.adam(constants(step: 3), $1[0], $1[1], $1[2], $1[3], $2) },
            Update(testDescription: "rmsprop") {
                let constants = RMSpropConstants(alpha: 0.99, one_minus_alpha: 0.01, learning_rate: 0.01, epsilon: 1e-8)
                $0.rmsprop(constants, $1[0], $1[1], $1[3], $2)
            },
            Update(testDescription: "sgd") { $0.sgd(0.1, 0, $1[0], $1[1], nil, $2) },
            Update(testDescription: "sgd, momentum") { $0.sgd(0.1, 0.9, $1[0], $1[1], $1[2], $2) },
            Update(testDescription: "clip") { $0.clip($1[1], 0.3, $2) },
            Update(testDescription: "average") { $0.average($1[2], $1[1], 0.001, $2) },
        ]
    }

    private func check(_ update: Update, _ initial: [Memory<Float>]) {
        func result(_ kernels: Kernels) -> [Memory<Float>] {
            let state = initial.map(\.copy)
            update.run(kernels, state.map(\.base), state[0].count)
            return state
        }
        let twins = result(.reference)
        for kernels in tables {
            for (name, (output, twin)) in zip(["gradient", "parameters", "m", "v"], zip(result(kernels), twins)) {
                if let difference = output.difference(from: twin) {
                    Issue.record("\(kernels.instructionSet), \(name) of \(output.count): \(difference)")
                }
            }
        }
    }

    @Test(arguments: Update.all) func equalsTwin(update: Update) {
        var random = SplitMix64(1)
        for count in stride(from: 16, through: 144, by: 16) {
            let state = (0..<4).map { _ in random.units(count) }
            for i in 0..<count { state[3][i] *= state[3][i] }
            check(update, state)
        }
    }

    @Test(arguments: Update.all) func equalsTwinAtSpecialValues(update: Update) {
        var random = SplitMix64(2)
        let values = specialAndRandomValues(atLeast: 8_192, seed: 4)
        check(update, (0..<4).map { _ in Memory(values.shuffled(using: &random)) })
    }

    /// They would end as denormals, which are slow: 0.9 of four of the smallest rounds to four.
    @Test(arguments: Update.all.filter { ["adam", "rmsprop", "sgd, momentum"].contains($0.testDescription) })
    func momentsWithoutGradientsBecomeZero(update: Update) {
        for kernels in tables {
            let state = [0, 0.5, 1e-3, 1e-6].map { Memory<Float>(Array(repeating: $0, count: 16)) }
            let before = state.map { $0[0] }
            for _ in 0..<60_000 { update.run(kernels, state.map(\.base), 16) }
            for (moment, start) in zip(state[2...], before[2...]) {
                #expect(moment[0] == 0 || moment[0] == start, "\(kernels.instructionSet)")
            }
            #expect(state[2...].contains { $0[0] == 0 }, "\(kernels.instructionSet)")
        }
    }

    @Test func clippingKeepsNaN() {
        for kernels in tables + [.reference] {
            let x = Memory<Float>([.nan, -.nan, .infinity, -.infinity, 0.01, -0.01, 0, -0.0] + Array(repeating: 1, count: 8))
            kernels.clip(x.base, 0.01, x.count)
            #expect(x[0].isNaN && x[1].isNaN, "\(kernels.instructionSet)")
            let expected: [Float] = [0.01, -0.01, 0.01, -0.01, 0, -0.0, 0.01]
            for (i, value) in expected.enumerated() { #expect(areSame(x[i + 2], value), "\(kernels.instructionSet), \(i)") }
        }
    }

    /// 200 updates stay within rounding of the same ones in Double.
    @Test func adamFollowsDouble() {
        let (count, steps, rate, beta1, beta2) = (64, 200, 2e-4, 0.9, 0.999)
        var random = SplitMix64(3)
        let p = random.units(count)
        let (m, v) = (
            Memory<Float>(Array(repeating: 0, count: count)), Memory<Float>(Array(repeating: 0, count: count))
        )
        var exact = (0..<count).map { (p: Double(p[$0]), m: 0.0, v: 0.0) }
        for step in 1...steps {
            let gradient = random.units(count)
            for i in 0..<count { gradient[i] *= 0x1p-10 * Float(1 + i) }
            Kernels.fastest.adam(Self.constants(step: step), gradient.base, p.base, m.base, v.base, count)
            for i in 0..<count {
                let g = Double(gradient[i])
                exact[i].m = beta1 * exact[i].m + (1 - beta1) * g
                exact[i].v = beta2 * exact[i].v + (1 - beta2) * g * g
                let mean = exact[i].m / (1 - pow(beta1, Double(step)))
                let variance = exact[i].v / (1 - pow(beta2, Double(step)))
                exact[i].p -= rate * mean / (variance.squareRoot() + 1e-8)
            }
        }
        for i in 0..<count {
            #expect(abs(Double(m[i]) - exact[i].m) < 1e-6 * 0x1p-10 * Double(1 + i))
            #expect(abs(Double(v[i]) / exact[i].v - 1) < 1e-5)
            // A rounding of p, half an ulp of 1, a step at worst.
            #expect(abs(Double(p[i]) - exact[i].p) < Double(steps) * 0x1p-25)
        }
    }

    @Test(arguments: [1, 2, 3, 5, 6, 8])
    func treeSumEqualsTwin(ranks: Int) {
        var random = SplitMix64(4)
        let trees = (0..<ranks).flatMap { ShardPlan.forest(8 * $0 / ranks..<8 * ($0 + 1) / ranks) }
        let merges = ShardPlan.merges(trees)
        for count in stride(from: 16, through: 144, by: 16) {
            let leaves = trees.map { _ in random.units(count + 5) }
            let pointers = leaves.map { UnsafePointer($0.base) }
            let scratch = Memory<Float>(count: 32 * 16)
            defer { keep(scratch, leaves) }
            func result(_ kernels: Kernels) -> (Memory<Float>, Bool) {
                let sum = Memory<Float>(count: count)
                return (sum, kernels.treeSum(pointers, merges, trees.count, 5, sum.base, count, scratch.base))
            }
            let (twin, _) = result(.reference)
            for kernels in tables {
                let (sum, isFinite) = result(kernels)
                #expect(isFinite)
                #expect(sum.difference(from: twin) == nil, "\(kernels.instructionSet), \(count)")
                #expect(scratch.isPrefixIntact)
            }
        }
    }

    /// One value that is not finite, wherever it is, is noticed; the greatest finite one is not.
    @Test func treeSumReportsWhatIsNotFinite() {
        let scratch = Memory<Float>(count: 32 * 16)
        let bad: [Float] = [
            .infinity, -.infinity, .nan, -.nan, Float(bitPattern: 0xff80_0001), .greatestFiniteMagnitude,
        ]
        for kernels in tables + [.reference] {
            for value in bad {
                for position in 0..<48 {
                    let leaf = Memory<Float>(Array(repeating: -.greatestFiniteMagnitude, count: 48))
                    leaf[position] = value
                    let sum = Memory<Float>(count: 48)
                    defer { keep(leaf, scratch) }
                    let isFinite = kernels.treeSum([UnsafePointer(leaf.base)], [0], 1, 0, sum.base, 48, scratch.base)
                    #expect(isFinite == value.isFinite, "\(kernels.instructionSet), \(value) at \(position)")
                }
            }
        }
    }

    /// The sum of finite leaves may overflow.
    @Test func treeSumReportsOverflow() {
        let scratch = Memory<Float>(count: 32 * 16)
        let leaf = Memory<Float>(Array(repeating: 0x1p127, count: 16))
        for kernels in tables + [.reference] {
            let sum = Memory<Float>(count: 16)
            defer { keep(leaf, scratch) }
            let leaves = [UnsafePointer(leaf.base), UnsafePointer(leaf.base)]
            // Not inside the macro, where the pointers to arrays would not outlive their conversion.
            let isFinite = kernels.treeSum(leaves, [0, 1], 2, 0, sum.base, 16, scratch.base)
            #expect(!isFinite, "\(kernels.instructionSet)")
        }
    }
}
