/// The plain-loop twin of every kernel: scalar `Float`, never optimised, the same operations in the same order as the
/// kernels, which must equal it bit for bit. `addingProduct` is the fused multiply-add, rounded once.
///
/// The formulas here are the definition of what a kernel computes; how fast it gets there is the kernels' affair.
public enum Reference {
    static var vectorLanes: Int { 1 }

    // What is measured has no twin.
    static func multiplyAddPeak(_ count: Int, _ sink: Kernels.MutableFloats) -> Int { 0 }
    static func read(_ x: Kernels.Floats, _ count: Int, _ sink: Kernels.MutableFloats) {}
}

typealias Implementation = Reference

extension Kernels {
    /// The twins.
    public static var reference: Kernels { Reference.kernels }

    /// The twins of `rounding(to: .bf16)`.
    public static var bfloat16Reference: Kernels { Reference.bfloat16Kernels }
}
