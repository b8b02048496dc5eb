import Foundation
import Kernels
import MessagePassing

/// What `gan-dist evaluate` measures.
public struct EvaluationRequest: Sendable {
    /// The pictures of a checkpoint's generator, or those at a path.
    public enum Pictures: Sendable {
        case checkpoint(String, isRaw: Bool)
        case files(String)
    }

    public var pictures: Pictures
    /// The folder of the runs that have numbers.
    public var outdir = "runs"
    public var data = "data"
    /// Where the domains of a CycleGAN are, if they are in places of their own.
    public var domains: (a: String, b: String)?
    public var dataset: String?
    public var images: Int?
    /// A list of keys, or nil for all.
    public var metrics: String?
    public var extractor: String?
    public var instructionSet: InstructionSet?
    public var isJSON = false

    public init(_ pictures: Pictures) { self.pictures = pictures }
}

/// Measures pictures, and prints the figures on rank 0; every rank calls it.
/// - Throws: `Failure`, shared by all ranks.
public func evaluate(_ request: EvaluationRequest, world: World) throws {
    let isWriter = world.communicator.rank == 0
    let kernels = try world.agree { try selectKernels(request.instructionSet, .fp32) }
    var plan = EvaluationPlan.Request(images: request.images, extractor: request.extractor)
    plan.measures = try world.agree { try request.metrics.map(Measure.named) ?? plan.measures }
    func tell(_ line: String) throws { if isWriter { StandardOutput.printMessage(line) } }

    func refuseDomains() throws {
        guard let domains = request.domains else { return }
        throw Failure(.usage, "--data-a \(domains.a): only a CycleGAN has two domains; give the data as --data")
    }
    let evaluation: Evaluation
    let pictures: String
    switch request.pictures {
    case .checkpoint(let name, let isRaw):
        // Rank 0 chooses for all: a run that is under way writes others.
        let chosen = try world.agree { try isWriter ? checkpointFile(name, under: request.outdir) : "" }
        let path = String(decoding: try world.allGather(Array(chosen.utf8))[0], as: UTF8.self)
        let checkpoint = try world.agree { try Checkpoint(path: path) }
        if checkpoint.configuration.game == .cyclegan {
            return try evaluateTranslations(request, checkpoint, kernels, world, tell)
        }
        try world.agree {
            try checkpoint.requireGenerator()
            try refuseDomains()
        }
        try world.compare("checkpoint", "\(path) \(try world.agree { try checkpoint.hash(state: true) })", .badData)
        let configuration = checkpoint.configuration
        let source = try DataSource(path: request.data, wanted: request.dataset, preferred: configuration.dataset, world: world)
        try world.agree { try configuration.validate(forPicturesOf: source.format, at: request.data) }
        let evaluator = try makeEvaluator(plan, configuration, source, trainedOn: checkpoint.dataDigest, world, kernels, tell)
        let sampler = try Sampler(
            configuration, kernels: try selectKernels(request.instructionSet, configuration.precision))
        try world.agree { try sampler.load(checkpoint, isRaw: isRaw) }
        evaluation = try evaluator.evaluate(sampler, size: configuration.image.features, endsAtSignal: true)
        pictures = "\(path) (step \(Double(checkpoint.step).grouped))"
    case .files(let path):
        try world.agree { try refuseDomains() }
        let made = try DataSource(path: path, wanted: nil, preferred: nil, world: world)
        let source = try DataSource(path: request.data, wanted: request.dataset, preferred: nil, world: world)
        var configuration = Configuration()
        configuration.channels = made.format.channels
        configuration.imageSize = try world.agree {
            guard let size = made.format.size else {
                throw Failure(.badData, "\(path): the pictures are of several sizes; pictures of one size are expected")
            }
            return size
        }
        try world.agree { try configuration.validate(forPicturesOf: source.format, at: request.data) }
        plan.usual = min(plan.usual, made.count)
        try world.agree {
            if let images = plan.images, images > made.count {
                throw Failure(.usage, "--images \(images): \(path) holds \(Double(made.count).grouped) pictures; ask for fewer")
            }
        }
        let evaluator = try makeEvaluator(plan, configuration, source, world, kernels, tell)
        let ranks = world.communicator.size
        let dataset = try Dataset(
            configuration, made, layout: ShardLayout(shards: ranks.nextPowerOfTwo, ranks: ranks), world: world, inBatches: false)
        evaluation = try evaluator.evaluate(dataset)
        pictures = path
    }
    // Nobody leaves while rank 0 may still fail to write.
    try world.agree {
        guard isWriter else { return }
        try StandardOutput.printResult(request.isJSON ? evaluation.json : evaluation.table(pictures, against: request.data))
    }
}

/// - Parameter digest: of the data that the generator has learned from, where that is known.
private func makeEvaluator(
    _ request: EvaluationPlan.Request, _ configuration: Configuration, _ source: DataSource, trainedOn digest: String? = nil,
    _ world: World, _ kernels: Kernels, _ tell: (String) throws -> Void
) throws -> Evaluator {
    let plan = try EvaluationPlan(request, configuration, source, world: world)
    let ranks = world.communicator.size
    let training = try Dataset(
        configuration, source, layout: ShardLayout(shards: ranks.nextPowerOfTwo, ranks: ranks), world: world, inBatches: false)
    if let digest, digest != training.digest {
        try tell(
            "Note: the generator was trained on other data than those in \(source.path), which its pictures are compared with")
    }
    var unmirrored = configuration
    unmirrored.mirror = false
    let changes = source.changes(to: unmirrored)
    if !changes.isEmpty { try tell("Note: the pictures in \(source.path) are \(changes.joined(separator: ", "))") }
    return try Evaluator(plan, training: training, world: world, kernels: kernels, tell: tell)
}

extension Evaluation {
    /// A line for each figure.
    fileprivate func table(_ pictures: String, against data: String) -> String {
        func value(_ key: String) -> String? { fields.first { $0.key == key }?.json }
        func number(_ key: String, _ digits: Int) -> String? { value(key).flatMap(Double.init)?.fixed(digits) }
        var lines = [
            "\(value("images") ?? "") pictures of \(pictures), against test pictures of \(data)",
            "Features of the classifier \((value("extractor_sha256") ?? "").prefix(13).dropFirst())…; figures compare only within one.", "",
            "                        made   real pictures (mean ± sd of \(Evaluator.draws) draws)",
        ]
        for (key, _) in values {
            let digits = Measure(rawValue: key)?.digits ?? 4
            let floor = number("\(key)_floor", digits).map { "   \($0) ± \(number("\(key)_floor_sd", digits) ?? "")" } ?? ""
            let made = number(key, digits) ?? ""
            lines.append(key + String(repeating: " ", count: max(1, 28 - key.count - made.count)) + made + floor)
        }
        return lines.joined(separator: "\n")
    }
}
