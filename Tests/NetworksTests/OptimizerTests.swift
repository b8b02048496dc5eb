import Foundation
import Kernels
import Networks
import Testing

@Suite struct OptimizerTests {
    struct Expected: Decodable, Sendable, CustomTestStringConvertible {
        struct Update: Decodable, Sendable {
            var t: Int
            var parameters: [Double]
            var moments: [String: [Double]]
        }
        var name: String
        var updates: [Update]
        var testDescription: String { name }
    }

    private static let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appending(path: "pytorch_optimizers.json")
    static let expected: [Expected] = {
        do {
            return try JSONDecoder().decode([Expected].self, from: Data(contentsOf: file))
        } catch { preconditionFailure("\(file.path): \(error)") }
    }()

    /// What PyTorch was given.
    private static let optimizers: [String: Optimizer] = [
        "adam": .adam(Adam(learningRate: 2e-4, beta1: 0.5, beta2: 0.999, epsilon: 1e-8)),
        "rmsprop": .rmsprop(RMSprop(learningRate: 5e-5)),
        "rmsprop, other constants": .rmsprop(RMSprop(learningRate: 0.01, alpha: 0.9, epsilon: 1e-3)),
        "sgd": .sgd(SGD(learningRate: 0.01)),
        "sgd, momentum": .sgd(SGD(learningRate: 0.01, momentum: 0.9)),
    ]

    /// Parameters and moments after some updates; `VENV/bin/python pytorch_optimizers.py pytorch_optimizers.json` made the
    /// expected values, in double precision.
    @Test(arguments: expected) func updatesEqualPyTorch(test: Expected) throws {
        let optimizer = try #require(Self.optimizers[test.name])
        #expect(test.name.hasPrefix(optimizer.name))
        let count = 16
        for kernels in tables {
            var p = (0..<count).map { Float(7 * $0 % 16 - 8) / 8 }
            var moments = [[Float](repeating: 0, count: count), [Float](repeating: 0, count: count)]
            func check(_ found: [Float], _ exact: [Double], _ what: String, tolerance: (Int) -> Double) {
                for i in 0..<count {
                    #expect(
                        abs(Double(found[i]) - exact[i]) <= tolerance(i),
                        "\(kernels.instructionSet), \(what)[\(i)]: \(found[i]), PyTorch \(exact[i])")
                }
            }
            for t in 1...20 {
                let g = (0..<count).map { i -> Float in
                    let whole: Int = (5 * t + 3 * i) % 11 - 4
                    return Float(whole) * exp2(-Float(i))
                }
                var (first, second) = (moments[0], moments[1])
                optimizer.apply(
                    update: t, gradient: g, parameters: &p, first: &first, second: &second, count: count, kernels: kernels)
                moments = [first, second]
                guard let update = test.updates.first(where: { $0.t == t }) else { continue }
                // A rounding of p in each update.
                check(p, update.parameters, "parameters after \(t)") { _ in Double(t) * 0x1p-24 }
                #expect(Set(optimizer.moments) == Set(update.moments.keys))
                for (name, values) in zip(optimizer.moments, moments) {
                    let exact = try #require(update.moments[name])
                    // Gradients of changing sign cancel, their squares do not.
                    check(values, exact, "\(name) after \(t)") {
                        2e-6 * max(abs(exact[$0]), name.contains("sq") ? 0 : exp2(-Double($0)))
                    }
                }
                for values in moments[optimizer.moments.count...] { #expect(values.allSatisfy { $0 == 0 }) }
            }
        }
    }

    private static let settings = [
        Adam(learningRate: 2e-4, beta1: 0.9, beta2: 0.999, epsilon: 1e-8),
        Adam(learningRate: 1e-3, beta1: 0.5, beta2: 0.9, epsilon: 1e-6),
        Adam(learningRate: 0.1, beta1: 0, beta2: 0, epsilon: 1e-8),
    ]

    /// Each constant is the nearest float to what a library's pow gives, or its neighbour.
    @Test(arguments: settings) func adamsConstantsEqualPow(adam: Adam) {
        for t in Array(1...2_000) + [9_370, 46_850, 93_700, 1_000_000] {
            let constants = adam.constants(update: t)
            let step = adam.learningRate / (1 - pow(adam.beta1, Double(t)))
            let root = 1 / (1 - pow(adam.beta2, Double(t))).squareRoot()
            #expect(abs(Double(constants.step_size) / step - 1) < 1.2e-7, "t = \(t)")
            #expect(abs(Double(constants.inverse_root) / root - 1) < 1.2e-7, "t = \(t)")
            #expect(constants.beta1 == Float(adam.beta1) && constants.one_minus_beta1 == Float(1 - adam.beta1))
            #expect(constants.beta2 == Float(adam.beta2) && constants.one_minus_beta2 == Float(1 - adam.beta2))
            #expect(constants.epsilon == Float(adam.epsilon))
        }
    }

    /// 100 updates follow `torch.optim.Adam`'s formula in double precision:
    /// m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², p ← p − (lr / (1 − β₁ᵗ)) m / (√v / √(1 − β₂ᵗ) + ε)
    @Test(arguments: settings) func adamFollowsDouble(adam: Adam) {
        let count = 64
        for kernels in tables {
            var random = SplitMix64(5)
            var p = random.units(count)
            var (m, v) = ([Float](repeating: 0, count: count), [Float](repeating: 0, count: count))
            var exact = p.map { (p: Double($0), m: 0.0, v: 0.0) }
            var largest = 0.0
            for t in 1...100 {
                // Gradients of very different size, and some that are zero throughout.
                let g = (0..<count).map { $0 % 16 == 15 ? 0 : random.unit() * Float(sign: .plus, exponent: -($0 / 4), significand: 1) }
                kernels.adam(adam.constants(update: t), g, &p, &m, &v, count)
                for i in 0..<count {
                    let gradient = Double(g[i])
                    exact[i].m = adam.beta1 * exact[i].m + (1 - adam.beta1) * gradient
                    exact[i].v = adam.beta2 * exact[i].v + (1 - adam.beta2) * gradient * gradient
                    let denominator = (exact[i].v.squareRoot() / (1 - pow(adam.beta2, Double(t))).squareRoot()) + adam.epsilon
                    let change = adam.learningRate / (1 - pow(adam.beta1, Double(t))) * exact[i].m / denominator
                    exact[i].p -= change
                    largest = max(largest, abs(change))
                }
            }
            for i in 0..<count {
                #expect(abs(Double(m[i]) - exact[i].m) <= 1e-6 * exact[i].v.squareRoot())
                #expect(abs(Double(v[i]) - exact[i].v) <= 1e-5 * exact[i].v)
                // A rounding of p and one of the change in each of the updates.
                let rounding = 100 * (0x1p-24 * max(1, abs(exact[i].p)) + 3e-7 * largest)
                #expect(abs(Double(p[i]) - exact[i].p) <= rounding, "\(kernels.instructionSet), element \(i)")
            }
        }
    }
}
