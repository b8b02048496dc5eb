import CSIMD

// Kernels that touch each element of a feature-major matrix [features, columns] once; `rowStride` is the distance between
// features, and columns is a multiple of the vectors' lanes.

@inline(__always)
func forEachVector(_ features: Int, _ columns: Int, _ body: (_ feature: Int, _ column: Int) -> Void) {
    var feature = 0
    while feature < features {
        var column = 0
        while column < columns {
            body(feature, column)
            column += lanes
        }
        feature += 1
    }
}

extension Implementation {
    /// x = x > 0 ? x : slope · x.
    public static func leakyReLU(_ x: UnsafeMutablePointer<Float>, features: Int, columns: Int, rowStride: Int, slope: Float) {
        forEachVector(features, columns) { feature, column in
            let target = x + feature * rowStride + column
            let value = load(target)
            store(select(value .> 0, value, slope * value), target)
        }
    }

    /// x = tanh x.
    public static func tanh(_ x: UnsafeMutablePointer<Float>, features: Int, columns: Int, rowStride: Int) {
        forEachVector(features, columns) { feature, column in
            let target = x + feature * rowStride + column
            store(hyperbolicTangent(load(target)), target)
        }
    }

    /// x = 1 / (1 + e⁻ˣ).
    public static func sigmoid(_ x: UnsafeMutablePointer<Float>, features: Int, columns: Int, rowStride: Int) {
        forEachVector(features, columns) { feature, column in
            let target = x + feature * rowStride + column
            store(sigmoid(load(target)), target)
        }
    }

    /// dx = y > 0 ? dx : slope · dx, where y is the output of `leakyReLU`.
    public static func leakyReLUBackward(
        _ dx: UnsafeMutablePointer<Float>, y: UnsafePointer<Float>, features: Int, columns: Int, rowStride: Int, slope: Float
    ) {
        forEachVector(features, columns) { feature, column in
            let offset = feature * rowStride + column
            let value = load(dx + offset)
            store(select(load(y + offset) .> 0, value, slope * value), dx + offset)
        }
    }

    /// dx = dx · (1 − y²), where y is the output of `tanh`.
    public static func tanhBackward(
        _ dx: UnsafeMutablePointer<Float>, y: UnsafePointer<Float>, features: Int, columns: Int, rowStride: Int
    ) {
        forEachVector(features, columns) { feature, column in
            let offset = feature * rowStride + column
            let y = load(y + offset)
            store(load(dx + offset) * fma(-y, y, Vector(repeating: 1)), dx + offset)
        }
    }

    /// dx = dx · y · (1 − y), where y is the output of `sigmoid`.
    public static func sigmoidBackward(
        _ dx: UnsafeMutablePointer<Float>, y: UnsafePointer<Float>, features: Int, columns: Int, rowStride: Int
    ) {
        forEachVector(features, columns) { feature, column in
            let offset = feature * rowStride + column
            let y = load(y + offset)
            store(load(dx + offset) * (y * (Vector(repeating: 1) - y)), dx + offset)
        }
    }

    /// out[i] = (bytes[i] / 255 − 1/2) / (1/2): torchvision's ToTensor and Normalize(0.5, 0.5), pixels in [−1, 1].
    /// Also prefetches `count` bytes at `upcoming`, the next image. The address need not be valid: a prefetch never faults.
    public static func normalizeBytes(
        _ bytes: UnsafePointer<UInt8>, _ out: UnsafeMutablePointer<Float>, count: Int, upcoming: UnsafePointer<UInt8>
    ) {
        var i = 0
        while i < count {
            csimd_prefetch(upcoming + i)
            i += 64
        }
        // The quotient as division rounds it, for each of the 256 bytes, in a fraction of the time.
        let inverse = Vector(repeating: 1 / 255)
        i = 0
        while i + lanes <= count {
            let byte = floats(UnsafeRawPointer(bytes + i).loadUnaligned(as: Bytes.self))
            let estimate = byte * inverse
            let value = fma(fma(estimate, Vector(repeating: -255), byte), inverse, estimate) - 0.5
            store(value + value, out + i)
            i += lanes
        }
        while i < count {
            let value = Float(bytes[i]) / 255 - 0.5
            out[i] = value + value
            i += 1
        }
    }

    /// out = y + scale[n] · (x − y) in column n, fused: between x and y of each column.
    public static func mixColumns(
        _ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, scale: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Float>,
        features: Int, columns: Int, rowStride: Int
    ) {
        forEachVector(features, columns) { feature, column in
            let place = feature * rowStride + column
            let other = load(y + place)
            store(fma(load(scale + column), load(x + place) - other, other), out + place)
        }
    }

    /// x = scale[n] · x in column n.
    public static func scaleColumns(
        _ x: UnsafeMutablePointer<Float>, scale: UnsafePointer<Float>, features: Int, columns: Int, rowStride: Int
    ) {
        forEachVector(features, columns) { feature, column in
            let place = feature * rowStride + column
            store(load(scale + column) * load(x + place), x + place)
        }
    }

    /// x = scale · y + x, fused; count is a multiple of the vectors' lanes.
    public static func addScaled(_ x: UnsafeMutablePointer<Float>, _ y: UnsafePointer<Float>, scale: Float, count: Int) {
        forEachVector(1, count) { _, i in store(fma(Vector(repeating: scale), load(y + i), load(x + i)), x + i) }
    }
}
