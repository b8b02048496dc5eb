import Kernels
import MessagePassing
import Networks

/// Two generators, G from domain A to B and F from B to A, against a discriminator of each domain, with pictures that are not
/// paired: what is translated there and back again should be as it was (Zhu et al. 2017).
///
/// This file builds what a step needs. The step is in `CycleStep.swift`.
final class CycleGame: Game {
    let context: StepContext
    let records: StepRecords
    let players: [Player]
    /// G with D_B, and F with D_A.
    let toB, toA: Translation

    private let batchesA, batchesB: Batches
    /// The generators' updates under way, if any.
    var updateG, updateF: Update?

    var configuration: Configuration { context.configuration }
    var memories: [ShardMemory] { [toA, toB].compactMap { $0.pool?.memory } }
    var hasIdentity: Bool { configuration.usedIdentityWeight > 0 }

    init(_ data: RunData, _ context: StepContext) throws {
        guard let second = data.second else { preconditionFailure("a CycleGAN without a second domain") }
        self.context = context
        let (configuration, arena) = (context.configuration, context.arena)
        func rows() -> UnsafeMutablePointer<Float> { arena.floats(context.columns) }
        let (rowsB, rowsA) = ((0..<5).map { _ in rows() }, (0..<5).map { _ in rows() })
        let keys = ["loss_d_real", "loss_d_fake", "loss_g", "cycle", "identity"]
        let rowSums =
            zip(keys, rowsB).map { RowSum(key: "\($0).ab", rows: $1) } + zip(keys, rowsA).map { RowSum(key: "\($0).ba", rows: $1) }
        var builder = try PlayerBuilder(configuration.cyclePlayers(), rowSums: rowSums, context: context)
        records = builder.records
        players = (0..<4).map { builder.player($0) }
        let pools = FakePool.pair(
            configuration, layout: context.layout, rank: context.world.communicator.rank, columns: context.columns, arena: arena)
        toB = Translation(
            generator: players[0], discriminator: players[3], pool: pools.b, rows: rowsB, cycleWeight: configuration.cycleWeight,
            context: context)
        toA = Translation(
            generator: players[1], discriminator: players[2], pool: pools.a, rows: rowsA, cycleWeight: configuration.usedCycleWeightB,
            context: context)
        func batches(_ dataset: Dataset, _ streams: Batches.Streams) -> Batches {
            Batches(
                configuration, dataset: dataset, streams, layout: context.layout, rank: context.world.communicator.rank,
                kernels: context.kernels, arena: arena)
        }
        (batchesA, batchesB) = (batches(data.training, .first), batches(second, .second))
    }

    func settle() throws {
        try updateF.take()?.finish()
        try updateG.take()?.finish()
    }

    /// a and b, to wherever they are needed.
    func gather(_ t: Int) {
        context.timed(.data) {
            batchesA.gather(step: t, into: toB.pictures)
            batchesB.gather(step: t, into: toA.pictures)
            for (own, other) in [(toB, toA), (toA, toB)] {
                other.discriminator.network.input.slot(Translation.real).copy(own.pictures)
                if hasIdentity { other.generator.network.input.slot(Translation.identity).copy(own.pictures) }
            }
        }
    }

    func report(_ means: BatchMeans) -> StepReport {
        func mean(_ key: String) -> Double { means[key] ?? .nan }
        func judged(_ direction: String) -> Double { (mean("loss_d_real.\(direction)") + mean("loss_d_fake.\(direction)")) / 2 }
        var fields = [
            ("loss_d_a", judged("ba")), ("loss_d_b", judged("ab")), ("loss_g_ab", mean("loss_g.ab")), ("loss_g_ba", mean("loss_g.ba")),
            ("cycle_a", mean("cycle.ab")), ("cycle_b", mean("cycle.ba")),
        ]
        if hasIdentity { fields += [("identity_a", mean("identity.ba")), ("identity_b", mean("identity.ab"))] }
        func pair(_ key: String) -> String {
            fields.filter { $0.0.hasPrefix(key) }.map { $0.1.readable(4) }.joined(separator: " ")
        }
        return StepReport(
            line: "d_loss: \(pair("loss_d")), g_loss: \(pair("loss_g")), cycle: \(pair("cycle"))"
                + (hasIdentity ? ", identity: \(pair("identity"))" : ""), fields: fields)
    }

    func makeObserver(_ data: RunData, run: RunDirectory?, firstStep: Int) throws -> any GameObserver {
        try CycleObserver(self, data, run: run)
    }
}

extension Configuration {
    /// The generators from A to B and from B to A, and the discriminators of A and of B.
    func cyclePlayers() throws -> [PlayerPlan] {
        try cyclePlans().enumerated().map { number, network in
            let isGenerator = number < 2
            return PlayerPlan(
                name: network.name, network: network.plan, optimizer: optimizer(learningRate: learningRate),
                initialWeights: RandomStream.cycleWeights + UInt32(number), initialDeviation: 0.02,
                slots: isGenerator && usedIdentityWeight > 0 ? 3 : 2, weightPasses: isGenerator && usedIdentityWeight > 0 ? 3 : 2,
                biasPasses: isGenerator && usedIdentityWeight > 0 ? 3 : 2)
        }
    }

    /// Floating-point operations of the matrix products of one step.
    func cycleOperations() throws -> Int {
        let passes = usedIdentityWeight > 0 ? 3 : 2
        let counts = try cyclePlans().enumerated().map { number, network in
            let products = network.plan.layers.map(\.products).filter { $0 > 0 }
            let (all, first) = (products.reduce(0, +), products[0])
            // A generator: forward and weight gradients of each pass, input gradients but for the first layer, and with it in a
            // cycle's second half. A discriminator: the same of real and fake rows, then forward and all input gradients.
            return number < 2 ? 3 * passes * all - (passes - 1) * first : 6 * all - 2 * first + 2 * all
        }
        return 2 * batchSize * counts.reduce(0, +)
    }
}
