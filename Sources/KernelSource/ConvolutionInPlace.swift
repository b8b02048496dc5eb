import CSIMD

// A convolution of few output channels reads X where it lies: a vector of it meets too few sums to be laid out first.

/// The most output channels that are few.
@inline(__always) var inPlaceOutputs: Int { 4 }

/// All of A's rows through the whole depth for a group's vectors, as many at a time as give 8 to 12 sums: these do not wait
/// for one another, and fit 16 registers.
@inline(never)
func inPlaceConvolution(_ p: csimd_convolution, _ group: Group) {
    var vector = 0
    while vector < group.count {
        let left = group.count - vector
        switch p.outputs {
        case 1 where left >= 8: vector += tile(Tile<1, 8>.self, p, group, vector)
        case 1 where left >= 4: vector += tile(Tile<1, 4>.self, p, group, vector)
        case 1 where left >= 2: vector += tile(Tile<1, 2>.self, p, group, vector)
        case 1: vector += tile(Tile<1, 1>.self, p, group, vector)
        case 2 where left >= 4: vector += tile(Tile<2, 4>.self, p, group, vector)
        case 2 where left >= 2: vector += tile(Tile<2, 2>.self, p, group, vector)
        case 2: vector += tile(Tile<2, 1>.self, p, group, vector)
        case 3 where left >= 4: vector += tile(Tile<3, 4>.self, p, group, vector)
        case 3 where left >= 2: vector += tile(Tile<3, 2>.self, p, group, vector)
        case 3: vector += tile(Tile<3, 1>.self, p, group, vector)
        case 4 where left >= 2: vector += tile(Tile<4, 2>.self, p, group, vector)
        default: vector += tile(Tile<4, 1>.self, p, group, vector)
        }
    }
}

/// - Returns: the vectors that are done.
@inline(__always)
private func tile<let Rows: Int, let Vectors: Int>(
    _: Tile<Rows, Vectors>.Type, _ p: csimd_convolution, _ group: Group, _ vector: Int
) -> Int {
    var sums = begun(Tile<Rows, Vectors>.self, p, 0)
    let sources = InlineArray<Vectors, Int> { v in group.sources[vector + v] }
    var t = 0
    while t < p.tap_count {
        var a = p.a + Int(p.taps[t].weight)
        var x = p.x + Int(p.taps[t].source) * p.x_row
        var c = 0
        while c < p.channels {
            let scales = TileRow<Rows> { m in Vector(repeating: a[m * p.a_output]) }
            var v = 0
            while v < Vectors {
                let b = load(x + sources[unchecked: v])
                var m = 0
                while m < Rows {
                    sums[unchecked: m][unchecked: v] = fma(scales[unchecked: m], b, sums[unchecked: m][unchecked: v])
                    m += 1
                }
                v += 1
            }
            a += 1
            x += p.x_channel
            c += 1
        }
        t += 1
    }
    finish(Singles.self, sums, p, group, 0, vector: vector, rectifies: p.rectifies != 0)
    return Vectors
}
