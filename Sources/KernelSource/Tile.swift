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

/// tile[m][v] += Σ_k a[m · aRow + k · aDepth] · b[k · bDepth + v · lanes ...], k ascending, one FMA at a time.
@inline(__always)
func accumulate<let Rows: Int, let Vectors: Int>(
    _ tile: inout Tile<Rows, Vectors>,
    _ a: UnsafePointer<Float>, aRow: Int, aDepth: Int,
    _ b: UnsafePointer<Float>, bDepth: Int, depth: Int
) {
    var sums = tile
    var a = a
    var b = b
    var k = 0
    while k < depth {
        var row = InlineArray<Vectors, Vector>(repeating: Vector())
        var v = 0
        while v < Vectors {
            row[unchecked: v] = load(b + v * lanes)
            v += 1
        }
        var m = 0
        while m < Rows {
            let scale = Vector(repeating: a[m * aRow])
            v = 0
            while v < Vectors {
                sums[unchecked: m][unchecked: v] = fma(scale, row[unchecked: v], sums[unchecked: m][unchecked: v])
                v += 1
            }
            m += 1
        }
        a += aDepth
        b += bDepth
        k += 1
    }
    tile = sums
}

/// Height of the next tile: six rows at a time, then four, two, one. No result depends on the tiling, since every
/// element has its own accumulator.
@inline(__always)
func nextRows(_ remaining: Int) -> Int {
    remaining >= 6 ? 6 : remaining >= 4 ? 4 : remaining >= 2 ? 2 : 1
}

/// Width of the next tile, in vectors.
@inline(__always)
func nextVectors(_ remaining: Int) -> Int {
    remaining >= tileVectors ? tileVectors : remaining >= 2 ? 2 : 1
}
