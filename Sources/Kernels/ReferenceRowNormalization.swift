// Twins of the kernels of layer normalisation; x[q, c, n] lies at x[(q · channels + c) · row + n].

extension Reference {
    /// y = leakyReLU(fma((x − mean[n]) inverse[n], scale[c], shift[c])).
    static func normalizeRows(
        _ x: Kernels.Floats, _ y: Kernels.MutableFloats, _ pixels: Int, _ channels: Int, _ columns: Int, _ rowStride: Int,
        _ mean: Kernels.Floats, _ inverse: Kernels.Floats, _ scale: Kernels.Floats, _ shift: Kernels.Floats, _ slope: Float
    ) {
        for feature in 0..<pixels * channels {
            for n in 0..<columns {
                let normalized = (x[feature * rowStride + n] - mean[n]) * inverse[n]
                let value = fma(normalized, scale[feature % channels], shift[feature % channels])
                y[feature * rowStride + n] = value > 0 ? value : slope * value
            }
        }
    }

    /// dx = b[n] (x − mean[n]) + (a[n] dx + c[n]).
    static func normalizeRowsBackward(
        _ dx: Kernels.MutableFloats, _ x: Kernels.Floats, _ features: Int, _ columns: Int, _ rowStride: Int, _ mean: Kernels.Floats,
        _ a: Kernels.Floats, _ b: Kernels.Floats, _ c: Kernels.Floats
    ) {
        for feature in 0..<features {
            for n in 0..<columns {
                let place = feature * rowStride + n
                dx[place] = fma(b[n], x[place] - mean[n], fma(a[n], dx[place], c[n]))
            }
        }
    }

    /// y = scale[c] x.
    static func scaleChannels(
        _ x: Kernels.Floats, _ y: Kernels.MutableFloats, _ pixels: Int, _ channels: Int, _ columns: Int, _ rowStride: Int,
        _ scale: Kernels.Floats
    ) {
        for feature in 0..<pixels * channels {
            for n in 0..<columns { y[feature * rowStride + n] = scale[feature % channels] * x[feature * rowStride + n] }
        }
    }

    /// sums[n] = Σ_q dy[q, n] (x[q, n] − mean[n]) inverse[n].
    static func sumNormalized(
        _ dy: Kernels.Floats, _ x: Kernels.Floats, _ pixels: Int, _ columns: Int, _ rowStride: Int, _ mean: Kernels.Floats,
        _ inverse: Kernels.Floats, _ sums: Kernels.MutableFloats
    ) {
        for n in 0..<columns {
            sums[n] = (0..<pixels).reduce(0) { fma(dy[$1 * rowStride + n], (x[$1 * rowStride + n] - mean[n]) * inverse[n], $0) }
        }
    }
}
