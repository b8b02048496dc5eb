import Kernels
import MessagePassing
import Networks

/// The step of a classifier as a textbook has it; see `ReferenceStep`.
final class ReferenceClassifierStep: ReferenceGame {
    let classifier: ReferencePlayer
    var players: [ReferencePlayer] { [classifier] }
    private let configuration: Configuration
    private let kernels: Kernels
    private let arena = Arena()
    private let layout: ShardLayout
    private let batches: Batches
    private let loss: CrossEntropy
    private let labels: UnsafeMutablePointer<UInt8>
    private let columns, stepsPerEpoch: Int

    init(_ configuration: Configuration, _ dataset: Dataset) throws {
        self.configuration = configuration
        kernels = configuration.precision == .fp32 ? .reference : .bfloat16Reference
        layout = ShardLayout(shards: configuration.shards, ranks: 1)
        columns = configuration.batchSize.paddedToVectors
        classifier = try ReferencePlayer(configuration.classifierPlayers()[0], configuration, layout, kernels, arena)
        batches = Batches(configuration, dataset: dataset, layout: layout, rank: 0, kernels: kernels, arena: arena)
        loss = CrossEntropy(columns: columns, arena: arena)
        labels = UnsafeMutableRawPointer(arena.floats(columns)).bindMemory(to: UInt8.self, capacity: columns)
        stepsPerEpoch = configuration.stepsPerEpoch(images: dataset.count)
    }

    func run(_ t: Int) throws {
        let network = classifier.network
        let pass = Pass(
            kernels: kernels, columns: columns, kind: .real, seed: configuration.seed, step: t, firstRow: 0,
            statistics: classifier.statistics, shardColumns: layout.rows(batch: configuration.batchSize))
        batches.gather(step: t, into: network.input)                                        // x, y
        batches.labels(step: t, into: labels)
        try network.forward(pass)                                                           // f(x)
        loss.apply(                                                                         // L(f(x), y)
            network.output, labels, batch: configuration.batchSize, gradient: network.outputGradient, pass)
        try network.backward(pass)
        try classifier.update(                                                              // f ← optimiser
            t, learningRateScale: configuration.learningRateScale(step: t, stepsPerEpoch: stepsPerEpoch))
    }
}
