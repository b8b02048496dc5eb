import Foundation
import Kernels
import Testing

@Suite struct SimilarityTests {
    /// A shard's columns between those of others: what lies beside is neither read into a result nor written.
    struct Shard {
        let dimensions, count, first, row: Int
        let x, gradient, blank: Memory<Float>

        /// Of several kinds: alike rows, rows far apart, and special values.
        static var pinned: [Shard] {
            let special = Shard(dimensions: 2, count: roundedUp(specialValues.count), first: 0, scale: 1, seed: 3)
            for (i, value) in specialValues.enumerated() { special.x[i] = value }
            return [0, 0.1, 3, 100].map { Shard(dimensions: 3, count: 19, first: 5, scale: $0, seed: 4) } + [special]
        }

        init(dimensions: Int, count: Int, first: Int, scale: Float, seed: UInt64) {
            var random = SplitMix64(seed)
            (self.dimensions, self.count, self.first) = (dimensions, count, first)
            row = roundedUp(first + count) + 8
            // A vector past the end is read.
            x = random.units(dimensions * row + 16)
            for i in 0..<x.count { x[i] *= scale }
            gradient = random.units(row + 16)
            blank = Memory(Array(repeating: 7, count: dimensions * row))
        }

        /// o [1, row] and the gradient of x [dimensions, row].
        func results(_ kernels: Kernels) -> [Memory<Float>] {
            let out = Memory<Float>(Array(repeating: 7, count: row))
            kernels.similarities(x.base + first, dimensions, count, row, out.base + first)
            let dx = blank.copy
            let scratch = Memory<Float>(count: 16 * count)
            defer { keep(scratch) }
            kernels.similaritiesBackward(
                x.base + first, gradient.base + first, dimensions, count, row, scratch.base, dx.base + first)
            return [out, dx]
        }
    }

    @Test(arguments: [1, 2, 3, 5, 16])
    func equalTwinsAtEverySize(dimensions: Int) {
        for count in 1...35 {
            for scale in [0, 0.1, 3, 100] as [Float] {
                let shard = Shard(
                    dimensions: dimensions, count: count, first: count * 5 % 17, scale: scale, seed: UInt64(100 * count + dimensions))
                let twins = shard.results(.reference)
                for kernels in tables {
                    for (output, twin) in zip(shard.results(kernels), twins) {
                        if let difference = output.difference(from: twin) {
                            Issue.record("\(kernels.name), \(dimensions) × \(count), scale \(scale): \(difference)")
                        }
                    }
                }
                for (number, twin) in twins.enumerated() {
                    for i in 0..<twin.count where !(shard.first..<shard.first + count).contains(i % shard.row) {
                        #expect(twin[i] == 7, "result \(number) beside the shard, at \(i)")
                    }
                }
            }
        }
    }

    @Test func equalTwinsAtSpecialValues() {
        let shard = Shard(dimensions: 2, count: roundedUp(specialValues.count), first: 0, scale: 1, seed: 3)
        for (i, value) in specialAndRandomValues(atLeast: shard.count, seed: 5).prefix(shard.count).enumerated() { shard.x[i] = value }
        let twins = shard.results(.reference)
        for kernels in tables {
            for (output, twin) in zip(shard.results(kernels), twins) {
                if let difference = output.difference(from: twin) { Issue.record("\(kernels.name): \(difference)") }
            }
        }
    }

    /// Against the definition in double precision; alike rows, and rows so far apart that nothing is left.
    @Test func equalTheDefinition() {
        let shard = Shard(dimensions: 3, count: 21, first: 4, scale: 1.5, seed: 11)
        func x(_ c: Int, _ i: Int) -> Double { Double(shard.x[c * shard.row + shard.first + i]) }
        for c in 0..<3 {
            shard.x[c * shard.row + shard.first + 5] = Float(x(c, 2))
            shard.x[c * shard.row + shard.first + 9] = 1e3
        }
        func similarity(_ i: Int, _ j: Int) -> Double { exp(-(0..<3).reduce(0) { $0 + abs(x($1, i) - x($1, j)) }) }
        for kernels in tables {
            let results = shard.results(kernels)
            for i in 0..<21 {
                let exact = (0..<21).reduce(0) { $1 == i ? $0 : $0 + similarity(i, $1) }
                #expect(abs(Double(results[0][shard.first + i]) - exact) < 1e-6 * max(exact, 1e-3))
                for c in 0..<3 {
                    let gradient = (0..<21).reduce(0.0) { sum, j in
                        let difference = x(c, i) - x(c, j)
                        let sign = difference > 0 ? 1.0 : difference < 0 ? -1 : 0
                        return sum - sign * similarity(i, j)
                            * (Double(shard.gradient[shard.first + i]) + Double(shard.gradient[shard.first + j]))
                    }
                    #expect(abs(Double(results[1][c * shard.row + shard.first + i]) - gradient) < 5e-6)
                }
            }
            #expect(results[0][shard.first + 9] == 0)
        }
    }
}
