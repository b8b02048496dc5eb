import Foundation
import Kernels
import MessagePassing
import Networks

/// What rank 0 sees of a GAN: grids of samples of the same noise vectors, and the training monitor, which looks at the first
/// of them with every log line.
final class SampleObserver: GameObserver {
    private let game: AdversarialGame
    private let data: RunData
    /// The run's folder, on rank 0 only, and the sampler, on the ranks that draw.
    private let run: RunDirectory?
    private let sampler: Sampler?
    private var monitor: TrainingMonitor
    /// The pictures that the monitor has looked at, and after which step.
    private var probe: (step: Int, pictures: [Float])?
    private var configuration: Configuration { game.configuration }

    init(_ game: AdversarialGame, _ data: RunData, run: RunDirectory?, firstStep: Int) throws {
        self.game = game
        self.data = data
        self.run = run
        // The generator in training is all that there is to draw with, unless a moving average is drawn with too.
        let shared = game.generator.optimizer.average == nil ? game.generator.reducer.parameters : nil
        sampler = run == nil && data.evaluator == nil
            ? nil : try Sampler(game.configuration, kernels: game.context.kernels, sharing: shared)
        monitor = TrainingMonitor(game.configuration, realImages: data.training.firstImages, firstStep: firstStep)
    }

    func memory() throws -> (metadata: [String: String], tensors: [(name: String, shape: [Int], values: [Float])]) {
        ([TrainingMonitor.memoryKey: try monitor.memory()], monitor.tensors)
    }

    func restore(from checkpoint: Checkpoint) throws { try monitor.restore(from: checkpoint) }

    var verdict: String? { monitor.isDiverged ? "training has diverged, and the pictures show nothing that was learned" : nil }

    func nextCommand(checkpoint: String) -> String {
        "Draw more: \(Launch.program) sample --checkpoint \(checkpoint.quotedForShell) --out more.png"
    }

    func pictures(after done: Int) -> String? { picturesName(after: done) }

    func evaluate(after done: Int) throws -> Evaluation? {
        guard let evaluator = data.evaluator, let sampler else { return nil }
        let world = game.context.world
        world.note(step: done, phase: .pictures)
        var average = try game.generator.gatherAverage(world)
        if average?.isEmpty == true { average = [Float](repeating: 0, count: game.generator.network.layout.count) }
        try average?.withUnsafeMutableBytes { try world.broadcast($0, from: 0) }
        load(average, into: sampler)
        return try evaluator.evaluate(sampler, size: configuration.image.features)
    }

    /// The averaged generator, or the one in training.
    private func load(_ average: [Float]?, into sampler: Sampler) {
        let generator = game.generator
        if let average {
            sampler.load(parameters: average, buffers: generator.network.buffers)
        } else {
            sampler.load(parameters: generator.reducer.parameters, buffers: generator.network.buffers)
        }
    }

    private func picturesName(after done: Int) -> String { done == 0 ? "fakes-init.png" : "fakes-\(done.padded(to: 6)).png" }

    /// It costs one forward pass of 64 rows, and other ranks wait for it. The pictures are the generator's own, as training has
    /// left it, where the grids are those of its moving average.
    func look(after done: Int, _ means: BatchMeans) throws -> (fields: String, warnings: [String]) {
        guard let sampler, run != nil else { return ("", []) }
        game.context.world.note(step: done, phase: .pictures)
        load(nil, into: sampler)
        let pictures = try sampler.pictures(first: 0, count: TrainingMonitor.probeSize)
        probe = (done, pictures)
        let report = monitor.look(step: done, AdversarialStatistics(means), fakes: pictures)
        return ("\"probe_of\": \"generator\", \(report.fields)", report.warnings)
    }

    func writePictures(after done: Int) throws {
        let world = game.context.world
        if done == 0, let run {
            try world.storing("writing pictures") {
                try Pictures.writeGrid(bytes: data.training.firstImages, configuration.image, to: "\(run.path)/reals.png")
            }
        }
        let average = try game.generator.gatherAverage(world)
        guard let run, let sampler else { return }
        world.note(step: done, phase: .pictures)
        load(average, into: sampler)
        // One class a column, where there are classes.
        let columns = configuration.classes ?? 8
        // Without an average the monitor has asked for the first of these pictures already.
        let known = average == nil && probe?.step == done ? probe?.pictures ?? [] : []
        let first = known.count / configuration.image.features
        let pictures = try known + sampler.pictures(first: first, count: 8 * columns - first)
        try world.storing("writing pictures") {
            try Pictures.writeGrid(
                pictures, configuration.image, columns: columns, to: "\(run.path)/\(picturesName(after: done))")
        }
    }
}
