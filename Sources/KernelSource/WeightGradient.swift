import CSIMD

// dW = dY Xᵗ with the tree of logical shards inside: one register tile at a time, the passes of a shard continue its
// accumulator, and complete subtrees wait in a scratch that stays in the first-level cache. Xᵗ is row-major,
// [rows, inputs], so that the lanes of a vector are neighbouring inputs.

extension Implementation {
    /// See `csimd_weight_gradient`.
    public static func weightGradient(_ arguments: UnsafePointer<csimd_weight_gradient>) {
        weightGradient(Singles.self, arguments.pointee)
    }

    /// The same of elements in any format.
    @inline(__always)
    static func weightGradient<Elements: Format>(_ elements: Elements.Type, _ p: csimd_weight_gradient) {
        let vectors = (p.columns + lanes - 1) / lanes
        var vector = 0
        while vector < vectors {
            let width = nextVectors(vectors - vector)
            switch width {
            case 4: panel(elements, TileRow<4>.self, p, column: vector * lanes)
            case 2: panel(elements, TileRow<2>.self, p, column: vector * lanes)
            default: panel(elements, TileRow<1>.self, p, column: vector * lanes)
            }
            vector += width
            if vector * lanes % 64 == 0 { pause(p.interlude) }
        }
    }
}

@inline(never)
private func panel<Elements: Format, let Vectors: Int>(
    _ elements: Elements.Type, _: TileRow<Vectors>.Type, _ p: csimd_weight_gradient, column: Int
) {
    var m = 0
    while m < p.rows {
        let height = nextGradientRows(p.rows - m, vectors: Vectors)
        switch height {
        case 8: tile(elements, Tile<8, Vectors>.self, p, m, column)
        case 6: tile(elements, Tile<6, Vectors>.self, p, m, column)
        case 4: tile(elements, Tile<4, Vectors>.self, p, m, column)
        case 3: tile(elements, Tile<3, Vectors>.self, p, m, column)
        case 2: tile(elements, Tile<2, Vectors>.self, p, m, column)
        default: tile(elements, Tile<1, Vectors>.self, p, m, column)
        }
        m += height
    }
}

/// As in a product, but no higher than `gradientRows`: sums end after the few rows of a shard, and the stores of a tall
/// tile then hold up the next one.
@inline(__always)
private func nextGradientRows(_ remaining: Int, vectors: Int) -> Int {
    let height = nextRows(remaining, vectors: vectors)
    return vectors > 1 && height > gradientRows ? gradientRows : height
}

@inline(__always)
private func tile<Elements: Format, let Rows: Int, let Vectors: Int>(
    _ elements: Elements.Type, _: Tile<Rows, Vectors>.Type, _ p: csimd_weight_gradient, _ m: Int, _ column: Int
) {
    let size = Rows * Vectors * lanes
    let aRow = p.a_row
    // Known to the compiler, a row's distance costs no instruction.
    let bRow = Vectors > 1 ? 64 : p.b_row
    var a = p.a + m * aRow
    var b = p.b + column / 64 * p.b_panel + column % 64
    var free = p.scratch
    var shard = p.shards
    let end = p.shards + p.shard_count
    // The stores at the end would wait for their lines, and hold up those of the next tile.
    prefetchToWrite(p.outputs[0] + p.output_offset + m * p.c_row + column, rowStride: p.c_row, rows: Rows, columns: Vectors * lanes)
    while shard < end {
        var sums = Tile<Rows, Vectors>(repeating: InlineArray(repeating: Vector()))
        let count = Int(shard.pointee.count)
        var merge = shard.pointee.merges
        var pass = 0
        if Vectors > 1 && isPair(shard, end) {
            var second = Tile<Rows, Vectors>(repeating: InlineArray(repeating: Vector()))
            while pass < p.passes {
                accumulatePair(
                    elements, &sums, &second, a + pass * p.a_pass, aRow: aRow, b + pass * p.b_pass, bDepth: bRow, depth: count)
                pass += 1
            }
            add(second, to: &sums)
            shard += 1
            merge = shard.pointee.merges - 1
            a += 2 * count
            b += 2 * count * bRow
        } else {
            while pass < p.passes {
                accumulate(
                    elements, &sums, a + pass * p.a_pass, aRow: aRow, aDepth: 1, b + pass * p.b_pass, bDepth: bRow,
                    depth: count)
                pass += 1
            }
            a += count
            b += count * bRow
        }
        while merge > 0 {
            free -= size
            add(free, to: &sums)
            merge -= 1
        }
        let output = Int(shard.pointee.output)
        if output < 0 {
            store(sums, free, rowStride: Vectors * lanes)
            free += size
        } else {
            let c = p.outputs[output] + p.output_offset + m * p.c_row + column
            if column + Vectors * lanes <= p.columns {
                store(sums, c, rowStride: p.c_row)
            } else {
                store(sums, free, rowStride: Vectors * lanes)
                copy(free, rowStride: Vectors * lanes, to: c, rowStride: p.c_row, rows: Rows, columns: p.columns - column)
            }
        }
        shard += 1
    }
}

/// Whether a shard and the next are leaves of as many rows each that meet at once: their sums, both in registers, then
/// need not be stored and read again.
@inline(__always)
private func isPair(_ shard: UnsafePointer<csimd_shard_sum>, _ end: UnsafePointer<csimd_shard_sum>) -> Bool {
    keepsPairs && shard + 1 < end && shard[0].merges == 0 && shard[0].output < 0 && shard[1].merges > 0
        && shard[0].count == shard[1].count
}

/// sums += second.
@inline(__always)
private func add<let Rows: Int, let Vectors: Int>(_ second: Tile<Rows, Vectors>, to sums: inout Tile<Rows, Vectors>) {
    var i = 0
    while i < Rows {
        var v = 0
        while v < Vectors {
            sums[unchecked: i][unchecked: v] += second[unchecked: i][unchecked: v]
            v += 1
        }
        i += 1
    }
}

/// sums += the kept tile.
@inline(__always)
private func add<let Rows: Int, let Vectors: Int>(_ kept: UnsafePointer<Float>, to sums: inout Tile<Rows, Vectors>) {
    var i = 0
    while i < Rows {
        var v = 0
        while v < Vectors {
            sums[unchecked: i][unchecked: v] += load(kept + (i * Vectors + v) * lanes)
            v += 1
        }
        i += 1
    }
}

/// Copies the first `columns` of each of `rows` rows.
@inline(never)
private func copy(
    _ x: UnsafePointer<Float>, rowStride: Int, to c: UnsafeMutablePointer<Float>, rowStride cRow: Int, rows: Int, columns: Int
) {
    var i = 0
    while i < rows {
        var j = 0
        while j < columns {
            c[i * cRow + j] = x[i * rowStride + j]
            j += 1
        }
        i += 1
    }
}
