import CSIMD

// Matrix products of the forward pass, Y = W X + b, and of the input gradient, dX = Wᵗ dY. Activations are
// feature-major, [features, rows]: the lanes of a vector are rows of the batch, and only Wᵗ is packed, block by block.

/// Depth of a block of B of so many vectors a row: a third of the first-level cache at most, which another thread may share.
@inline(__always) private func blockDepth(vectors: Int) -> Int { vectors == 4 ? 64 : 128 }
/// Depth of a packed block of A.
@inline(__always) private var packedDepth: Int { 64 }
/// Rows of A that are packed at once where A is transposed: eight tiles of six, three cache lines.
@inline(__always) private var packedRows: Int { 48 }

/// C = bias + A B; see `csimd_product`.
public func product(_ arguments: UnsafePointer<csimd_product>) {
    let p = arguments.pointee
    let vectors = p.columns / lanes
    var vector = 0
    while vector < vectors {
        let width = nextVectors(vectors - vector)
        let column = vector * lanes
        switch (width, p.a_depth) {
        case (4, 1): panel(TileRow<4>.self, p, column)
        case (2, 1): panel(TileRow<2>.self, p, column)
        case (_, 1): panel(TileRow<1>.self, p, column)
        case (4, _): transposedPanel(TileRow<4>.self, p, column)
        case (2, _): transposedPanel(TileRow<2>.self, p, column)
        default: transposedPanel(TileRow<1>.self, p, column)
        }
        vector += width
    }
}

/// A panel of `Vectors` columns of C, one block of the depth at a time, so that the block of B stays in the cache.
@inline(never)
private func panel<let Vectors: Int>(_: TileRow<Vectors>.Type, _ p: csimd_product, _ column: Int) {
    var k = 0
    // Once at least: a sum over nothing is the bias.
    repeat {
        let depth = blockDepth(vectors: Vectors)
        let end = p.depth - k < depth ? p.depth : k + depth
        rows(TileRow<Vectors>.self, p, 0, p.rows, column, k, end, p.a + k, aRow: p.a_row, aDepth: 1)
        k = end
    } while k < p.depth
}

/// The same where neighbours along the depth lie apart: A goes through a packed block.
@inline(never)
private func transposedPanel<let Vectors: Int>(_: TileRow<Vectors>.Type, _ p: csimd_product, _ column: Int) {
    var packed = InlineArray<3072, Float>(repeating: 0) // [packedDepth, packedRows]
    withUnsafeMutablePointer(to: &packed) { packed in
        let packed = UnsafeMutableRawPointer(packed).assumingMemoryBound(to: Float.self)
        var k = 0
        repeat {
            let end = p.depth - k < packedDepth ? p.depth : k + packedDepth
            var m = 0
            while m < p.rows {
                let last = p.rows - m < packedRows ? p.rows : m + packedRows
                pack(p, m, last - m, k, end, packed)
                rows(TileRow<Vectors>.self, p, m, last, column, k, end, packed, aRow: 1, aDepth: packedRows)
                m = last
            }
            k = end
        } while k < p.depth
    }
}

/// packed[k · packedRows + m] = A[m, k] for a block of A: a tile then finds what it reads side by side, and not in
/// lines so far apart that they displace one another from the cache.
@inline(__always)
private func pack(_ p: csimd_product, _ m: Int, _ count: Int, _ k: Int, _ end: Int, _ packed: UnsafeMutablePointer<Float>) {
    var j = k
    while j < end {
        let source = p.a + j * p.a_depth + m * p.a_row
        let target = packed + (j - k) * packedRows
        if count == packedRows && p.a_row == 1 {
            var i = 0
            while i < packedRows {
                store(load(source + i), target + i)
                i += lanes
            }
            // The block below, which is packed after eight tiles.
            i = 0
            while i < packedRows {
                csimd_prefetch_far(source + packedRows + i)
                i += 16
            }
        } else {
            var i = 0
            while i < count {
                target[i] = source[i * p.a_row]
                i += 1
            }
        }
        j += 1
    }
}

/// Rows m ..< last of a panel for a block of the depth; A's element of row m and depth k is a[0].
@inline(__always)
private func rows<let Vectors: Int>(
    _: TileRow<Vectors>.Type, _ p: csimd_product, _ first: Int, _ last: Int, _ column: Int, _ k: Int, _ end: Int,
    _ a: UnsafePointer<Float>, aRow: Int, aDepth: Int
) {
    var m = first
    while m < last {
        let height = nextRows(last - m, vectors: Vectors)
        let a = a + (m - first) * aRow
        switch height {
        case 8: tile(Tile<8, Vectors>.self, p, m, column, k, end, a, aRow: aRow, aDepth: aDepth)
        case 6: tile(Tile<6, Vectors>.self, p, m, column, k, end, a, aRow: aRow, aDepth: aDepth)
        case 4: tile(Tile<4, Vectors>.self, p, m, column, k, end, a, aRow: aRow, aDepth: aDepth)
        case 2: tile(Tile<2, Vectors>.self, p, m, column, k, end, a, aRow: aRow, aDepth: aDepth)
        default: tile(Tile<1, Vectors>.self, p, m, column, k, end, a, aRow: aRow, aDepth: aDepth)
        }
        m += height
    }
}

@inline(__always)
private func tile<let Rows: Int, let Vectors: Int>(
    _: Tile<Rows, Vectors>.Type, _ p: csimd_product, _ m: Int, _ column: Int, _ k: Int, _ end: Int,
    _ a: UnsafePointer<Float>, aRow: Int, aDepth: Int
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
    if aDepth == 1 { prefetch(a + Rows * aRow, row: aRow, rows: Rows, columns: end - k) }
    accumulate(
        &sums, a, aRow: aRow, aDepth: aDepth, p.b + k * p.b_depth + column, bDepth: p.b_depth, depth: end - k)
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
private func prefetch(_ a: UnsafePointer<Float>, row: Int, rows: Int, columns: Int) {
    let line = 16
    var i = 0
    while i < rows {
        var j = 0
        while j < columns {
            csimd_prefetch(a + i * row + j)
            j += line
        }
        i += 1
    }
}
