import CSIMD

// Matrix products of the forward pass, Y = W X + b, and of the input gradient, dX = Wᵗ dY. Activations are
// feature-major, [features, rows]: the lanes of a vector are rows of the batch.
//
// For each 64 columns of C and each block of the depth, B is laid out in panels as wide as a register tile; then, group
// by group of A's rows, every panel meets every tile of the group. So A is read from afar once, a panel of B stays in
// the first-level cache, and within a tile all addresses run on without gaps.

/// Columns of C that share a pass over A.
@inline(__always) private var groupColumns: Int { 64 }
/// Rows of A that are packed at once where A is transposed: three vectors, and whole tiles of six.
@inline(__always) private var groupRows: Int { 3 * lanes }
/// Depth of a block where A is packed: the packed rows fill 12 KiB.
@inline(__always) private var packedDepth: Int { 1024 / lanes }
/// Fewer rows than this do not pay for laying out B.
@inline(__always) private var rowsWorthPacking: Int { 24 }

/// C = bias + A B; see `csimd_product`.
public func product(_ arguments: UnsafePointer<csimd_product>) {
    let p = arguments.pointee
    var column = 0
    while column < p.columns {
        let columns = p.columns - column < groupColumns ? p.columns - column : groupColumns
        var k = 0
        // Once at least: a sum over nothing is the bias.
        repeat {
            let most = p.a_depth == 1 ? blockDepth : packedDepth
            let end = p.depth - k < most ? p.depth : k + most
            block(p, column, columns, k, end)
            k = end
        } while k < p.depth
        column += columns
    }
}

/// Some columns of C and a block k ..< end of the depth.
@inline(never)
private func block(_ p: csimd_product, _ column: Int, _ columns: Int, _ k: Int, _ end: Int) {
    var b = p.b + k * p.b_depth + column
    let widest = tileVectors * lanes
    let isPacked = (columns > widest || p.b_depth != columns) && p.rows >= rowsWorthPacking
    if isPacked {
        packPanels(b, p.b_depth, columns, end - k, p.workspace)
        b = UnsafePointer(p.workspace)
    }
    let packed = p.workspace + groupColumns * blockDepth
    var m = 0
    while m < p.rows {
        let last = p.rows - m < groupRows ? p.rows : m + groupRows
        if p.a_depth != 1 { packRows(p, m, last - m, k, end, packed) }
        var vector = 0
        while vector < columns / lanes {
            let width = nextVectors(columns / lanes - vector)
            let offset = vector * lanes
            let panel = b + (isPacked ? offset * (end - k) : offset)
            let bDepth = isPacked ? width * lanes : p.b_depth
            switch (width, p.a_depth) {
            case (4, 1): plainRows(TileRow<4>.self, p, m, last, column + offset, k, end, panel, bDepth, isFirst: vector == 0)
            case (2, 1): plainRows(TileRow<2>.self, p, m, last, column + offset, k, end, panel, bDepth, isFirst: vector == 0)
            case (_, 1): plainRows(TileRow<1>.self, p, m, last, column + offset, k, end, panel, bDepth, isFirst: vector == 0)
            case (4, _): packedRows(TileRow<4>.self, p, m, last, column + offset, k, end, packed, panel, bDepth)
            case (2, _): packedRows(TileRow<2>.self, p, m, last, column + offset, k, end, packed, panel, bDepth)
            default: packedRows(TileRow<1>.self, p, m, last, column + offset, k, end, packed, panel, bDepth)
            }
            vector += width
        }
        m = last
    }
}

/// target = the columns of B panel by panel, each [depth, width].
@inline(__always)
private func packPanels(
    _ b: UnsafePointer<Float>, _ bDepth: Int, _ columns: Int, _ depth: Int, _ target: UnsafeMutablePointer<Float>
) {
    var target = target
    var vector = 0
    while vector < columns / lanes {
        let width = nextVectors(columns / lanes - vector)
        var source = b + vector * lanes
        var k = 0
        while k < depth {
            var v = 0
            while v < width {
                store(load(source + v * lanes), target + v * lanes)
                v += 1
            }
            source += bDepth
            target += width * lanes
            k += 1
        }
        vector += width
    }
}

/// target[k · groupRows + i] = A[m + i, k] for i < count: a tile then finds what it reads side by side, and not in lines
/// so far apart that they displace one another from the cache.
@inline(__always)
private func packRows(
    _ p: csimd_product, _ m: Int, _ count: Int, _ k: Int, _ end: Int, _ target: UnsafeMutablePointer<Float>
) {
    var target = target
    var source = p.a + k * p.a_depth + m * p.a_row
    var j = k
    while j < end {
        if count == groupRows && p.a_row == 1 {
            store(load(source), target)
            store(load(source + lanes), target + lanes)
            store(load(source + 2 * lanes), target + 2 * lanes)
            // What the next group reads.
            csimd_prefetch_far(source + groupRows)
            csimd_prefetch_far(source + groupRows + 16)
            csimd_prefetch_far(source + groupRows + 32)
        } else {
            var i = 0
            while i < count {
                target[i] = source[i * p.a_row]
                i += 1
            }
        }
        source += p.a_depth
        target += groupRows
        j += 1
    }
}

/// Rows m ..< last of a panel; A's element of row m and depth k is a[0].
@inline(__always)
private func rows<let Vectors: Int>(
    _: TileRow<Vectors>.Type, _ p: csimd_product, _ first: Int, _ last: Int, _ column: Int, _ k: Int, _ end: Int,
    _ a: UnsafePointer<Float>, aRow: Int, aDepth: Int, _ b: UnsafePointer<Float>, bDepth: Int, prefetches: Bool
) {
    var m = first
    while m < last {
        let height = nextRows(last - m, vectors: Vectors)
        let a = a + (m - first) * aRow
        if prefetches { prefetch(a + height * aRow, row: aRow, rows: height, columns: end - k) }
        switch height {
        case 8: tile(Tile<8, Vectors>.self, p, m, column, k, end, a, aRow: aRow, aDepth: aDepth, b, bDepth: bDepth)
        case 6: tile(Tile<6, Vectors>.self, p, m, column, k, end, a, aRow: aRow, aDepth: aDepth, b, bDepth: bDepth)
        case 4: tile(Tile<4, Vectors>.self, p, m, column, k, end, a, aRow: aRow, aDepth: aDepth, b, bDepth: bDepth)
        case 2: tile(Tile<2, Vectors>.self, p, m, column, k, end, a, aRow: aRow, aDepth: aDepth, b, bDepth: bDepth)
        default: tile(Tile<1, Vectors>.self, p, m, column, k, end, a, aRow: aRow, aDepth: aDepth, b, bDepth: bDepth)
        }
        m += height
    }
}

/// The rows of a group where A's depth is contiguous.
@inline(never)
private func plainRows<let Vectors: Int>(
    _ row: TileRow<Vectors>.Type, _ p: csimd_product, _ first: Int, _ last: Int, _ column: Int, _ k: Int, _ end: Int,
    _ b: UnsafePointer<Float>, _ bDepth: Int, isFirst: Bool
) {
    rows(
        row, p, first, last, column, k, end, p.a + first * p.a_row + k, aRow: p.a_row, aDepth: 1, b, bDepth: bDepth,
        prefetches: isFirst)
}

/// The rows of a group that were packed.
@inline(never)
private func packedRows<let Vectors: Int>(
    _ row: TileRow<Vectors>.Type, _ p: csimd_product, _ first: Int, _ last: Int, _ column: Int, _ k: Int, _ end: Int,
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ bDepth: Int
) {
    rows(row, p, first, last, column, k, end, a, aRow: 1, aDepth: groupRows, b, bDepth: bDepth, prefetches: false)
}

/// One tile of C through a block of the depth: begun with the bias or taken from C, rectified in the last block.
@inline(__always)
private func tile<let Rows: Int, let Vectors: Int>(
    _: Tile<Rows, Vectors>.Type, _ p: csimd_product, _ m: Int, _ column: Int, _ k: Int, _ end: Int,
    _ a: UnsafePointer<Float>, aRow: Int, aDepth: Int, _ b: UnsafePointer<Float>, bDepth: Int
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
    accumulate(&sums, a, aRow: aRow, aDepth: aDepth, b, bDepth: bDepth, depth: end - k)
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
