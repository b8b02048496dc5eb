extension Implementation {
    /// `bfloat16Kernels` where the CPU has AVX-512 BF16.
    public static var nativeBFloat16Kernels: Kernels {
        var kernels = bfloat16Kernels
        kernels.hasNativeProducts = true
        kernels.gemm = nativeBFloat16GEMM
        kernels.weightGradient = nativeBFloat16WeightGradient
        kernels.convolution = nativeBFloat16Convolution
        kernels.convolutionGradient = nativeBFloat16ConvolutionGradient
        kernels.multiplyAddPeak = nativeBFloat16Peak
        return kernels
    }
}
