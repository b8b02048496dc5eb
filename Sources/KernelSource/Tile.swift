import CSIMD

// A register tile: Rows × Vectors accumulators that stay in registers through a whole sum.

typealias TileRow<let Vectors: Int> = InlineArray<Vectors, Vector>
typealias Tile<let Rows: Int, let Vectors: Int> = InlineArray<Rows, TileRow<Vectors>>

@inline(__always)
func load(_ pointer: UnsafePointer<Float>) -> Vector {
    UnsafeRawPointer(pointer).loadUnaligned(as: Vector.self)
}

@inline(__always)
func store(_ value: Vector, _ pointer: UnsafeMutablePointer<Float>) {
    UnsafeMutableRawPointer(pointer).storeBytes(of: value, as: Vector.self)
}

/// tile[m][v] += Σ_k a[m · aRow + k · aDepth] · b[k · bDepth + v · lanes ...], k ascending, one multiply-add at a time.
@inline(__always)
func accumulate<Elements: Format, let Rows: Int, let Vectors: Int>(
    _: Elements.Type, _ tile: inout Tile<Rows, Vectors>, _ a: UnsafePointer<Float>, aRow: Int, aDepth: Int,
    _ b: UnsafePointer<Float>, bDepth: Int, depth: Int
) {
    var sums = tile
    // Two pointers reach six rows by one stride register; the compiler must not know that they belong together.
    var a = a
    var a3 = csimd_opaque(a + 3 * aRow)
    var b = b
    var k = 0
    // Four at a time in the widest tile, whose loads and multiply-adds leave little room for counting; others lose by it.
    while Vectors == 4 && k + 4 <= depth {
        multiplyAdd(Elements.self, &sums, a, a3, aRow: aRow, b)
        multiplyAdd(Elements.self, &sums, a + aDepth, a3 + aDepth, aRow: aRow, b + bDepth)
        multiplyAdd(Elements.self, &sums, a + 2 * aDepth, a3 + 2 * aDepth, aRow: aRow, b + 2 * bDepth)
        multiplyAdd(Elements.self, &sums, a + 3 * aDepth, a3 + 3 * aDepth, aRow: aRow, b + 3 * bDepth)
        a += 4 * aDepth
        a3 += 4 * aDepth
        b += 4 * bDepth
        k += 4
    }
    while k < depth {
        multiplyAdd(Elements.self, &sums, a, a3, aRow: aRow, b)
        a += aDepth
        a3 += aDepth
        b += bDepth
        k += 1
    }
    tile = sums
}

/// The same of `depth` elements to one tile and of the next `depth` to another, so that twice as many sums run side by side.
@inline(__always)
func accumulatePair<Elements: Format, let Rows: Int, let Vectors: Int>(
    _: Elements.Type, _ first: inout Tile<Rows, Vectors>, _ second: inout Tile<Rows, Vectors>, _ a: UnsafePointer<Float>,
    aRow: Int, _ b: UnsafePointer<Float>, bDepth: Int, depth: Int
) {
    var sums1 = first
    var sums2 = second
    var a1 = a
    var a2 = csimd_opaque(a + depth)
    var b1 = b
    var b2 = csimd_opaque(b + depth * bDepth)
    var k = 0
    while k < depth {
        multiplyAdd(Elements.self, &sums1, a1, a1, aRow: aRow, b1)
        multiplyAdd(Elements.self, &sums2, a2, a2, aRow: aRow, b2)
        a1 += 1
        a2 += 1
        b1 += bDepth
        b2 += bDepth
        k += 1
    }
    first = sums1
    second = sums2
}

/// tile[m][v] += a[m · aRow] · b[v · lanes ...], where a3 = a + 3 · aRow.
@inline(__always)
private func multiplyAdd<Elements: Format, let Rows: Int, let Vectors: Int>(
    _: Elements.Type, _ tile: inout Tile<Rows, Vectors>, _ a: UnsafePointer<Float>, _ a3: UnsafePointer<Float>, aRow: Int,
    _ b: UnsafePointer<Float>
) {
    var row = TileRow<Vectors>(repeating: Vector())
    var v = 0
    while v < Vectors {
        row[unchecked: v] = load(b + v * lanes)
        v += 1
    }
    var m = 0
    while m < Rows {
        let scale = Vector(repeating: m < 3 ? a[m * aRow] : a3[(m - 3) * aRow])
        v = 0
        while v < Vectors {
            tile[unchecked: m][unchecked: v] = Elements.multiplyAdd(
                scale, row[unchecked: v], tile[unchecked: m][unchecked: v])
            v += 1
        }
        m += 1
    }
}

/// The sum, times the slope unless the gate, or where there is none the sum itself, is positive.
@inline(__always)
func rectified<Elements: Format>(
    _: Elements.Type, _ sum: Vector, gate: UnsafePointer<Float>?, slope: Float
) -> Vector {
    let sign = if let gate { load(gate) } else { sum }
    return select(sign .> 0, sum, Elements.scaled(sum, by: slope))
}

/// Stores the tile with the row stride given.
@inline(__always)
func store<let Rows: Int, let Vectors: Int>(
    _ sums: Tile<Rows, Vectors>, _ c: UnsafeMutablePointer<Float>, rowStride: Int
) {
    var i = 0
    while i < Rows {
        var v = 0
        while v < Vectors {
            store(sums[unchecked: i][unchecked: v], c + i * rowStride + v * lanes)
            v += 1
        }
        i += 1
    }
}

/// Height of the next tile of so many vectors a row: six rows at a time, then four, two, one; eight of single vectors,
/// since six sums would wait for one another. No result depends on the tiling: every element has its own accumulator.
@inline(__always)
func nextRows(_ remaining: Int, vectors: Int) -> Int {
    if vectors == 1 && remaining >= 8 { return 8 }
    return remaining >= 6 ? 6 : remaining >= 4 ? 4 : remaining >= 2 ? 2 : 1
}

/// Width of the next tile, in vectors.
@inline(__always)
func nextVectors(_ remaining: Int) -> Int {
    remaining >= tileVectors ? tileVectors : remaining >= 2 ? 2 : 1
}
