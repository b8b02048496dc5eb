import Kernels
import Testing

/// ln(1 + eˣ) and its derivative.
@Suite struct SoftplusTests {
    @Test func equalsTwin() {
        for columns in [16, 32, 48, 4_096] {
            let x = Memory<Float>(Array(specialAndRandomValues(atLeast: 4_096, seed: 3).prefix(columns)))
            defer { keep(x) }
            let twins = Softplus(.reference, x)
            for kernels in tables {
                let found = Softplus(kernels, x)
                for (output, twin) in [(found.value, twins.value), (found.derivative, twins.derivative)] {
                    if let difference = output.difference(from: twin) {
                        Issue.record("\(kernels.instructionSet), \(columns) columns: \(difference)")
                    }
                }
            }
        }
    }

    private struct Softplus {
        let value, derivative: Memory<Float>

        init(_ kernels: Kernels, _ x: Memory<Float>) {
            value = Memory(count: x.count)
            derivative = Memory(count: x.count)
            kernels.softplus(x.base, value.base, derivative.base, x.count)
        }
    }
}
