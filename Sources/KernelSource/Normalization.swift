import CSIMD

// What batch normalisation does with one channel, [pixels, columns] with `rowStride` floats from a pixel to the next.

extension Implementation {
    /// sums[n] = Σ_q x[q, n], sums[columns + n] = Σ_q x[q, n] · y[q, n] in double precision, q ascending. With a gate, x is
    /// first made gate[q, n] > 0 ? x : slope · x.
    public static func moments(
        _ x: UnsafeMutablePointer<Float>, y: UnsafePointer<Float>, gate: UnsafePointer<Float>?, slope: Float, pixels: Int,
        columns: Int, rowStride: Int, _ sums: UnsafeMutablePointer<Double>
    ) {
        var n = 0
        // What lies side by side at once, as far as the sums fit the registers.
        while lanes == 16 && n + 4 * lanes <= columns {
            moments(TileRow<4>.self, x + n, y + n, gate.map { $0 + n }, slope, pixels, rowStride, sums + n, columns)
            n += 4 * lanes
        }
        while n + 2 * lanes <= columns {
            moments(TileRow<2>.self, x + n, y + n, gate.map { $0 + n }, slope, pixels, rowStride, sums + n, columns)
            n += 2 * lanes
        }
        while n < columns {
            moments(TileRow<1>.self, x + n, y + n, gate.map { $0 + n }, slope, pixels, rowStride, sums + n, columns)
            n += lanes
        }
    }

    @inline(__always)
    private static func moments<let Vectors: Int>(
        _: TileRow<Vectors>.Type, _ x: UnsafeMutablePointer<Float>, _ y: UnsafePointer<Float>, _ gate: UnsafePointer<Float>?,
        _ slope: Float, _ pixels: Int, _ rowStride: Int, _ sums: UnsafeMutablePointer<Double>, _ columns: Int
    ) {
        var sum = InlineArray<Vectors, Doubles>(repeating: Doubles())
        var product = InlineArray<Vectors, Doubles>(repeating: Doubles())
        var q = 0
        while q < pixels {
            var v = 0
            while v < Vectors {
                let place = q * rowStride + v * lanes
                var value = load(x + place)
                if let gate {
                    value = select(load(gate + place) .> 0, value, slope * value)
                    store(value, x + place)
                }
                let wide = doubles(value)
                sum[unchecked: v] += wide
                // Exact, before it is added.
                product[unchecked: v] += wide * doubles(load(y + place))
                v += 1
            }
            q += 1
        }
        var v = 0
        while v < Vectors {
            UnsafeMutableRawPointer(sums + v * lanes).storeBytes(of: sum[unchecked: v], as: Doubles.self)
            UnsafeMutableRawPointer(sums + columns + v * lanes).storeBytes(of: product[unchecked: v], as: Doubles.self)
            v += 1
        }
    }

    /// y = v > 0 ? v : slope · v, where v = (x − mean) · scale + shift, the last two fused.
    public static func normalize(
        _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, pixels: Int, columns: Int, rowStride: Int, mean: Float,
        scale: Float, shift: Float, slope: Float
    ) {
        forEachVector(pixels, columns) { pixel, column in
            let place = pixel * rowStride + column
            let value = fma(load(x + place) - mean, Vector(repeating: scale), Vector(repeating: shift))
            store(select(value .> 0, value, slope * value), y + place)
        }
    }

    /// dx = b · (x − mean) + (a · dx + c), each multiplication fused with its addition.
    public static func normalizeBackward(
        _ dx: UnsafeMutablePointer<Float>, x: UnsafePointer<Float>, pixels: Int, columns: Int, rowStride: Int, mean: Float,
        a: Float, b: Float, c: Float
    ) {
        forEachVector(pixels, columns) { pixel, column in
            let place = pixel * rowStride + column
            let inner = fma(Vector(repeating: a), load(dx + place), Vector(repeating: c))
            store(fma(Vector(repeating: b), load(x + place) - mean, inner), dx + place)
        }
    }

    /// sums[n] = Σ_q x[q, n], q ascending.
    public static func sumPixels(
        _ x: UnsafePointer<Float>, pixels: Int, columns: Int, rowStride: Int, _ sums: UnsafeMutablePointer<Float>
    ) {
        var n = 0
        while n < columns {
            var sum = Vector()
            var q = 0
            while q < pixels {
                sum += load(x + q * rowStride + n)
                q += 1
            }
            store(sum, sums + n)
            n += lanes
        }
    }
}
