import Kernels
import MessagePassing
import Networks

/// A step as a textbook has it: one rank, the kernels' plain twins, one operation after the other.
protocol ReferenceGame {
    var players: [ReferencePlayer] { get }
    /// Step number t, from 0.
    func run(_ t: Int) throws
}

/// A network of a reference step, with its parameters, its gradients and its optimiser.
final class ReferencePlayer {
    let network: Network
    let parameters: UnsafeMutablePointer<Float>
    let optimizer: ShardedOptimizer
    let statistics: BatchStatistics
    private let gradient: UnsafeMutablePointer<Float>
    private let sums: BatchSums
    private let kernels: Kernels

    init(_ plan: PlayerPlan, _ configuration: Configuration, _ layout: ShardLayout, _ kernels: Kernels, _ arena: Arena) {
        self.kernels = kernels
        let (network, rows) = (plan.network, layout.rows(batch: configuration.batchSize))
        let (count, columns) = (network.layout.count, configuration.batchSize.paddedToVectors)
        parameters = arena.floats(count)
        gradient = arena.floats(count)
        network.layout.initialise(
            parameters, seed: configuration.seed, stream: plan.initialWeights, deviation: plan.initialDeviation, kernels: kernels)
        self.network = Network(
            name: plan.name, plan: network, stride: columns, slots: plan.slots, parameters: parameters, arena: arena)
        network.bufferLayout.initialise(
            self.network.buffers, seed: configuration.seed, stream: plan.initialWeights, kernels: kernels)
        self.network.parametersChanged()
        optimizer = ShardedOptimizer(
            0..<count, optimizer: plan.optimizer, clip: plan.weightClip, averageDecay: plan.averageDecay, kernels: kernels,
            arena: arena)
        optimizer.finishGradient = self.network.finishGradient
        optimizer.average?.update(from: parameters, count: count)
        let shards = 0..<layout.shards
        sums = BatchSums(
            kernels: kernels, passes: plan.weightPasses, biasPasses: plan.biasPasses, columns: columns,
            shards: TreePlan(leaves: shards.map { $0..<$0 + 1 }, total: shards).sums(rows), ownsFirstShard: true,
            outputs: [gradient], needs: network.needs, arena: arena)
        statistics = BatchStatistics(
            batch: configuration.batchSize, shardRows: rows, columns: columns, needs: network.needs, arena: arena
        ) { numbers, count, totals in
            func tree(_ shards: Range<Int>, _ field: Int) -> Double {
                if shards.count == 1 { return numbers[shards.lowerBound * count + field] }
                let middle = (shards.lowerBound + shards.upperBound) / 2
                return tree(shards.lowerBound..<middle, field) + tree(middle..<shards.upperBound, field)
            }
            for field in 0..<count { totals[field] = tree(shards, field) }
        }
    }

    /// Update number u, from 0.
    /// - Parameter passes: those whose rows the weights' gradients are summed over, if not all.
    func update(_ u: Int, learningRateScale: Double, passes: Int? = nil) throws {
        if let passes { sums.passes = passes }
        try network.weightGradients(sums, statistics: statistics) { _ in }
        optimizer.number = u + 1
        optimizer.learningRateScale = learningRateScale
        optimizer.update(gradient, parameters, 0..<network.layout.count)
        network.parametersChanged()
    }
}

extension ShardLayout {
    /// The rows of each shard.
    func rows(batch: Int) -> [Range<Int>] { (0..<shards).map { rows(of: $0, batch: batch) } }
}
