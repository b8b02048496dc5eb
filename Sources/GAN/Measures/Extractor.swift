import Formats
import Foundation
import Kernels
import MessagePassing
import Networks

/// The classifier whose features pictures are measured by, on every rank. Figures compare only within one.
struct Extractor {
    let classifier: ImageClassifier
    /// SHA-256 of its parameters, as `gan-dist hash` prints it.
    let digest: String

    /// Logical shards of the training of an extractor.
    private static let shards = 8

    /// The recipe of the extractor for some data: `classifier28` in as many epochs as see about 300,000 images, 5 … 80.
    /// - Throws: a usage error where there is none for the data or the shape, which tells what is missing and what to do.
    static func configuration(for data: DataFormat, as image: Shape, images: Int) throws -> Configuration {
        let remedy = "--extractor FILE names the checkpoint of another classifier to measure by"
        guard data.classes != nil else {
            throw data.withoutLabels("pictures are measured by the features of a classifier, which needs classes (\(remedy))")
        }
        var configuration: Configuration
        do {
            configuration = try Preset.classifier28.configuration(for: data, as: image)
        } catch let failure as Failure {
            throw Failure(
                failure.code, "pictures are measured by the features of a classifier, of 2 … 256 classes and images whose sides are "
                    + "multiples of 4 up to 128; the data have \(data.classes ?? 0) and the images are \(image); \(remedy)")
        }
        configuration.epochs = min(80, max(configuration.epochs, 300_000 / max(1, images)))
        configuration.learningRateDecay = .epochs(configuration.epochs - 1)
        configuration.shards = shards
        configuration.dataset = data.name
        while configuration.batchSize > shards, images < 8 * configuration.batchSize { configuration.batchSize /= 2 }
        return configuration
    }

    /// The extractor of a plan: that of its file, that of the cache, or one that is trained first. Every rank calls it.
    ///
    /// - Parameters:
    ///   - dataDigest: of the data.
    ///   - cache: where it is kept, on rank 0.
    ///   - tell: prints a line, on rank 0.
    init(
        _ plan: EvaluationPlan, dataDigest: String, _ cache: ExtractorCache?, world: World, kernels: Kernels,
        tell: (String) throws -> Void
    ) throws {
        var checkpoint = plan.named
        if let recipe = plan.recipe {
            checkpoint = try Extractor.kept(recipe, plan.parts, dataDigest, cache, world, kernels, tell)
        } else if let checkpoint, checkpoint.configuration.dataset != plan.source.format.name {
            try tell(
                "Note: the extractor \(checkpoint.path) was trained on \(checkpoint.configuration.dataset), not on "
                    + "\(plan.source.format.name): figures compare only with those by the same file")
        }
        self = try Extractor(checkpoint, world, kernels)
    }

    /// The checkpoint that `--extractor` names.
    static func checkpoint(_ path: String, for image: Shape) throws -> Checkpoint {
        let checkpoint = try Checkpoint(path: path)
        try checkpoint.requireClassifier()
        guard checkpoint.configuration.image == image else {
            throw Failure(
                .badData, "--extractor \(path) looks at images of \(checkpoint.configuration.image), and the pictures are \(image)")
        }
        return checkpoint
    }

    /// The extractor of a recipe and some data from the cache, where it is put first if need be; on rank 0.
    private static func kept(
        _ recipe: Configuration, _ parts: DataSplit, _ dataDigest: String, _ cache: ExtractorCache?, _ world: World,
        _ kernels: Kernels, _ tell: (String) throws -> Void
    ) throws -> Checkpoint? {
        let key = try key(recipe, "\(parts.training.count) images of \(dataDigest)")
        let known = try world.agree { cache?.checkpoint(key) }
        if try world.shared(known == nil ? 0 : 1) != 0 { return known }
        // Only one run trains it; others wait, and find it.
        let lock = try world.agree {
            try world.storing("waiting for a run that trains the same extractor", because: "it is being trained") {
                try cache?.lock(key) {
                    try tell("Another process is training the classifier that pictures are measured by: waiting for it")
                }
            }
        }
        defer { withExtendedLifetime(lock) {} }
        let found = try world.agree { cache?.checkpoint(key) }
        if try world.shared(found == nil ? 0 : 1) != 0 { return found }
        try train(recipe, parts, to: cache?.path(key), world, kernels, tell)
        return try world.agree { try cache.map { try Checkpoint(path: $0.path(key)) } }
    }

    /// - Parameter checkpoint: on rank 0.
    private init(_ checkpoint: Checkpoint?, _ world: World, _ kernels: Kernels) throws {
        let texts = try world.allGather(Array((checkpoint.map { try $0.configuration.json() } ?? "").utf8))
        let configuration = try world.agree { try Configuration(json: Data(texts[0]), preset: nil, path: "extractor") }
        classifier = try ImageClassifier(configuration, kernels: kernels.rounding(to: configuration.precision))
        try classifier.load(checkpoint, of: configuration, world)
        let digests = try world.allGather(Array((try checkpoint?.hash(state: false) ?? "").utf8))
        digest = String(decoding: digests[0], as: UTF8.self)
    }

    /// What the bytes of an extractor depend on.
    /// - Parameter images: which ones it is trained with: all of the data, or those that are not held out.
    private static func key(_ configuration: Configuration, _ images: String) throws -> String {
        let digest = SHA256Digest()
        var recipe = configuration
        // The same data in another folder are the same data.
        recipe.dataset = ""
        let text = try recipe.json() + images
        Array(text.utf8).withUnsafeBytes(digest.update)
        return String(digest.finish().hexadecimal.prefix(16))
    }

    /// Trains an extractor and writes its checkpoint, on as many ranks as it has shards at most.
    private static func train(
        _ configuration: Configuration, _ parts: DataSplit, to path: String?, _ world: World, _ kernels: Kernels,
        _ tell: (String) throws -> Void
    ) throws {
        let steps = configuration.totalSteps(images: parts.training.count)
        try tell(
            "Pictures are measured by the features of a classifier of \(configuration.dataset), which is not there yet: training it "
                + "first, \(configuration.epochs) epochs, \(Double(steps).grouped) steps")
        guard world.communicator.size > shards else {
            return try train(configuration, parts, to: path, on: world, kernels, tell)
        }
        try world.agree {
            guard world.communicator.rank == 0 else { return }
            try world.storing("training an extractor, which has fewer shards than there are ranks", because: "it is computed") {
                try train(configuration, parts, to: path, on: try World(SoloCommunicator(), limit: 0), kernels, tell)
            }
        }
    }

    private static func train(
        _ configuration: Configuration, _ parts: DataSplit, to path: String?, on world: World, _ kernels: Kernels,
        _ tell: (String) throws -> Void
    ) throws {
        let layout = ShardLayout(shards: configuration.shards, ranks: world.communicator.size)
        let dataset = try Dataset(configuration, parts.training, layout: layout, world: world, needsLabels: true)
        let game = try configuration.makeGame(
            RunData(training: dataset), layout: layout, world: world, kernels: kernels.rounding(to: configuration.precision),
            reduction: .tree)
        let state = GameState(game: game)
        try state.initialise(seed: configuration.seed)
        let steps = configuration.totalSteps(images: dataset.count)
        let begin = monotonicSeconds()
        for t in 0..<steps {
            try game.run(t, requests: Signals.take())
            let requests = game.records.takeRequests()
            if Signals.asksToStop(requests) {
                try game.settled()
                throw Failure(
                    Signals.end(of: requests) ?? .stopped, "stopped while a classifier was being trained to measure by; the next run "
                        + "begins it again", isShared: true)
            }
            if t == 50 {
                let left = (monotonicSeconds() - begin) / 50 * Double(steps - 50)
                try tell("That takes about \(duration(left)); it is kept\(path.map { " in \($0)" } ?? "")")
            }
        }
        try game.settled()
        let metadata = [
            "format": "\(Checkpoint.format)", "step": "\(steps)", "version": Version.current, "data_sha256": dataset.digest,
            "configuration": try configuration.json(),
        ]
        try state.save(to: path ?? "", metadata: metadata)
    }
}
