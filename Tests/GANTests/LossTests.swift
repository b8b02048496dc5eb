import Foundation
import Kernels
import Networks
import Testing

@testable import GAN

/// Both losses against their formulas in double precision, and their gradients against central differences of those.
@Suite struct LossTests {
    private func exact(_ loss: Loss, _ target: Loss.Target, _ x: Double) -> (loss: Double, score: Double) {
        switch (loss, target) {
        // ln(1 + eˣ) without overflow
        case (.bce, .one): (max(-x, 0) + log1p(exp(-abs(x))), 1 / (1 + exp(-x)))
        case (.bce, .zero): (max(x, 0) + log1p(exp(-abs(x))), 1 / (1 + exp(-x)))
        case (.mse, .one): ((x - 1) * (x - 1), x)
        case (.mse, .zero): (x * x, x)
        }
    }

    @Test(arguments: Loss.allCases, [true, false]) func valuesAndGradients(loss: Loss, isReal: Bool) throws {
        let target = isReal ? Loss.Target.one : .zero
        let values: [Float] = [0, 1, -1, 0.5, -0.5, 1e-6, -1e-6, 3.75, -3.75, 12, -12, 40, -40, 90, -90, 0.1]
        let (columns, batch) = (64, 50)
        for set in InstructionSet.available {
            let kernels = try #require(Kernels.select(set))
            let arena = Arena()
            let outputs = arena.matrix(features: 1, stride: columns)
            let gradient = arena.matrix(features: 1, stride: columns)
            for i in 0..<columns { outputs.base[i] = values[i % values.count] * Float(1 + i / values.count) }
            let rows = RowStatistics(columns: columns, arena: arena)
            let pass = Pass(kernels: kernels, columns: columns, kind: .real, seed: 0, step: 0, firstRow: 0)
            loss.apply(outputs, target: target, batch: batch, gradient: gradient, rows: rows, pass)
            for i in 0..<columns {
                let x = Double(outputs.base[i])
                let (value, score) = exact(loss, target, x)
                #expect(abs(Double(rows.losses[i]) - value) <= 1e-6 * max(1e-3, value), "\(set), loss at \(x)")
                #expect(abs(Double(rows.scores[i]) - score) <= 1e-6 * max(1, abs(score)), "\(set), score at \(x)")
                // The gradient is that of the mean over the batch.
                let h = 1e-5
                let slope = (exact(loss, target, x + h).loss - exact(loss, target, x - h).loss) / (2 * h) / Double(batch)
                #expect(abs(Double(gradient.base[i]) - slope) < 1e-8 + 1e-6 * abs(slope), "\(set), gradient at \(x)")
            }
        }
    }
}
