import Kernels
import MessagePassing
import Networks

/// Builds the players of a game. Their parameters and gradients lie in memory that the ranks of a host share; every rank
/// builds the same players in the same order.
struct PlayerBuilder {
    private struct Part {
        let plan: PlayerPlan
        let gradients: GradientSums
        let optimizer: ShardedOptimizer
        let reducer: Reducer
    }

    private let parts: [Part]
    private var space: SharedSpace
    private let shardSums: ShardSums
    private let context: StepContext
    /// What all ranks hand to each other in every step.
    let records: StepRecords

    /// - Parameter rowSums: what the step's records tell of the batch. They travel with the gradients of player 0, which is to
    ///   be updated once in a step, and last.
    init(_ plans: [PlayerPlan], rowSums: [RowSum], context: StepContext) throws {
        precondition(plans.count <= Phase.mostPlayers, "\(plans.count) players, of at most \(Phase.mostPlayers)")
        let (layout, communicator, kernels) = (context.layout, context.world.communicator, context.kernels)
        let recordSize = StepRecords.size(rowSums.count, layout)
        let gradients = plans.enumerated().map { number, plan in
            GradientSums(
                plan: plan.network, layout: layout, communicator: communicator, batch: context.configuration.batchSize,
                reduction: context.reduction, passes: plan.weightPasses, biasPasses: plan.biasPasses,
                recordSize: number == 0 ? recordSize : 0)
        }
        let capacity = plans.map(\.network.needs.statistics).max() ?? 0
        var space = try SharedSpace(
            communicator,
            byteCount: ShardSums.sharedBytes(capacity: capacity, layout: layout, communicator: communicator)
                + gradients.reduce(0) { $0 + $1.sharedBytes })
        parts = zip(plans, gradients).enumerated().map { number, part in
            let (plan, gradients) = part
            let optimizer = ShardedOptimizer(
                Reducer.segment(of: communicator.rank, size: communicator.size, count: plan.network.layout.count),
                optimizer: plan.optimizer, clip: plan.weightClip, averageDecay: plan.averageDecay, kernels: kernels,
                arena: context.arena)
            return Part(
                plan: plan, gradients: gradients, optimizer: optimizer,
                reducer: gradients.reducer(number, context.world, kernels, space: &space, update: optimizer.update))
        }
        shardSums = ShardSums(world: context.world, layout: layout, capacity: capacity, space: &space)
        records = StepRecords(rowSums, carrier: parts[0].reducer, context: context)
        self.space = space
        self.context = context
        context.world.players = plans.map(\.name)
    }

    /// - Parameters:
    ///   - areJoined: whether the network's passes lie side by side in the columns of one.
    ///   - output: where the network's output goes, or nil for memory of its own.
    mutating func player(_ number: Int, areJoined: Bool = false, output: Matrix? = nil) -> Player {
        let part = parts[number]
        let slots = areJoined ? 2 : part.plan.slots
        let network = Network(
            name: part.plan.name, plan: part.plan.network, stride: context.columns, slots: slots, areJoined: areJoined,
            output: output, parameters: part.reducer.parameters, arena: context.arena)
        let sums = part.gradients.batchSums(
            into: part.reducer, context.kernels, columns: areJoined ? context.columns / 2 : context.columns, space: &space,
            arena: context.arena)
        return Player(
            part.plan, number: number, network: network, reducer: part.reducer, optimizer: part.optimizer, sums: sums,
            statistics: context.batchStatistics(part.plan.network, shardSums), records: number == 0 ? records : nil,
            context: context)
    }
}
