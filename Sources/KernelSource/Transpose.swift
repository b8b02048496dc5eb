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
    result[unchecked: 2 * i].evenHalf = a.lowHalf
    result[unchecked: 2 * i].oddHalf = b.lowHalf
    result[unchecked: 2 * i + 1].evenHalf = a.highHalf
    result[unchecked: 2 * i + 1].oddHalf = b.highHalf
}

/// Row i of the result is column i of the block.
@inline(__always)
func transposed(_ block: InlineArray<16, Vector>) -> InlineArray<16, Vector> {
    var result = interleave(interleave(block))
    if lanes > 4 { result = interleave(result) }
    if lanes > 8 { result = interleave(result) }
    return result
}

/// out[c · outRow + r] = x[r · row + c] for r < rows, c < columns. Elements up to the next multiple of the
/// lanes of x's columns are read, and as many of out's columns (x's rows) are written.
public func transpose(
    _ x: UnsafePointer<Float>, row: Int, rows: Int, columns: Int, _ out: UnsafeMutablePointer<Float>, outRow: Int
) {
    var r = 0
    while r < rows {
        transposeBlocks(x + r * row, row, rows - r, columns, out + r, outRow)
        r += lanes
    }
}

/// Up to a vector of rows.
@inline(never)
private func transposeBlocks(
    _ x: UnsafePointer<Float>, _ row: Int, _ rows: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>, _ outRow: Int
) {
    var c = 0
    while c < columns {
        let block = transposed(rowsOfBlock(x + c, row, rows))
        var i = 0
        while i < lanes && c + i < columns {
            store(block[unchecked: i], out + (c + i) * outRow)
            i += 1
        }
        c += lanes
    }
}

/// The first `count` rows of a block, and zeros.
@inline(__always)
func rowsOfBlock(_ x: UnsafePointer<Float>, _ row: Int, _ count: Int) -> InlineArray<16, Vector> {
    InlineArray { i in i < lanes && i < count ? load(x + i * row) : Vector() }
}
