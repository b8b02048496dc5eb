import CSIMD

// Products with a transposed A and few columns, as the input gradient dX = Wᵗ dY of a small share of a batch has them: rows
// of A lie side by side in memory, and so the lanes of a vector are rows of A (features), however few columns there are. For each group of A's rows and each block
// of the depth, the block is laid out so that it stays in the first-level cache, and meets all columns a few at a time.

/// C = bias + A B for any A, but meant for `a_row` 1; see `csimd_product`.
@inline(never)
func transposedProduct<Elements: Format>(_ elements: Elements.Type, _ p: csimd_product) {
    let places = Elements.places(p.depth)
    let group = p.workspace + groupColumns * ((places + 1) & ~1)
    let sums = group + groupRows * packedDepth
    var column = 0
    while column < p.columns {
        let columns = p.columns - column < groupColumns ? p.columns - column : groupColumns
        packPanels(elements, p.b + column, p.b_depth, columns, p.depth, p.workspace)
        var m = 0
        while m < p.rows {
            let count = p.rows - m < groupRows ? p.rows - m : groupRows
            var k = 0
            // Once at least: a sum over nothing is the bias.
            repeat {
                let most = packedDepth * 2 / Elements.places(2)
                let end = p.depth - k < most ? p.depth : k + most
                packGroup(elements, p, m, count, k, end, group)
                let part = Part(
                    bias: k == 0 ? p.bias.map { $0 + m } : nil, isFirst: k == 0, count: count, columns: columns, a: group,
                    b: p.workspace, place: Elements.places(k), places: places, blockPlaces: Elements.places(end - k), sums: sums)
                switch (count + lanes - 1) / lanes {
                case 3: multiply(elements, TileRow<3>.self, part)
                case 2: multiply(elements, TileRow<2>.self, part)
                default: multiply(elements, TileRow<1>.self, part)
                }
                k = end
            } while k < p.depth
            transpose(
                sums, row: groupRows, rows: columns, columns: count, p.c + m * p.c_row + column, outRow: p.c_row)
            if p.rectifies != 0 { rectify(p, m, count, column, columns) }
            pause(p.interlude)
            m += count
        }
        column += columns
    }
}

/// A group of A's rows and all panels of B through a block of the depth.
private struct Part {
    let bias: UnsafePointer<Float>?
    let isFirst: Bool
    /// Rows of A, and columns of B.
    let count, columns: Int
    /// [blockPlaces, groupRows]
    let a: UnsafePointer<Float>
    /// Panels [places, width], of which the block begins at `place`.
    let b: UnsafePointer<Float>
    let place, places, blockPlaces: Int
    /// [columns, groupRows]
    let sums: UnsafeMutablePointer<Float>
}

@inline(never)
private func multiply<Elements: Format, let Vectors: Int>(
    _ elements: Elements.Type, _: TileRow<Vectors>.Type, _ part: Part
) {
    var vector = 0
    while vector < part.columns / lanes {
        let width = nextVectors(part.columns / lanes - vector)
        let column = vector * lanes
        let b = part.b + column * part.places + part.place * width * lanes
        switch width {
        case 4: panel(elements, TileRow<Vectors>.self, TileRow<4>.self, part, column, b)
        case 2: panel(elements, TileRow<Vectors>.self, TileRow<2>.self, part, column, b)
        default: panel(elements, TileRow<Vectors>.self, TileRow<1>.self, part, column, b)
        }
        vector += width
    }
}

@inline(__always)
private func panel<Elements: Format, let Vectors: Int, let Width: Int>(
    _ elements: Elements.Type, _: TileRow<Vectors>.Type, _: TileRow<Width>.Type, _ part: Part, _ column: Int,
    _ b: UnsafePointer<Float>
) {
    var n = 0
    while n < Width * lanes {
        let sums = part.sums + (column + n) * groupRows
        var tile = ColumnTile<Vectors>(repeating: InlineArray(repeating: Vector()))
        var i = 0
        while i < tileColumns {
            var v = 0
            while v < Vectors {
                if !part.isFirst {
                    tile[unchecked: i][unchecked: v] = load(sums + i * groupRows + v * lanes)
                } else if let bias = part.bias {
                    tile[unchecked: i][unchecked: v] = gather(bias + v * lanes, 1, part.count - v * lanes)
                }
                v += 1
            }
            i += 1
        }
        // The rows of the tile are columns of B, whose elements are spread over the lanes.
        accumulate(
            elements, &tile, b + n, aRow: 1, aDepth: Width * lanes, part.a, bDepth: groupRows, depth: part.blockPlaces)
        store(tile, sums, row: groupRows)
        n += tileColumns
    }
}

/// The elements of C in rows m ..< m + count that are not positive, or whose gate is not, times the slope.
@inline(__always)
private func rectify(_ p: csimd_product, _ m: Int, _ count: Int, _ column: Int, _ columns: Int) {
    var i = m
    while i < m + count {
        let c = p.c + i * p.c_row + column
        let gate = p.gate.map { $0 + i * p.gate_row + column } ?? UnsafePointer(c)
        var n = 0
        while n < columns {
            var sum = load(c + n)
            sum.replace(with: p.slope * sum, where: .!(load(gate + n) .> 0))
            store(sum, c + n)
            n += lanes
        }
        i += 1
    }
}

/// target[place · groupRows + i] = A's row m + i for i < count: a tile then finds what it reads side by side, and not in
/// lines so far apart that they displace one another from the cache.
@inline(__always)
func packGroup<Elements: Format>(
    _ elements: Elements.Type, _ p: csimd_product, _ m: Int, _ count: Int, _ k: Int, _ end: Int,
    _ target: UnsafeMutablePointer<Float>
) {
    let x = p.a + k * p.a_depth + m * p.a_row
    if prefetchesWeights && p.a_row == 1 && m + count < p.rows { prefetchGroup(x + count, row: p.a_depth, depth: end - k) }
    switch p.a_row == 1 ? count : 0 {
    case 3 * lanes: packColumns(elements, x, row: p.a_depth, depth: end - k, vectors: 3, target, targetRow: groupRows)
    case 2 * lanes: packColumns(elements, x, row: p.a_depth, depth: end - k, vectors: 2, target, targetRow: groupRows)
    case lanes: packColumns(elements, x, row: p.a_depth, depth: end - k, vectors: 1, target, targetRow: groupRows)
    default: packSparse(elements, x, p.a_row, p.a_depth, count, end - k, target)
    }
}

/// Asks for what the next group reads: its lines lie too far apart for the hardware to foresee them.
@inline(__always)
private func prefetchGroup(_ x: UnsafePointer<Float>, row: Int, depth: Int) {
    var k = 0
    while k < depth {
        var i = 0
        while i < groupRows {
            csimd_prefetch(x + k * row + i)
            i += 16
        }
        k += 1
    }
}

/// `packColumns` of columns that lie apart, or that do not fill whole vectors.
@inline(never)
private func packSparse<Elements: Format>(
    _: Elements.Type, _ x: UnsafePointer<Float>, _ column: Int, _ row: Int, _ count: Int, _ depth: Int,
    _ target: UnsafeMutablePointer<Float>
) {
    var k = 0
    while k < depth {
        var i = 0
        while i < count {
            let even = x + k * row + i * column
            Elements.pack(
                even: gather(even, column, count - i),
                odd: k + 1 < depth ? gather(even + row, column, count - i) : Vector(),
                target + Elements.places(k) * groupRows + i, stride: groupRows)
            i += lanes
        }
        k += 2
    }
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
