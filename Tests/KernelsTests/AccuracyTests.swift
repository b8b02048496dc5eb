import Foundation
import Kernels
import Testing

/// The elementary functions against Foundation's in Double; the bounds are those that `Elementary.swift` states.
@Suite struct AccuracyTests {
    /// The greatest error of `function` at floats in the range, in the unit that `unit` gives for the exact value.
    private func worstError(
        _ function: (Float) -> Float, _ exact: (Double) -> Double, over range: ClosedRange<Float>,
        unit: (Double) -> Double
    ) -> Double {
        var worst = 0.0
        func visit(_ x: Float) {
            let value = exact(Double(x))
            let error = abs(Double(function(x)) - value) / unit(value)
            worst = error.isNaN ? .infinity : max(worst, error)
        }
        // Evenly over the bit patterns, which is evenly over the exponents, and evenly over the range.
        for sign in [1, -1] as [Float] {
            var bits: UInt32 = 0
            while bits < Float.infinity.bitPattern {
                let x = sign * Float(bitPattern: bits)
                if range.contains(x) { visit(x) }
                bits += 104_729
            }
        }
        for i in 0...60_000 { visit(range.lowerBound + (range.upperBound - range.lowerBound) * (Float(i) / 60_000)) }
        return worst
    }

    /// The spacing of floats at a value.
    private func ulp(_ value: Double) -> Double { Double(max(Float(abs(value)).ulp, Float.leastNonzeroMagnitude)) }

    @Test func exponential() {
        #expect(worstError(Reference.exponential, { exp($0) }, over: -87...88, unit: ulp) < 1.3)
        #expect(Reference.exponential(-.infinity) == Reference.exponential(-87))
        #expect(Reference.exponential(.infinity) == Reference.exponential(88))
        #expect(Reference.exponential(0) == 1)
        for bits in UInt32(0x7f80_0001)...0x7f80_2000 { #expect(Reference.exponential(Float(bitPattern: bits)).isNaN) }
    }

    @Test func logarithm() {
        let normal = Float.leastNormalMagnitude...Float.greatestFiniteMagnitude
        #expect(worstError(Reference.logarithm, { log($0) }, over: normal, unit: ulp) < 0.9)
        #expect(worstError(Reference.logarithm, { log($0) }, over: 0.5...2, unit: ulp) < 0.9)
        #expect(Reference.logarithm(1) == 0)
    }

    @Test func logarithm1p() {
        #expect(worstError(Reference.logarithm1p, { log1p($0) }, over: 0...1, unit: ulp) < 2.5)
    }

    @Test func hyperbolicTangent() {
        #expect(worstError(Reference.hyperbolicTangent, { tanh($0) }, over: -20...20, unit: ulp) < 1.5)
        #expect(Reference.hyperbolicTangent(.infinity) == 1)
        #expect(Reference.hyperbolicTangent(-.infinity) == -1)
    }

    @Test func sigmoid() {
        let relative = worstError(
            Reference.sigmoid, { 1 / (1 + exp(-$0)) }, over: -87...1_000, unit: { max($0, 0x1p-126) })
        #expect(relative < 2e-7)
        #expect(Reference.sigmoid(.infinity) == 1)
        #expect(Reference.sigmoid(-.infinity) < 1e-38)
    }

    @Test func softplus() {
        let relative = worstError(
            Reference.softplus, { max($0, 0) + log1p(exp(-abs($0))) }, over: -87...1_000, unit: { $0 })
        #expect(relative < 2.5e-7)
        #expect(Reference.softplus(-.infinity) < 2e-38)
        #expect(Reference.softplus(.infinity) == .infinity)
    }

    @Test func cosineAndSine() {
        var worst = 0.0
        for word in stride(from: 0, through: UInt32.max, by: 20_011) {
            let (cosine, sine) = Reference.cosineAndSine(turns: word)
            let angle = 2 * Double.pi * 0x1p-32 * Double(word)
            worst = max(worst, abs(Double(cosine) - cos(angle)), abs(Double(sine) - sin(angle)))
        }
        #expect(worst < 7e-8)
        for (quarter, exact) in [(1, 0), (0, 1), (-1, 0), (0, -1)].enumerated() {
            let (cosine, sine) = Reference.cosineAndSine(turns: UInt32(quarter) << 30)
            #expect(Int(cosine) == exact.0 && Int(sine) == exact.1)
        }
    }
}
