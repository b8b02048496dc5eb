import Kernels
import MessagePassing
import Networks

/// What every part of a step on this rank works with: the ranks, the kernels, and this rank's rows of the batch.
final class StepContext {
    let configuration: Configuration
    let world: World
    let layout: ShardLayout
    let kernels: Kernels
    let reduction: Reducer.Algorithm
    let arena = Arena()
    /// Steps of an epoch of the data.
    let stepsPerEpoch: Int
    /// Whether computation goes on while gradients are being reduced. One rank has nothing to hide, and its optimiser finds
    /// gradients still in the cache.
    let overlaps: Bool
    /// This rank's rows of the batch.
    let rows: Range<Int>
    /// The columns of each of this rank's shards: its rows, counted from the rank's first.
    let shardColumns: [Range<Int>]
    /// Columns of a pass: this rank's rows, rounded up to what the kernels work on at once.
    let columns: Int

    /// What this rank computes.
    private var part = Stopwatch.Part.other
    /// The reductions under way.
    private var reducers: [Reducer] = []

    init(
        _ configuration: Configuration, images: Int, layout: ShardLayout, world: World, kernels: Kernels,
        reduction: Reducer.Algorithm, overlaps: Bool
    ) {
        self.configuration = configuration
        self.world = world
        self.layout = layout
        self.kernels = kernels
        self.reduction = reduction
        self.overlaps = overlaps && world.communicator.size > 1
        stepsPerEpoch = configuration.stepsPerEpoch(images: images)
        let own = layout.shards(of: world.communicator.rank)
        let rows = layout.rows(of: own, batch: configuration.batchSize)
        self.rows = rows
        columns = (rows.count + kernels.columnMultiple - 1) / kernels.columnMultiple * kernels.columnMultiple
        shardColumns = own.map { shard in
            let shard = layout.rows(of: shard, batch: configuration.batchSize)
            return shard.lowerBound - rows.lowerBound..<shard.upperBound - rows.lowerBound
        }
        reducers.reserveCapacity(Phase.mostPlayers)
    }

    /// Does a part of the step, and takes its time.
    func timed<Result>(_ part: Stopwatch.Part, _ body: () throws -> Result) rethrows -> Result {
        self.part = part
        let result = try body()
        world.stopwatch.lap(part)
        return result
    }

    func began(_ reducer: Reducer) { reducers.append(reducer) }
    func ended(_ reducer: Reducer) { reducers.removeAll { $0 === reducer } }

    /// Lets the reductions under way go on, while this rank does something else.
    func progress(during part: Stopwatch.Part? = nil) {
        for reducer in reducers { reducer.progress(during: part ?? self.part) }
    }

    /// Calls `progress` between blocks of long products.
    var interlude: Interlude {
        guard overlaps else { return .none }
        return Interlude(
            call: { context in
                guard let context else { return }
                Unmanaged<StepContext>.fromOpaque(context).takeUnretainedValue().progress()
            }, context: Unmanaged.passUnretained(self).toOpaque())
    }

    /// The moments of batch normalisation and their like, over the batch of all ranks; nil where no layer asks for them.
    func batchStatistics(_ plan: NetworkPlan, _ shardSums: ShardSums) -> BatchStatistics? {
        guard plan.needs.statistics > 0 else { return nil }
        return BatchStatistics(
            batch: configuration.batchSize, shardRows: shardColumns, columns: columns, needs: plan.needs, arena: arena
        ) { [unowned self] shards, count, totals in
            try shardSums.sum(shards, count: count, to: totals, during: part) {
                if overlaps { progress(during: .waiting) }
            }
        }
    }
}
