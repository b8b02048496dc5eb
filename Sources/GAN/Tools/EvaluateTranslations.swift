import Kernels
import MessagePassing

/// Measures a CycleGAN's translations of held-out pictures, and prints the figures on rank 0; every rank calls it.
func evaluateTranslations(
    _ request: EvaluationRequest, _ checkpoint: Checkpoint, _ kernels: Kernels, _ world: World, _ tell: (String) throws -> Void
) throws {
    let configuration = checkpoint.configuration
    try world.compare("checkpoint", "\(checkpoint.path) \(try world.agree { try checkpoint.hash(state: true) })", .badData)
    let measures = try world.agree { () -> Set<Measure> in
        if let path = request.extractor {
            throw Failure(
                .usage, "--extractor \(path): translations are measured by a classifier of each domain, which is trained where it is not "
                    + "there yet; leave it away")
        }
        if configuration.domainB != nil, let domains = request.domains {
            throw Failure(
                .usage, "--data-a \(domains.a): domain B of \(checkpoint.path) is \(configuration.domainB?.text ?? ""); give the data set as "
                    + "--data")
        }
        return try request.metrics.map(Measure.named) ?? [.fid]
    }
    var options = RunOptions()
    options.dataFolder = request.domains?.a ?? request.data
    options.secondDataFolder = request.domains?.b
    let domains = try Domains(
        options, domain: configuration.domainB, wanted: request.dataset, preferred: configuration.dataset, world: world)
    try world.agree { try domains.validate(configuration) }
    let plan = try TranslationEvaluationPlan(measures, configuration, domains, images: request.images, world: world)
    let ranks = world.communicator.size
    let layout = ShardLayout(shards: ranks.nextPowerOfTwo, ranks: ranks)
    func dataset(_ configuration: Configuration, _ source: DataSource) throws -> Dataset {
        try Dataset(configuration, source, layout: layout, world: world, inBatches: false)
    }
    var data = RunData(training: try dataset(configuration, domains.first))
    data.second = try domains.second.map { try dataset(configuration.second, $0) }
    if data.training.digest != checkpoint.dataDigest {
        try tell("Note: the generators were trained on other data than those in \(domains.first.path)")
    }
    let evaluator = try TranslationEvaluator(plan, data, world: world, kernels: kernels, tell: tell)
    let product = try selectKernels(request.instructionSet, configuration.precision)
    let (toB, toA) = (
        try Translator(configuration, to: .b, kernels: product), try Translator(configuration, to: .a, kernels: product)
    )
    try world.agree {
        try toB.load(checkpoint)
        try toA.load(checkpoint)
    }
    let figures = try evaluator.evaluate(toB: toB, toA: toA, endsAtSignal: true)
    try world.agree {
        guard world.communicator.rank == 0 else { return }
        try StandardOutput.printResult(request.isJSON ? figures.json : figures.table(checkpoint))
    }
}

extension TranslationFigures {
    /// One JSON object on one line; `confusion_ab` and `confusion_ba` are [class][named].
    fileprivate var json: String {
        let fields = evaluation.fields.map { "\"\($0.key)\": \($0.json)" }
            + ways.map { "\"confusion_\($0.name)\": \($0.confusion)" }
        return "{" + fields.joined(separator: ", ") + "}"
    }

    fileprivate func table(_ checkpoint: Checkpoint) -> String {
        var lines = ["Translations of held-out pictures by \(checkpoint.path) (step \(Double(checkpoint.step).grouped))"]
        for way in ways {
            lines += ["", "\(way.title): \(Double(way.count).grouped) pictures, \((100 * way.accuracy).fixed(2)) % keep their class"]
            if let error = way.pixelError { lines.append("mean distance of pixels from what is right, in 0 … 1: \(error.fixed(4))") }
            for (key, value) in way.measures.values {
                let floor = way.measures.fields.first { $0.key == "\(key)_floor" }.flatMap { Double($0.json) }
                let digits = Measure(rawValue: key)?.digits ?? 4
                lines.append("\(key) \(value.fixed(digits))" + (floor.map { " (real pictures: \($0.fixed(digits)))" } ?? ""))
            }
            lines.append("Rows are the classes of the originals, columns what their translations are named:")
            lines += way.confusion.asTable
        }
        return (lines + evaluation.warnings.map { "\nWarning: \($0)" }).joined(separator: "\n")
    }
}
