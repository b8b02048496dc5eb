// Twins of the kernels of minibatch discrimination; x[c, i] lies at x[c · row + i].

extension Reference {
    /// e^−d, 0 for d > 87, d = Σ_c |x[c, i] − x[c, j]|.
    private static func similarity(_ x: Kernels.Floats, _ dimensions: Int, _ rowStride: Int, _ i: Int, _ j: Int) -> Float {
        let distance = (0..<dimensions).reduce(0) { $0 + (x[$1 * rowStride + i] - x[$1 * rowStride + j]).magnitude }
        return distance > 87 ? 0 : exponential(-distance)
    }

    /// out[i] = Σ_{j ≠ i} e^−d(i, j).
    static func similarities(_ x: Kernels.Floats, _ dimensions: Int, _ count: Int, _ rowStride: Int, _ out: Kernels.MutableFloats) {
        for i in 0..<count {
            out[i] = (0..<count).reduce(0) { $1 == i ? $0 : $0 + similarity(x, dimensions, rowStride, i, $1) }
        }
    }

    /// dx[c, i] = −Σ_j (gradient[i] + gradient[j]) e^−d(i, j) sign(x[c, i] − x[c, j]).
    static func similaritiesBackward(
        _ x: Kernels.Floats, _ gradient: Kernels.Floats, _ dimensions: Int, _ count: Int, _ rowStride: Int,
        _ scratch: Kernels.MutableFloats, _ dx: Kernels.MutableFloats
    ) {
        for i in 0..<count {
            for c in 0..<dimensions {
                var sum: Float = 0
                for j in 0..<count {
                    let weight = (gradient[i] + gradient[j]) * similarity(x, dimensions, rowStride, i, j)
                    let difference = x[c * rowStride + i] - x[c * rowStride + j]
                    sum -= difference > 0 ? weight : difference < 0 ? -weight : 0
                }
                dx[c * rowStride + i] = sum
            }
        }
    }
}
