import Foundation
import Kernels
import Testing

@Suite struct RandomTests {
    /// The known-answer vectors of Random123 1.14 (`tests/kat_vectors`, philox4x32 10).
    struct KnownAnswer: Sendable {
        var counter: SIMD4<UInt32>
        var key: SIMD2<UInt32>
        var words: SIMD4<UInt32>
    }

    private static let knownAnswers = [
        KnownAnswer(
            counter: .zero, key: .zero, words: [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
        KnownAnswer(
            counter: .init(repeating: .max), key: .init(repeating: .max),
            words: [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
        KnownAnswer(
            counter: [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], key: [0xa409_3822, 0x299f_31d0],
            words: [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]),
    ]

    @Test(arguments: knownAnswers)
    func philoxGivesPublishedWords(answer: KnownAnswer) {
        #expect(Reference.philox(counter: answer.counter, key: answer.key) == answer.words)
        let random = RandomKey(
            key0: answer.key[0], key1: answer.key[1], stream: answer.counter[3], step: answer.counter[2],
            first_row: answer.counter[1], first_block: answer.counter[0])
        for kernels in tables {
            let out = Memory<UInt32>(count: 64)
            kernels.randomWords(random, out.base, 1, 16, 16)
            for i in 0..<4 { #expect(out[16 * i] == answer.words[i], "\(kernels.instructionSet)") }
        }
    }

    private static let random = RandomKey(
        key0: 0x89ab_cdef, key1: 0x0123_4567, stream: 3, step: 5, first_row: 7, first_block: 0)

    @Test func kernelsEqualTwins() {
        // Rows and blocks that wrap around 2³² too.
        var random = Self.random
        for first in [7, UInt32.max - 20] {
            (random.first_row, random.first_block) = (first, first == 7 ? 0 : .max)
            for features in 1...13 {
                for columns in [8, 16, 32, 40, 48, 80] {
                    let row = columns + features % 3
                    let wordCount = (4 * features - 1) * row + columns
                    let count = (features - 1) * row + columns
                    let x = Memory<Float>((0..<count).map { specialValues[$0 % specialValues.count] })
                    func result(_ kernels: Kernels) -> (Memory<UInt32>, Memory<Float>, Memory<Float>) {
                        let results = (Memory<UInt32>(count: wordCount), Memory<Float>(count: count), x.copy)
                        kernels.randomWords(random, results.0.base, features, columns, row)
                        kernels.randomNormals(random, results.1.base, features, columns, row)
                        kernels.dropout(random, results.2.base, features, columns, row, 0xb333_3333, 1 / 0.7)
                        return results
                    }
                    let twin = result(.reference)
                    for kernels in tables where columns % kernels.columnMultiple == 0 {
                        let output = result(kernels)
                        #expect(output.0.isPrefixIntact)
                        #expect(memcmp(output.0.base, twin.0.base, wordCount * 4) == 0, "\(kernels.instructionSet)")
                        if let difference = output.1.difference(from: twin.1) ?? output.2.difference(from: twin.2) {
                            Issue.record("\(kernels.instructionSet), \(features) × \(columns): \(difference)")
                        }
                    }
                }
            }
        }
    }

    /// Many rows at once: words over the whole range, and the twins' normals of each.
    @Test func normalsEqualTwins() {
        let (features, columns) = (64, 1_024)
        let twin = Memory<Float>(count: features * columns)
        Kernels.reference.randomNormals(Self.random, twin.base, features, columns, columns)
        for kernels in tables {
            let z = Memory<Float>(count: features * columns)
            kernels.randomNormals(Self.random, z.base, features, columns, columns)
            #expect(z.difference(from: twin) == nil, "\(kernels.instructionSet)")
        }
    }

    /// `python3 philox.py 0x0123456789abcdef 3 5 7 2 10`
    @Test func followsNumPy() {
        let words: [[UInt32]] = [
            [
                0x673b_627d, 0x5a59_3825, 0x9119_bba8, 0x298b_850a, 0xa9b4_0901, 0xac83_40a4, 0xe8ef_21b2, 0xad11_ad41,
                0x6f78_844b, 0x5c88_50de,
            ],
            [
                0xc348_9411, 0x3649_8a99, 0xadb7_0ed2, 0x5dc2_b285, 0xdd65_a2cd, 0x1d5f_fbc2, 0xefcc_1fbe, 0xb296_943c,
                0xa715_5d6f, 0x4dd0_1c16,
            ],
        ]
        let z = [
            [
                -0.812076692, 1.075606395, 0.557999979, 0.907820113, -0.417356822, -0.80502508, -0.194725622,
                -0.388491379,
                -0.831012116, 0.986026831,
            ],
            [
                0.173755766, 0.715023804, -0.587554648, 0.655973732, 0.404821974, 0.35575125, -0.116897024,
                -0.342200936,
                -0.307215067, 0.871198606,
            ],
        ]
        for kernels in tables {
            let (w, n) = (Memory<UInt32>(count: 12 * 16), Memory<Float>(count: 10 * 16))
            kernels.randomWords(Self.random, w.base, 3, 16, 16)
            kernels.randomNormals(Self.random, n.base, 10, 16, 16)
            for row in 0..<2 {
                for element in 0..<10 {
                    #expect(w[element * 16 + row] == words[row][element])
                    #expect(abs(Double(n[element * 16 + row]) - z[row][element]) < 1e-6)
                }
            }
        }
    }

    /// Every pair of words from the smallest, the tail included, within 1e-6 of Box and Muller's formula in Double.
    @Test func normalsAreAccurate() {
        var random = SplitMix64(8)
        var worst = 0.0
        for i in 0..<200_000 {
            let w = UInt32(truncatingIfNeeded: random.next()) >> UInt32(i % 32)
            let turns = UInt32(truncatingIfNeeded: random.next())
            let z = Reference.normals(w, turns: turns)
            let u = Double(Float(0x1p-33).addingProduct(Float(w), 0x1p-32))
            let radius = (-2 * log(u)).squareRoot()
            let angle = 2 * Double.pi * 0x1p-32 * Double(turns)
            worst = max(worst, abs(Double(z.0) - radius * cos(angle)), abs(Double(z.1) - radius * sin(angle)))
        }
        #expect(worst < 1e-6)
    }

    /// A million normals: moments within five standard errors, and as much in the tails as there should be.
    @Test func normalsHaveNormalMoments() {
        let (features, columns) = (64, 16_384)
        let count = Double(features * columns)
        let z = Memory<Float>(count: features * columns)
        Kernels.fastest.randomNormals(Self.random, z.base, features, columns, columns)
        var sums = SIMD4<Double>()
        var neighbours = SIMD2<Double>()
        var (beyond2, beyond4) = (0.0, 0.0)
        for i in 0..<z.count {
            let x = Double(z[i])
            sums += [x, x * x, x * x * x, x * x * x * x]
            // The next row, and the next element of the same row, which shares its radius in every other case.
            if i + columns < z.count { neighbours += [x * Double(z[i + 1]), x * Double(z[i + columns])] }
            if abs(x) > 2 { beyond2 += 1 }
            if abs(x) > 4 { beyond4 += 1 }
        }
        let error = 5 / count.squareRoot()
        #expect(abs(sums[0] / count) < error)
        #expect(abs(sums[1] / count - 1) < error * 2.0.squareRoot())
        #expect(abs(sums[2] / count) < error * 15.0.squareRoot())
        #expect(abs(sums[3] / count - 3) < error * 96.0.squareRoot())
        #expect(abs(neighbours[0] / count) < error)
        #expect(abs(neighbours[1] / count) < error)
        #expect(abs(beyond2 / count - erfc(2 / 2.0.squareRoot())) < error * 0.21)
        #expect(abs(beyond4 / count - erfc(4 / 2.0.squareRoot())) < error * 0.008)
    }

    /// An element is kept where its word is below the threshold, not at it.
    @Test func dropoutThresholdIsExclusive() {
        for kernels in tables + [.reference] {
            let words = Memory<UInt32>(count: 4 * 16)
            kernels.randomWords(Self.random, words.base, 1, 16, 16)
            for (threshold, isKept) in [(words[20], false), (words[20] + 1, true)] {
                let x = Memory<Float>(Array(repeating: 1, count: 4 * 16))
                kernels.dropout(Self.random, x.base, 4, 16, 16, threshold, 2)
                #expect((x[20] == 2) == isKept, "\(kernels.instructionSet)")
            }
        }
    }

    /// The share of the elements that dropout keeps, and what it multiplies them by.
    @Test func dropoutKeepsItsShare() {
        let (features, columns) = (64, 4_096)
        for kernels in tables {
            let x = Memory<Float>(Array(repeating: 3, count: features * columns))
            kernels.dropout(Self.random, x.base, features, columns, columns, 0xb333_3333, 2)
            var kept = 0.0
            for i in 0..<x.count {
                if x[i] == 6 { kept += 1 } else if x[i] != 0 { Issue.record("\(x[i])") }
            }
            #expect(abs(kept / Double(x.count) - 0.7) < 5 * (0.21 / Double(x.count)).squareRoot())
        }
    }
}
