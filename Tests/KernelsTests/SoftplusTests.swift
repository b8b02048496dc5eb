import Kernels
import Testing

/// ln(1 + eˣ) and its derivative, and the losses as loops over them: the bits of the kernels of losses.
@Suite struct SoftplusTests {
    private static let scale: Float = 1 / 100

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

    /// Loss ln(1 + e^(sign·x)), gradient σ(sign·x) · (sign · scale), score σ(x).
    @Test(arguments: [-1, 1] as [Float])
    func givesBinaryCrossEntropy(sign: Float) {
        check({ $0.binaryCrossEntropy($1, sign, Self.scale, $3, $4, $5, $6) }) { x, _, plus, minus in
            let (value, derivative) = sign < 0 ? minus : plus
            return (value, derivative * (sign * Self.scale), plus.derivative)
        }
    }

    /// Loss (max(x, 0) − t x) + ln(1 + e^−|x|), gradient ((1 − t) σ(x) − t σ(−x)) · scale, the first product of a difference
    /// fused with it; score σ(x).
    @Test func givesSoftBinaryCrossEntropy() {
        check({ $0.softBinaryCrossEntropy($1, $2, Self.scale, $3, $4, $5, $6) }) { x, t, plus, minus in
            let rectified: Float = x < 0 ? 0 : x
            let loss = rectified.addingProduct(-t, x) + (x < 0 ? plus.value : minus.value)
            let asFake = (1 - t) * plus.derivative
            return (loss, asFake.addingProduct(-t, minus.derivative) * Self.scale, plus.derivative)
        }
    }

    /// Loss (x − t)², gradient (x − t) · (2 · scale), score x: with one target as with many.
    @Test(arguments: [0, 1, 0.9, -1] as [Float])
    func loopsGiveSquaredError(target: Float) {
        func loop(_ x: Float, _ t: Float) -> (Float, Float, Float) { ((x - t) * (x - t), (x - t) * (2 * Self.scale), x) }
        check({ $0.squaredError($1, target, Self.scale, $3, $4, $5, $6) }) { x, _, _, _ in loop(x, target) }
        check({ $0.softSquaredError($1, $2, Self.scale, $3, $4, $5, $6) }) { x, t, _, _ in loop(x, t) }
    }

    /// Hinge: with m = sign · x + 1, loss max(0, m), gradient sign · scale where m > 0 or NaN; linear: loss sign · x, gradient
    /// sign · scale. Score x.
    @Test(arguments: [-1, 1] as [Float])
    func loopsGiveHingeAndLinearLoss(sign: Float) {
        check({ $0.hinge($1, sign, Self.scale, $3, $4, $5, $6) }) { x, _, _, _ in
            let margin = sign * x + 1
            return margin <= 0 ? (0, 0, x) : (margin, sign * Self.scale, x)
        }
        check({ $0.linearLoss($1, sign, Self.scale, $3, $4, $5, $6) }) { x, _, _, _ in (sign * x, sign * Self.scale, x) }
    }

    private struct Softplus {
        let value, derivative: Memory<Float>

        init(_ kernels: Kernels, _ x: Memory<Float>) {
            value = Memory(count: x.count)
            derivative = Memory(count: x.count)
            kernels.softplus(x.base, value.base, derivative.base, x.count)
        }

        subscript(i: Int) -> Point { (value[i], derivative[i]) }
    }

    private typealias Point = (value: Float, derivative: Float)

    /// Compares a kernel with a loop.
    /// - Parameters:
    ///   - kernel: takes kernels, outputs, targets, columns, and where loss, gradient and score go.
    ///   - loop: loss, gradient and score of an output and a target, given softplus of the output and of its negative.
    private func check(
        _ kernel: (
            Kernels, Kernels.Floats, Kernels.Floats, Int, Kernels.MutableFloats, Kernels.MutableFloats, Kernels.MutableFloats
        ) -> Void,
        _ loop: (_ x: Float, _ target: Float, _ plus: Point, _ minus: Point) -> (Float, Float, Float)
    ) {
        var random = SplitMix64(6)
        let x = Memory<Float>(specialAndRandomValues(atLeast: 8_192, seed: 3))
        for i in stride(from: 1, to: x.count, by: 2) where i >= 128 { x[i] = 20 * random.unit() }
        let negative = Memory<Float>((0..<x.count).map { -x[$0] })
        let targets = Memory<Float>((0..<x.count).map { $0 % 8 < 2 ? Float($0 % 8) : (random.unit() + 1) / 2 })
        defer { keep(x, negative, targets) }
        for kernels in tables + [.reference] {
            let outputs = (0..<3).map { _ in Memory<Float>(count: x.count) }
            kernel(kernels, x.base, targets.base, x.count, outputs[0].base, outputs[1].base, outputs[2].base)
            let (plus, minus) = (Softplus(kernels, x), Softplus(kernels, negative))
            let loops = (0..<3).map { _ in Memory<Float>(count: x.count) }
            for i in 0..<x.count { (loops[0][i], loops[1][i], loops[2][i]) = loop(x[i], targets[i], plus[i], minus[i]) }
            for (name, (output, expected)) in zip(["loss", "gradient", "score"], zip(outputs, loops)) {
                if let difference = output.difference(from: expected) {
                    Issue.record("\(kernels.instructionSet), \(name): \(difference)")
                }
            }
        }
    }
}
