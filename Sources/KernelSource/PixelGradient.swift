import CSIMD

// The gradient of a convolution's weights where the channels fill vectors. For each 64 channels, some taps and each shard,
// X is transposed once, to [pixel, row, 64], where every tap finds its columns side by side. Pixels of A are taken a stretch
// at a time through all these taps, so that they come from afar once, and sums [tap, rows, 64] wait in the scratch.

/// Floats of the sums of some taps, and of the cache lines of A in a stretch: together they fit a second-level cache.
@inline(__always) private var tapSums: Int { 1 << 18 }
@inline(__always) private var stretchLines: Int { 1 << 12 }
/// Rows of X that meet a tile of A at a time: 64 columns of them fill 32 KiB.
@inline(__always) private var blockRows: Int { 128 }

/// A run of rows: where it begins in A and in the transposed X.
private struct Run {
    var a, x: Int
}

/// Where the parts lie in the scratch, whose size is `ConvolutionGradient.scratchCount`.
private struct Scratch {
    let x, sums: UnsafeMutablePointer<Float>
    let runs: UnsafeMutablePointer<Run>

    @inline(__always)
    init(_ p: csimd_convolution_gradient) {
        var rows: Int32 = 1
        var s = 0
        while s < p.shard_count {
            if p.shards[s].count > rows { rows = p.shards[s].count }
            s += 1
        }
        runs = UnsafeMutableRawPointer(p.scratch).bindMemory(to: Run.self, capacity: blockRows)
        x = p.scratch + 4 * blockRows
        sums = x + p.pixels * Int(rows) * groupColumns
    }
}

/// `convolutionGradient` of channels that are a multiple of 16.
@inline(never)
func pixelGradient(_ p: csimd_convolution_gradient) {
    let scratch = Scratch(p)
    let most = tapSums / (p.rows * groupColumns)
    var channel = 0
    while channel < p.channels {
        let width = p.channels - channel < groupColumns ? p.channels - channel : groupColumns
        var tap = 0
        while tap < p.tap_count {
            let taps = p.tap_count - tap < most ? p.tap_count - tap : most > 1 ? most : 1
            panel(p, scratch, channel, width, tap, taps)
            tap += taps
        }
        channel += width
    }
}

/// Some channels of some taps, shard by shard.
@inline(never)
private func panel(_ p: csimd_convolution_gradient, _ scratch: Scratch, _ channel: Int, _ width: Int, _ tap: Int, _ taps: Int) {
    let size = taps * p.rows * groupColumns
    var sums = scratch.sums
    var firstRow = 0
    var s = 0
    while s < p.shard_count {
        let shard = p.shards[s]
        let count = Int(shard.count)
        var pass = 0
        while pass < p.passes {
            let x = p.x + pass * p.x_pass + channel * p.x_channel + firstRow
            transposePixels(p, x, count, width, scratch.x)
            add(p, scratch, tap, taps, width, p.a + pass * p.a_pass + firstRow, count, isFirst: pass == 0, to: sums)
            pass += 1
        }
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
            let output = p.outputs[Int(shard.output)] + p.output_offset + tap * p.channels + channel
            var t = 0
            while t < taps {
                copy(
                    sums + t * p.rows * groupColumns, to: output + t * p.channels, row: p.out_row, rows: p.rows,
                    columns: width)
                t += 1
            }
        }
        s += 1
    }
}

/// out[(pixel · count + r) · 64 + c] = x[pixel, c, r] for r < count, c < width.
@inline(never)
private func transposePixels(
    _ p: csimd_convolution_gradient, _ x: UnsafePointer<Float>, _ count: Int, _ width: Int, _ out: UnsafeMutablePointer<Float>
) {
    var pixel = 0
    while pixel < p.pixels {
        var n = 0
        while n < count {
            let target = out + (pixel * count + n) * groupColumns
            var c = 0
            while c < width {
                let source = x + pixel * p.x_row + c * p.x_channel + n
                if count - n <= lanes / 2 {
                    let block = transposedHalf(source, row: p.x_channel, lanes)
                    forRows(count - n) { i in store(block[unchecked: i], target + i * groupColumns + c) }
                } else {
                    let block = transposed(rowsOfBlock(source, p.x_channel, lanes))
                    forRows(count - n < lanes ? count - n : lanes) { i in
                        store(block[unchecked: i], target + i * groupColumns + c)
                    }
                }
                c += lanes
            }
            n += lanes
        }
        pixel += 1
    }
}

/// sums (+)= a shard's rows of a pass, of which a is the first and X is transposed.
@inline(never)
private func add(
    _ p: csimd_convolution_gradient, _ scratch: Scratch, _ tap: Int, _ taps: Int, _ width: Int, _ a: UnsafePointer<Float>,
    _ count: Int, isFirst: Bool, to sums: UnsafeMutablePointer<Float>
) {
    let size = p.rows * groupColumns
    let stretch = stretchLines / p.rows > 16 ? stretchLines / p.rows : 16
    var t = 0
    while isFirst && t < taps {
        // A sum over nothing is zero.
        if firstPair(p.positions + (tap + t) * p.position_count, p.position_count) == p.position_count {
            (sums + t * size).update(repeating: 0, count: size)
        }
        t += 1
    }
    var first = 0
    while first < p.position_count {
        let last = p.position_count - first < stretch ? p.position_count : first + stretch
        t = 0
        while t < taps {
            let positions = p.positions + (tap + t) * p.position_count
            // All that comes before is padding.
            let begin = firstPair(positions, p.position_count)
            var q = begin > first ? begin : first
            while q < last {
                let start = q
                var runs = 0
                while q < last && (runs == 0 || (runs + 1) * count <= blockRows) {
                    let position = positions[q]
                    if position.source >= 0 {
                        scratch.runs[runs] = Run(
                            a: Int(position.target) * p.a_row, x: Int(position.source) * count * groupColumns)
                        runs += 1
                    }
                    q += 1
                }
                block(p, scratch, runs, a, count, width, isFirst: isFirst && start == begin, sums + t * size)
            }
            pause(p.interlude)
            t += 1
        }
        first = last
    }
}

/// The first pair that is not in the padding, or `count`.
@inline(__always)
private func firstPair(_ positions: UnsafePointer<csimd_position>, _ count: Int) -> Int {
    var i = 0
    while i < count && positions[i].source < 0 { i += 1 }
    return i
}

/// All of A's rows through some runs.
@inline(__always)
private func block(
    _ p: csimd_convolution_gradient, _ scratch: Scratch, _ runs: Int, _ a: UnsafePointer<Float>, _ count: Int, _ width: Int,
    isFirst: Bool, _ sums: UnsafeMutablePointer<Float>
) {
    var m = 0
    while m < p.rows {
        let height = nextRows(p.rows - m, vectors: 2)
        var vector = 0
        while vector < width / lanes {
            let tileWidth = nextVectors(width / lanes - vector)
            let part = Part(
                a: a + m * p.a_channel, aRow: p.a_channel, x: scratch.x + vector * lanes, runs: scratch.runs, runCount: runs,
                count: count, isFirst: isFirst, sums: sums + m * groupColumns + vector * lanes)
            switch tileWidth {
            case 4: tile(TileRow<4>.self, height, part)
            case 2: tile(TileRow<2>.self, height, part)
            default: tile(TileRow<1>.self, height, part)
            }
            vector += tileWidth
        }
        m += height
    }
}

/// Some rows of A and columns of X through some runs, and where their sums are.
private struct Part {
    let a: UnsafePointer<Float>
    let aRow: Int
    let x: UnsafePointer<Float>
    let runs: UnsafePointer<Run>
    let runCount, count: Int
    let isFirst: Bool
    let sums: UnsafeMutablePointer<Float>
}

@inline(never)
private func tile<let Vectors: Int>(_: TileRow<Vectors>.Type, _ height: Int, _ part: Part) {
    switch height {
    case 6: tile(Tile<6, Vectors>.self, part)
    case 4: tile(Tile<4, Vectors>.self, part)
    case 2: tile(Tile<2, Vectors>.self, part)
    default: tile(Tile<1, Vectors>.self, part)
    }
}

@inline(__always)
private func tile<let Rows: Int, let Vectors: Int>(_: Tile<Rows, Vectors>.Type, _ part: Part) {
    var tile = Tile<Rows, Vectors>(repeating: InlineArray(repeating: Vector()))
    var i = 0
    while !part.isFirst && i < Rows {
        var v = 0
        while v < Vectors {
            tile[unchecked: i][unchecked: v] = load(part.sums + i * groupColumns + v * lanes)
            v += 1
        }
        i += 1
    }
    var r = 0
    while r < part.runCount {
        let run = part.runs[r]
        accumulate(
            Singles.self, &tile, part.a + run.a, aRow: part.aRow, aDepth: 1, part.x + run.x, bDepth: groupColumns,
            depth: part.count)
        r += 1
    }
    store(tile, part.sums, row: groupColumns)
}
