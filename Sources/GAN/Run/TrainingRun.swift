import Formats
import Foundation
import Kernels
import MessagePassing
import Networks

/// A whole run, from the options to the last checkpoint; every rank calls it.
///
/// - Throws: `Failure`, shared by all ranks wherever they can still talk to each other.
public func train(
    _ request: ConfigurationRequest, _ options: RunOptions, resume: ResumeRequest?, communicator: any Communicator
) throws {
    let world = try World(
        communicator, limit: options.watchdog, stopwatch: Stopwatch(capacity: options.trace == nil ? 0 : Trace.capacity))
    do {
        try train(request, options, resume: resume, world: world)
    } catch let failure as Failure {
        // Another rank of this host may be saying already why the run ends.
        let isHeard = failure.isShared || failure.description.isEmpty || world.announceEnd()
        throw isHeard ? failure : Failure(failure.code, "")
    }
}

private func train(
    _ request: ConfigurationRequest, _ options: RunOptions, resume: ResumeRequest?, world: World
) throws {
    let communicator = world.communicator
    let isWriter = communicator.rank == 0
    try world.compare("program", try programDigest(world), .usage)
    try world.compare("--resume option", resume.map { "\($0)" } ?? "none", .usage)
    try world.compare("--trace option", options.trace ?? "none", .usage)
    try world.compare("--tensorboard option", options.writesTensorBoard ? "given" : "none", .usage)
    try world.compare("--init-from option", options.initialWeights ?? "none", .usage)

    // Rank 0 reads the weights to begin with, and all ranks take their configuration where none is asked for.
    let initial = try world.agree { () -> InitialWeights? in
        try options.checkBeginning(resume)
        return try isWriter ? options.initialWeights.map { try InitialWeights($0, under: options.outdir) } : nil
    }
    var fresh = request
    if let path = options.initialWeights {
        fresh.adopt(String(decoding: try world.allGather(Array((initial?.configuration ?? "").utf8))[0], as: UTF8.self), of: path)
    }
    // Rank 0 looks for the checkpoint, and all ranks take the configuration that it found.
    var search = CheckpointSearch(request, options, initial: initial)
    var resumption: Resumption?
    try world.agree { if isWriter, let resume { resumption = try search.find(resume) } }
    let isResumed = try world.shared(resumption == nil ? 0 : 1) != 0
    let configuration: Configuration
    let domains: Domains
    if isResumed {
        let texts = try world.allGather(Array((resumption.map { try $0.configuration.json() } ?? "").utf8))
        configuration = try world.agree { try Configuration(json: Data(texts[0]), preset: nil, path: "configuration") }
        // What a rank's own flags say must be what rank 0's said.
        try compare(try world.agree { try request.resumed(from: configuration) }, world)
        domains = try Domains(
            options, domain: configuration.domainB, wanted: request.dataset, preferred: configuration.dataset, world: world)
    } else {
        let preferred = try world.agree { try fresh.fileDataset }
        let domain = try world.agree { try fresh.knownDomain }
        domains = try Domains(options, domain: domain, wanted: request.dataset, preferred: preferred, world: world)
        configuration = try world.agree { try fresh.fresh(for: domains.first.format) }
        try compare(configuration, world)
    }
    let source = domains.first
    try world.agree {
        try domains.validate(configuration)
        try checkRanks(communicator.size, configuration, options)
    }
    let isGiven = !isResumed && options.initialWeights != nil
    let surplus = try world.agree { try isGiven ? initial?.check(configuration.playerPlans()) ?? [] : [] }
    let layout = ShardLayout(shards: configuration.shards, ranks: communicator.size)
    let kernels = try world.agree { try selectKernels(options.instructionSet, configuration.precision) }

    let parts = configuration.game == .classifier ? try source.split(world: world) : nil
    let dataset = try Dataset(
        configuration, parts?.training ?? source, layout: layout, world: world, needsLabels: configuration.isConditional)
    var data = RunData(training: dataset)
    if let second = domains.second { data.second = try Dataset(configuration.second, second, layout: layout, world: world) }
    if let parts, configuration.evaluateInterval != .never {
        data.heldOut = try Dataset(
            configuration, parts.heldOut, layout: layout, world: world, needsLabels: true, inBatches: false)
    }
    let firstStep = Int(try world.shared(resumption.map { Int64($0.checkpoint.step) } ?? 0))
    try world.agree {
        try resumption?.checkpoint.refuseOtherData(dataset.digest, folder: options.dataFolder)
        try data.second.map { try resumption?.checkpoint.refuseOtherSecondData($0.digest) }
    }

    try world.agree {
        if let path = options.extractor, configuration.evaluateInterval == .never || configuration.game != .gan {
            throw Failure(
                .usage, "--extractor \(path): " + (configuration.game == .gan
                    ? "nothing is measured; add --evaluate-interval 1e" : "only the pictures of a GAN are measured by one; leave it away"))
        }
    }
    let measures = configuration.game == .gan && configuration.evaluateInterval != .never
    let plan = try measures
        ? EvaluationPlan(
            .init(images: configuration.evaluateImages, usual: 5_000, extractor: options.extractor), configuration, source,
            world: world)
        : nil
    let translationPlan = try configuration.game == .cyclegan && configuration.evaluateInterval != .never
        ? TranslationEvaluationPlan([.fid], configuration, domains, world: world) : nil
    let trace = try options.trace.map { try Trace(path: $0, world: world) }
    let game = try configuration.makeGame(
        data, layout: layout, world: world, kernels: kernels, reduction: options.reduction, overlaps: options.overlaps)
    let state = GameState(game: game)
    var initialDigest = resumption?.checkpoint.initialDigest
    if isResumed {
        try state.restore(resumption?.checkpoint)
    } else if isGiven {
        try state.initialise(seed: configuration.seed, from: initial)
        let digest = state.weightsDigest()
        try world.compare("initial weights", digest, .internalError)
        initialDigest = digest
    } else {
        try state.initialise(seed: configuration.seed)
    }

    var prepared: PreparedRun?
    let log: Log = try world.agree {
        guard isWriter else { return Log(file: nil, isQuiet: true) }
        let run = try PreparedRun(resumption, lock: search.lock, configuration, options, domains, data, initialDigest: initialDigest,
            initialPath: isGiven ? initial?.path : nil)
        prepared = run
        return Log(
            file: try AppendedFile("\(run.directory.path)/log.txt"), isQuiet: options.isQuiet,
            isLaunched: communicator.size > 1)
    }
    // The lock is held as long as anything is written.
    defer { withExtendedLifetime(prepared) {} }
    if let prepared {
        for (_, reason) in search.damaged { try log.print("Warning: skipped a damaged checkpoint: \(reason)") }
        for line in introduction(
            configuration, options, source: parts?.training ?? source, second: domains.second, data: data, communicator: communicator,
            layout: layout, kernels: kernels, resumption: resumption, resume: resume, refusal: search.refusal, run: prepared, players: game.players)
        {
            try log.print(line)
        }
        if isGiven, let initial {
            try log.print("Begun with the weights of \(initial.path), SHA-256 \(initialDigest ?? "")")
            for note in initial.notes where note.hasPrefix("Warning") { try log.print(note) }
            for note in surplus { try log.print("Note: \(note)") }
        }
        if let parts, data.heldOut != nil { try log.print("Test: \(parts.description)") }
        if let crowding = world.crowding { try log.print("Note: \(crowding)") }
        for note in try (isResumed ? request : fresh).notes(from: resumption?.checkpoint.configuration, source.format) { try log.print("Note: \(note)") }
    }
    let tell = { (line: String) throws in try prepared == nil ? () : log.print(line) }
    // A classifier may be trained first, which takes minutes.
    var status = RunStatus(
        step: firstStep, of: configuration.totalSteps(images: data.count), communicator: communicator, kernels: kernels)
    try world.agree { if let prepared { try status.write(in: prepared.directory) } }
    do {
        if let plan { data.evaluator = try Evaluator(plan, training: dataset, world: world, kernels: kernels, tell: tell) }
        if let translationPlan {
            data.translationEvaluator = try TranslationEvaluator(translationPlan, data, world: world, kernels: kernels, tell: tell)
        }
    } catch let failure as Failure {
        status.end(by: failure)
        if let prepared { try? status.write(in: prepared.directory) }
        throw failure
    }
    world.players = game.players.map(\.name)
    let fingerprint = try world.agree {
        if configuration.game == .cyclegan {
            return try isWriter
                ? Domains.fingerprint(options, configuration.domainB, wanted: request.dataset, preferred: configuration.dataset) : nil
        }
        return isWriter && parts?.isPublished == false ? try source.fingerprintOfWhole() : source.fingerprint
    }
    let trainer = try Trainer(
        configuration, options, data: data, fingerprint: fingerprint, world: world, game: game, run: prepared?.directory, log: log,
        resumption: resumption, damaged: Set(search.damaged.map(\.path)), secondsBefore: prepared?.secondsBefore ?? 0,
        initialDigest: initialDigest, firstStep: firstStep)
    do {
        try trainer.train()
    } catch let failure as Failure where failure.isShared {
        // All ranks are here together, and what led to the end is what one wants to see. The first failure counts.
        try? trace?.write()
        throw failure
    }
    try trace?.write()
    // Nobody leaves while rank 0 may still fail to write.
    try world.agree {}
}

/// What `--dry-run` prints: the configuration of a fresh or of the resumed run.
public func dryRun(
    _ request: ConfigurationRequest, _ options: RunOptions, resume: ResumeRequest?, ranks: Int
) throws -> String {
    try options.checkBeginning(resume)
    let initial = try options.initialWeights.map { try InitialWeights($0, under: options.outdir) }
    var search = CheckpointSearch(request, options, initial: initial, locks: false)
    let resumption = try resume.flatMap { try search.find($0) }
    var request = request
    if let initial { request.adopt(initial.configuration, of: initial.path) }
    let configuration = try resumption?.configuration ?? request.fresh(for: dataFormat(request, options))
    if resumption == nil { _ = try initial?.check(configuration.playerPlans()) }
    try checkRanks(ranks, configuration, options)
    _ = try selectKernels(options.instructionSet, configuration.precision)
    return try configuration.json(pretty: true, adding: ["version": .text(Version.current)])
}

/// What the data hold; where there are none yet, what the set holds that is asked for, or MNIST.
private func dataFormat(_ request: ConfigurationRequest, _ options: RunOptions) throws -> DataFormat {
    let preferred = try request.fileDataset
    do {
        let domain = try request.knownDomain
        try Domains.check(options, domain, request.dataset)
        var format = try DataSource(
            path: options.dataFolder, wanted: request.dataset ?? domain?.dataset, preferred: preferred).format
        if let domain {
            (format.secondChannels, format.secondClasses) = (domain.function.channels, format.classes)
        } else if let path = options.secondDataFolder {
            format.setSecond(try DataSource(path: path, wanted: nil, preferred: nil).format)
        }
        return format
    } catch let failure as Failure where failure.code == .missingInput {
        var format = (KnownDataset(request.dataset ?? preferred) ?? .mnist).format
        let domain = try request.knownDomain
        if domain != nil || options.secondDataFolder != nil { format.setSecond(format) }
        if let domain { format.secondChannels = domain.function.channels }
        return format
    }
}

/// The kernels that `--isa` names, or the fastest, in a precision.
public func selectKernels(_ wanted: InstructionSet?, _ precision: Precision) throws -> Kernels {
    guard let wanted else { return Kernels.fastest.rounding(to: precision) }
    guard let kernels = Kernels.select(wanted) else {
        let available = InstructionSet.available.map(\.rawValue).joined(separator: ", ")
        throw Failure(.usage, "--isa \(wanted.rawValue): this CPU cannot run it; available are \(available)")
    }
    return kernels.rounding(to: precision)
}

private func checkRanks(_ ranks: Int, _ configuration: Configuration, _ options: RunOptions) throws {
    guard ranks > configuration.shards else { return }
    var shards = configuration.shards
    while shards < ranks { shards *= 2 }
    throw Failure(
        .usage,
        "\(ranks) ranks for \(configuration.shards) logical shards: each rank needs one. Run "
            + "mpirun -np \(configuration.shards) gan-dist, or mpirun -np \(ranks) gan-dist --shards \(shards) (another number "
            + "of shards gives other bytes)")
}

/// Refuses configurations that differ between ranks, naming the field.
private func compare(_ configuration: Configuration, _ world: World) throws {
    let fields = try world.agree { try configuration.fields() }
    for field in Configuration.declared.map(\.field) {
        try world.compare("configuration's \(field.key)", fields[field.key] ?? "none", .usage)
    }
}

/// SHA-256 of this executable, which all ranks must share. The first rank of a host does not stand for the others:
/// each may have been started from another file.
private func programDigest(_ world: World) throws -> String {
    guard world.communicator.size > 1 else { return "" }
    return try world.agree {
        guard let file = FileHandle(forReadingAtPath: "/proc/self/exe") else { return Version.current }
        let digest = SHA256Digest()
        while let piece = try? file.read(upToCount: 1 << 18), !piece.isEmpty { piece.withUnsafeBytes(digest.update) }
        return digest.finish().hexadecimal
    }
}

/// The folder that a run is to write, and the lock on it.
private struct PreparedRun {
    let directory: RunDirectory
    let lock: RunLock
    /// How long the run took up to the checkpoint that it goes on from.
    let secondsBefore: Double

    /// A new folder with its options, or that of the resumed run, rid of what lies past the checkpoint's step.
    init(
        _ resumption: Resumption?, lock: RunLock?, _ configuration: Configuration, _ options: RunOptions,
        _ domains: Domains, _ data: RunData, initialDigest: String?, initialPath: String?
    ) throws {
        if let directory = resumption?.directory, let lock, let step = resumption?.checkpoint.step {
            (self.directory, self.lock) = (directory, lock)
            if lock.weakness == nil { try directory.removeLeftovers() }
            secondsBefore = try dropLines(past: step, of: "\(directory.path)/stats.jsonl")
        } else {
            directory = try RunDirectory.create(under: options.outdir, name: options.name, configuration)
            self.lock = try RunLock(on: directory.path)
            secondsBefore = 0
        }
        self.lock.sign()
        var facts: [String: JSONValue] = [
            "version": .text(Version.current), "data_sha256": .text(data.training.digest), "images": .integer(data.training.count),
            "data_path": .text(domains.first.path),
        ]
        if let initialDigest {
            facts["init_sha256"] = .text(initialDigest)
            facts["init_from"] = (initialPath ?? resumption?.directory?.options["init_from"] as? String).map { .text($0) }
        }
        if !domains.first.classNames.isEmpty { facts["class_names"] = .list(domains.first.classNames.map { .text($0) }) }
        if let source = domains.second, let second = data.second {
            facts["data_b_sha256"] = .text(second.digest)
            facts["images_b"] = .integer(second.count)
            facts["data_b_path"] = .text(source.path)
        }
        let text = try configuration.json(pretty: true, adding: facts)
        try directory.write(text + "\n", to: "training_options.json")
    }
}

/// Keeps the lines of `stats.jsonl` up to a step.
/// - Returns: the seconds that the last of them tells, 0 where there is none.
private func dropLines(past step: Int, of path: String) throws -> Double {
    guard try withFiles({ try FileKind(path: path) }) != nil else { return 0 }
    let bytes = try withFiles { try fileContents(path, limit: .max) }
    var seconds = 0.0
    let newline = UInt8(ascii: "\n")
    let kept = bytes.split(separator: newline).filter { line in
        guard let object = try? JSONSerialization.jsonObject(with: Data(line)) as? [String: Any],
            let number = object["step"] as? Int, number <= step
        else { return false }
        seconds = object["seconds"] as? Double ?? seconds
        return true
    }
    let text = kept.flatMap { $0 + [newline] }
    if text != bytes { try withFiles { try AtomicFile.write(path: path, bytes: text) } }
    return seconds
}

private func introduction(
    _ configuration: Configuration, _ options: RunOptions, source: DataSource, second: DataSource?, data: RunData,
    communicator: any Communicator, layout: ShardLayout, kernels: Kernels, resumption: Resumption?, resume: ResumeRequest?, refusal: Failure?, run: PreparedRun,
    players: [Player]
) -> [String] {
    let ranks = communicator.size
    let size = count(ranks, "rank") + " on " + count(communicator.hosts.count, "host")
    let (dataset, images) = (data.training, data.count)
    let steps = configuration.stepsPerEpoch(images: images)
    let told = ([source.description] + source.changes(to: configuration)).joined(separator: ", ")
    var lines = [
        "gan-dist \(Version.current): preset \(configuration.preset), \(size), "
            + "\(configuration.shards) logical shards, kernels \(kernels.description)",
        "Data: \(told), "
            + "batch \(configuration.batchSize), \(Double(steps).grouped) steps an epoch, seed \(configuration.seed)",
        players.enumerated().map { number, player in
            let count = Double(player.network.layout.parameterCount).grouped
            guard number == 0 else { return "\(player.name): \(count)" }
            if player.name.contains("_") { return "\(player.name): \(count) parameters" }
            return "\(player.name.prefix(1).uppercased())\(player.name.dropFirst()): \(count) parameters"
        }.joined(separator: ", "),
        "Run: \(run.directory.path)",
    ]
    if let second {
        let told = ([second.description] + second.changes(to: configuration.second)).joined(separator: ", ")
        lines.insert("B: \(told)", at: 2)
    }
    if let resumption {
        lines.append("Resumed from \(resumption.checkpoint.path) at step \(resumption.checkpoint.step)")
    } else if resume == .auto {
        lines.append("No checkpoint to resume from: a fresh start")
        if let refusal { lines.append("Note: \(refusal.description)") }
    }
    if let weakness = run.lock.weakness {
        lines.append("Note: \(run.directory.path) lies on a file system that cannot lock files (\(weakness)): nothing keeps a second run out of it")
    }
    for warning in dataset.warnings + (data.second?.warnings ?? []) { lines.append("Warning: \(warning)") }
    if let warning = configuration.warningOfLearningRates(images: images) { lines.append("Warning: \(warning)") }
    for note in source.notes + (second?.notes ?? []) { lines.append("Note: \(note)") }
    if kernels.instructionSet == .portable {
        lines.append("Note: the portable kernels do without fused multiply-add instructions: the same bytes, very much slower")
    }
    if kernels.precision == .bf16, !kernels.hasNativeProducts {
        let reason = Kernels.hasNativeBFloat16 ? "AVX-512 BF16 is slow on this CPU" : "this CPU lacks AVX-512 BF16"
        lines.append("Note: \(reason), and pairs are multiplied one after the other: the same bytes, no faster than fp32")
    }
    if kernels.instructionSet.isTestedByEmulation {
        lines.append("Note: the \(kernels.instructionSet.rawValue) kernels have been tested on an emulated CPU only: the same bytes")
    }
    if options.reduction == .mpi {
        lines.append("Note: --reduction mpi adds in an order of MPI's choice: the bytes depend on the number of ranks")
    }
    if layout.shards % ranks != 0 {
        let largest = layout.largestShardCount
        let share = 100 * (Double(largest * ranks) / Double(layout.shards) - 1)
        lines.append(
            "Note: \(layout.shards) shards do not divide evenly among \(ranks) ranks; some own \(largest), and a step takes "
                + "\(share.fixed(0)) % longer than with an even share")
    }
    return lines
}

private func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }

extension World {
    /// Rank 0's number, on all ranks.
    func shared(_ value: Int64) throws -> Int64 {
        var value = value
        try withUnsafeMutableBytes(of: &value) { try broadcast($0, from: 0) }
        return value
    }
}
