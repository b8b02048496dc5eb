import Kernels
import MessagePassing
import Networks

/// One network that learns to name the class of an image.
final class ClassifierGame: Game {
    let context: StepContext
    let classifier: Player
    let records: StepRecords
    var players: [Player] { [classifier] }

    private let batches: Batches
    /// The classes of this rank's rows.
    private let labels: UnsafeMutablePointer<UInt8>
    private let loss: CrossEntropy
    /// The update under way, if any.
    private var update: Update?

    private var configuration: Configuration { context.configuration }

    init(_ dataset: Dataset, _ context: StepContext) throws {
        self.context = context
        let (configuration, columns, arena) = (context.configuration, context.columns, context.arena)
        loss = CrossEntropy(columns: columns, arena: arena)
        let rowSums = [RowSum(key: "loss", rows: loss.losses), RowSum(key: "accuracy", rows: loss.hits)]
        var builder = try PlayerBuilder(configuration.classifierPlayers(), rowSums: rowSums, context: context)
        records = builder.records
        classifier = builder.player(0)
        batches = Batches(
            configuration, dataset: dataset, layout: context.layout, rank: context.world.communicator.rank,
            kernels: context.kernels, arena: arena)
        labels = UnsafeMutableRawPointer(arena.floats(columns)).bindMemory(to: UInt8.self, capacity: columns)
    }

    /// x are images, y their classes, f the network. What is reduced over the ranks meanwhile is in the right margin.
    func step(_ t: Int) throws {
        gather(t)                                                   // x, y                  | f of step t − 1 under way
        try settle()                                                // f ← optimiser
        classifier.begin(step: t)
        let pass = classifier.pass(.real, t)
        try classifier.forward(pass)                                // f(x)
        context.timed(.loss) {                                      // L(f(x), y)
            let network = classifier.network
            loss.apply(network.output, labels, batch: configuration.batchSize, gradient: network.outputGradient, pass)
        }
        try classifier.backward(pass)
        update = try classifier.update(t, step: t)
        if !context.overlaps { try settle() }
    }

    func settle() throws { try update.take()?.finish() }

    private func gather(_ t: Int) {
        context.timed(.data) {
            batches.gather(step: t, into: classifier.network.input)
            batches.labels(step: t, into: labels)
        }
    }

    func report(_ means: BatchMeans) -> StepReport {
        let (loss, accuracy) = (means["loss"] ?? .nan, means["accuracy"] ?? .nan)
        return StepReport(
            line: "loss: \(loss.readable(4)), accuracy: \(accuracy.fixed(4))", fields: [("loss", loss), ("accuracy", accuracy)])
    }

    func makeObserver(_ data: RunData, run: RunDirectory?, firstStep: Int) throws -> any GameObserver {
        try ClassifierObserver(self, data, run: run)
    }

    func stages(of player: Player) -> [Stage] {
        let rows = context.rows.count
        return Stage.parameters(player) + Stage.outputs(player, slot: 0, rows: rows, "images")
            + Stage.gradients(player, slot: 0, rows: rows, "images")
    }

    /// `real` [B, H · W], or [B, C, H, W] for a network of images, `labels` [B], dropout masks `mask.real.<layer>`.
    func addInputs(ofUpdate update: Int, of player: Player, to dump: Dump) throws {
        let rows = context.rows.count
        let images = try dump.gatherRows(of: player.network.input, rows)
        let classes = try dump.gather(labels, rows)
        guard dump.isWriter else { return }
        dump.add("real", configuration.imageShape(for: configuration.classifier), configuration.image.inOrder(images))
        dump.add("labels", [], classes.map(Float.init))
        dump.addMasks("mask", player.network, dump.pass(.real, update))
    }
}

extension Configuration {
    func classifierPlayers() throws -> [PlayerPlan] {
        [
            PlayerPlan(
                name: "classifier", network: try classifierPlan(), optimizer: optimizer(learningRate: learningRate),
                initialWeights: RandomStream.classifierWeights)
        ]
    }

    /// Floating-point operations of the matrix products of one step: forward, input gradients but for the first layer, weight
    /// gradients.
    func classifierOperations() throws -> Int {
        let products = try classifierPlan().layers.map(\.products).filter { $0 > 0 }
        return 2 * batchSize * (3 * products.reduce(0, +) - products[0])
    }
}
