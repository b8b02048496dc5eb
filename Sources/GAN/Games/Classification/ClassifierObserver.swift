import Kernels
import MessagePassing
import Networks

/// What shows how a classifier does: its loss and accuracy on images that it was not trained with.
final class ClassifierObserver: GameObserver {
    private let game: ClassifierGame
    private let data: RunData
    private let run: RunDirectory?
    private let classifier: ImageClassifier
    private var configuration: Configuration { game.context.configuration }

    init(_ game: ClassifierGame, _ data: RunData, run: RunDirectory?) throws {
        self.game = game
        self.data = data
        self.run = run
        classifier = try ImageClassifier(game.context.configuration, kernels: game.context.kernels)
    }

    func memory() throws -> (metadata: [String: String], tensors: [(name: String, shape: [Int], values: [Float])]) { ([:], []) }
    func restore(from checkpoint: Checkpoint) throws {}
    func look(after done: Int, _ means: BatchMeans) throws -> (fields: String, warnings: [String]) { ("", []) }
    var verdict: String? { nil }

    func nextCommand(checkpoint: String) -> String {
        "Name the classes of pictures: \(Launch.program) classify --checkpoint \(checkpoint.quotedForShell) --data pictures/"
    }

    func pictures(after done: Int) -> String? { done == 0 ? "reals.png" : nil }

    func writePictures(after done: Int) throws {
        guard let run, let name = pictures(after: done) else { return }
        try game.context.world.storing("writing pictures") {
            try Pictures.writeGrid(bytes: data.training.firstImages, configuration.image, to: "\(run.path)/\(name)")
        }
    }

    /// Mean loss and accuracy on the held-out images: within a logical shard in order, over the shards by the tree.
    func evaluate(after done: Int) throws -> Evaluation? {
        guard let heldOut = data.heldOut else { return nil }
        let (world, layout) = (game.context.world, game.context.layout)
        world.note(step: done, phase: .pictures)
        classifier.load(parameters: game.classifier.reducer.parameters, buffers: game.classifier.network.buffers)
        var sums: [[Double]] = []
        for shard in layout.shards(of: world.communicator.rank) {
            let images = layout.images(of: shard, batch: layout.shards, images: heldOut.count)
            let start = images.lowerBound - heldOut.range.lowerBound
            var (loss, hits) = (0.0, 0.0)
            try classifier.look(at: images.count, pixels: { heldOut.image(start + $0) }) { first, columns, outputs in
                for column in 0..<columns {
                    let label = Int(heldOut.labels[start + first + column])
                    loss -= Double(outputs.logProbability(column, of: label))
                    hits += outputs.best(column) == label ? 1 : 0
                }
            }
            sums.append([loss, hits])
        }
        let totals = try world.sum(sums, layout)
        let (loss, accuracy) = (totals[0] / Double(heldOut.count), totals[1] / Double(heldOut.count))
        return Evaluation(
            line: "Test: loss \(loss.readable(4)), accuracy \(accuracy.fixed(4)) of \(Double(heldOut.count).grouped) images",
            values: [("test_loss", loss), ("test_accuracy", accuracy)])
    }
}
