import CSIMD

// Philox4x32-10 (Salmon, Moraes, Dror and Shaw 2011). A lane is a row of the batch: its counter is
// (block, row, step, stream), and the four words of block j serve the elements 4j … 4j + 3 of the row.

/// The four words of a block of the rows from a column on, lane by lane.
@inline(__always)
private func philox(_ random: csimd_random, block: Int, column: Int) -> InlineArray<4, Words> {
    var c0 = Words(repeating: random.first_block &+ UInt32(truncatingIfNeeded: block))
    var c1 = Words(repeating: random.first_row &+ UInt32(truncatingIfNeeded: column)) &+ laneNumbers
    var c2 = Words(repeating: random.step)
    var c3 = Words(repeating: random.stream)
    var k0 = random.key0
    var k1 = random.key1
    let m0 = Words(repeating: 0xd251_1f53)
    let m1 = Words(repeating: 0xcd9e_8d57)
    var round = 0
    while round < 10 {
        let high0 = multiplyHigh(m0, c0)
        let high1 = multiplyHigh(m1, c2)
        let low0 = m0 &* c0
        let low1 = m1 &* c2
        c0 = high1 ^ c1 ^ Words(repeating: k0)
        c1 = low1
        c2 = high0 ^ c3 ^ Words(repeating: k1)
        c3 = low0
        k0 = k0 &+ 0x9e37_79b9
        k1 = k1 &+ 0xbb67_ae85
        round += 1
    }
    return [c0, c1, c2, c3]
}

extension Implementation {
    /// The words themselves, out[4j + i, row] = word i of block j; out is [4 · blocks, columns].
    public static func randomWords(
        _ random: csimd_random, _ out: UnsafeMutablePointer<UInt32>, blocks: Int, columns: Int, rowStride: Int
    ) {
        var block = 0
        while block < blocks {
            var column = 0
            while column < columns {
                let words = philox(random, block: block, column: column)
                var i = 0
                while i < 4 {
                    let target = UnsafeMutableRawPointer(out + (4 * block + i) * rowStride + column)
                    target.storeBytes(of: words[unchecked: i], as: Words.self)
                    i += 1
                }
                column += lanes
            }
            block += 1
        }
    }

    /// Standard normals, out [features, columns] with row stride `rowStride`, by Box and Muller (1958): of a block's words w,
    /// z₀ = √(−2 ln u(w₀)) cos(2π w₁/2³²), z₁ the same with sin, z₂ and z₃ likewise from w₂ and w₃,
    /// u(w) = fl(fl(w) · 2⁻³² + 2⁻³³), rounded once; within 1e-6 of these formulas.
    public static func randomNormals(
        _ random: csimd_random, _ out: UnsafeMutablePointer<Float>, features: Int, columns: Int, rowStride: Int
    ) {
        var feature = 0
        while feature < features {
            var column = 0
            while column < columns {
                let words = philox(random, block: feature >> 2, column: column)
                let target = out + feature * rowStride + column
                let count = features - feature
                normals(words[unchecked: 0], words[unchecked: 1], target, rowStride, count: count)
                if count > 2 {
                    normals(words[unchecked: 2], words[unchecked: 3], target + 2 * rowStride, rowStride, count: count - 2)
                }
                column += lanes
            }
            feature += 4
        }
    }
}

/// The pair of normals that two words make, or the first of it.
@inline(__always)
private func normals(_ word0: Words, _ word1: Words, _ target: UnsafeMutablePointer<Float>, _ rowStride: Int, count: Int) {
    let u = fma(floats(word0), Vector(repeating: 0x1p-32), Vector(repeating: 0x1p-33))
    let radius = squareRoot(logarithm(u) * Vector(repeating: -2))
    let (cosine, sine) = cosineAndSine(turns: word1)
    store(radius * cosine, target)
    if count > 1 { store(radius * sine, target + rowStride) }
}

extension Implementation {
    /// x[feature, row] *= word < threshold ? scale : 0, the word as in `randomWords`: inverted dropout, forward and backward.
    public static func dropout(
        _ random: csimd_random, _ x: UnsafeMutablePointer<Float>, features: Int, columns: Int, rowStride: Int,
        threshold: UInt32, scale: Float
    ) {
        var feature = 0
        while feature < features {
            var column = 0
            while column < columns {
                let words = philox(random, block: feature >> 2, column: column)
                // Written out: a loop that the compiler leaves as one keeps the words in memory.
                let target = x + feature * rowStride + column
                let count = features - feature
                drop(target, words[unchecked: 0], threshold, scale)
                if count > 1 { drop(target + rowStride, words[unchecked: 1], threshold, scale) }
                if count > 2 { drop(target + 2 * rowStride, words[unchecked: 2], threshold, scale) }
                if count > 3 { drop(target + 3 * rowStride, words[unchecked: 3], threshold, scale) }
                column += lanes
            }
            feature += 4
        }
    }
}

/// A vector times the scale where its word is below the threshold, and times 0 elsewhere.
@inline(__always)
private func drop(_ target: UnsafeMutablePointer<Float>, _ word: Words, _ threshold: UInt32, _ scale: Float) {
    let factor = Vector().replacing(with: Vector(repeating: scale), where: word .< Words(repeating: threshold))
    store(load(target) * factor, target)
}
