// Twins of the kernels of batch normalisation.

extension Reference {
    /// sums[n] = Σ_q x[q, n] and sums[columns + n] = Σ_q x[q, n] y[q, n], the latter of x rectified by the gate.
    static func moments(
        _ x: Kernels.MutableFloats, _ y: Kernels.Floats, _ gate: Kernels.Floats?, _ slope: Float, _ pixels: Int,
        _ columns: Int, _ rowStride: Int, _ sums: UnsafeMutablePointer<Double>
    ) {
        for n in 0..<columns {
            sums[n] = 0
            sums[columns + n] = 0
            for place in (0..<pixels).map({ $0 * rowStride + n }) {
                if let gate, !(gate[place] > 0) { x[place] = slope * x[place] }
                sums[n] += Double(x[place])
                sums[columns + n] += Double(x[place]) * Double(y[place])
            }
        }
    }

    /// y = leakyReLU(fma(x − mean, scale, shift)).
    static func normalize(
        _ x: Kernels.Floats, _ y: Kernels.MutableFloats, _ pixels: Int, _ columns: Int, _ rowStride: Int, _ mean: Float,
        _ scale: Float, _ shift: Float, _ slope: Float
    ) {
        for place in places(pixels, columns, rowStride) {
            let value = fma(x[place] - mean, scale, shift)
            y[place] = value > 0 ? value : slope * value
        }
    }

    /// dx = b (x − mean) + (a dx + c).
    static func normalizeBackward(
        _ dx: Kernels.MutableFloats, _ x: Kernels.Floats, _ pixels: Int, _ columns: Int, _ rowStride: Int, _ mean: Float,
        _ a: Float, _ b: Float, _ c: Float
    ) {
        for place in places(pixels, columns, rowStride) { dx[place] = fma(b, x[place] - mean, fma(a, dx[place], c)) }
    }

    /// sums[n] = Σ_q x[q, n].
    static func sumPixels(_ x: Kernels.Floats, _ pixels: Int, _ columns: Int, _ rowStride: Int, _ sums: Kernels.MutableFloats) {
        for n in 0..<columns { sums[n] = (0..<pixels).reduce(0) { $0 + x[$1 * rowStride + n] } }
    }

    private static func places(_ pixels: Int, _ columns: Int, _ rowStride: Int) -> [Int] {
        (0..<pixels).flatMap { pixel in (0..<columns).map { pixel * rowStride + $0 } }
    }
}
