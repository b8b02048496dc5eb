import CSIMD

// How a product lays its factors out before they meet: what a tile reads then lies side by side.

/// target = the columns of B panel by panel, each [places, width].
@inline(__always)
func packPanels<Elements: Format>(
    _ elements: Elements.Type, _ b: UnsafePointer<Float>, _ bDepth: Int, _ columns: Int, _ depth: Int,
    _ target: UnsafeMutablePointer<Float>
) {
    var vector = 0
    while vector < columns / lanes {
        let width = nextVectors(columns / lanes - vector)
        packColumns(
            elements, b + vector * lanes, rowStride: bDepth, depth: depth, vectors: width,
            target + vector * lanes * Elements.places(depth), targetRow: width * lanes)
        vector += width
    }
}

/// target[i · places + ...] = A's row m + i, of which x is the first: the elements of a row lie side by side.
@inline(__always)
func packRows<Elements: Format>(
    _: Elements.Type, _ x: UnsafePointer<Float>, _ rowStride: Int, _ count: Int, _ depth: Int,
    _ target: UnsafeMutablePointer<Float>
) {
    var i = 0
    while i < count {
        Elements.packRow(x + i * rowStride, count: depth, target + i * Elements.places(depth))
        i += 1
    }
}

/// target[place · groupRows + i] = A's row m + i for i < count: a tile then finds what it reads side by side, and not in
/// lines so far apart that they displace one another from the cache.
@inline(__always)
func packGroup<Elements: Format>(
    _ elements: Elements.Type, _ p: csimd_gemm, _ m: Int, _ count: Int, _ k: Int, _ end: Int,
    _ target: UnsafeMutablePointer<Float>
) {
    let x = p.a + k * p.a_depth + m * p.a_row
    if prefetchesGroups && p.a_row == 1 && m + count < p.rows { prefetchGroup(x + count, rowStride: p.a_depth, depth: end - k) }
    switch p.a_row == 1 ? count : 0 {
    case 3 * lanes: packColumns(elements, x, rowStride: p.a_depth, depth: end - k, vectors: 3, target, targetRow: groupRows)
    case 2 * lanes: packColumns(elements, x, rowStride: p.a_depth, depth: end - k, vectors: 2, target, targetRow: groupRows)
    case lanes: packColumns(elements, x, rowStride: p.a_depth, depth: end - k, vectors: 1, target, targetRow: groupRows)
    default: packSparse(elements, x, p.a_row, p.a_depth, count, end - k, target)
    }
}

/// Asks for what the next group reads: its lines lie too far apart for the hardware to foresee them.
@inline(__always)
private func prefetchGroup(_ x: UnsafePointer<Float>, rowStride: Int, depth: Int) {
    var k = 0
    while k < depth {
        prefetch(x + k * rowStride, columns: groupRows)
        k += 1
    }
}

/// `packColumns` of columns that lie apart, or that do not fill whole vectors.
@inline(never)
private func packSparse<Elements: Format>(
    _: Elements.Type, _ x: UnsafePointer<Float>, _ column: Int, _ rowStride: Int, _ count: Int, _ depth: Int,
    _ target: UnsafeMutablePointer<Float>
) {
    var k = 0
    while k < depth {
        var i = 0
        while i < count {
            let even = x + k * rowStride + i * column
            Elements.pack(
                even: gather(even, column, count - i),
                odd: k + 1 < depth ? gather(even + rowStride, column, count - i) : Vector(),
                target + Elements.places(k) * groupRows + i, stride: groupRows)
            i += lanes
        }
        k += 2
    }
}

/// The first `count` lanes from elements `stride` apart.
@inline(never)
func gather(_ x: UnsafePointer<Float>, _ stride: Int, _ count: Int) -> Vector {
    var vector = Vector()
    var i = 0
    while i < count && i < lanes {
        vector[i] = x[i * stride]
        i += 1
    }
    return vector
}
