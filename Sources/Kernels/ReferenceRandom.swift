import CSIMD

// Twins of the random kernels. The counter of row i and block j is (first_block + j, first_row + i, step, stream); the
// four words of block j serve the elements 4j … 4j + 3 of the row.

extension Reference {
    /// Philox4x32-10 (Salmon, Moraes, Dror and Shaw 2011): ten rounds of
    /// (c₀, c₁, c₂, c₃) ← (high(M₁c₂) ⊕ c₁ ⊕ k₀, low(M₁c₂), high(M₀c₀) ⊕ c₃ ⊕ k₁, low(M₀c₀)), the key rising by a
    /// constant after each.
    public static func philox(counter: SIMD4<UInt32>, key: SIMD2<UInt32>) -> SIMD4<UInt32> {
        var c = counter
        var k = key
        for _ in 0..<10 {
            let product0 = UInt32(0xd251_1f53).multipliedFullWidth(by: c[0])
            let product1 = UInt32(0xcd9e_8d57).multipliedFullWidth(by: c[2])
            c = [product1.high ^ c[1] ^ k[0], product1.low, product0.high ^ c[3] ^ k[1], product0.low]
            k = [k[0] &+ 0x9e37_79b9, k[1] &+ 0xbb67_ae85]
        }
        return c
    }

    /// The words of block `block` of row `column`, both counted from the first ones.
    private static func words(_ random: RandomKey, block: Int, column: Int) -> SIMD4<UInt32> {
        philox(
            counter: [
                random.first_block &+ UInt32(truncatingIfNeeded: block),
                random.first_row &+ UInt32(truncatingIfNeeded: column), random.step, random.stream,
            ], key: [random.key0, random.key1])
    }

    /// out[4j + i, n] = word i of block j of row n.
    static func randomWords(
        _ random: RandomKey, _ out: UnsafeMutablePointer<UInt32>, _ blocks: Int, _ columns: Int, _ rowStride: Int
    ) {
        for feature in 0..<4 * blocks {
            for column in 0..<columns {
                out[feature * rowStride + column] = words(random, block: feature / 4, column: column)[feature % 4]
            }
        }
    }

    /// (√(−2 ln u) cos 2πv, √(−2 ln u) sin 2πv), u = fl(fl(w) · 2⁻³² + 2⁻³³), v = turns / 2³² (Box and Muller 1958).
    public static func normals(_ w: UInt32, turns: UInt32) -> (Float, Float) {
        let radius = (logarithm(fma(Float(w), 0x1p-32, 0x1p-33)) * -2).squareRoot()
        let (cosine, sine) = cosineAndSine(turns: turns)
        return (radius * cosine, radius * sine)
    }

    /// out[f, n]: the normals of words (0, 1) of a block serve its elements 0 and 1, those of words (2, 3) the others.
    static func randomNormals(
        _ random: RandomKey, _ out: Kernels.MutableFloats, _ features: Int, _ columns: Int, _ rowStride: Int
    ) {
        for feature in 0..<features {
            for column in 0..<columns {
                let words = words(random, block: feature / 4, column: column)
                let first = feature % 4 / 2 * 2
                let pair = normals(words[first], turns: words[first + 1])
                out[feature * rowStride + column] = feature % 2 == 0 ? pair.0 : pair.1
            }
        }
    }

    /// x[f, n] = x[f, n] · (word < threshold ? scale : 0).
    static func dropout(
        _ random: RandomKey, _ x: Kernels.MutableFloats, _ features: Int, _ columns: Int, _ rowStride: Int,
        _ threshold: UInt32, _ scale: Float
    ) {
        for feature in 0..<features {
            for column in 0..<columns {
                let word = words(random, block: feature / 4, column: column)[feature % 4]
                x[feature * rowStride + column] *= word < threshold ? scale : 0
            }
        }
    }
}
