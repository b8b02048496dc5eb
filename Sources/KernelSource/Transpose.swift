// Transposition by perfect shuffles: interleaving vectors i and i + n/2 of a block of n vectors rotates the bits of an
// element's index by one; log₂ n such stages swap row and column.

// All is written out: a loop that the compiler leaves as one keeps the block in memory.

@inline(__always)
private func interleave(_ block: InlineArray<16, Vector>) -> InlineArray<16, Vector> {
    var result = block
    interleave(0, block, &result)
    interleave(1, block, &result)
    if lanes > 4 {
        interleave(2, block, &result)
        interleave(3, block, &result)
    }
    if lanes > 8 {
        interleave(4, block, &result)
        interleave(5, block, &result)
        interleave(6, block, &result)
        interleave(7, block, &result)
    }
    return result
}

@inline(__always)
private func interleave(_ i: Int, _ block: InlineArray<16, Vector>, _ result: inout InlineArray<16, Vector>) {
    let a = block[unchecked: i]
    let b = block[unchecked: i + lanes / 2]
    result[unchecked: 2 * i] = zipLow(a, b)
    result[unchecked: 2 * i + 1] = zipHigh(a, b)
}

/// Row i of the result is column i of the block.
@inline(__always)
func transposed(_ block: InlineArray<16, Vector>) -> InlineArray<16, Vector> {
    var result = interleave(interleave(block))
    if lanes > 4 { result = interleave(result) }
    if lanes > 8 { result = interleave(result) }
    return result
}

/// The transpose of the first half of the columns of a block, whose first `count` rows are at x, the others zero: rows i
/// and i + n/2 share a vector, and each half of it is transposed by itself.
@inline(__always)
func transposedHalf(_ x: UnsafePointer<Float>, rowStride: Int, _ count: Int) -> InlineArray<16, Vector> {
    var result = interleaveHalves(
        InlineArray { i in
            i < lanes / 2
                ? Vector(lowHalf: half(x, rowStride, i, count), highHalf: half(x, rowStride, i + lanes / 2, count)) : Vector()
        })
    if lanes > 4 { result = interleaveHalves(result) }
    if lanes > 8 { result = interleaveHalves(result) }
    return result
}

@inline(__always)
private func half(_ x: UnsafePointer<Float>, _ rowStride: Int, _ i: Int, _ count: Int) -> HalfVector {
    i < count ? UnsafeRawPointer(x + i * rowStride).loadUnaligned(as: HalfVector.self) : HalfVector()
}

@inline(__always)
private func interleaveHalves(_ block: InlineArray<16, Vector>) -> InlineArray<16, Vector> {
    var result = block
    interleaveHalves(0, block, &result)
    if lanes > 4 { interleaveHalves(1, block, &result) }
    if lanes > 8 {
        interleaveHalves(2, block, &result)
        interleaveHalves(3, block, &result)
    }
    return result
}

@inline(__always)
private func interleaveHalves(_ i: Int, _ block: InlineArray<16, Vector>, _ result: inout InlineArray<16, Vector>) {
    let a = block[unchecked: i]
    let b = block[unchecked: i + lanes / 4]
    result[unchecked: 2 * i] = zipHalvesLow(a, b)
    result[unchecked: 2 * i + 1] = zipHalvesHigh(a, b)
}

extension Implementation {
    /// out[r · outRow + c] = x[r · row + c] for r < rows, c < columns, and nothing else is written: other columns of out are
    /// other ranks'.
    public static func copyColumns(
        _ x: UnsafePointer<Float>, rowStride: Int, rows: Int, columns: Int, _ out: UnsafeMutablePointer<Float>, outRow: Int
    ) {
        let ahead = 16
        var r = 0
        while r < rows {
            let x = x + r * rowStride
            let out = out + r * outRow
            var c = 0
            while c + lanes <= columns {
                prefetchToWrite(out + ahead * outRow + c)
                store(load(x + c), out + c)
                c += lanes
            }
            while c < columns {
                out[c] = x[c]
                c += 1
            }
            r += 1
        }
    }

    /// out[c · outRow + r] = x[r · row + c] for r < rows, c < columns. Elements up to the next multiple of the
    /// lanes of x's columns are read, and as many of out's columns (x's rows) are written.
    public static func transpose(
        _ x: UnsafePointer<Float>, rowStride: Int, rows: Int, columns: Int, _ out: UnsafeMutablePointer<Float>, outRow: Int
    ) {
        var r = 0
        while r < rows {
            if r + lanes < rows { prefetchToWrite(out + r + lanes, rowStride: outRow, rows: columns) }
            transposeBlocks(x + r * rowStride, rowStride, rows - r, columns, out + r, outRow)
            r += lanes
        }
    }
}

/// Up to a vector of rows.
@inline(never)
private func transposeBlocks(
    _ x: UnsafePointer<Float>, _ rowStride: Int, _ rows: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>, _ outRow: Int
) {
    var c = 0
    while c < columns {
        let block = transposed(rowsOfBlock(x + c, rowStride, rows))
        let count = columns - c < lanes ? columns - c : lanes
        forRows(count) { i in store(block[unchecked: i], out + (c + i) * outRow) }
        c += lanes
    }
}

/// body(0), body(1) ... body(count - 1), for up to as many as there are lanes, written out.
@inline(__always)
func forRows(_ count: Int, _ body: (Int) -> Void) {
    if count > 0 { body(0) }
    if count > 1 { body(1) }
    if count > 2 { body(2) }
    if count > 3 { body(3) }
    if lanes > 4 {
        if count > 4 { body(4) }
        if count > 5 { body(5) }
        if count > 6 { body(6) }
        if count > 7 { body(7) }
    }
    if lanes > 8 {
        if count > 8 { body(8) }
        if count > 9 { body(9) }
        if count > 10 { body(10) }
        if count > 11 { body(11) }
        if count > 12 { body(12) }
        if count > 13 { body(13) }
        if count > 14 { body(14) }
        if count > 15 { body(15) }
    }
}

/// The first `count` rows of a block, and zeros.
@inline(__always)
func rowsOfBlock(_ x: UnsafePointer<Float>, _ rowStride: Int, _ count: Int) -> InlineArray<16, Vector> {
    InlineArray { i in i < lanes && i < count ? load(x + i * rowStride) : Vector() }
}
