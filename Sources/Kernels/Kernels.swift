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

    /// NEON has never been run by the authors; everything else is tested on every change.
    public var isTested: Bool { self != .neon }
}

/// The kernels of one instruction set. Each member has a plain-loop twin in `Reference.swift`, which gives its formula;
/// its doc comment stands with its source in `KernelSource`.
public struct Kernels: Sendable {
    public let instructionSet: InstructionSet

    /// Columns that the kernels work on at once: those of a matrix are a multiple of it.
    public var columnMultiple: Int { instructionSet == .avx512 ? 16 : 8 }

    /// The kernels for matrices of so few columns that half of every vector would be idle; the same bits.
    public func narrow(columns: Int) -> Kernels {
        columns <= 8 && instructionSet == .avx512 ? Kernels.select(.avx2) ?? self : self
    }

    public typealias MutableFloats = UnsafeMutablePointer<Float>
    public typealias Floats = UnsafePointer<Float>

    public let product: @Sendable (_ arguments: UnsafePointer<Product>) -> Void
    public let weightGradient: @Sendable (_ arguments: UnsafePointer<WeightGradient>) -> Void
    public let transpose:
        @Sendable (_ x: Floats, _ row: Int, _ rows: Int, _ columns: Int, _ out: MutableFloats, _ outRow: Int) -> Void
    public let rectify: @Sendable (_ x: MutableFloats, _ features: Int, _ columns: Int, _ row: Int, _ slope: Float) -> Void
    public let tanh: @Sendable (_ x: MutableFloats, _ features: Int, _ columns: Int, _ row: Int) -> Void
    public let sigmoid: @Sendable (_ x: MutableFloats, _ features: Int, _ columns: Int, _ row: Int) -> Void
    public let rectifyBackward:
        @Sendable (_ dx: MutableFloats, _ y: Floats, _ features: Int, _ columns: Int, _ row: Int, _ slope: Float) -> Void
    public let tanhBackward:
        @Sendable (_ dx: MutableFloats, _ y: Floats, _ features: Int, _ columns: Int, _ row: Int) -> Void
    public let sigmoidBackward:
        @Sendable (_ dx: MutableFloats, _ y: Floats, _ features: Int, _ columns: Int, _ row: Int) -> Void
    public let binaryCrossEntropy:
        @Sendable (
            _ logits: Floats, _ sign: Float, _ scale: Float, _ columns: Int,
            _ loss: MutableFloats, _ gradient: MutableFloats, _ score: MutableFloats
        ) -> Void
    public let squaredError:
        @Sendable (
            _ outputs: Floats, _ target: Float, _ scale: Float, _ columns: Int,
            _ loss: MutableFloats, _ gradient: MutableFloats, _ score: MutableFloats
        ) -> Void
    public let pixels: @Sendable (_ bytes: UnsafePointer<UInt8>, _ out: MutableFloats, _ count: Int) -> Void
    public let randomWords:
        @Sendable (_ random: RandomKey, _ out: UnsafeMutablePointer<UInt32>, _ blocks: Int, _ columns: Int, _ row: Int) -> Void
    public let randomNormals:
        @Sendable (_ random: RandomKey, _ out: MutableFloats, _ features: Int, _ columns: Int, _ row: Int) -> Void
    public let dropout:
        @Sendable (
            _ random: RandomKey, _ x: MutableFloats, _ features: Int, _ columns: Int, _ row: Int,
            _ threshold: UInt32, _ scale: Float
        ) -> Void
    public let treeSum:
        @Sendable (
            _ leaves: UnsafePointer<Floats>, _ merges: UnsafePointer<Int32>, _ leafCount: Int, _ offset: Int,
            _ out: MutableFloats, _ count: Int, _ scratch: MutableFloats
        ) -> Bool
    public let adam:
        @Sendable (
            _ constants: AdamConstants, _ gradient: Floats, _ parameters: MutableFloats,
            _ firstMoment: MutableFloats, _ secondMoment: MutableFloats, _ count: Int
        ) -> Void

    public let multiplyAddPeak: @Sendable (_ count: Int, _ sink: MutableFloats) -> Int
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

public typealias Product = csimd_product
public typealias WeightGradient = csimd_weight_gradient
public typealias ShardSum = csimd_shard_sum
public typealias RandomKey = csimd_random
public typealias AdamConstants = csimd_adam

extension Product {
    /// Floats that a product's workspace holds.
    public static var workspaceCount: Int { Int(CSIMD_PRODUCT_WORKSPACE) }
}
