import Kernels
import MessagePassing
import Networks

/// What a configuration says of a player.
struct PlayerPlan {
    /// The first part of its tensors' names.
    let name: String
    let network: NetworkPlan
    let optimizer: Optimizer
    /// The random stream of its initial weights.
    let initialWeights: UInt32
    /// Their standard deviation, where they are normal numbers; nil where they are as PyTorch's modules have them.
    var initialDeviation: Float?
    /// The largest magnitude of a parameter after an update, if there is one.
    var weightClip: Double?
    /// The share of its moving average that an update keeps, by the update's number from 1; nil where none is kept.
    var averageDecay: ((_ update: Int) -> Double)?
    var updatesPerStep = 1
    /// Passes whose activations are kept at once.
    var slots = 1
    /// How many passes are summed into the gradients of weights; and how many of these, from the first on, into those of biases.
    var weightPasses = 1, biasPasses = 1
}

/// A network of a game, with all that trains it: its parameters and their reduction over the ranks, its optimiser, its sums
/// over the batch and its statistics.
final class Player {
    let plan: PlayerPlan
    /// Its place among the game's players.
    let number: Int
    let network: Network
    let reducer: Reducer
    let optimizer: ShardedOptimizer
    private let sums: BatchSums
    private let statistics: BatchStatistics?
    private let context: StepContext
    /// What its reduction carries besides, if anything.
    let records: StepRecords?
    /// Called when an update, by its number from 0, is complete on all ranks. While this is set, updates overlap with nothing.
    var afterUpdate: ((_ update: Int) throws -> Void)?

    var name: String { plan.name }
    /// Passes whose rows the next update sums, at most as many as the plan says.
    var weightPasses: Int {
        get { sums.passes }
        set { sums.passes = newValue }
    }

    init(
        _ plan: PlayerPlan, number: Int, network: Network, reducer: Reducer, optimizer: ShardedOptimizer, sums: BatchSums,
        statistics: BatchStatistics?, records: StepRecords?, context: StepContext
    ) {
        self.plan = plan
        self.number = number
        self.network = network
        self.reducer = reducer
        self.optimizer = optimizer
        self.sums = sums
        self.statistics = statistics
        self.records = records
        self.context = context
        optimizer.finishGradient = network.finishGradient
    }

    /// A pass of this rank's rows.
    /// - Parameters:
    ///   - number: of the step or the update, from 0, by which its random numbers are drawn.
    ///   - labels: the class of each column.
    func pass(_ kind: PassKind, _ number: Int, labels: UnsafePointer<UInt8>? = nil) -> Pass {
        Pass(
            kernels: context.kernels, columns: context.columns, kind: kind, seed: context.configuration.seed, step: number,
            firstRow: context.rows.lowerBound, interlude: context.interlude, statistics: statistics,
            shardColumns: context.shardColumns, labels: labels)
    }

    func forward(_ pass: Pass, slot: Int = 0) throws {
        try context.timed(.forward) { try network.forward(pass, slot: slot) }
    }

    func backward(_ pass: Pass, slot: Int = 0, inputGradient: Matrix? = nil) throws {
        try context.timed(.backward) { try network.backward(pass, slot: slot, inputGradient: inputGradient) }
    }

    /// Notes that this rank computes gradients of the player from here on.
    func begin(step t: Int) { context.world.note(step: t + 1, phase: .computing(number)) }

    /// Sums the gradients of all passes over the batch, last layer first; each layer's are handed to the reduction as soon as
    /// they are done.
    /// - Parameters:
    ///   - update: its number, from 0.
    ///   - t: the step's, from 0.
    /// - Returns: the update, under way. Until it is finished, nobody may read this player's parameters or write its gradient
    ///   buffers. Activations may be overwritten: their sums are done.
    func update(_ update: Int, step t: Int) throws -> Update {
        optimizer.number = update + 1
        optimizer.learningRateScale = context.configuration.learningRateScale(step: t, stepsPerEpoch: context.stepsPerEpoch)
        records?.write()
        context.began(reducer)
        sums.interlude = context.interlude
        try context.timed(.weightGradients) {
            try network.weightGradients(
                sums, statistics: statistics, meet: { try reducer.meet(during: .weightGradients) },
                afterLayer: { element in if context.overlaps || element == 0 { try reducer.publish(downTo: element) } })
        }
        guard let afterUpdate else { return Update(player: self, step: t) }
        try finish(step: t)
        try afterUpdate(update)
        return Update(player: nil, step: t)
    }

    fileprivate func finish(step t: Int) throws {
        context.world.note(step: t + 1, phase: .reducing(number))
        context.ended(reducer)
        if try !reducer.finish() { throw NonFiniteGradient(player: number, step: t) }
        network.parametersChanged()
        records?.settle()
    }
}

/// New parameters of a player on their way: its gradients are reduced over the ranks and go through the optimiser while
/// something else is computed. Whoever holds it finishes it, once.
struct Update: ~Copyable {
    /// Nil where all is done.
    fileprivate let player: Player?
    fileprivate let step: Int

    /// Waits until the parameters are new everywhere.
    /// - Throws: `NonFiniteGradient` on all ranks where a gradient is infinite or NaN. Some parameters are new then, and others
    ///   are not: nobody may use or write them.
    consuming func finish() throws { try player?.finish(step: step) }
}

/// A reduction whose sums were not all finite.
struct NonFiniteGradient: Error {
    /// Number of the player.
    let player: Int
    /// From 0.
    let step: Int
}
