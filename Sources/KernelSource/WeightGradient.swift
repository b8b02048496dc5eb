import CSIMD

// dW = dY Xᵗ with the tree of logical shards inside: one register tile at a time, the runs of a shard continue its
// accumulator, and complete subtrees wait in a scratch that stays in the first-level cache. Xᵗ is row-major,
// [rows, inputs], so that the lanes of a vector are neighbouring inputs.

/// See `csimd_weight_gradient`.
public func weightGradient(_ arguments: UnsafePointer<csimd_weight_gradient>) {
    let p = arguments.pointee
    let vectors = (p.columns + lanes - 1) / lanes
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

@inline(never)
private func panel<let Vectors: Int>(_: TileRow<Vectors>.Type, _ p: csimd_weight_gradient, column: Int) {
    var m = 0
    while m < p.rows {
        let height = nextRows(p.rows - m, vectors: Vectors)
        switch height {
        case 8: tile(Tile<8, Vectors>.self, p, m, column)
        case 6: tile(Tile<6, Vectors>.self, p, m, column)
        case 4: tile(Tile<4, Vectors>.self, p, m, column)
        case 2: tile(Tile<2, Vectors>.self, p, m, column)
        default: tile(Tile<1, Vectors>.self, p, m, column)
        }
        m += height
    }
}

@inline(__always)
private func tile<let Rows: Int, let Vectors: Int>(
    _: Tile<Rows, Vectors>.Type, _ p: csimd_weight_gradient, _ m: Int, _ column: Int
) {
    let size = Rows * Vectors * lanes
    var kept = 0
    var sums = Tile<Rows, Vectors>(repeating: InlineArray(repeating: Vector()))
    let b = p.b + column / 64 * p.b_panel + column % 64
    var r = 0
    while r < p.run_count {
        let run = p.runs[r]
        if run.begins != 0 { sums = Tile(repeating: InlineArray(repeating: Vector())) }
        accumulate(
            &sums, p.a + Int(run.pass) * p.a_pass + m * p.a_row + Int(run.start), aRow: p.a_row,
            b + Int(run.start) * p.b_row, bDepth: p.b_row, depth: Int(run.count))
        if run.ends != 0 {
            var merge: Int32 = 0
            while merge < run.merges {
                kept -= 1
                let earlier = p.scratch + kept * size
                var i = 0
                while i < Rows {
                    var v = 0
                    while v < Vectors {
                        sums[unchecked: i][unchecked: v] += load(earlier + (i * Vectors + v) * lanes)
                        v += 1
                    }
                    i += 1
                }
                merge += 1
            }
            if run.output < 0 {
                store(sums, p.scratch + kept * size, row: Vectors * lanes)
                kept += 1
            } else {
                let c = p.outputs[Int(run.output)] + p.output_offset + m * p.c_row + column
                if column + Vectors * lanes <= p.columns {
                    store(sums, c, row: p.c_row)
                } else {
                    let partial = p.scratch + kept * size
                    store(sums, partial, row: Vectors * lanes)
                    copy(partial, row: Vectors * lanes, to: c, row: p.c_row, rows: Rows, columns: p.columns - column)
                }
            }
        }
        r += 1
    }
}

/// Stores the tile with the row stride given.
@inline(__always)
private func store<let Rows: Int, let Vectors: Int>(
    _ sums: Tile<Rows, Vectors>, _ c: UnsafeMutablePointer<Float>, row: Int
) {
    var i = 0
    while i < Rows {
        var v = 0
        while v < Vectors {
            store(sums[unchecked: i][unchecked: v], c + i * row + v * lanes)
            v += 1
        }
        i += 1
    }
}

/// Copies the first `columns` of each of `rows` rows.
@inline(never)
private func copy(
    _ x: UnsafePointer<Float>, row: Int, to c: UnsafeMutablePointer<Float>, row cRow: Int, rows: Int, columns: Int
) {
    var i = 0
    while i < rows {
        var j = 0
        while j < columns {
            c[i * cRow + j] = x[i * row + j]
            j += 1
        }
        i += 1
    }
}
