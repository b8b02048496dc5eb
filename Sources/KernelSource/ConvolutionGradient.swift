import CSIMD

// The gradient of a convolution's weights: a product whose depth is the pixels and rows of a shard, whose columns are
// taps and channels. For each 64 columns and each block of the depth, X is transposed into a panel with the columns in
// the lanes, and the sums wait in a scratch, one for each subtree that is not complete.

/// Places of a block of the depth: a panel of 64 columns fills 32 KiB.
@inline(__always) private var places: Int { 128 }
@inline(__always) private var panelColumns: Int { 64 }

extension Implementation {
    /// See `csimd_convolution_gradient`.
    public static func convolutionGradient(_ arguments: UnsafePointer<csimd_convolution_gradient>) {
        convolutionGradient(Singles.self, arguments.pointee)
    }

    /// The same of elements in any format.
    @inline(__always)
    static func convolutionGradient<Elements: Format>(_ elements: Elements.Type, _ p: csimd_convolution_gradient) {
        if p.tap_count > 1 && p.channels % 16 == 0 { pixelGradient(elements, p) } else { columnGradient(elements, p) }
    }
}

/// The gradient of columns that may belong to several taps.
@inline(__always)
private func columnGradient<Elements: Format>(_ elements: Elements.Type, _ p: csimd_convolution_gradient) {
    let columns = p.tap_count * p.channels
    var column = 0
    while column < columns {
        let width = columns - column < panelColumns ? columns - column : panelColumns
        panel(elements, p, column, width)
        column += width
    }
}

/// A run of rows in the block under way: where it begins in A, its rows, and its first place in the block.
private struct Run {
    var a, count, place: Int
}

/// Where the parts lie in the scratch: a panel of X, a tile of A, the block's runs, and sums [rows, 64] behind them.
private struct Scratch {
    let b, a, sums: UnsafeMutablePointer<Float>
    let runs: UnsafeMutablePointer<Run>

    @inline(__always)
    init(_ base: UnsafeMutablePointer<Float>) {
        b = base
        // A run of an odd count is followed by a row of zeros, and a row of A by a vector.
        a = b + (places + 2) * panelColumns
        let table = a + 8 * places + 64
        runs = UnsafeMutableRawPointer(table).bindMemory(to: Run.self, capacity: places)
        sums = table + 8 * places
    }
}

/// A way through the passes, pixels and rows of a shard, a run of rows at a time.
private struct Walk {
    var pass = 0
    var position = 0
    var row = 0

    @inline(__always)
    func isAtEnd(_ p: csimd_convolution_gradient) -> Bool { pass == p.passes || p.position_count == 0 }

    /// Goes on to the next run.
    /// - Returns: the rows of this one, `limit` at most.
    @inline(__always)
    mutating func advance(_ p: csimd_convolution_gradient, shardRows: Int, limit: Int) -> Int {
        let left = shardRows - row
        guard limit >= left else {
            row += limit
            return limit
        }
        row = 0
        position += 1
        if position == p.position_count {
            position = 0
            pass += 1
        }
        return left
    }
}

/// Some columns of the gradient, shard by shard.
@inline(never)
private func panel<Elements: Format>(
    _ elements: Elements.Type, _ p: csimd_convolution_gradient, _ column: Int, _ width: Int
) {
    let scratch = Scratch(p.scratch)
    let size = p.rows * panelColumns
    var sums = scratch.sums
    var firstRow = 0
    var s = 0
    while s < p.shard_count {
        let shard = p.shards[s]
        let count = Int(shard.count)
        var walk = Walk()
        var isFirst = true
        // Once at least: a sum over nothing is zero.
        repeat {
            walk = block(elements, p, scratch, sums, column, width, firstRow, count, from: walk, isFirst: isFirst)
            isFirst = false
            pause(p.interlude)
        } while !walk.isAtEnd(p)
        firstRow += count
        var merge = shard.merges
        while merge > 0 {
            add(sums, to: sums - size, count: size)
            sums -= size
            merge -= 1
        }
        if shard.output < 0 {
            sums += size
        } else {
            let output = p.outputs[Int(shard.output)] + p.output_offset + column
            copy(sums, to: output, rowStride: p.out_row, rows: p.rows, columns: width)
        }
        s += 1
    }
}

/// sums (+)= a block of a shard's depth.
/// - Returns: where the next block begins.
@inline(never)
private func block<Elements: Format>(
    _ elements: Elements.Type, _ p: csimd_convolution_gradient, _ scratch: Scratch, _ sums: UnsafeMutablePointer<Float>,
    _ column: Int, _ width: Int, _ firstRow: Int, _ shardRows: Int, from start: Walk, isFirst: Bool
) -> Walk {
    var end = start
    var depth = 0
    var runs = 0
    while depth < places && !end.isAtEnd(p) {
        let run = end
        let row = firstRow + run.row
        let count = end.advance(p, shardRows: shardRows, limit: (places - depth) * 2 / Elements.places(2))
        packColumns(elements, p, run, row, count, column, width, scratch.b + depth * panelColumns)
        let a = run.pass * p.a_pass + Int(p.positions[run.position].target) * p.a_row + row
        scratch.runs[runs] = Run(a: a, count: count, place: depth)
        runs += 1
        depth += Elements.places(count)
    }
    let vectors = (width + lanes - 1) / lanes
    // As three channels of sixteen taps fill them; one tile, where it has registers.
    let isTriple = vectors == 3 && tileVectors > 3
    var m = 0
    while m < p.rows {
        let height = isTriple && p.rows - m >= 8 ? 8 : nextRows(p.rows - m, vectors: vectors)
        let a = p.a + m * p.a_channel
        if Elements.mustPack { packRows(elements, a, p.a_channel, height, scratch.runs, runs, scratch.a) }
        let part = Part(
            a: Elements.mustPack ? UnsafePointer(scratch.a) : a, aRow: Elements.mustPack ? places : p.a_channel,
            runs: scratch.runs, runCount: runs, places: depth, isFirst: isFirst)
        var vector = 0
        while vector < vectors {
            let tileWidth = isTriple ? 3 : nextVectors(vectors - vector)
            let b = scratch.b + vector * lanes
            let target = sums + m * panelColumns + vector * lanes
            switch tileWidth {
            case 4: tile(elements, TileRow<4>.self, height, part, b, target)
            case 3: tile(elements, TileRow<3>.self, height, part, b, target)
            case 2: tile(elements, TileRow<2>.self, height, part, b, target)
            default: tile(elements, TileRow<1>.self, height, part, b, target)
            }
            vector += tileWidth
        }
        m += height
    }
    return end
}

/// Some rows of A through a block of the depth: packed, or run by run where they lie.
private struct Part {
    let a: UnsafePointer<Float>
    let aRow: Int
    let runs: UnsafePointer<Run>
    let runCount, places: Int
    let isFirst: Bool
}

@inline(never)
private func tile<Elements: Format, let Vectors: Int>(
    _ elements: Elements.Type, _: TileRow<Vectors>.Type, _ height: Int, _ part: Part, _ b: UnsafePointer<Float>,
    _ sums: UnsafeMutablePointer<Float>
) {
    switch height {
    case 8: tile(elements, Tile<8, Vectors>.self, part, b, sums)
    case 6: tile(elements, Tile<6, Vectors>.self, part, b, sums)
    case 4: tile(elements, Tile<4, Vectors>.self, part, b, sums)
    case 2: tile(elements, Tile<2, Vectors>.self, part, b, sums)
    default: tile(elements, Tile<1, Vectors>.self, part, b, sums)
    }
}

@inline(__always)
private func tile<Elements: Format, let Rows: Int, let Vectors: Int>(
    _ elements: Elements.Type, _: Tile<Rows, Vectors>.Type, _ part: Part, _ b: UnsafePointer<Float>,
    _ sums: UnsafeMutablePointer<Float>
) {
    var tile = Tile<Rows, Vectors>(repeating: InlineArray(repeating: Vector()))
    if !part.isFirst {
        var i = 0
        while i < Rows {
            var v = 0
            while v < Vectors {
                tile[unchecked: i][unchecked: v] = load(sums + i * panelColumns + v * lanes)
                v += 1
            }
            i += 1
        }
    }
    if Elements.mustPack {
        accumulate(elements, &tile, part.a, aRow: part.aRow, aDepth: 1, b, bDepth: panelColumns, depth: part.places)
    } else {
        var r = 0
        while r < part.runCount {
            let run = part.runs[r]
            accumulate(
                elements, &tile, part.a + run.a, aRow: part.aRow, aDepth: 1, b + run.place * panelColumns,
                bDepth: panelColumns, depth: run.count)
            r += 1
        }
    }
    store(tile, sums, rowStride: panelColumns)
}

/// Lays out some rows of a pixel of X: [count, 64], columns column ..< column + width in the lanes.
@inline(never)
private func packColumns<Elements: Format>(
    _ elements: Elements.Type, _ p: csimd_convolution_gradient, _ run: Walk, _ rowStride: Int, _ count: Int, _ column: Int,
    _ width: Int, _ target: UnsafeMutablePointer<Float>
) {
    let x = p.x + run.pass * p.x_pass + rowStride
    var tap = column / p.channels
    var channel = column % p.channels
    var j = 0
    while j < width {
        let source = Int(p.positions[tap * p.position_count + run.position].source)
        if channel + lanes <= p.channels && source >= 0 {
            packVector(elements, x + channel * p.x_channel + source * p.x_row, p.x_channel, count, target + j)
            channel += lanes
        } else {
            packSparse(elements, p, run, x, tap, channel, count, width - j, target + j)
            channel += lanes
        }
        while channel >= p.channels {
            channel -= p.channels
            tap += 1
        }
        j += lanes
    }
}

/// Lays out a vector of channels, `channel` floats apart: [place, 64].
@inline(__always)
func packVector<Elements: Format>(
    _ elements: Elements.Type, _ x: UnsafePointer<Float>, _ channel: Int, _ count: Int, _ target: UnsafeMutablePointer<Float>
) {
    var n = 0
    while n < count {
        if count - n <= lanes / 2 {
            let block = transposedHalf(x + n, rowStride: channel, lanes)
            store(elements, block, count - n, target + Elements.places(n) * panelColumns)
        } else {
            let block = transposed(rowsOfBlock(x + n, channel, lanes))
            store(elements, block, count - n, target + Elements.places(n) * panelColumns)
        }
        n += lanes
    }
}

/// Lays out a vector of columns that belong to several taps, to the padding, or to nothing.
@inline(never)
private func packSparse<Elements: Format>(
    _ elements: Elements.Type, _ p: csimd_convolution_gradient, _ run: Walk, _ x: UnsafePointer<Float>, _ firstTap: Int,
    _ firstChannel: Int, _ count: Int, _ width: Int, _ target: UnsafeMutablePointer<Float>
) {
    var n = 0
    while n < count {
        var block = InlineArray<16, Vector>(repeating: Vector())
        var tap = firstTap
        var channel = firstChannel
        var i = 0
        while i < lanes && i < width {
            let source = Int(p.positions[tap * p.position_count + run.position].source)
            if source >= 0 { block[unchecked: i] = load(x + channel * p.x_channel + source * p.x_row + n) }
            channel += 1
            if channel == p.channels {
                channel = 0
                tap += 1
            }
            i += 1
        }
        store(elements, transposed(block), count - n, target + Elements.places(n) * panelColumns)
        n += lanes
    }
}

/// Stores the first rows of a block, `count` at most, as elements that follow one another in a sum.
@inline(__always)
private func store<Elements: Format>(
    _: Elements.Type, _ block: InlineArray<16, Vector>, _ count: Int, _ target: UnsafeMutablePointer<Float>
) {
    forRows(count < lanes ? count : lanes) { i in
        if i % 2 == 0 {
            Elements.pack(
                even: block[unchecked: i], odd: i + 1 < count ? block[unchecked: i + 1] : Vector(),
                target + Elements.places(i) * panelColumns, stride: panelColumns)
        }
    }
}

/// target[i · 128 + ...] = row i of A through the block.
@inline(never)
private func packRows<Elements: Format>(
    _: Elements.Type, _ a: UnsafePointer<Float>, _ aRow: Int, _ height: Int, _ runs: UnsafePointer<Run>, _ count: Int,
    _ target: UnsafeMutablePointer<Float>
) {
    // Row by row: what is written past the end of a run is overwritten by the next, and that of a row by the next row's.
    var i = 0
    while i < height {
        var r = 0
        while r < count {
            let run = runs[r]
            Elements.packRow(a + run.a + i * aRow, count: run.count, target + run.place + i * places)
            r += 1
        }
        i += 1
    }
}

/// y += x, both a multiple of 64 long.
@inline(__always)
func add(_ x: UnsafePointer<Float>, to y: UnsafeMutablePointer<Float>, count: Int) {
    var i = 0
    while i < count {
        store(load(x + i) + load(y + i), y + i)
        i += lanes
    }
}

/// y[m · rowStride + n] = x[m · 64 + n].
@inline(__always)
func copy(_ x: UnsafePointer<Float>, to y: UnsafeMutablePointer<Float>, rowStride: Int, rows: Int, columns: Int) {
    var m = 0
    while m < rows {
        var n = 0
        while n + lanes <= columns {
            store(load(x + m * panelColumns + n), y + m * rowStride + n)
            n += lanes
        }
        while n < columns {
            y[m * rowStride + n] = x[m * panelColumns + n]
            n += 1
        }
        m += 1
    }
}
