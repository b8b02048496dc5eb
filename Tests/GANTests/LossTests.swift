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

    /// Targets in the pass of a loss that has none are a programmer's error; these are the losses that may have them.
    @Test func targetsAreForLossesOfProbabilitiesAndSquares() {
        #expect(Loss.allCases.filter(\.takesTargets) == [.bce, .mse])
    }
}
