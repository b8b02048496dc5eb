import Kernels
import MessagePassing
import Networks
import Testing

@testable import GAN

/// The fast steps against the one that is written to be read: the same bytes of parameters, running statistics, moments and
/// averages.
@Suite(.timeLimit(.minutes(15))) struct ReferenceStepTests {
    /// Presets, smaller batches, and what presets do not have together.
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var steps: Int
        var change: @Sendable (inout Configuration) -> Void
        var testDescription: String { name }
    }

    /// The layers of `cyclegan` are those of `cyclegan28`, and hundreds of times as wide.
    static let cases: [Case] = Preset.names.filter { $0 != "cyclegan" }.compactMap { try? mnistPreset($0) }.map { preset in
        // Plain loops take their time: of networks with convolutions one step of one row a shard, and no more than two updates of
        // the critic.
        guard (preset.generator + preset.discriminator + preset.classifier + preset.generatorAB).contains(where: { $0.name.hasPrefix("conv") }) else {
            let batch = 2 * preset.shards + 1
            return Case(name: preset.preset, steps: 2) { $0.batchSize = batch }
        }
        let (batch, updates) = (preset.shards, min(2, preset.criticSteps))
        return Case(name: preset.preset, steps: 1) { ($0.batchSize, $0.criticSteps) = (batch, updates) }
    } + others

    static let others: [Case] = [
        // The pool has a memory, and the domains other colours.
        Case(name: "cyclegan28", steps: 3) { configuration in
            configuration.setDomains(channelsB: 3)
            (configuration.batchSize, configuration.shards, configuration.poolSize) = (9, 4, 8)
        },
        Case(name: "mlp", steps: 3) { $0.generatorStep = .reuse },
        Case(name: "mlp", steps: 3) { ($0.loss, $0.batchSize) = (.relativistic, 21) },
        Case(name: "mlp", steps: 3) { configuration in
            (configuration.loss, configuration.r1, configuration.r2) = (.relativistic, 0.5, 0.25)
            (configuration.penaltyInterval, configuration.criticSteps) = (2, 3)
        },
        Case(name: "mlp", steps: 3) { ($0.gradientPenalty, $0.penaltyInterval, $0.batchSize) = (10, 2, 16) },
        Case(name: "mlp", steps: 2) { ($0.precision, $0.batchSize) = (.bf16, 19) },
        Case(name: "mlp", steps: 3) { configuration in
            (configuration.labelSmoothing, configuration.labelFlip) = (0.1, 0.2)
            (configuration.instanceNoise, configuration.spectralNorm) = (0.3, true)
            configuration.mixesInstanceNoise = true
        },
    ]

    @Test(arguments: cases.indices) func fastStepsMakeItsBytes(number: Int) throws {
        let test = Self.cases[number]
        var configuration = try mnistPreset(test.name)
        test.change(&configuration)
        try configuration.validate()
        let expected = try reference(configuration, steps: test.steps)
        for ranks in [1, 3] {
            let found = try fast(configuration, steps: test.steps, ranks: ranks)
            for (player, (found, expected)) in zip(found, expected).enumerated() {
                for (part, (found, expected)) in zip(found, expected).enumerated() {
                    let differences = zip(found, expected).filter { $0.bitPattern != $1.bitPattern }.count
                    #expect(
                        found.count == expected.count && differences == 0,
                        "\(test.name), \(ranks) ranks, player \(player), part \(part): \(differences) numbers differ")
                }
            }
        }
    }

    /// Parameters, running statistics and averages of each player.
    private func fast(_ configuration: Configuration, steps: Int, ranks: Int) throws -> [[[Float]]] {
        try onRanks(hosts: [ranks], within: 300) { communicator in
            let game = try configuration.makeGame(
                RunData(synthetic: 300, for: configuration), layout: ShardLayout(shards: configuration.shards, ranks: ranks),
                world: communicator.world(), kernels: .fastest.rounding(to: configuration.precision), reduction: .tree)
            try GameState(game: game).initialise(seed: configuration.seed)
            for t in 0..<steps { try game.run(t, requests: 0) }
            try game.settled()
            return try game.players.map { player in
                [floats(player.reducer.parameters, player.network.layout), floats(player.network.buffers, player.network.bufferLayout),
                 try player.gatherAverage(game.context.world) ?? []]
            }
        }[0]
    }

    private func reference(_ configuration: Configuration, steps: Int) throws -> [[[Float]]] {
        let data = RunData(synthetic: 300, for: configuration)
        let step: any ReferenceGame =
            switch configuration.game {
            case .gan: try ReferenceStep(configuration, data.training)
            case .classifier: try ReferenceClassifierStep(configuration, data.training)
            case .cyclegan: try ReferenceCycleStep(configuration, data)
            }
        for t in 0..<steps { try step.run(t) }
        return step.players.map { player in
            let layout = player.network.layout
            return [floats(player.parameters, layout), floats(player.network.buffers, player.network.bufferLayout),
                    player.optimizer.average.map { floats($0, layout) } ?? []]
        }
    }
}

private func floats(_ base: UnsafePointer<Float>, _ layout: ParameterLayout) -> [Float] {
    Array(UnsafeBufferPointer(start: base, count: layout.count))
}
