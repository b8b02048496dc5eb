import Foundation
import Kernels
import MessagePassing
import Networks

/// What rank 0 sees of a CycleGAN: the first pictures of either domain, there and back again, and whether a generator gives
/// back what it is given.
final class CycleObserver: GameObserver {
    private let game: CycleGame
    private let run: RunDirectory?
    /// On the ranks that translate.
    private let toB, toA: Translator?
    /// [n, H, W, C], the first pictures of the domains.
    private let picturesA, picturesB: [UInt8]
    private let evaluator: TranslationEvaluator?
    private var isCopyTold = false
    private var configuration: Configuration { game.configuration }

    /// Pictures of a domain in a grid.
    private static let count = 10
    /// A mean distance of pixels, in −1 … 1, below which pictures look alike.
    private static let alike = 0.02
    /// Steps after which a generator that still gives back its input will hardly begin to change it.
    private static let patience = 500

    init(_ game: CycleGame, _ data: RunData, run: RunDirectory?) throws {
        (self.game, self.run) = (game, run)
        evaluator = data.translationEvaluator
        func translator(_ target: Translator.Target) throws -> Translator? {
            run == nil && data.translationEvaluator == nil ? nil : try Translator(game.configuration, to: target, kernels: game.context.kernels)
        }
        (toB, toA) = (try translator(.b), try translator(.a))
        (picturesA, picturesB) = (data.training.firstImages, data.second?.firstImages ?? [])
    }

    func memory() throws -> (metadata: [String: String], tensors: [(name: String, shape: [Int], values: [Float])]) { ([:], []) }
    func restore(from checkpoint: Checkpoint) throws {}
    var verdict: String? { nil }

    func nextCommand(checkpoint: String) -> String {
        "Translate pictures: \(Launch.program) translate --checkpoint \(checkpoint.quotedForShell) --to b --data pictures/ --out b.png"
    }

    func pictures(after done: Int) -> String? { done == 0 ? "translations-init.png" : "translations-\(done.padded(to: 6)).png" }

    private func load() {
        for (translator, way) in [(toB, game.toB), (toA, game.toA)] {
            translator?.load(parameters: way.generator.reducer.parameters, buffers: way.generator.network.buffers)
        }
    }

    /// The first pictures of a domain as the networks take them.
    private func first(_ bytes: [UInt8], _ image: Shape) -> [Float] {
        Translator.normalised(Array(bytes.prefix(CycleObserver.count * image.features)))
    }

    /// Warns, once, of a generator that gives back what it is given.
    func look(after done: Int, _ means: BatchMeans) throws -> (fields: String, warnings: [String]) {
        guard run != nil, let toB, let toA, toB.input == toB.output else { return ("", []) }
        game.context.world.note(step: done, phase: .pictures)
        load()
        func change(_ translator: Translator, _ pictures: [Float]) throws -> Double {
            let translated = try translator.translate(pictures)
            return zip(pictures, translated).reduce(0) { $0 + Double(abs($1.0 - $1.1)) } / Double(max(1, pictures.count))
        }
        let changes = [
            ("generator_ab", try change(toB, first(picturesA, toB.input))), ("generator_ba", try change(toA, first(picturesB, toA.input))),
        ]
        let fields = "\"change_ab\": \(changes[0].1.json), \"change_ba\": \(changes[1].1.json)"
        let copies = changes.filter { $0.1 < CycleObserver.alike }.map(\.0)
        guard done >= CycleObserver.patience, !copies.isEmpty, !isCopyTold else { return (fields, []) }
        isCopyTold = true
        return (
            fields,
            [
                "\(copies.joined(separator: " and ")) \(copies.count > 1 ? "give" : "gives") back the input: what is made differs from it by "
                    + "less than 1 % of the range of pixels; if the domains do differ, try a lower --identity-weight or --cycle-weight"
            ]
        )
    }

    func evaluate(after done: Int) throws -> Evaluation? {
        guard let evaluator, let toB, let toA else { return nil }
        game.context.world.note(step: done, phase: .pictures)
        load()
        return try evaluator.evaluate(toB: toB, toA: toA).evaluation
    }

    /// Rows a, G(a), F(G(a)), b, F(b), G(F(b)).
    func writePictures(after done: Int) throws {
        guard let run, let toB, let toA else { return }
        let world = game.context.world
        world.note(step: done, phase: .pictures)
        if done == 0 {
            try world.storing("writing pictures") {
                try Pictures.writeGrid(bytes: picturesA, configuration.image, to: "\(run.path)/reals-a.png")
                try Pictures.writeGrid(bytes: picturesB, configuration.imageB, to: "\(run.path)/reals-b.png")
            }
        }
        load()
        var rows = PictureRows(toB.input, toB.output, columns: CycleObserver.count)
        for (pictures, there, back) in [(picturesA, toB, toA), (picturesB, toA, toB)] {
            let originals = first(pictures, there.input)
            let translated = try there.translate(originals)
            rows.append(originals, there.input)
            rows.append(translated, there.output)
            rows.append(try back.translate(translated), back.output)
        }
        guard let name = pictures(after: done) else { return }
        try world.storing("writing pictures") { try rows.write(to: "\(run.path)/\(name)") }
    }
}
