import CSIMD

// The gradient of a convolution's weights where the channels fill vectors. For each 64 channels, some taps and each shard,
// X is transposed once, to [pixel, place, 64], where every tap finds its columns side by side. Pixels of A are taken a
// stretch at a time through all these taps, so that they come from afar once, and are laid out once if they must be; sums
// [tap, rows, 64] wait in the scratch.

/// Floats of the sums of some taps, and of the cache lines of A in a stretch: together they fit a second-level cache.
@inline(__always) private var tapSums: Int { 1 << 18 }
@inline(__always) private var stretchLines: Int { 1 << 12 }
/// Rows of X that meet a tile of A at a time: 64 columns of them fill 32 KiB.
@inline(__always) private var blockRows: Int { 128 }

/// Pixels of A in a stretch.
@inline(__always)
private func stretchLength(_ p: csimd_convolution_gradient) -> Int {
    stretchLines / p.rows > 16 ? stretchLines / p.rows : 16
}

/// A run of rows: where it begins in A and in the transposed X.
private struct Run {
    var a, x: Int
}

/// Where the parts lie in the scratch, whose size is `ConvolutionGradient.scratchCount`.
private struct Scratch {
    let x, a, sums: UnsafeMutablePointer<Float>
    let runs: UnsafeMutablePointer<Run>

    @inline(__always)
    init<Elements: Format>(_: Elements.Type, _ p: csimd_convolution_gradient) {
        var rows: Int32 = 1
        var s = 0
        while s < p.shard_count {
            if p.shards[s].count > rows { rows = p.shards[s].count }
            s += 1
        }
        runs = UnsafeMutableRawPointer(p.scratch).bindMemory(to: Run.self, capacity: blockRows)
        let places = Elements.places(Int(rows))
        x = p.scratch + 4 * blockRows
        // What is laid out may end with a row of zeros, and A with a vector.
        a = x + (p.pixels * places + 1) * groupColumns
        sums = a + (Elements.mustPack ? stretchLength(p) * p.rows * places + 16 : 0)
    }
}

/// `convolutionGradient` of channels that are a multiple of 16.
@inline(__always)
func pixelGradient<Elements: Format>(_ elements: Elements.Type, _ p: csimd_convolution_gradient) {
    let scratch = Scratch(elements, p)
    let most = tapSums / (p.rows * groupColumns)
    var channel = 0
    while channel < p.channels {
        let width = p.channels - channel < groupColumns ? p.channels - channel : groupColumns
        var tap = 0
        while tap < p.tap_count {
            let taps = p.tap_count - tap < most ? p.tap_count - tap : most > 1 ? most : 1
            panel(elements, p, scratch, channel, width, tap, taps)
            tap += taps
        }
        channel += width
    }
}

/// Some channels of some taps, shard by shard.
@inline(never)
private func panel<Elements: Format>(
    _ elements: Elements.Type, _ p: csimd_convolution_gradient, _ scratch: Scratch, _ channel: Int, _ width: Int, _ tap: Int,
    _ taps: Int
) {
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
            transposePixels(elements, p, x, count, width, scratch.x)
            add(
                elements, p, scratch, tap, taps, width, p.a + pass * p.a_pass + firstRow, count, isFirst: pass == 0, to: sums)
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
                    sums + t * p.rows * groupColumns, to: output + t * p.channels, rowStride: p.out_row, rows: p.rows,
                    columns: width)
                t += 1
            }
        }
        s += 1
    }
}

/// out[pixel, place, c] = x[pixel, c, r] of the place's rows r < count, for c < width.
@inline(never)
private func transposePixels<Elements: Format>(
    _ elements: Elements.Type, _ p: csimd_convolution_gradient, _ x: UnsafePointer<Float>, _ count: Int, _ width: Int,
    _ out: UnsafeMutablePointer<Float>
) {
    var pixel = 0
    while pixel < p.pixels {
        let target = out + pixel * Elements.places(count) * groupColumns
        var c = 0
        while c < width {
            packVector(elements, x + pixel * p.x_row + c * p.x_channel, p.x_channel, count, target + c)
            c += lanes
        }
        pixel += 1
    }
}

/// sums (+)= a shard's rows of a pass, of which a is the first and X is transposed.
@inline(never)
private func add<Elements: Format>(
    _ elements: Elements.Type, _ p: csimd_convolution_gradient, _ scratch: Scratch, _ tap: Int, _ taps: Int, _ width: Int,
    _ a: UnsafePointer<Float>, _ count: Int, isFirst: Bool, to sums: UnsafeMutablePointer<Float>
) {
    let size = p.rows * groupColumns
    let stretch = stretchLength(p)
    let places = Elements.places(count)
    let source = Elements.mustPack
        ? A(base: UnsafePointer(scratch.a), row: places, pixel: p.rows * places)
        : A(base: a, row: p.a_channel, pixel: p.a_row)
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
        if Elements.mustPack { packPixels(elements, p, a, first, last, count, scratch.a) }
        t = 0
        while t < taps {
            let positions = p.positions + (tap + t) * p.position_count
            // All that comes before is padding.
            let begin = firstPair(positions, p.position_count)
            var q = begin > first ? begin : first
            while q < last {
                let start = q
                var runs = 0
                while q < last && (runs == 0 || (runs + 1) * places <= blockRows) {
                    let position = positions[q]
                    if position.source >= 0 {
                        let pixel = Elements.mustPack ? q - first : Int(position.target)
                        scratch.runs[runs] = Run(a: pixel * source.pixel, x: Int(position.source) * places * groupColumns)
                        runs += 1
                    }
                    q += 1
                }
                block(elements, p, scratch, runs, source, places, width, isFirst: isFirst && start == begin, sums + t * size)
            }
            pause(p.interlude)
            t += 1
        }
        first = last
    }
}

/// Where A, or a stretch of it that is laid out, is: how far apart its rows and its pixels lie.
private struct A {
    let base: UnsafePointer<Float>
    let row, pixel: Int
}

/// target = pixels first ..< last of A's rows, [pixel, row of A, place].
@inline(never)
private func packPixels<Elements: Format>(
    _: Elements.Type, _ p: csimd_convolution_gradient, _ a: UnsafePointer<Float>, _ first: Int, _ last: Int, _ count: Int,
    _ target: UnsafeMutablePointer<Float>
) {
    // In order: what is written past the end of a row is overwritten by the next.
    let places = Elements.places(count)
    var target = target
    var q = first
    while q < last {
        let pixel = a + Int(p.positions[q].target) * p.a_row
        var m = 0
        while m < p.rows {
            Elements.packRow(pixel + m * p.a_channel, count: count, target)
            target += places
            m += 1
        }
        q += 1
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
private func block<Elements: Format>(
    _ elements: Elements.Type, _ p: csimd_convolution_gradient, _ scratch: Scratch, _ runs: Int, _ source: A, _ places: Int,
    _ width: Int, isFirst: Bool, _ sums: UnsafeMutablePointer<Float>
) {
    var m = 0
    while m < p.rows {
        let height = nextRows(p.rows - m, vectors: 2)
        var vector = 0
        while vector < width / lanes {
            let tileWidth = nextVectors(width / lanes - vector)
            let part = Part(
                a: source.base + m * source.row, aRow: source.row, x: scratch.x + vector * lanes, runs: scratch.runs,
                runCount: runs, places: places, isFirst: isFirst, sums: sums + m * groupColumns + vector * lanes)
            switch tileWidth {
            case 4: tile(elements, TileRow<4>.self, height, part)
            case 2: tile(elements, TileRow<2>.self, height, part)
            default: tile(elements, TileRow<1>.self, height, part)
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
    let runCount, places: Int
    let isFirst: Bool
    let sums: UnsafeMutablePointer<Float>
}

@inline(never)
private func tile<Elements: Format, let Vectors: Int>(
    _ elements: Elements.Type, _: TileRow<Vectors>.Type, _ height: Int, _ part: Part
) {
    switch height {
    case 6: tile(elements, Tile<6, Vectors>.self, part)
    case 4: tile(elements, Tile<4, Vectors>.self, part)
    case 2: tile(elements, Tile<2, Vectors>.self, part)
    default: tile(elements, Tile<1, Vectors>.self, part)
    }
}

@inline(__always)
private func tile<Elements: Format, let Rows: Int, let Vectors: Int>(
    _ elements: Elements.Type, _: Tile<Rows, Vectors>.Type, _ part: Part
) {
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
            elements, &tile, part.a + run.a, aRow: part.aRow, aDepth: 1, part.x + run.x, bDepth: groupColumns,
            depth: part.places)
        r += 1
    }
    store(tile, part.sums, rowStride: groupColumns)
}
