import CSIMD

// Matrix products of the forward pass, Y = W X + b, and of the input gradient, dX = Wᵗ dY. Activations are
// feature-major, [features, rows]: the lanes of a vector are rows of the batch.
//
// For each 64 columns of C and each block of the depth, B is laid out in panels as wide as a register tile; then, group
// by group of A's rows, every panel meets every tile of the group. So A is read from afar once, a panel of B stays in
// the first-level cache, and within a tile all addresses run on without gaps.

/// Columns of C that share a pass over A.
@inline(__always) var groupColumns: Int { 64 }
/// Rows of A that are packed at once: three vectors, and whole tiles of six.
@inline(__always) var groupRows: Int { 3 * lanes }
/// Places of the depth of a block where A is packed: the packed rows fill 12 KiB.
@inline(__always) var packedDepth: Int { 1024 / lanes }
/// Where the packed rows lie in the workspace, behind the panels of B.
@inline(__always) var packedOffset: Int { groupColumns * 256 }

extension Implementation {
    /// C = bias + A B; see `csimd_gemm`.
    public static func gemm(_ arguments: UnsafePointer<csimd_gemm>) { gemm(Singles.self, arguments.pointee) }

    /// The same of elements in any format.
    @inline(__always)
    static func gemm<Elements: Format>(_ elements: Elements.Type, _ p: csimd_gemm) {
        var column = 0
        while column < p.columns {
            let columns = p.columns - column < groupColumns ? p.columns - column : groupColumns
            // Narrow panels are deeper, so that a panel always fills the same memory.
            let panelDepth = blockDepth * tileVectors / nextVectors(columns / lanes)
            let places = Elements.mustPack || p.a_depth != 1 ? packedDepth : panelDepth
            let most = places * 2 / Elements.places(2)
            // Where B's columns form a panel already, B is not packed, and A's rows are read over the whole depth, which caches
            // foresee. Otherwise each packed block of B meets all rows of A.
            let isPanel = !Elements.mustPack && p.b_depth == columns && nextVectors(columns / lanes) * lanes == columns
            let height = isPanel && p.a_depth == 1 ? groupRows : p.rows
            var m = 0
            while m < p.rows {
                let last = p.rows - m < height ? p.rows : m + height
                var k = 0
                // Once at least: a sum over nothing is the bias.
                repeat {
                    let end = p.depth - k < most ? p.depth : k + most
                    block(elements, p, m, last, column, columns, k, end, isPanel: isPanel)
                    pause(p.interlude)
                    k = end
                } while k < p.depth
                m = last
            }
            column += columns
        }
    }
}

/// Rows firstRow ..< endRow of C, some of its columns, and a block k ..< end of the depth.
@inline(never)
private func block<Elements: Format>(
    _ elements: Elements.Type, _ p: csimd_gemm, _ firstRow: Int, _ endRow: Int, _ column: Int, _ columns: Int, _ k: Int,
    _ end: Int, isPanel: Bool
) {
    var b = p.b + k * p.b_depth + column
    let places = Elements.places(end - k)
    if !isPanel {
        packPanels(elements, b, p.b_depth, columns, end - k, p.workspace)
        b = UnsafePointer(p.workspace)
    }
    let packed = p.workspace + packedOffset
    var m = firstRow
    while m < endRow {
        let last = endRow - m < groupRows ? endRow : m + groupRows
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
        // Behind the group's last row, what is read next: where groups go through the whole depth, their next block.
        let next = !isPanel ? a + (last - m) * aRow : end < p.depth ? p.a + m * p.a_row + end : p.a + last * p.a_row
        var vector = 0
        while vector < columns / lanes {
            let width = nextVectors(columns / lanes - vector)
            let offset = vector * lanes
            let part = Part(
                m: m, last: last, column: column + offset, isFirst: k == 0, isLast: end == p.depth, places: places, a: a,
                next: next, b: b + offset * places)
            if p.a_depth != 1 {
                switch width {
                case 4: rows(elements, TileRow<4>.self, p, part)
                case 2: rows(elements, TileRow<2>.self, p, part)
                default: rows(elements, TileRow<1>.self, p, part)
                }
            } else {
                let prefetches = !Elements.mustPack && vector == 0
                switch width {
                case 4: rows(elements, TileRow<4>.self, p, part, aRow: aRow, prefetches: prefetches)
                case 2: rows(elements, TileRow<2>.self, p, part, aRow: aRow, prefetches: prefetches)
                default: rows(elements, TileRow<1>.self, p, part, aRow: aRow, prefetches: prefetches)
                }
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
    /// The block's first place of row m, of what follows the last row in A, and of the panel.
    let a, next, b: UnsafePointer<Float>
}

/// Rows m ..< last of a panel; A's place of row m and depth k is a[0].
@inline(never)
private func rows<Elements: Format, let Vectors: Int>(
    _ elements: Elements.Type, _: TileRow<Vectors>.Type, _ p: csimd_gemm, _ part: Part, aRow: Int, prefetches: Bool
) {
    var m = part.m
    while m < part.last {
        let height = nextRows(part.last - m, vectors: Vectors)
        let a = part.a + (m - part.m) * aRow
        let next = !prefetches ? nil : m + height < part.last ? a + height * aRow : part.next
        switch height {
        case 8: tile(elements, Tile<8, Vectors>.self, p, part, m, a, aRow: aRow, aDepth: 1, next: next)
        case 6: tile(elements, Tile<6, Vectors>.self, p, part, m, a, aRow: aRow, aDepth: 1, next: next)
        case 4: tile(elements, Tile<4, Vectors>.self, p, part, m, a, aRow: aRow, aDepth: 1, next: next)
        case 2: tile(elements, Tile<2, Vectors>.self, p, part, m, a, aRow: aRow, aDepth: 1, next: next)
        default: tile(elements, Tile<1, Vectors>.self, p, part, m, a, aRow: aRow, aDepth: 1, next: next)
        }
        m += height
    }
}

/// The same of a packed group of A whose rows lie side by side.
@inline(never)
private func rows<Elements: Format, let Vectors: Int>(
    _ elements: Elements.Type, _: TileRow<Vectors>.Type, _ p: csimd_gemm, _ part: Part
) {
    var m = part.m
    while m < part.last {
        let height = nextRows(part.last - m, vectors: Vectors)
        let a = part.a + (m - part.m)
        switch height {
        case 8: tile(elements, Tile<8, Vectors>.self, p, part, m, a, aRow: 1, aDepth: groupRows, next: nil)
        case 6: tile(elements, Tile<6, Vectors>.self, p, part, m, a, aRow: 1, aDepth: groupRows, next: nil)
        case 4: tile(elements, Tile<4, Vectors>.self, p, part, m, a, aRow: 1, aDepth: groupRows, next: nil)
        case 2: tile(elements, Tile<2, Vectors>.self, p, part, m, a, aRow: 1, aDepth: groupRows, next: nil)
        default: tile(elements, Tile<1, Vectors>.self, p, part, m, a, aRow: 1, aDepth: groupRows, next: nil)
        }
        m += height
    }
}

/// One tile of C through a block of the depth: begun with the bias or taken from C, rectified in the last block.
/// - Parameter next: the rows of A that the next tile reads, to ask for line by line, or nil to leave them: they lie too far
///   apart for the hardware to foresee them, and may be in the cache of another core, which made them.
@inline(__always)
private func tile<Elements: Format, let Rows: Int, let Vectors: Int>(
    _ elements: Elements.Type, _: Tile<Rows, Vectors>.Type, _ p: csimd_gemm, _ part: Part, _ m: Int,
    _ a: UnsafePointer<Float>, aRow: Int, aDepth: Int, next: UnsafePointer<Float>?
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
    var k = 0
    let bDepth = Vectors * lanes
    while let next, k + line <= part.places {
        prefetch(next + k, rowStride: aRow, rows: Rows)
        accumulate(
            elements, &sums, a + k * aDepth, aRow: aRow, aDepth: aDepth, part.b + k * bDepth, bDepth: bDepth, depth: line)
        k += line
    }
    accumulate(
        elements, &sums, a + k * aDepth, aRow: aRow, aDepth: aDepth, part.b + k * bDepth, bDepth: bDepth,
        depth: part.places - k)
    let rectifies = part.isLast && p.rectifies != 0
    let gate = p.gate.map { $0 + m * p.gate_row + part.column }
    i = 0
    while i < Rows {
        var v = 0
        while v < Vectors {
            var sum = sums[unchecked: i][unchecked: v]
            if rectifies {
                sum = rectified(elements, sum, gate: gate.map { $0 + i * p.gate_row + v * lanes }, slope: p.slope)
            }
            store(sum, c + i * p.c_row + v * lanes)
            v += 1
        }
        i += 1
    }
}
