import CSIMD

// Matrix products of the forward pass, Y = W X + b, and of the input gradient, dX = Wᵗ dY. Activations are
// feature-major, [features, rows]: the lanes of a vector are rows of the batch.
//
// For each 64 columns of C and each block of the depth, B is laid out in panels as wide as a register tile; then, group
// by group of A's rows, every panel meets every tile of the group. So A is read from afar once, a panel of B stays in
// the first-level cache, and within a tile all addresses run on without gaps.

/// Columns of C that share a pass over A.
@inline(__always) private var groupColumns: Int { 64 }
/// Rows of A that are packed at once: three vectors, and whole tiles of six.
@inline(__always) private var groupRows: Int { 3 * lanes }
/// Places of the depth of a block where A is packed: the packed rows fill 12 KiB.
@inline(__always) private var packedDepth: Int { 1024 / lanes }
/// Fewer rows than this do not pay for laying out B.
@inline(__always) private var rowsWorthPacking: Int { 24 }

/// C = bias + A B; see `csimd_product`.
public func product(_ arguments: UnsafePointer<csimd_product>) { product(Singles.self, arguments.pointee) }

/// The same of elements in any format.
@inline(__always)
func product<Elements: Format>(_ elements: Elements.Type, _ p: csimd_product) {
    var column = 0
    while column < p.columns {
        let columns = p.columns - column < groupColumns ? p.columns - column : groupColumns
        var k = 0
        // Once at least: a sum over nothing is the bias.
        repeat {
            let places = Elements.mustPack || p.a_depth != 1 ? packedDepth : blockDepth
            let most = places * 2 / Elements.places(2)
            let end = p.depth - k < most ? p.depth : k + most
            block(elements, p, column, columns, k, end)
            pause(p.interlude)
            k = end
        } while k < p.depth
        column += columns
    }
}

/// Some columns of C and a block k ..< end of the depth.
@inline(never)
private func block<Elements: Format>(
    _ elements: Elements.Type, _ p: csimd_product, _ column: Int, _ columns: Int, _ k: Int, _ end: Int
) {
    var b = p.b + k * p.b_depth + column
    let places = Elements.places(end - k)
    let widest = tileVectors * lanes
    let packsB = Elements.mustPack || (columns > widest || p.b_depth != columns) && p.rows >= rowsWorthPacking
    if packsB {
        packPanels(elements, b, p.b_depth, columns, end - k, p.workspace)
        b = UnsafePointer(p.workspace)
    }
    let packed = p.workspace + groupColumns * blockDepth
    var m = 0
    while m < p.rows {
        let last = p.rows - m < groupRows ? p.rows : m + groupRows
        var a = p.a + m * p.a_row + k
        var aRow = p.a_row
        if p.a_depth != 1 {
            packGroup(elements, p, m, last - m, k, end, packed)
            a = UnsafePointer(packed)
        } else if Elements.mustPack {
            aRow = places
            packRows(elements, a, p.a_row, last - m, end - k, packed)
            a = UnsafePointer(packed)
        }
        var vector = 0
        while vector < columns / lanes {
            let width = nextVectors(columns / lanes - vector)
            let offset = vector * lanes
            let part = Part(
                m: m, last: last, column: column + offset, isFirst: k == 0, isLast: end == p.depth, places: places, a: a,
                b: b + (packsB ? offset * places : offset), bDepth: packsB ? width * lanes : p.b_depth)
            let prefetches = !Elements.mustPack && vector == 0
            switch (width, p.a_depth) {
            case (4, 1): plainRows(elements, TileRow<4>.self, p, part, aRow: aRow, prefetches: prefetches)
            case (2, 1): plainRows(elements, TileRow<2>.self, p, part, aRow: aRow, prefetches: prefetches)
            case (_, 1): plainRows(elements, TileRow<1>.self, p, part, aRow: aRow, prefetches: prefetches)
            case (4, _): groupedRows(elements, TileRow<4>.self, p, part)
            case (2, _): groupedRows(elements, TileRow<2>.self, p, part)
            default: groupedRows(elements, TileRow<1>.self, p, part)
            }
            vector += width
        }
        m = last
    }
}

/// Some rows of A and a panel of B through a block of the depth.
private struct Part {
    /// Rows m ..< last, and the panel's first column.
    let m, last, column: Int
    /// Whether the depth begins or ends here.
    let isFirst, isLast: Bool
    /// Places that the block's depth takes.
    let places: Int
    /// The block's first place of row m and of the panel.
    let a, b: UnsafePointer<Float>
    let bDepth: Int
}

/// target = the columns of B panel by panel, each [places, width].
@inline(__always)
private func packPanels<Elements: Format>(
    _ elements: Elements.Type, _ b: UnsafePointer<Float>, _ bDepth: Int, _ columns: Int, _ depth: Int,
    _ target: UnsafeMutablePointer<Float>
) {
    var vector = 0
    while vector < columns / lanes {
        let width = nextVectors(columns / lanes - vector)
        packColumns(
            elements, b + vector * lanes, row: bDepth, depth: depth, vectors: width,
            target + vector * lanes * Elements.places(depth), targetRow: width * lanes)
        vector += width
    }
}

/// target[i · places + ...] = A's row m + i, of which x is the first: the elements of a row lie side by side.
@inline(__always)
private func packRows<Elements: Format>(
    _: Elements.Type, _ x: UnsafePointer<Float>, _ row: Int, _ count: Int, _ depth: Int,
    _ target: UnsafeMutablePointer<Float>
) {
    var i = 0
    while i < count {
        Elements.packRow(x + i * row, count: depth, target + i * Elements.places(depth))
        i += 1
    }
}

/// target[place · groupRows + i] = A's row m + i for i < count: a tile then finds what it reads side by side, and not in
/// lines so far apart that they displace one another from the cache.
@inline(__always)
private func packGroup<Elements: Format>(
    _: Elements.Type, _ p: csimd_product, _ m: Int, _ count: Int, _ k: Int, _ end: Int,
    _ target: UnsafeMutablePointer<Float>
) {
    var target = target
    var source = p.a + k * p.a_depth + m * p.a_row
    var j = k
    while j < end {
        let hasOdd = j + 1 < end
        var i = 0
        while i < count {
            let x = source + i * p.a_row
            let isWhole = count - i >= lanes && p.a_row == 1
            let even = isWhole ? load(x) : gather(x, p.a_row, count - i)
            let odd = !hasOdd ? Vector() : isWhole ? load(x + p.a_depth) : gather(x + p.a_depth, p.a_row, count - i)
            Elements.pack(even: even, odd: odd, target + i, stride: groupRows)
            i += lanes
        }
        if count == groupRows && p.a_row == 1 {
            // What the next group reads.
            prefetchGroup(source + groupRows)
            if hasOdd { prefetchGroup(source + groupRows + p.a_depth) }
        }
        source += 2 * p.a_depth
        target += Elements.places(2) * groupRows
        j += 2
    }
}

@inline(__always)
private func prefetchGroup(_ x: UnsafePointer<Float>) {
    csimd_prefetch_far(x)
    csimd_prefetch_far(x + 16)
    csimd_prefetch_far(x + 32)
}

/// The first `count` lanes from elements `stride` apart.
@inline(never)
private func gather(_ x: UnsafePointer<Float>, _ stride: Int, _ count: Int) -> Vector {
    var vector = Vector()
    var i = 0
    while i < count && i < lanes {
        vector[i] = x[i * stride]
        i += 1
    }
    return vector
}

/// Rows m ..< last of a panel; A's place of row m and depth k is a[0].
@inline(__always)
private func rows<Elements: Format, let Vectors: Int>(
    _ elements: Elements.Type, _: TileRow<Vectors>.Type, _ p: csimd_product, _ part: Part, aRow: Int, aDepth: Int,
    prefetches: Bool
) {
    var m = part.m
    while m < part.last {
        let height = nextRows(part.last - m, vectors: Vectors)
        let a = part.a + (m - part.m) * aRow
        if prefetches { prefetch(a + height * aRow, row: aRow, rows: height, columns: part.places) }
        switch height {
        case 8: tile(elements, Tile<8, Vectors>.self, p, part, m, a, aRow: aRow, aDepth: aDepth)
        case 6: tile(elements, Tile<6, Vectors>.self, p, part, m, a, aRow: aRow, aDepth: aDepth)
        case 4: tile(elements, Tile<4, Vectors>.self, p, part, m, a, aRow: aRow, aDepth: aDepth)
        case 2: tile(elements, Tile<2, Vectors>.self, p, part, m, a, aRow: aRow, aDepth: aDepth)
        default: tile(elements, Tile<1, Vectors>.self, p, part, m, a, aRow: aRow, aDepth: aDepth)
        }
        m += height
    }
}

/// The rows of a group where the depth of A is contiguous.
@inline(never)
private func plainRows<Elements: Format, let Vectors: Int>(
    _ elements: Elements.Type, _ row: TileRow<Vectors>.Type, _ p: csimd_product, _ part: Part, aRow: Int, prefetches: Bool
) {
    rows(elements, row, p, part, aRow: aRow, aDepth: 1, prefetches: prefetches)
}

/// The rows of a group that were packed side by side.
@inline(never)
private func groupedRows<Elements: Format, let Vectors: Int>(
    _ elements: Elements.Type, _ row: TileRow<Vectors>.Type, _ p: csimd_product, _ part: Part
) {
    rows(elements, row, p, part, aRow: 1, aDepth: groupRows, prefetches: false)
}

/// One tile of C through a block of the depth: begun with the bias or taken from C, rectified in the last block.
@inline(__always)
private func tile<Elements: Format, let Rows: Int, let Vectors: Int>(
    _ elements: Elements.Type, _: Tile<Rows, Vectors>.Type, _ p: csimd_product, _ part: Part, _ m: Int,
    _ a: UnsafePointer<Float>, aRow: Int, aDepth: Int
) {
    var sums = Tile<Rows, Vectors>(repeating: InlineArray(repeating: Vector()))
    let c = p.c + m * p.c_row + part.column
    var i = 0
    if !part.isFirst {
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
    accumulate(elements, &sums, a, aRow: aRow, aDepth: aDepth, part.b, bDepth: part.bDepth, depth: part.places)
    let rectifies = part.isLast && p.rectifies != 0
    let gate = p.gate.map { $0 + m * p.gate_row + part.column }
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
