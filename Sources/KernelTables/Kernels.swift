import CSIMD

// Four modules compile this file through symbolic links: AVX512Table, AVX2Table, PortableTable, and `Kernels` for the twins.
// All are built for any CPU. The compiler adds code for the type `Kernels` to each of them, and the linker may keep any one
// copy, so each copy must run everywhere.

/// The kernels of one instruction set, or their twins. A kernel is declared here alone: a member gives its name and its
/// type, and every module's `Implementation` has a function of that name. The function's doc comment says what the kernel
/// does; the twin, in `Kernels/Reference*.swift`, is its definition.
public struct Kernels: Sendable {
    /// Floats of a vector; 1 for the twins.
    public let lanes = Implementation.vectorLanes
    /// Whether the factors of products are rounded to bf16.
    public internal(set) var roundsToBFloat16 = false
    /// Whether the products multiply pairs of bf16 by one instruction.
    public internal(set) var hasNativeProducts = false

    public typealias MutableFloats = UnsafeMutablePointer<Float>
    public typealias Floats = UnsafePointer<Float>
    public internal(set) var gemm: @Sendable (_ arguments: UnsafePointer<GEMM>) -> Void = Implementation.gemm
    public internal(set) var weightGradient: @Sendable (_ arguments: UnsafePointer<WeightGradient>) -> Void =
        Implementation.weightGradient
    /// Sums over the batch whose second factor is one: never rounded.
    public internal(set) var biasGradient: @Sendable (_ arguments: UnsafePointer<WeightGradient>) -> Void =
        Implementation.biasGradient
    public internal(set) var convolution: @Sendable (_ arguments: UnsafePointer<Convolution>) -> Void = Implementation.convolution
    public internal(set) var convolutionGradient: @Sendable (_ arguments: UnsafePointer<ConvolutionGradient>) -> Void =
        Implementation.convolutionGradient
    public let sumPixels:
        @Sendable (_ x: Floats, _ pixels: Int, _ columns: Int, _ rowStride: Int, _ sums: MutableFloats) -> Void =
        Implementation.sumPixels
    public let moments:
        @Sendable (
            _ x: MutableFloats, _ y: Floats, _ gate: Floats?, _ slope: Float, _ pixels: Int, _ columns: Int, _ rowStride: Int,
            _ sums: UnsafeMutablePointer<Double>
        ) -> Void = Implementation.moments
    public let normalize:
        @Sendable (
            _ x: Floats, _ y: MutableFloats, _ pixels: Int, _ columns: Int, _ rowStride: Int, _ mean: Float, _ scale: Float,
            _ shift: Float, _ slope: Float
        ) -> Void = Implementation.normalize
    public let normalizeBackward:
        @Sendable (
            _ dx: MutableFloats, _ x: Floats, _ pixels: Int, _ columns: Int, _ rowStride: Int, _ mean: Float, _ a: Float,
            _ b: Float, _ c: Float
        ) -> Void = Implementation.normalizeBackward
    public let normalizeRows:
        @Sendable (
            _ x: Floats, _ y: MutableFloats, _ pixels: Int, _ channels: Int, _ columns: Int, _ rowStride: Int, _ mean: Floats,
            _ inverse: Floats, _ scale: Floats, _ shift: Floats, _ slope: Float
        ) -> Void = Implementation.normalizeRows
    public let normalizeRowsBackward:
        @Sendable (
            _ dx: MutableFloats, _ x: Floats, _ features: Int, _ columns: Int, _ rowStride: Int, _ mean: Floats, _ a: Floats,
            _ b: Floats, _ c: Floats
        ) -> Void = Implementation.normalizeRowsBackward
    public let scaleChannels:
        @Sendable (
            _ x: Floats, _ y: MutableFloats, _ pixels: Int, _ channels: Int, _ columns: Int, _ rowStride: Int, _ scale: Floats
        ) -> Void = Implementation.scaleChannels
    public let sumNormalized:
        @Sendable (
            _ dy: Floats, _ x: Floats, _ pixels: Int, _ columns: Int, _ rowStride: Int, _ mean: Floats, _ inverse: Floats,
            _ sums: MutableFloats
        ) -> Void = Implementation.sumNormalized
    public let similarities:
        @Sendable (_ x: Floats, _ dimensions: Int, _ count: Int, _ rowStride: Int, _ out: MutableFloats) -> Void =
        Implementation.similarities
    public let similaritiesBackward:
        @Sendable (
            _ x: Floats, _ gradient: Floats, _ dimensions: Int, _ count: Int, _ rowStride: Int, _ scratch: MutableFloats,
            _ dx: MutableFloats
        ) -> Void = Implementation.similaritiesBackward
    public let copyColumns:
        @Sendable (_ x: Floats, _ rowStride: Int, _ rows: Int, _ columns: Int, _ out: MutableFloats, _ outRowStride: Int) -> Void =
        Implementation.copyColumns
    public let transpose:
        @Sendable (_ x: Floats, _ rowStride: Int, _ rows: Int, _ columns: Int, _ out: MutableFloats, _ outRowStride: Int) -> Void =
        Implementation.transpose
    public let leakyReLU:
        @Sendable (_ x: MutableFloats, _ features: Int, _ columns: Int, _ rowStride: Int, _ slope: Float) -> Void =
        Implementation.leakyReLU
    public let tanh: @Sendable (_ x: MutableFloats, _ features: Int, _ columns: Int, _ rowStride: Int) -> Void = Implementation.tanh
    public let sigmoid: @Sendable (_ x: MutableFloats, _ features: Int, _ columns: Int, _ rowStride: Int) -> Void =
        Implementation.sigmoid
    public let leakyReLUBackward:
        @Sendable (_ dx: MutableFloats, _ y: Floats, _ features: Int, _ columns: Int, _ rowStride: Int, _ slope: Float) -> Void =
        Implementation.leakyReLUBackward
    public let tanhBackward:
        @Sendable (_ dx: MutableFloats, _ y: Floats, _ features: Int, _ columns: Int, _ rowStride: Int) -> Void =
        Implementation.tanhBackward
    public let sigmoidBackward:
        @Sendable (_ dx: MutableFloats, _ y: Floats, _ features: Int, _ columns: Int, _ rowStride: Int) -> Void =
        Implementation.sigmoidBackward
    public let softplus:
        @Sendable (_ x: Floats, _ value: MutableFloats, _ derivative: MutableFloats, _ columns: Int) -> Void =
        Implementation.softplus
    public let mixColumns:
        @Sendable (
            _ x: Floats, _ y: Floats, _ scale: Floats, _ out: MutableFloats, _ features: Int, _ columns: Int, _ rowStride: Int
        ) -> Void = Implementation.mixColumns
    public let scaleColumns:
        @Sendable (_ x: MutableFloats, _ scale: Floats, _ features: Int, _ columns: Int, _ rowStride: Int) -> Void =
        Implementation.scaleColumns
    public let addScaled: @Sendable (_ x: MutableFloats, _ y: Floats, _ scale: Float, _ count: Int) -> Void =
        Implementation.addScaled
    public let normalizeBytes:
        @Sendable (
            _ bytes: UnsafePointer<UInt8>, _ out: MutableFloats, _ count: Int, _ upcoming: UnsafePointer<UInt8>
        ) -> Void = Implementation.normalizeBytes
    public internal(set) var randomWords:
        @Sendable (
            _ random: RandomKey, _ out: UnsafeMutablePointer<UInt32>, _ blocks: Int, _ columns: Int, _ rowStride: Int
        ) -> Void = Implementation.randomWords
    public internal(set) var randomNormals:
        @Sendable (_ random: RandomKey, _ out: MutableFloats, _ features: Int, _ columns: Int, _ rowStride: Int) -> Void =
        Implementation.randomNormals
    public internal(set) var dropout:
        @Sendable (
            _ random: RandomKey, _ x: MutableFloats, _ features: Int, _ columns: Int, _ rowStride: Int,
            _ threshold: UInt32, _ scale: Float
        ) -> Void = Implementation.dropout
    public internal(set) var treeSum:
        @Sendable (
            _ leaves: UnsafePointer<Floats>, _ merges: UnsafePointer<Int32>, _ leafCount: Int, _ offset: Int,
            _ out: MutableFloats, _ count: Int, _ scratch: MutableFloats
        ) -> Bool = Implementation.treeSum
    public let adam:
        @Sendable (
            _ constants: AdamConstants, _ gradient: Floats, _ parameters: MutableFloats,
            _ firstMoment: MutableFloats, _ secondMoment: MutableFloats, _ count: Int
        ) -> Void = Implementation.adam
    public let rmsprop:
        @Sendable (
            _ constants: RMSpropConstants, _ gradient: Floats, _ parameters: MutableFloats,
            _ squareAverage: MutableFloats, _ count: Int
        ) -> Void = Implementation.rmsprop
    public let sgd:
        @Sendable (
            _ learningRate: Float, _ momentum: Float, _ gradient: Floats, _ parameters: MutableFloats,
            _ buffer: MutableFloats?, _ count: Int
        ) -> Void = Implementation.sgd
    public let clip: @Sendable (_ x: MutableFloats, _ limit: Float, _ count: Int) -> Void = Implementation.clip
    public let average: @Sendable (_ average: MutableFloats, _ x: Floats, _ weight: Float, _ count: Int) -> Void =
        Implementation.average
    public internal(set) var multiplyAddPeak: @Sendable (_ count: Int, _ sink: MutableFloats) -> Int =
        Implementation.multiplyAddPeak
    public let read: @Sendable (_ x: Floats, _ count: Int, _ sink: MutableFloats) -> Void = Implementation.read
}

extension Implementation {
    /// The kernels in single precision.
    public static var kernels: Kernels { Kernels() }

    /// The kernels of products whose factors are rounded to bf16.
    public static var bfloat16Kernels: Kernels {
        var kernels = Kernels()
        kernels.roundsToBFloat16 = true
        kernels.gemm = bfloat16GEMM
        kernels.weightGradient = bfloat16WeightGradient
        kernels.biasGradient = flushedBiasGradient
        kernels.convolution = bfloat16Convolution
        kernels.convolutionGradient = bfloat16ConvolutionGradient
        kernels.treeSum = flushedTreeSum
        return kernels
    }
}

public typealias GEMM = csimd_gemm
public typealias WeightGradient = csimd_weight_gradient
public typealias Convolution = csimd_convolution
public typealias ConvolutionGradient = csimd_convolution_gradient
public typealias ConvolutionPosition = csimd_position
public typealias ConvolutionTap = csimd_tap
public typealias ShardSum = csimd_shard_sum
/// What a long kernel calls between blocks of its work.
public typealias Interlude = csimd_interlude
public typealias RandomKey = csimd_random
public typealias AdamConstants = csimd_adam
public typealias RMSpropConstants = csimd_rmsprop
