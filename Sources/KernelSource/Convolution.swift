import CSIMD

// Convolutions as matrix products without a column buffer: a pixel of the input in all rows of the batch is a few
// contiguous vectors. For some columns of Y (rows of one or of several pixels) and each block of the depth, taps and
// their channels, X is laid out in panels as wide as a register tile; then every panel meets every tile of A's rows.

extension Implementation {
    /// Y = bias + A X; see `csimd_convolution`.
    public static func convolution(_ arguments: UnsafePointer<csimd_convolution>) { convolution(Singles.self, arguments.pointee) }

    /// The same of elements in any format.
    @inline(__always)
    static func convolution<Elements: Format>(_ elements: Elements.Type, _ p: csimd_convolution) {
        // For few channels, laying out X would take longer than reading it.
        let readsInPlace = p.outputs <= inPlaceOutputs && !Elements.mustPack
        let vectors = p.position_count * (p.columns / lanes)
        // Weights that must be laid out serve more columns at a time: as many as the workspace holds.
        let most = Elements.mustPack || readsInPlace ? 16 : groupColumns / lanes
        var first = 0
        var position = p.positions
        var column = 0
        while first < vectors {
            let group = Group(
                count: vectors - first < most ? vectors - first : most,
                behind: p.workspace + packedOffset + 3_072 + 16)
            var v = 0
            while v < group.count {
                group.sources[v] = Int(position.pointee.source) * p.x_row + column
                group.targets[v] = Int(position.pointee.target) * p.y_row + column
                column += lanes
                if column == p.columns {
                    column = 0
                    position += 1
                }
                v += 1
            }
            if readsInPlace {
                inPlaceConvolution(p, group)
                if first % 256 == 0 { pause(p.interlude) }
            } else {
                var start = Depth()
                // Once at least: a sum over nothing is the bias.
                repeat {
                    start = block(elements, p, group, from: start)
                    pause(p.interlude)
                } while start.tap < p.tap_count
            }
            first += group.count
        }
    }
}

/// Some vectors of Y's columns: where the vector that their first tap reads lies in a channel of X, and where they lie in
/// a channel of Y.
struct Group {
    let count: Int
    let sources, targets: UnsafeMutablePointer<Int>

    /// - Parameter memory: room for 32 of them.
    @inline(__always)
    init(count: Int, behind memory: UnsafeMutablePointer<Float>) {
        self.count = count
        sources = UnsafeMutableRawPointer(memory).assumingMemoryBound(to: Int.self)
        targets = sources + 16
    }
}

/// A place in the depth of a convolution.
private struct Depth {
    var tap = 0
    var channel = 0

    /// Goes on within a tap.
    /// - Returns: how many channels, `limit` at most.
    @inline(__always)
    mutating func advance(_ p: csimd_convolution, limit: Int) -> Int {
        let left = p.channels - channel
        guard limit >= left else {
            channel += limit
            return limit
        }
        tap += 1
        channel = 0
        return left
    }
}

/// A block of the depth: rows m ..< last of A and a panel of X.
private struct Part {
    let start: Depth
    let places: Int
    let isFirst, isLast: Bool
    let vector: Int
    /// The panel, [places, width].
    let b: UnsafePointer<Float>
    let m, last: Int
    /// A's row m, or its packed block.
    let a: UnsafePointer<Float>
    let aRow: Int
}

/// All of A's rows through a block of the depth.
/// - Returns: where the next one begins.
@inline(never)
private func block<Elements: Format>(
    _ elements: Elements.Type, _ p: csimd_convolution, _ group: Group, from start: Depth
) -> Depth {
    let most = Elements.mustPack ? packedDepth : blockDepth
    // A place of zeros may follow an odd count of single elements.
    let panel = Elements.mustPack ? most : most + 1
    var end = start
    var places = 0
    while end.tap < p.tap_count && places < most {
        let tap = p.taps[end.tap]
        let x = p.x + end.channel * p.x_channel + Int(tap.source) * p.x_row
        let count = end.advance(p, limit: (most - places) * 2 / Elements.places(2))
        pack(elements, x, p.x_channel, count: count, group, places: places, panel: panel, p.workspace)
        places += Elements.places(count)
    }
    let packed = p.workspace + packedOffset
    var m = 0
    while m < p.outputs {
        let last = p.outputs - m < 3 * lanes ? p.outputs : m + 3 * lanes
        var a = p.a + m * p.a_output
        var aRow = p.a_output
        if Elements.mustPack {
            packRows(elements, p, m, last, from: start, places: places, packed)
            a = UnsafePointer(packed)
            aRow = places
        }
        var vector = 0
        while vector < group.count {
            let width = nextVectors(group.count - vector)
            let part = Part(
                start: start, places: places, isFirst: start.tap == 0 && start.channel == 0, isLast: end.tap == p.tap_count,
                vector: vector, b: p.workspace + vector * lanes * panel, m: m, last: last, a: a, aRow: aRow)
            switch width {
            case 4: rows(elements, TileRow<4>.self, p, group, part)
            case 2: rows(elements, TileRow<2>.self, p, group, part)
            default: rows(elements, TileRow<1>.self, p, group, part)
            }
            vector += width
        }
        m = last
    }
    return end
}

/// Lays out some channels of one tap in the panels of the group, which are [panel, width] each.
@inline(never)
private func pack<Elements: Format>(
    _: Elements.Type, _ x: UnsafePointer<Float>, _ xChannel: Int, count: Int, _ group: Group, places: Int, panel: Int,
    _ target: UnsafeMutablePointer<Float>
) {
    var k = 0
    while k < count {
        let hasOdd = k + 1 < count
        var vector = 0
        while vector < group.count {
            let width = nextVectors(group.count - vector)
            let place = target + vector * lanes * panel + (places + Elements.places(k)) * width * lanes
            var v = 0
            while v < width {
                let source = x + group.sources[vector + v] + k * xChannel
                Elements.pack(
                    even: load(source), odd: hasOdd ? load(source + xChannel) : Vector(), place + v * lanes,
                    stride: width * lanes)
                v += 1
            }
            vector += width
        }
        k += 2
    }
}

/// target[i · places + ...] = A's row m + i through the block.
@inline(never)
private func packRows<Elements: Format>(
    _: Elements.Type, _ p: csimd_convolution, _ m: Int, _ last: Int, from start: Depth, places: Int,
    _ target: UnsafeMutablePointer<Float>
) {
    var i = m
    while i < last {
        var depth = start
        var place = 0
        while place < places {
            let a = p.a + i * p.a_output + Int(p.taps[depth.tap].weight) + depth.channel
            let count = depth.advance(p, limit: (places - place) * 2 / Elements.places(2))
            Elements.packRow(a, count: count, target + (i - m) * places + place)
            place += Elements.places(count)
        }
        i += 1
    }
}

@inline(never)
private func rows<Elements: Format, let Vectors: Int>(
    _ elements: Elements.Type, _: TileRow<Vectors>.Type, _ p: csimd_convolution, _ group: Group, _ part: Part
) {
    var m = part.m
    while m < part.last {
        let height = nextRows(part.last - m, vectors: Vectors)
        switch height {
        case 8: tile(elements, Tile<8, Vectors>.self, p, group, part, m)
        case 6: tile(elements, Tile<6, Vectors>.self, p, group, part, m)
        case 4: tile(elements, Tile<4, Vectors>.self, p, group, part, m)
        case 2: tile(elements, Tile<2, Vectors>.self, p, group, part, m)
        default: tile(elements, Tile<1, Vectors>.self, p, group, part, m)
        }
        m += height
    }
}

/// One tile of Y through a block of the depth: begun with the bias or taken from Y, rectified in the last block.
@inline(__always)
private func tile<Elements: Format, let Rows: Int, let Vectors: Int>(
    _ elements: Elements.Type, _: Tile<Rows, Vectors>.Type, _ p: csimd_convolution, _ group: Group, _ part: Part, _ m: Int
) {
    var sums = begun(Tile<Rows, Vectors>.self, p, m)
    var i = 0
    while !part.isFirst && i < Rows {
        var v = 0
        while v < Vectors {
            sums[unchecked: i][unchecked: v] = load(p.y + (m + i) * p.y_channel + group.targets[part.vector + v])
            v += 1
        }
        i += 1
    }
    let a = part.a + (m - part.m) * part.aRow
    if Elements.mustPack {
        accumulate(
            elements, &sums, a, aRow: part.aRow, aDepth: 1, part.b, bDepth: Vectors * lanes, depth: part.places)
    } else {
        var depth = part.start
        var place = 0
        while place < part.places {
            // Taps that follow one another in A are one run.
            let weight = Int(p.taps[depth.tap].weight) + depth.channel
            var count = depth.advance(p, limit: part.places - place)
            while place + count < part.places && depth.channel == 0 && Int(p.taps[depth.tap].weight) == weight + count {
                count += depth.advance(p, limit: part.places - place - count)
            }
            if part.vector == 0 { prefetch(a + Rows * part.aRow + weight, rowStride: part.aRow, rows: Rows, columns: count) }
            accumulate(
                elements, &sums, a + weight, aRow: part.aRow, aDepth: 1, part.b + place * Vectors * lanes,
                bDepth: Vectors * lanes, depth: count)
            place += count
        }
    }
    finish(elements, sums, p, group, m, vector: part.vector, rectifies: part.isLast && p.rectifies != 0)
}

/// Sums of rows m... of Y that are the bias as yet.
@inline(__always)
func begun<let Rows: Int, let Vectors: Int>(
    _: Tile<Rows, Vectors>.Type, _ p: csimd_convolution, _ m: Int
) -> Tile<Rows, Vectors> {
    var sums = Tile<Rows, Vectors>(repeating: InlineArray(repeating: Vector()))
    guard let bias = p.bias else { return sums }
    var i = 0
    while i < Rows {
        sums[unchecked: i] = InlineArray(repeating: Vector(repeating: bias[m + i]))
        i += 1
    }
    return sums
}

/// Stores rows m... of some vectors of Y.
@inline(__always)
func finish<Elements: Format, let Rows: Int, let Vectors: Int>(
    _ elements: Elements.Type, _ sums: Tile<Rows, Vectors>, _ p: csimd_convolution, _ group: Group, _ m: Int, vector: Int,
    rectifies: Bool
) {
    let y = p.y + m * p.y_channel
    let gate = p.gate.map { $0 + m * p.y_channel }
    var i = 0
    while i < Rows {
        var v = 0
        while v < Vectors {
            let place = i * p.y_channel + group.targets[vector + v]
            var sum = sums[unchecked: i][unchecked: v]
            if rectifies { sum = rectified(elements, sum, gate: gate.map { $0 + place }, slope: p.slope) }
            store(sum, y + place)
            v += 1
        }
        i += 1
    }
}
