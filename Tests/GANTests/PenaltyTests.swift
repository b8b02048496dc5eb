import Foundation
import Kernels
import MessagePassing
import Networks
import Testing

@testable import GAN

/// The gradient penalty alone against PyTorch's second derivatives: `VENV/bin/python pytorch_penalty.py
/// pytorch_penalty.json` made the expected values, in double precision.
@Suite struct PenaltyTests {
    struct Expected: Decodable, Sendable {
        struct Case: Decodable, Sendable, CustomTestStringConvertible {
            var name: String
            var side: Int
            var layers: [LayerSpecification]
            /// λ (‖g‖ − 1)² of each row.
            var penalties: [Double]
            var gradients: [String: [Double]]
            var testDescription: String { name }
        }
        var cases: [Case]
    }

    static let expected: Expected = {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "pytorch_penalty.json")
        do {
            return try JSONDecoder().decode(Expected.self, from: Data(contentsOf: file))
        } catch { preconditionFailure("\(file.path): \(error)") }
    }()

    private static let (batch, weight, seed, step) = (10, 7.0, UInt64(0x0123_4567_89ab_cdef), 6)

    /// The sums over the batch of one rank that owns all shards, of which only the penalty's rows are not zero.
    @Test(arguments: expected.cases) func equalsPyTorch(test: Expected.Case) throws {
        var configuration = try mnistPreset("mlp")
        (configuration.batchSize, configuration.gradientPenalty) = (Self.batch, Self.weight)
        for set in InstructionSet.available {
            let kernels = try #require(Kernels.select(set))
            let arena = Arena()
            let plan = try NetworkPlan(test.layers, input: Shape(channels: 1, height: test.side, width: test.side))
            let columns = Self.batch.paddedToVectors
            let parameters = arena.floats(plan.layout.count)
            var random = SplitMix64(7)
            for tensor in plan.layout.tensors { tensor.store(random.units(tensor.count), in: parameters) }
            let network = Network(
                name: "discriminator", plan: plan, stride: columns, slots: 4, parameters: parameters, arena: arena)
            for slot in 0..<2 {
                let x = network.input.slot(slot)
                for row in 0..<Self.batch {
                    for feature in 0..<x.features { x.base[feature * x.stride + row] = random.unit() }
                }
            }
            let losses = arena.floats(columns)
            let penalties = try #require(
                Penalties(configuration, network, losses: losses, columns: columns, arena: arena))
            let passes = try penalties.add(update: Self.step) { kind in
                Pass(kernels: kernels, columns: columns, kind: kind, seed: Self.seed, step: Self.step, firstRow: 0)
            }
            #expect(passes == 3)

            let layout = ShardLayout(shards: 8, ranks: 1)
            let gradient = arena.floats(plan.layout.count)
            let tree = TreePlan(leaves: (0..<8).map { $0..<$0 + 1 }, total: 0..<8)
            let sums = BatchSums(
                kernels: kernels, passes: 3, biasPasses: 2, columns: columns,
                shards: tree.sums((0..<8).map { layout.rows(of: $0, batch: Self.batch) }), ownsFirstShard: true,
                outputs: [gradient], needs: plan.needs, arena: arena)
            try network.weightGradients(sums) { _ in }

            for (row, exact) in test.penalties.enumerated() {
                let found = Double(losses[row])
                #expect(abs(found - exact) <= 2e-6 * max(1, exact), "\(set), row \(row): \(found), PyTorch \(exact)")
            }
            for tensor in plan.layout.tensors {
                let values = tensor.values(in: gradient).map(Double.init)
                // A bias moves the output, not its slope.
                let exact = test.gradients[tensor.name] ?? Array(repeating: 0, count: tensor.count)
                #expect(values.count == exact.count && tensor.name.hasSuffix("bias") == (test.gradients[tensor.name] == nil))
                let largest = exact.reduce(0) { max($0, abs($1)) }
                let worst = zip(values, exact).reduce(0.0) { max($0, abs($1.0 - $1.1)) }
                #expect(worst <= 1e-5 * largest, "\(set), \(tensor.name): \(worst) of \(largest)")
            }
        }
    }
}
