import CSIMD

// Lines of the cache asked for ahead of time. What other cores of a host have written or read comes from their caches, and
// takes several times as long as what is in one's own.

/// Floats of a line.
@inline(__always) var line: Int { 16 }

/// Asks for the first columns of some rows; they need not exist.
@inline(__always)
func prefetch(_ x: UnsafePointer<Float>, rowStride: Int = 0, rows: Int = 1, columns: Int = line) {
    forEachLine(rowStride, rows, columns) { csimd_prefetch(x + $0) }
}

/// The same, to write them: a line that is read before it is written, and that other cores have read, would otherwise be
/// fetched twice.
@inline(__always)
func prefetchToWrite(_ x: UnsafeMutablePointer<Float>, rowStride: Int = 0, rows: Int = 1, columns: Int = line) {
    forEachLine(rowStride, rows, columns) { csimd_prefetch_to_write(x + $0) }
}

@inline(__always)
private func forEachLine(_ rowStride: Int, _ rows: Int, _ columns: Int, _ ask: (_ place: Int) -> Void) {
    var i = 0
    while i < rows {
        var j = 0
        while j < columns {
            ask(i * rowStride + j)
            j += line
        }
        i += 1
    }
}
