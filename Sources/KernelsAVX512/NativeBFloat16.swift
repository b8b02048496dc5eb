import CSIMD

// Products in bf16 on CPUs that multiply a pair at once (AVX-512 BF16): the same bits as of separated pairs.

/// Pairs of bf16, each in the place of a float, the first in its lower half.
private enum Pairs: Format {
    @inline(__always) static var mustPack: Bool { true }
    @inline(__always) static func places(_ count: Int) -> Int { (count + 1) >> 1 }
    @inline(__always) static func multiplyAdd(_ a: Vector, _ b: Vector, _ sum: Vector) -> Vector { csimd_dot_bf16(a, b, sum) }
    @inline(__always) static func scaled(_ sum: Vector, by slope: Float) -> Vector { slope * sum }

    @inline(__always)
    static func pack(even: Vector, odd: Vector, _ target: UnsafeMutablePointer<Float>, stride: Int) {
        store(csimd_bf16_pairs(even, odd), target)
    }

    @inline(__always)
    static func packRow(_ x: UnsafePointer<Float>, count: Int, _ target: UnsafeMutablePointer<Float>) {
        var i = 0
        while i < count {
            let low = csimd_load_first(x + i, Int64(count - i))
            let high = count - i > lanes ? csimd_load_first(x + i + lanes, Int64(count - i - lanes)) : Vector()
            store(csimd_bf16_row(low, high), target + i / 2)
            i += 2 * lanes
        }
    }
}

extension Implementation {
    public static func nativeBFloat16GEMM(_ arguments: UnsafePointer<csimd_gemm>) {
        let before = csimd_flush_denormals()
        gemm(Pairs.self, arguments.pointee)
        csimd_set_float_control(before)
    }

    public static func nativeBFloat16WeightGradient(_ arguments: UnsafePointer<csimd_weight_gradient>) {
        let before = csimd_flush_denormals()
        pairedWeightGradient(Pairs.self, arguments.pointee)
        csimd_set_float_control(before)
    }

    public static func nativeBFloat16Convolution(_ arguments: UnsafePointer<csimd_convolution>) {
        let before = csimd_flush_denormals()
        convolution(Pairs.self, arguments.pointee)
        csimd_set_float_control(before)
    }

    public static func nativeBFloat16ConvolutionGradient(_ arguments: UnsafePointer<csimd_convolution_gradient>) {
        let before = csimd_flush_denormals()
        convolutionGradient(Pairs.self, arguments.pointee)
        csimd_set_float_control(before)
    }

    /// `multiplyAddPeak`, two multiply-adds a lane.
    public static func nativeBFloat16Peak(_ count: Int, _ sink: UnsafeMutablePointer<Float>) -> Int {
        2 * multiplyAddPeak(Pairs.self, count, sink)
    }
}
