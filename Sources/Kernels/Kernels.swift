import CSIMD
import KernelsPortable
#if arch(x86_64)
import KernelsAVX2
import KernelsAVX512
#endif

/// An instruction set that the kernels are compiled for. All of them give the same bits.
public enum InstructionSet: String, CaseIterable, Sendable {
    case avx512, avx2, neon, portable

    /// The instruction sets that this machine can run, fastest first.
    public static var available: [InstructionSet] {
        #if arch(x86_64)
        var sets: [InstructionSet] = []
        if csimd_cpu_has_avx512() != 0 { sets.append(.avx512) }
        if csimd_cpu_has_avx2_fma() != 0 { sets.append(.avx2) }
        return sets + [.portable]
        #elseif arch(arm64)
        return [.neon]
        #else
        return [.portable]
        #endif
    }

    /// NEON is tested on an emulated CPU, where it gives the same bits; everything else on a real one.
    public var isTestedByEmulation: Bool { self == .neon }
}

/// How the factors of matrix products are rounded; sums, parameters and everything else are in single precision.
public enum Precision: String, Codable, CaseIterable, Sendable { case fp32, bf16 }

/// The kernels of one instruction set. Each member has a plain-loop twin in `Reference.swift`, which gives its formula;
/// its doc comment stands with its source in `KernelSource`.
public struct Kernels: Sendable {
    public let instructionSet: InstructionSet
    public internal(set) var precision = Precision.fp32
    /// Whether the products multiply pairs of bf16 by one instruction.
    public internal(set) var hasNativeProducts = false
    /// For example "avx512", or "avx2, bf16".
    public var description: String { instructionSet.rawValue + (precision == .fp32 ? "" : ", \(precision.rawValue)") }

    /// Columns that the kernels work on at once: those of a matrix are a multiple of it.
    public var columnMultiple: Int { instructionSet == .avx512 ? 16 : 8 }

    /// Whether this CPU multiplies pairs of bf16 at once.
    public static var hasNativeBFloat16: Bool {
        #if arch(x86_64)
        csimd_cpu_has_avx512_bf16() != 0
        #else
        false
        #endif
    }

    /// Whether it gains by that; elsewhere pairs are multiplied one after the other: the same bits, no faster than fp32.
    public static var hasFastBFloat16: Bool {
        #if arch(x86_64)
        csimd_cpu_has_fast_avx512_bf16() != 0
        #else
        false
        #endif
    }

    /// These kernels with the factors of products rounded.
    /// - Parameter usesNative: whether to use instructions that multiply pairs, where the instruction set has them.
    public func rounding(to precision: Precision, usesNative: Bool = hasFastBFloat16) -> Kernels {
        guard precision == .bf16, self.precision == .fp32 else { return self }
        var kernels = self
        kernels.precision = .bf16
        switch instructionSet {
        #if arch(x86_64)
        case .avx512: kernels.setAVX512BFloat16(usesNative: usesNative)
        case .avx2: kernels.setAVX2BFloat16()
        #endif
        default: kernels.setPortableBFloat16()
        }
        return kernels
    }

    public typealias MutableFloats = UnsafeMutablePointer<Float>
    public typealias Floats = UnsafePointer<Float>
    /// A loss of outputs that all have the same label: a sign, −1 where they should be high, or a target.
    public typealias HardLoss =
        @Sendable (
            _ outputs: Floats, _ label: Float, _ scale: Float, _ columns: Int,
            _ loss: MutableFloats, _ gradient: MutableFloats, _ score: MutableFloats
        ) -> Void
    /// A loss of outputs with a target each.
    public typealias SoftLoss =
        @Sendable (
            _ outputs: Floats, _ targets: Floats, _ scale: Float, _ columns: Int,
            _ loss: MutableFloats, _ gradient: MutableFloats, _ score: MutableFloats
        ) -> Void

    public internal(set) var gemm: @Sendable (_ arguments: UnsafePointer<GEMM>) -> Void
    public internal(set) var weightGradient: @Sendable (_ arguments: UnsafePointer<WeightGradient>) -> Void
    /// Sums over the batch whose second factor is one: never rounded.
    public internal(set) var biasGradient: @Sendable (_ arguments: UnsafePointer<WeightGradient>) -> Void
    public internal(set) var convolution: @Sendable (_ arguments: UnsafePointer<Convolution>) -> Void
    public internal(set) var convolutionGradient: @Sendable (_ arguments: UnsafePointer<ConvolutionGradient>) -> Void
    public let sumPixels:
        @Sendable (_ x: Floats, _ pixels: Int, _ columns: Int, _ rowStride: Int, _ sums: MutableFloats) -> Void
    public let moments:
        @Sendable (
            _ x: MutableFloats, _ y: Floats, _ gate: Floats?, _ slope: Float, _ pixels: Int, _ columns: Int, _ rowStride: Int,
            _ sums: UnsafeMutablePointer<Double>
        ) -> Void
    public let normalize:
        @Sendable (
            _ x: Floats, _ y: MutableFloats, _ pixels: Int, _ columns: Int, _ rowStride: Int, _ mean: Float, _ scale: Float,
            _ shift: Float, _ slope: Float
        ) -> Void
    public let normalizeBackward:
        @Sendable (
            _ dx: MutableFloats, _ x: Floats, _ pixels: Int, _ columns: Int, _ rowStride: Int, _ mean: Float, _ a: Float,
            _ b: Float, _ c: Float
        ) -> Void
    public let normalizeRows:
        @Sendable (
            _ x: Floats, _ y: MutableFloats, _ pixels: Int, _ channels: Int, _ columns: Int, _ rowStride: Int, _ mean: Floats,
            _ inverse: Floats, _ scale: Floats, _ shift: Floats, _ slope: Float
        ) -> Void
    public let normalizeRowsBackward:
        @Sendable (
            _ dx: MutableFloats, _ x: Floats, _ features: Int, _ columns: Int, _ rowStride: Int, _ mean: Floats, _ a: Floats,
            _ b: Floats, _ c: Floats
        ) -> Void
    public let scaleChannels:
        @Sendable (
            _ x: Floats, _ y: MutableFloats, _ pixels: Int, _ channels: Int, _ columns: Int, _ rowStride: Int, _ scale: Floats
        ) -> Void
    public let sumNormalized:
        @Sendable (
            _ dy: Floats, _ x: Floats, _ pixels: Int, _ columns: Int, _ rowStride: Int, _ mean: Floats, _ inverse: Floats,
            _ sums: MutableFloats
        ) -> Void
    public let similarities:
        @Sendable (_ x: Floats, _ dimensions: Int, _ count: Int, _ rowStride: Int, _ out: MutableFloats) -> Void
    public let similaritiesBackward:
        @Sendable (
            _ x: Floats, _ gradient: Floats, _ dimensions: Int, _ count: Int, _ rowStride: Int, _ scratch: MutableFloats,
            _ dx: MutableFloats
        ) -> Void
    public let copyColumns:
        @Sendable (_ x: Floats, _ rowStride: Int, _ rows: Int, _ columns: Int, _ out: MutableFloats, _ outRowStride: Int) -> Void
    public let transpose:
        @Sendable (_ x: Floats, _ rowStride: Int, _ rows: Int, _ columns: Int, _ out: MutableFloats, _ outRowStride: Int) -> Void
    public let leakyReLU: @Sendable (_ x: MutableFloats, _ features: Int, _ columns: Int, _ rowStride: Int, _ slope: Float) -> Void
    public let tanh: @Sendable (_ x: MutableFloats, _ features: Int, _ columns: Int, _ rowStride: Int) -> Void
    public let sigmoid: @Sendable (_ x: MutableFloats, _ features: Int, _ columns: Int, _ rowStride: Int) -> Void
    public let leakyReLUBackward:
        @Sendable (_ dx: MutableFloats, _ y: Floats, _ features: Int, _ columns: Int, _ rowStride: Int, _ slope: Float) -> Void
    public let tanhBackward:
        @Sendable (_ dx: MutableFloats, _ y: Floats, _ features: Int, _ columns: Int, _ rowStride: Int) -> Void
    public let sigmoidBackward:
        @Sendable (_ dx: MutableFloats, _ y: Floats, _ features: Int, _ columns: Int, _ rowStride: Int) -> Void
    public let binaryCrossEntropy: HardLoss
    public let softBinaryCrossEntropy: SoftLoss
    public let squaredError: HardLoss
    public let softSquaredError: SoftLoss
    public let hinge: HardLoss
    public let linearLoss: HardLoss
    public let mixColumns:
        @Sendable (
            _ x: Floats, _ y: Floats, _ scale: Floats, _ out: MutableFloats, _ features: Int, _ columns: Int, _ rowStride: Int
        ) -> Void
    public let scaleColumns:
        @Sendable (_ x: MutableFloats, _ scale: Floats, _ features: Int, _ columns: Int, _ rowStride: Int) -> Void
    public let addScaled: @Sendable (_ x: MutableFloats, _ y: Floats, _ scale: Float, _ count: Int) -> Void
    public let normalizeBytes:
        @Sendable (
            _ bytes: UnsafePointer<UInt8>, _ out: MutableFloats, _ count: Int, _ upcoming: UnsafePointer<UInt8>
        ) -> Void
    public internal(set) var randomWords:
        @Sendable (_ random: RandomKey, _ out: UnsafeMutablePointer<UInt32>, _ blocks: Int, _ columns: Int, _ rowStride: Int) -> Void
    public internal(set) var randomNormals:
        @Sendable (_ random: RandomKey, _ out: MutableFloats, _ features: Int, _ columns: Int, _ rowStride: Int) -> Void
    public internal(set) var dropout:
        @Sendable (
            _ random: RandomKey, _ x: MutableFloats, _ features: Int, _ columns: Int, _ rowStride: Int,
            _ threshold: UInt32, _ scale: Float
        ) -> Void
    public internal(set) var treeSum:
        @Sendable (
            _ leaves: UnsafePointer<Floats>, _ merges: UnsafePointer<Int32>, _ leafCount: Int, _ offset: Int,
            _ out: MutableFloats, _ count: Int, _ scratch: MutableFloats
        ) -> Bool
    public let adam:
        @Sendable (
            _ constants: AdamConstants, _ gradient: Floats, _ parameters: MutableFloats,
            _ firstMoment: MutableFloats, _ secondMoment: MutableFloats, _ count: Int
        ) -> Void
    public let rmsprop:
        @Sendable (
            _ constants: RMSpropConstants, _ gradient: Floats, _ parameters: MutableFloats,
            _ squareAverage: MutableFloats, _ count: Int
        ) -> Void
    public let sgd:
        @Sendable (
            _ learningRate: Float, _ momentum: Float, _ gradient: Floats, _ parameters: MutableFloats,
            _ buffer: MutableFloats?, _ count: Int
        ) -> Void
    public let clip: @Sendable (_ x: MutableFloats, _ limit: Float, _ count: Int) -> Void
    public let average: @Sendable (_ average: MutableFloats, _ x: Floats, _ weight: Float, _ count: Int) -> Void

    public internal(set) var multiplyAddPeak: @Sendable (_ count: Int, _ sink: MutableFloats) -> Int
    public let read: @Sendable (_ x: Floats, _ count: Int, _ sink: MutableFloats) -> Void

    /// The kernels of an instruction set of `InstructionSet.available`, or nil.
    public static func select(_ instructionSet: InstructionSet) -> Kernels? {
        guard InstructionSet.available.contains(instructionSet) else { return nil }
        switch instructionSet {
        #if arch(x86_64)
        case .avx512: return avx512
        case .avx2: return avx2
        #endif
        default: return portable(as: instructionSet)
        }
    }

    /// The fastest kernels that this machine can run.
    public static var fastest: Kernels { select(InstructionSet.available[0]) ?? portable(as: .portable) }
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

extension GEMM {
    /// Floats that the workspace of a product or convolution holds: 64 columns of B, 256 deep; a block of A, 3072 elements
    /// and a vector; and a convolution's 64 columns of 48 sums.
    public static let workspaceCount = 64 * 256 + 3_072 + 16 + 64 * 48
}

extension ConvolutionGradient {
    /// Floats of the scratch: the gradient of up to 16 · 64 columns and of its subtrees, or of 64 columns of a tap; a block
    /// of the depth; and 64 channels of a shard of X and a stretch of A, if all taps of channels that fill vectors are taken
    /// at once.
    /// - Parameter pixels: of X in that case, else 0.
    public static func scratchCount(rows: Int, pixels: Int, shards: [ShardSum]) -> Int {
        var levels = 3
        while 1 << (levels - 3) < shards.count { levels += 1 }
        guard pixels > 0 else { return levels * 64 * rows + 10_496 }
        let places = (shards.map { Int($0.count) }.max() ?? 0) + 1
        return levels * max(64 * rows, 1 << 18) + 10_496 + 64 * pixels * places + max(1 << 12, 16 * rows) * places
    }
}

extension Interlude {
    /// Nothing to call.
    public static var none: Interlude { Interlude() }
}

extension WeightGradient {
    /// Floats that the workspace of a weight gradient in bf16 holds, for so many rows of A and shards of so many rows.
    public static func workspaceCount(rows: Int, passes: Int, shards: [ShardSum]) -> Int {
        let places = passes * shards.reduce(0) { $0 + (Int($1.count) + 1) / 2 * 2 }
        // A, a panel of B, the shards, and what the parts are rounded up by.
        return (rows + 64) * places + 3 * shards.count + 64
    }
}
