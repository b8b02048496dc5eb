import CSIMD

// Matrix products of the forward pass, Y = W X + b, and of the input gradient, dX = Wᵗ dY. Activations are
// feature-major, [features, rows]: the lanes of a vector are rows of the batch, and no operand needs packing.

/// Depth of a block of B: with 64 columns it fills 32 KiB of the first-level cache.
@inline(__always) private var blockDepth: Int { 128 }

/// C = bias + A B; see `csimd_product`.
public func product(_ arguments: UnsafePointer<csimd_product>) {
    let p = arguments.pointee
    let vectors = p.columns / lanes
    var vector = 0
    while vector < vectors {
        let width = nextVectors(vectors - vector)
        switch width {
        case 4: panel(TileRow<4>.self, p, column: vector * lanes)
        case 2: panel(TileRow<2>.self, p, column: vector * lanes)
        default: panel(TileRow<1>.self, p, column: vector * lanes)
        }
        vector += width
    }
}

/// A panel of `Vectors` columns of C, one block of the depth at a time, so that the block of B stays in the cache.
@inline(never)
private func panel<let Vectors: Int>(_: TileRow<Vectors>.Type, _ p: csimd_product, column: Int) {
    var k = 0
    // Once at least: a sum over nothing is the bias.
    repeat {
        let end = p.depth - k < blockDepth ? p.depth : k + blockDepth
        var m = 0
        while m < p.rows {
            let height = nextRows(p.rows - m)
            switch height {
            case 6: tile(Tile<6, Vectors>.self, p, m, column, k, end)
            case 4: tile(Tile<4, Vectors>.self, p, m, column, k, end)
            case 2: tile(Tile<2, Vectors>.self, p, m, column, k, end)
            default: tile(Tile<1, Vectors>.self, p, m, column, k, end)
            }
            m += height
        }
        k = end
    } while k < p.depth
}

@inline(__always)
private func tile<let Rows: Int, let Vectors: Int>(
    _: Tile<Rows, Vectors>.Type, _ p: csimd_product, _ m: Int, _ column: Int, _ k: Int, _ end: Int
) {
    var sums = Tile<Rows, Vectors>(repeating: InlineArray(repeating: Vector()))
    let c = p.c + m * p.c_row + column
    var i = 0
    if k > 0 {
        while i < Rows {
            var v = 0
            while v < Vectors {
                sums[unchecked: i][unchecked: v] = load(c + i * p.c_row + v * lanes)
                v += 1
            }
            i += 1
        }
    } else if let bias = p.bias {
        while i < Rows {
            sums[unchecked: i] = InlineArray(repeating: Vector(repeating: bias[m + i]))
            i += 1
        }
    }
    prefetchNext(p, m, Rows, k, end)
    accumulate(
        &sums, p.a + m * p.a_row + k * p.a_depth, aRow: p.a_row, aDepth: p.a_depth,
        p.b + k * p.b_depth + column, bDepth: p.b_depth, depth: end - k)
    let rectifies = end == p.depth && p.rectifies != 0
    let gate = p.gate.map { $0 + m * p.gate_row + column }
    i = 0
    while i < Rows {
        var v = 0
        while v < Vectors {
            var sum = sums[unchecked: i][unchecked: v]
            if rectifies {
                let sign = if let gate { load(gate + i * p.gate_row + v * lanes) } else { sum }
                sum.replace(with: p.slope * sum, where: .!(sign .> 0))
            }
            store(sum, c + i * p.c_row + v * lanes)
            v += 1
        }
        i += 1
    }
}

/// Asks for the part of A that the next tile reads: its lines lie too far apart for the hardware to foresee them.
@inline(__always)
private func prefetchNext(_ p: csimd_product, _ m: Int, _ height: Int, _ k: Int, _ end: Int) {
    let line = 16
    if p.a_depth == 1 {
        var i = 0
        while i < height {
            var j = k
            while j < end {
                csimd_prefetch(p.a + (m + height + i) * p.a_row + j)
                j += line
            }
            i += 1
        }
    } else if m / line != (m + height) / line {
        var j = k
        while j < end {
            csimd_prefetch(p.a + ((m + height) / line + 1) * line * p.a_row + j * p.a_depth)
            j += 1
        }
    }
}
