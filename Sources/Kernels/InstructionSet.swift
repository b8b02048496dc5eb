import CSIMD

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

extension Kernels {
    /// What these kernels are compiled for. The twins bear the name of the portable ones, since they run everywhere.
    public var instructionSet: InstructionSet {
        switch lanes {
        case 16: .avx512
        case 8: .avx2
        #if arch(arm64)
        case 4: .neon
        #endif
        default: .portable
        }
    }

    public var precision: Precision { roundsToBFloat16 ? .bf16 : .fp32 }

    /// For example "avx512", or "avx2, bf16".
    public var description: String { instructionSet.rawValue + (precision == .fp32 ? "" : ", \(precision.rawValue)") }

    /// Columns that the kernels work on at once: those of a matrix are a multiple of it.
    public var columnMultiple: Int { max(lanes, 8) }
}
