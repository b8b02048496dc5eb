import Foundation
import Kernels
import Networks
import Testing

@testable import GAN

/// Every loss against PyTorch: `VENV/bin/python pytorch_loss.py pytorch_loss.json` made the expected values, in double
/// precision.
@Suite struct LossTests {
    struct Expected: Decodable, Sendable {
        struct Case: Decodable, Sendable, CustomTestStringConvertible {
            var loss: Loss
            var pass: String
            var is_soft: Bool
            var losses, gradient, scores: [Double]
            var testDescription: String { "\(loss), \(pass)\(is_soft ? ", soft targets" : "")" }
        }
        var x, targets: [Double]
        var cases: [Case]
    }

    private static let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "pytorch_loss.json")
    static let expected: Expected = {
        do {
            return try JSONDecoder().decode(Expected.self, from: Data(contentsOf: file))
        } catch { preconditionFailure("\(file.path): \(error)") }
    }()

    @Test(arguments: expected.cases) func valuesAndGradients(test: Expected.Case) throws {
        let kinds: [String: (PassKind, Loss.Target)] = [
            "real": (.real, .one), "fake": (.fake, .zero), "generator": (.generator, .one),
        ]
        let (kind, target) = try #require(kinds[test.pass])
        let x = Self.expected.x
        let (batch, columns) = (x.count, x.count.paddedToVectors)
        for set in InstructionSet.available {
            let kernels = try #require(Kernels.select(set))
            let arena = Arena()
            let outputs = arena.matrix(features: 1, stride: columns)
            let gradient = arena.matrix(features: 1, stride: columns)
            let targets = arena.floats(columns)
            for i in 0..<batch {
                outputs.base[i] = Float(x[i])
                targets[i] = Float(Self.expected.targets[i])
            }
            let rows = RowStatistics(columns: columns, arena: arena)
            test.loss.apply(
                outputs, target: target, targets: test.is_soft ? UnsafePointer(targets) : nil, batch: batch,
                gradient: gradient, rows: rows,
                Pass(kernels: kernels, columns: columns, kind: kind, seed: 0, step: 0, firstRow: 0))
            for i in 0..<batch {
                func check(_ found: Float, _ exact: Double, _ what: String) {
                    // Even in double precision PyTorch's σ(x) − 1 is 0 for large x.
                    let tolerance = 3e-7 * abs(exact) + 1e-17
                    #expect(abs(Double(found) - exact) <= tolerance, "\(set), \(what) at \(x[i]): \(found), PyTorch \(exact)")
                }
                check(rows.losses[i], test.losses[i], "loss")
                check(gradient.base[i], test.gradient[i], "gradient")
                check(rows.scores[i], test.scores[i], "score")
            }
        }
    }

    /// What a loss makes of outputs, as bits: losses, gradients, scores.
    private func bits(
        _ loss: Loss, _ x: [Float], _ target: Loss.Target, _ kind: PassKind, targets: [Float]? = nil, _ kernels: Kernels
    ) -> [[UInt32]] {
        let arena = Arena()
        let outputs = arena.matrix(features: 1, stride: x.count)
        let gradient = arena.matrix(features: 1, stride: x.count)
        let own = arena.floats(x.count)
        for (i, value) in x.enumerated() {
            outputs.base[i] = value
            own[i] = targets?[i] ?? 0
        }
        let rows = RowStatistics(columns: x.count, arena: arena)
        loss.apply(
            outputs, target: target, targets: targets == nil ? nil : UnsafePointer(own), batch: 100, gradient: gradient, rows: rows,
            Pass(kernels: kernels, columns: x.count, kind: kind, seed: 0, step: 0, firstRow: 0))
        // One NaN is as good as another.
        return [rows.losses, gradient.base, rows.scores].map { values in
            x.indices.map { values[$0].isNaN ? 0x7fc0_0000 : values[$0].bitPattern }
        }
    }

    /// Infinities, NaN, zeros of both signs, numbers from the smallest to the largest, and those in between.
    private static let values: [Float] = {
        let special: [Float] = [.infinity, .nan, 0, .leastNonzeroMagnitude, .leastNormalMagnitude, 1e-9, 16.6, 87, 88, 100, .greatestFiniteMagnitude]
        let between = (0..<490).map { Float($0) / 16 - 15 }
        return special + special.map { -$0 } + between
    }()

    /// The bits are the same on every instruction set.
    @Test func bitsDoNotDependOnTheInstructionSet() throws {
        let x = Self.values
        #expect(x.count % 16 == 0)
        let targets = x.indices.map { Float($0 % 11) / 10 }
        for loss in Loss.allCases where !loss.isPaired {
            for (target, kind) in [(.one, .real), (.zero, .fake), (.one, .generator)] as [(Loss.Target, PassKind)] {
                for targets in loss.takesTargets ? [nil, targets] : [nil] {
                    let expected = bits(loss, x, target, kind, targets: targets, .reference)
                    for set in InstructionSet.available {
                        let found = bits(loss, x, target, kind, targets: targets, try #require(Kernels.select(set)))
                        #expect(found == expected, "\(loss), \(kind), \(set)")
                    }
                }
            }
        }
    }

    /// Targets that are all 0, or all 1, give the bits of the losses without targets.
    @Test(arguments: [Loss.Target.zero, .one]) func targetsOfOneKind(target: Loss.Target) {
        let x = Self.values.map { $0.isFinite ? $0 : 0.25 }
        let targets = [Float](repeating: target == .one ? 1 : 0, count: x.count)
        for loss in Loss.allCases where loss.takesTargets {
            #expect(bits(loss, x, target, .real, targets: targets, .fastest) == bits(loss, x, target, .real, .fastest), "\(loss)")
        }
    }

    /// Targets in the pass of a loss that has none are a programmer's error; these are the losses that may have them.
    @Test func targetsAreForLossesOfProbabilitiesAndSquares() {
        #expect(Loss.allCases.filter(\.takesTargets) == [.bce, .mse])
    }
}
