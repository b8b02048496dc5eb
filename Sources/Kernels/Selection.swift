import CSIMD
import PortableTable
#if arch(x86_64)
import AVX2Table
import AVX512Table
#endif

extension Kernels {
    /// The kernels of an instruction set of `InstructionSet.available`, or nil.
    public static func select(_ instructionSet: InstructionSet) -> Kernels? {
        guard InstructionSet.available.contains(instructionSet) else { return nil }
        switch instructionSet {
        #if arch(x86_64)
        case .avx512: return .from(AVX512Table.Implementation.kernels)
        case .avx2: return .from(AVX2Table.Implementation.kernels)
        #endif
        default: return portable
        }
    }

    /// The fastest kernels that this machine can run.
    public static var fastest: Kernels { select(InstructionSet.available[0]) ?? portable }

    private static var portable: Kernels { from(PortableTable.Implementation.kernels) }

    /// The same kernels with the factors of products rounded.
    /// - Parameter usesNative: whether to use instructions that multiply pairs, where the instruction set has them.
    public func rounding(to precision: Precision, usesNative: Bool = hasFastBFloat16) -> Kernels {
        guard precision == .bf16, self.precision == .fp32 else { return self }
        switch instructionSet {
        #if arch(x86_64)
        case .avx512 where usesNative: return .from(AVX512Table.Implementation.nativeBFloat16Kernels)
        case .avx512: return .from(AVX512Table.Implementation.bfloat16Kernels)
        case .avx2: return .from(AVX2Table.Implementation.bfloat16Kernels)
        #endif
        default: return .from(PortableTable.Implementation.bfloat16Kernels)
        }
    }

    /// A module's own type of table is this one by another name: the same source, and so the same layout.
    private static func from<Table>(_ table: Table) -> Kernels { unsafeBitCast(table, to: Kernels.self) }

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
}
