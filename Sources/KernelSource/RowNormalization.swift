import CSIMD

// What layer normalisation does with images [pixels, channels, columns], `rowStride` floats from a channel to the next: numbers
// of a row of the batch are a column's, numbers of a channel are the same in all columns.

@inline(__always)
private func forEachVector(
    _ pixels: Int, _ channels: Int, _ columns: Int, _ rowStride: Int, _ body: (_ channel: Int, _ column: Int, _ place: Int) -> Void
) {
    var first = 0
    while first < pixels * channels * rowStride {
        var channel = 0
        while channel < channels {
            var column = 0
            while column < columns {
                body(channel, column, first + channel * rowStride + column)
                column += lanes
            }
            channel += 1
        }
        first += channels * rowStride
    }
}

extension Implementation {
    /// y = v > 0 ? v : slope · v, where v = x̂ · scale[c] + shift[c], fused, and x̂ = (x − mean[n]) · inverse[n].
    public static func normalizeRows(
        _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, pixels: Int, channels: Int, columns: Int, rowStride: Int,
        mean: UnsafePointer<Float>, inverse: UnsafePointer<Float>, scale: UnsafePointer<Float>, shift: UnsafePointer<Float>,
        slope: Float
    ) {
        forEachVector(pixels, channels, columns, rowStride) { channel, column, place in
            let normalized = (load(x + place) - load(mean + column)) * load(inverse + column)
            let value = fma(normalized, Vector(repeating: scale[channel]), Vector(repeating: shift[channel]))
            store(select(value .> 0, value, slope * value), y + place)
        }
    }

    /// dx = b[n] · (x − mean[n]) + (a[n] · dx + c[n]), each multiplication fused with its addition.
    public static func normalizeRowsBackward(
        _ dx: UnsafeMutablePointer<Float>, x: UnsafePointer<Float>, features: Int, columns: Int, rowStride: Int,
        mean: UnsafePointer<Float>, a: UnsafePointer<Float>, b: UnsafePointer<Float>, c: UnsafePointer<Float>
    ) {
        forEachVector(features, columns) { feature, column in
            let place = feature * rowStride + column
            let inner = fma(load(a + column), load(dx + place), load(c + column))
            store(fma(load(b + column), load(x + place) - load(mean + column), inner), dx + place)
        }
    }

    /// y = scale[c] · x.
    public static func scaleChannels(
        _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, pixels: Int, channels: Int, columns: Int, rowStride: Int,
        scale: UnsafePointer<Float>
    ) {
        forEachVector(pixels, channels, columns, rowStride) { channel, _, place in
            store(scale[channel] * load(x + place), y + place)
        }
    }

    /// sums[n] = Σ_q dy[q, n] · x̂[q, n] of one channel, `rowStride` floats from a pixel to the next, q ascending, fused, with
    /// x̂ = (x − mean[n]) · inverse[n].
    public static func sumNormalized(
        _ dy: UnsafePointer<Float>, x: UnsafePointer<Float>, pixels: Int, columns: Int, rowStride: Int, mean: UnsafePointer<Float>,
        inverse: UnsafePointer<Float>, _ sums: UnsafeMutablePointer<Float>
    ) {
        var n = 0
        while n < columns {
            var sum = Vector()
            var q = 0
            while q < pixels {
                let place = q * rowStride + n
                sum = fma(load(dy + place), (load(x + place) - load(mean + n)) * load(inverse + n), sum)
                q += 1
            }
            store(sum, sums + n)
            n += lanes
        }
    }
}
