// Twins of the elementwise kernels; x[f, n] lies at x[f · row + n].

extension Reference {
    /// Calls `body` with the offset of every element of a [features, columns] matrix.
    private static func forEachOffset(_ features: Int, _ columns: Int, _ rowStride: Int, _ body: (Int) -> Void) {
        for feature in 0..<features {
            for column in 0..<columns { body(feature * rowStride + column) }
        }
    }

    /// x = x > 0 ? x : slope · x.
    static func leakyReLU(_ x: Kernels.MutableFloats, _ features: Int, _ columns: Int, _ rowStride: Int, _ slope: Float) {
        forEachOffset(features, columns, rowStride) { x[$0] = x[$0] > 0 ? x[$0] : slope * x[$0] }
    }

    /// x = tanh x.
    static func tanh(_ x: Kernels.MutableFloats, _ features: Int, _ columns: Int, _ rowStride: Int) {
        forEachOffset(features, columns, rowStride) { x[$0] = hyperbolicTangent(x[$0]) }
    }

    /// x = σ(x).
    static func sigmoid(_ x: Kernels.MutableFloats, _ features: Int, _ columns: Int, _ rowStride: Int) {
        forEachOffset(features, columns, rowStride) { x[$0] = sigmoid(x[$0]) }
    }

    /// dx = y > 0 ? dx : slope · dx.
    static func leakyReLUBackward(
        _ dx: Kernels.MutableFloats, _ y: Kernels.Floats, _ features: Int, _ columns: Int, _ rowStride: Int, _ slope: Float
    ) {
        forEachOffset(features, columns, rowStride) { dx[$0] = y[$0] > 0 ? dx[$0] : slope * dx[$0] }
    }

    /// dx = dx · (1 − y²).
    static func tanhBackward(
        _ dx: Kernels.MutableFloats, _ y: Kernels.Floats, _ features: Int, _ columns: Int, _ rowStride: Int
    ) {
        forEachOffset(features, columns, rowStride) { dx[$0] = dx[$0] * fma(-y[$0], y[$0], 1) }
    }

    /// dx = dx · (y · (1 − y)).
    static func sigmoidBackward(
        _ dx: Kernels.MutableFloats, _ y: Kernels.Floats, _ features: Int, _ columns: Int, _ rowStride: Int
    ) {
        forEachOffset(features, columns, rowStride) { dx[$0] = dx[$0] * (y[$0] * (1 - y[$0])) }
    }

    /// out[i] = (bytes[i] / 255 − 1/2) / (1/2).
    static func normalizeBytes(
        _ bytes: UnsafePointer<UInt8>, _ out: Kernels.MutableFloats, _ count: Int, _ upcoming: UnsafePointer<UInt8>
    ) {
        for i in 0..<count { out[i] = (Float(bytes[i]) / 255 - 0.5) / 0.5 }
    }

    /// out = y + scale[n] (x − y), fused.
    static func mixColumns(
        _ x: Kernels.Floats, _ y: Kernels.Floats, _ scale: Kernels.Floats, _ out: Kernels.MutableFloats, _ features: Int,
        _ columns: Int, _ rowStride: Int
    ) {
        for feature in 0..<features {
            for column in 0..<columns {
                let place = feature * rowStride + column
                out[place] = fma(scale[column], x[place] - y[place], y[place])
            }
        }
    }

    /// x = scale[n] x.
    static func scaleColumns(
        _ x: Kernels.MutableFloats, _ scale: Kernels.Floats, _ features: Int, _ columns: Int, _ rowStride: Int
    ) {
        for feature in 0..<features {
            for column in 0..<columns { x[feature * rowStride + column] = scale[column] * x[feature * rowStride + column] }
        }
    }

    /// x = scale y + x, fused.
    static func addScaled(_ x: Kernels.MutableFloats, _ y: Kernels.Floats, _ scale: Float, _ count: Int) {
        for i in 0..<count { x[i] = fma(scale, y[i], x[i]) }
    }
}
