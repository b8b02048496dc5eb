import Kernels
import Networks
import Testing

/// Ranks of a host that compute each a part of every gradient for the rows of them all: the bits of one rank that owns
/// all of these rows.
@Suite struct SharedRowsTests {
    private struct NotYet: Error {}

    private static let networks: [[LayerSpecification]] = [
        [.linear(inputs: 70, outputs: 37), .leakyReLU(slope: 0.2), .linear(inputs: 37, outputs: 5), .relu, .linear(inputs: 5, outputs: 1)],
        [.linear(inputs: 70, outputs: 19), .relu, .minibatchDiscrimination(inputs: 19, kernels: 3, dimensions: 5),
         .linear(inputs: 22, outputs: 130), .tanh],
        [.linear(inputs: 70, outputs: 19, hasBias: false), .relu, .linear(inputs: 19, outputs: 33),
         .linear(inputs: 33, outputs: 5, hasBias: false)],
        [.reshape(channels: 7, height: 5, width: 2), .instanceNormalization(channels: 7), .relu,
         .reshape(channels: 70, height: 1, width: 1), .linear(inputs: 70, outputs: 5)],
        [.linear(inputs: 70, outputs: 19), .relu,
         .residual([.linear(inputs: 19, outputs: 33), .leakyReLU(slope: 0.2), .residual([.linear(inputs: 33, outputs: 33)]),
                    .linear(inputs: 33, outputs: 19, hasBias: false)]),
         .tanh, .linear(inputs: 19, outputs: 5)],
    ]

    @Test(arguments: [32, 67], [[0..<8], [0..<4, 4..<8], [0..<2, 2..<5, 5..<8], [3..<4, 4..<5, 5..<8], [0..<3, 3..<6], (0..<8).map { $0..<$0 + 1 }])
    func gradientsAreThoseOfOneRank(batch: Int, ranks: [Range<Int>]) throws {
        for layers in Self.networks {
            let shards = (ranks.first?.lowerBound ?? 0)..<(ranks.last?.upperBound ?? 0)
            for kernels in tables {
                let whole = try NetworkRig(layers, inputs: 70, batch: batch, shards: shards, of: 8, kernels: kernels)
                try whole.run()
                let host = HostRig(whole.plan, shards: shards, of: 8, batch: batch, ranks: ranks.count)
                for gradient in host.gradients { gradient.update(repeating: .nan, count: whole.plan.layout.count) }
                let parts = try ranks.enumerated().map { index, own in
                    try NetworkRig(
                        layers, input: Shape(channels: 70), batch: batch, shards: own, of: 8, kernels: kernels, host: host,
                        index: index)
                }
                for part in parts {
                    for slot in 0..<2 { try part.forwardAndBackward(slot) }
                    // All must have laid their rows out before one of them sums.
                    #expect(throws: NotYet.self) { try part.weightGradients { throw NotYet() } }
                }
                for part in parts.reversed() { try part.weightGradients() }
                for tensor in whole.plan.layout.tensors {
                    for (found, expected) in zip(host.gradients, whole.gradients) {
                        let isSame = tensor.values(in: found).map(\.bitPattern) == tensor.values(in: expected).map(\.bitPattern)
                        #expect(isSame, "\(tensor.name), \(kernels.instructionSet), \(ranks), \(batch) rows")
                    }
                }
                withExtendedLifetime(parts) {}
            }
        }
    }

    /// Layers that sum by other means than products keep their ranks' gradients apart.
    @Test func onlyNetworksOfProductsShareRows() throws {
        for layers in Self.networks { #expect(try NetworkPlan(layers, input: Shape(channels: 70)).sharesRows) }
        let normalized: [LayerSpecification] = [.linear(inputs: 70, outputs: 8), .batchNormalization(channels: 8)]
        #expect(try !NetworkPlan(normalized, input: Shape(channels: 70)).sharesRows)
    }
}
