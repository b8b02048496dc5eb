import Foundation
import Kernels
import MessagePassing

/// Options of a run that its bytes do not depend on.
public struct RunOptions: Sendable {
    public var dataFolder = "data"
    /// Where domain B is, if it lies in a place of its own; `dataFolder` is then A's.
    public var secondDataFolder: String?
    public var outdir = "runs"
    /// A part of the name of a new run's folder.
    public var name: String?
    /// A checkpoint or other file of weights that a new run begins with; see `InitialWeights`.
    public var initialWeights: String?
    /// A shell command to run for each checkpoint; see `CheckpointCommand`.
    public var checkpointCommand: String?
    public var instructionSet: InstructionSet?
    public var reduction = Reducer.Algorithm.tree
    /// Whether computation goes on while a gradient is being reduced.
    public var overlaps = true
    /// Where to write a trace of the last steps, if anywhere.
    public var trace: String?
    /// A checkpoint of a classifier to measure pictures by, in place of the data's own extractor.
    public var extractor: String?
    public var watchdog = 60.0
    public var dumpSteps = 0
    /// Whether TensorBoard can show the run.
    public var writesTensorBoard = false
    public var isQuiet = false
    /// What a user types to go on with a run that was stopped.
    public var resumeCommand = "gan-dist --resume latest"

    public init() {}
}

/// Trains on one rank: steps, and between them what the intervals and signals ask for. Ranks act together, since
/// whatever asks is known to all of them after the same step.
final class Trainer {
    private let configuration: Configuration
    private let options: RunOptions
    private let data: RunData
    private let fingerprint: String?
    private let world: World
    private let game: any Game
    private let state: GameState
    private let observer: any GameObserver
    private let run: RunDirectory?
    private let log: Log
    private let stats: AppendedFile?
    /// On all ranks, where it is asked for.
    private let tensorBoard: TensorBoard?
    private var status: RunStatus
    private var retention: CheckpointRetention?
    /// The best checkpoint so far, where one is kept.
    private var best: BestCheckpoint?
    private let checkpointCommand: CheckpointCommand?
    /// The SHA-256 of the weights that the run was given to begin with, if it was.
    private let initialDigest: String?
    /// Whether it was said that the file system cannot bring all of a file to disk.
    private var hasToldOfDisk = false
    /// Whether it was said that the run's page cannot be written.
    private var hasToldOfReport = false
    private let stepsPerEpoch: Int
    private let totalSteps: Int
    /// When the run would have started if it had never been interrupted.
    private let start: Double
    private var lineStart = monotonicSeconds()
    private var lineStep: Int
    /// The first two numbers of the last line.
    private var lineLosses = ""
    /// Of each rank, as of the last line.
    private var lineExchange: [(waiting: Double, communication: Double)]
    private var lastCheckpoint: Int
    /// When the ranks last did what a signal asked for.
    private var lastAnswer = -Double.infinity

    /// - Parameters:
    ///   - run: the run's folder, on rank 0 only.
    ///   - resumption: the checkpoint that the run goes on from, on rank 0 only.
    ///   - damaged: checkpoints of this run that proved unreadable.
    ///   - secondsBefore: how long the run took up to there.
    ///   - initialDigest: of the weights that the run was given to begin with, if it was.
    ///   - firstStep: steps done already.
    init(
        _ configuration: Configuration, _ options: RunOptions, data: RunData, fingerprint: String?, world: World, game: any Game,
        run: RunDirectory?, log: Log, resumption: Resumption?, damaged: Set<String>, secondsBefore: Double,
        initialDigest: String?, firstStep: Int
    ) throws {
        self.configuration = configuration
        self.options = options
        self.data = data
        self.fingerprint = fingerprint
        self.world = world
        self.game = game
        self.run = run
        self.log = log
        state = GameState(game: game)
        stats = try run.map { try AppendedFile("\($0.path)/stats.jsonl") }
        observer = try game.makeObserver(data, run: run, firstStep: firstStep)
        tensorBoard = options.writesTensorBoard ? TensorBoard(game, run: run, log: log, firstStep: firstStep) : nil
        if let checkpoint = resumption?.checkpoint { try observer.restore(from: checkpoint) }
        self.initialDigest = initialDigest
        checkpointCommand = run == nil ? nil : options.checkpointCommand.map { CheckpointCommand($0) }
        let stepsPerEpoch = configuration.stepsPerEpoch(images: data.count)
        self.stepsPerEpoch = stepsPerEpoch
        retention = run.map { run in
            let resumed = resumption.flatMap { $0.directory == nil ? nil : ($0.checkpoint.step, $0.checkpoint.path) }
            return CheckpointRetention(run, keep: configuration.keep, resumed: resumed, damaged: damaged) {
                configuration.keepEvery.isDue(after: $0, stepsPerEpoch: stepsPerEpoch)
            }
        }
        start = monotonicSeconds() - secondsBefore
        totalSteps = configuration.totalSteps(images: data.count)
        best = try configuration.keepBest.map {
            try BestCheckpoint($0, of: configuration.game, from: resumption?.checkpoint, world)
        }
        status = RunStatus(
            step: firstStep, of: totalSteps, communicator: world.communicator, kernels: game.context.kernels)
        lineStep = firstStep
        lineExchange = Array(repeating: (0, 0), count: world.communicator.size)
        lastCheckpoint = firstStep
    }

    /// Trains to the end, and says how it went.
    /// - Throws: where the run stops early; a checkpoint is written first if a signal asks for it.
    func train() throws {
        defer { log.clearBar() }
        do {
            try writeStatus()
            try trainSteps()
            status.end(.finished, code: nil, message: nil)
        } catch let failure as Failure {
            status.end(by: failure)
            // The failure counts, whatever becomes of the files.
            if !failure.description.isEmpty { try? log.note("Error: \(failure.description)") }
            try? writeStatus()
            writeReport()
            throw failure
        }
        try writeStatus()
        writeReport()
    }

    private func trainSteps() throws {
        let first = lineStep
        if first == 0 { try writePictures(after: 0) }
        let dump = Dump(game, folder: (run?.path ?? "") + "/dump")
        if options.dumpSteps > first {
            try world.agree { if run != nil { try makeFolders(dump.folder) } }
            if first == 0 { try dump.write(after: 0) }
        }
        lineStart = monotonicSeconds()
        for t in first..<max(first, totalSteps) {
            let done = t + 1
            let isDumped = done <= options.dumpSteps
            let due = Due(done, configuration, stepsPerEpoch: stepsPerEpoch, totalSteps: totalSteps)
            if due.isSampled { tensorBoard?.keepGradients() }
            if isDumped { dump.observe(true) }
            try game.run(t, requests: takeRequests())
            status.step = done
            // What is asked for when the next step settles this one is done after that one.
            if due.isAny || isDumped { try game.settled() }
            let requests = game.records.takeRequests()
            if requests != 0 { try game.settled() }
            if isDumped {
                dump.observe(false)
                try dump.write(after: done)
            }
            let evaluation = due.isEvaluated ? try evaluate(done) : nil
            try report(done, due, evaluation)
            if due.isSampled { try writePictures(after: done) }
            if let evaluation, best?.isBetter(evaluation, step: done) == true { try saveBest(done) }
            if due.isSaved || requests != 0 { try saveCheckpoint(done) }
            if let checkpointCommand, checkpointCommand.isRunning { try warn(checkpointCommand.look()) }
            if requests != 0 { lastAnswer = monotonicSeconds() }
            if due.isSampled, done < totalSteps { writeReport() }
            if Signals.asksToStop(requests), done < totalSteps { try stop(after: done) }
        }
        try finish(first)
    }

    /// What signals ask of this rank. mpirun sends a signal to one rank after another: a request for a checkpoint that comes
    /// within a second of the last answer belongs to the signal that was answered.
    private func takeRequests() -> Int {
        let requests = Signals.take()
        return requests != 0 && monotonicSeconds() < lastAnswer + 1 ? requests & ~Signals.checkpoint : requests
    }

    /// Ends the run early, as it was asked to.
    private func stop(after done: Int) throws -> Never {
        let steps = "step \(Double(done).grouped) of \(Double(totalSteps).grouped)"
        try log.print("Stopped after \(steps); go on with: \(options.resumeCommand)")
        if let farewell = checkpointCommand?.farewell { try log.print("Note: \(farewell)") }
        status.message = "stopped after \(steps), as a signal asked for"
        throw Failure(.stopped, "", isShared: true)
    }

    private func warn(_ warnings: [String]) throws {
        for warning in warnings { try log.print("Warning: \(warning)") }
    }

    /// Says what there is now and what can be done with it.
    private func finish(_ first: Int) throws {
        guard let run else { return }
        if let checkpointCommand, checkpointCommand.isRunning {
            try warn(world.storing("waiting for the command of --on-checkpoint", because: "it still runs") {
                checkpointCommand.finish { !Signals.asksForEnd }
            })
            if let farewell = checkpointCommand.farewell { try log.print("Note: \(farewell)") }
        }
        guard first < totalSteps else {
            return try log.print(
                "The checkpoint is at step \(first) of \(totalSteps): nothing is left to do. More --epochs or --steps go on from it.")
        }
        tensorBoard?.finish(after: totalSteps)
        try log.print(
            "Finished: \(Double(totalSteps).grouped) \(totalSteps == 1 ? "step" : "steps") in \(duration(monotonicSeconds() - start)). "
                + "\(observer.pictures(after: totalSteps).map { "The last pictures: \(run.path)/\($0)" } ?? "Run: \(run.path)")")
        if let best, let told = best.description { try log.print(told) }
        if let verdict = observer.verdict { try log.print("Warning: \(verdict)") }
        try log.print(observer.nextCommand(checkpoint: "\(run.path)/\(Checkpoint.name(step: totalSteps))"))
    }

    private func writePictures(after done: Int) throws {
        try observer.writePictures(after: done)
        try tensorBoard?.look(after: done, pictures: observer.pictures(after: done))
    }

    // MARK: Log

    /// Measures the players. The time that it takes is none of training's rate.
    private func evaluate(_ done: Int) throws -> Evaluation? {
        let begin = monotonicSeconds()
        defer { lineStart += monotonicSeconds() - begin }
        return try observer.evaluate(after: done)
    }

    private func report(_ done: Int, _ due: Due, _ evaluation: Evaluation?) throws {
        guard run != nil else { return }
        let (epoch, stepOfEpoch) = (due.epoch, due.stepOfEpoch)
        let epochs = (totalSteps + stepsPerEpoch - 1) / stepsPerEpoch
        let now = monotonicSeconds()
        let elapsed = max(now - lineStart, 1e-9)
        let rate = Double((done - lineStep) * configuration.batchSize * configuration.criticSteps) / elapsed
        if !due.isLogged, !due.isHashed, evaluation == nil {
            let left = elapsed / Double(done - lineStep) * Double(totalSteps - done)
            log.progress(
                Progress(
                    step: done, steps: totalSteps, epoch: "\(epoch)/\(epochs)", losses: lineLosses, imagesPerSecond: rate,
                    secondsLeft: left))
            return
        }
        let means = game.records.means
        let told = game.report(means)
        let look = due.isLogged ? try observer.look(after: done, means) : nil
        var lines: [String] = []
        if due.isLogged {
            lineLosses = told.line.split(separator: ", ").prefix(2).joined(separator: ", ")
            lines.append(
                "Epoch [\(epoch)/\(epochs)], Step [\(stepOfEpoch)/\(stepsPerEpoch)], \(told.line), \(rate.grouped) images/s")
        }
        lines += evaluation.map { [$0.line] } ?? []
        lines += ((evaluation?.warnings ?? []) + (look?.warnings ?? [])).map { "Warning: \($0)" }
        let exchange = game.records.exchangeSeconds
        let spent = zip(exchange, lineExchange).map { ($0.waiting - $1.waiting, $0.communication - $1.communication) }
        var line =
            "{\"step\": \(done), \"epoch\": \(epoch), \"time\": \"\(Date().rfc3339)\", "
            + told.fields.map { "\"\($0.key)\": \($0.value.json), " }.joined()
            + "\"images_per_second\": \(rate.fixed(1)), \"seconds\": \((now - start).fixed(3)), "
            + "\"step_seconds\": \((elapsed / Double(done - lineStep)).fixed(9)), "
            + "\"waiting_seconds\": [\(spent.map { $0.0.fixed(6) }.joined(separator: ", "))], "
            + "\"communication_seconds\": [\(spent.map { $0.1.fixed(6) }.joined(separator: ", "))]"
        line += evaluation?.fields.map { ", \"\($0.key)\": \($0.json)" }.joined() ?? ""
        if let look, !look.fields.isEmpty { line += ", \(look.fields)" }
        if due.isHashed { line += ", \"weights_sha256\": \"\(state.weightsDigest())\"" }
        try world.storing("writing to its log") {
            for line in lines { try log.print(line) }
            try stats?.append(line + "}")
            try writeStatus()
        }
        tensorBoard?.write(
            line: line + "}", after: done, training: told.fields.map(\.key), measures: evaluation?.fields.map(\.key) ?? [])
        lineStep = done
        lineExchange = exchange
        lineStart = monotonicSeconds()
    }

    // MARK: Files

    private func saveCheckpoint(_ done: Int) throws {
        guard done > lastCheckpoint else { return }
        lastCheckpoint = done
        world.note(step: done, phase: .checkpoint)
        let path = (run?.path ?? "") + "/" + Checkpoint.name(step: done)
        let weakness = try write(done, to: path)
        try world.storing("removing checkpoints") { try retention?.add(step: done, path: path) }
        if let weakness, !hasToldOfDisk {
            hasToldOfDisk = true
            try log.print("Note: \(weakness): a checkpoint may be lost where the machine loses power")
        }
        if let checkpointCommand { try warn(checkpointCommand.run(for: path)) }
    }

    private func saveBest(_ done: Int) throws {
        guard let best else { return }
        world.note(step: done, phase: .checkpoint)
        _ = try write(done, to: (run?.path ?? "") + "/" + best.name)
    }

    /// - Returns: why the file system could not bring all of it to disk, where it cannot.
    private func write(_ done: Int, to path: String) throws -> String? {
        let memory = try observer.memory()
        var metadata = [
            "format": "\(Checkpoint.format)", "step": "\(done)", "version": Version.current, "data_sha256": data.training.digest,
            "configuration": try configuration.json(),
        ]
        metadata["data_fingerprint"] = fingerprint
        metadata["data_b_sha256"] = data.second?.digest
        metadata[Checkpoint.initialDigestKey] = initialDigest
        metadata.merge(best?.metadata ?? [:]) { own, _ in own }
        return try state.save(
            to: path, metadata: metadata.merging(memory.metadata) { own, _ in own }, extra: memory.tensors)
    }

    private func writeStatus() throws {
        if let run { try status.write(in: run) }
    }

    /// Writes the run's page anew. It shows what other files hold: where it cannot be written, that is said once.
    private func writeReport() {
        guard let run else { return }
        do {
            try world.storing("writing \(Report.name)") { try Report(of: [run]).write(to: "\(run.path)/\(Report.name)") }
        } catch {
            if !hasToldOfReport { try? log.print("Warning: \(error); the run's page is not written") }
            hasToldOfReport = true
        }
    }
}

/// What is to be done after a step, the same on every rank.
private struct Due {
    let epoch, stepOfEpoch: Int
    let isLogged, isHashed, isEvaluated, isSampled, isSaved: Bool
    var isAny: Bool { isLogged || isHashed || isEvaluated || isSampled || isSaved }

    init(_ done: Int, _ configuration: Configuration, stepsPerEpoch: Int, totalSteps: Int) {
        func isDue(_ interval: Interval) -> Bool {
            done == totalSteps || interval.isDue(after: done, stepsPerEpoch: stepsPerEpoch)
        }
        epoch = (done - 1) / stepsPerEpoch + 1
        stepOfEpoch = (done - 1) % stepsPerEpoch + 1
        isLogged = done == totalSteps || configuration.logInterval.isLineDue(after: done, stepsPerEpoch: stepsPerEpoch)
        isHashed = isDue(configuration.hashInterval)
        isEvaluated = configuration.evaluateInterval != .never && isDue(configuration.evaluateInterval)
        isSampled = isDue(configuration.sampleInterval)
        isSaved = isDue(configuration.checkpointInterval) || configuration.keepEvery.isDue(after: done, stepsPerEpoch: stepsPerEpoch)
    }
}
