import ArgumentParser
import Foundation
import GAN
import Kernels
import MessagePassing

struct Train: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Train a GAN (the default command).",
        discussion: "Any field of a preset can be overridden. Intervals are in steps, or in epochs (4e); 0 is never.")

    @Option(parsing: .unconditional, help: "Recipe: \(Preset.all.map(\.preset).joined(separator: ", ")) (default: \(Preset.standard)).")
    var preset: String?
    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Model file, as training_options.json holds it.", valueName: "file.json"))
    var config: [String] = []
    @Option(parsing: .unconditional, help: "mnist or fashion.")
    var dataset: String?
    @Option(parsing: .unconditional, help: "Folder with the IDX files, or with MNIST/raw or FashionMNIST/raw in it.")
    var data = "data"
    @Option(parsing: .unconditional, help: "Folder of the runs.")
    var outdir = "runs"
    @Option(parsing: .unconditional, help: "Length of the training.")
    var epochs: Int?
    @Option(parsing: .unconditional, help: "Length of the training in steps; comes before --epochs.")
    var steps: Int?
    @Option(parsing: .unconditional, help: "Images of a step, over all ranks.")
    var batchSize: Int?
    @Option(parsing: .unconditional, help: "Learning rate of both networks.")
    var lr: Double?
    @Option(parsing: .unconditional, help: "The generator's learning rate, in place of --lr.")
    var lrGenerator: Double?
    @Option(parsing: .unconditional, help: "The discriminator's learning rate, in place of --lr.")
    var lrDiscriminator: Double?
    @Option(parsing: .unconditional, help: "After how long the learning rates are halved, again and again; 0 is never.")
    var lrHalfLife: String?
    @Option(parsing: .unconditional, help: "adam, rmsprop or sgd.")
    var optimizer: String?
    @Option(parsing: .unconditional) var beta1: Double?
    @Option(parsing: .unconditional) var beta2: Double?
    @Option(parsing: .unconditional, help: "Length of the noise vectors.")
    var latentDim: Int?
    @Option(parsing: .unconditional, help: "bce (on logits), mse (least squares on the raw output), hinge or wasserstein.")
    var loss: String?
    @Option(parsing: .unconditional, help: "Updates of the discriminator for each one of the generator.")
    var criticSteps: Int?
    @Option(parsing: .unconditional, help: "Weight of the penalty on the discriminator's slope (10 is usual); 0 is none.")
    var gradientPenalty: Double?
    @Option(parsing: .unconditional, help: "Largest magnitude of the discriminator's parameters; 0 is no limit.")
    var weightClip: Double?
    @Flag(inversion: .prefixedNo, help: "Divide the discriminator's weights by their largest singular value.")
    var spectralNorm: Bool?
    @Option(
        parsing: .unconditional,
        help: "Kernels of minibatch discrimination before the discriminator's last layer (50 is usual); each has 5 dimensions.")
    var minibatchDiscrimination: Int?
    @Option(parsing: .unconditional, help: "How far below 1 the discriminator's target of real images is.")
    var labelSmoothing: Double?
    @Option(parsing: .unconditional, help: "Probability with which the discriminator is told the opposite of what an image is.")
    var labelFlip: Double?
    @Option(parsing: .unconditional, help: "Standard deviation of noise on whatever the discriminator sees.")
    var instanceNoise: Double?
    @Option(parsing: .unconditional, help: "After how long the instance noise has decreased to nothing; 0 is never.")
    var instanceNoiseDecay: String?
    @Option(parsing: .unconditional, help: "Share that each step keeps of the generator's moving average, which is then sampled; 0 is none.")
    var ema: Double?
    @Flag(inversion: .prefixedNo, help: "Let the first updates keep less of it: (1 + t) / (10 + t) in update t, if that is less.")
    var emaRamp: Bool?
    @Option(parsing: .unconditional, help: "fp32, or bf16: products of factors rounded to bf16, everything else in fp32.")
    var precision: String?
    @Option(parsing: .unconditional) var seed: UInt64?
    @Option(parsing: .unconditional, help: "Logical shards, a power of two; the bytes of a run depend on it, and not on the number of ranks.")
    var shards: Int?
    @Option(parsing: .unconditional, help: "Instruction set: auto, avx512, avx2, neon or portable. All give the same bytes.")
    var isa = "auto"
    @Option(parsing: .unconditional, help: "tree (the same bytes at any number of ranks) or mpi (MPI_Allreduce, for comparison).")
    var reduction = "tree"
    @Flag(help: "Compute nothing while a gradient is being reduced, to see what the overlap brings; the same bytes.")
    var noOverlap = false
    @Option(parsing: .unconditional, help: ArgumentHelp("Write where the time of the last steps went, as a Chrome trace (opens in Perfetto).", valueName: "file.json"))
    var trace: String?
    @Option(parsing: .unconditional, help: "Steps between log lines.")
    var logInterval: String?
    @Option(parsing: .unconditional, help: "Steps between sample grids.")
    var sampleInterval: String?
    @Option(parsing: .unconditional, help: "Steps between checkpoints.")
    var checkpointInterval: String?
    @Option(parsing: .unconditional, help: "Steps between SHA-256 hashes of the weights in stats.jsonl.")
    var hashInterval: String?
    @Option(parsing: .unconditional, help: "Checkpoints to keep.")
    var keep: Int?
    @Option(parsing: .unconditional, help: ArgumentHelp("Go on from a checkpoint: a file, latest, or auto (a fresh start if there is none).", valueName: "latest|auto|file"))
    var resume: String?
    @Option(parsing: .unconditional, help: "Write what goes into and comes out of each of the first steps.")
    var dumpSteps = 0
    @Option(parsing: .unconditional, help: "Seconds without progress after which the run is ended; 0 is never.")
    var watchdog = 60.0
    @Flag(help: "Print the configuration and end.")
    var dryRun = false
    @Flag(help: "Print nothing; log.txt is written all the same.")
    var quiet = false

    func run() throws { preconditionFailure("training runs on a communicator") }

    /// - Parameter command: the words that start this program again, before its options.
    func run(on communicator: any Communicator, command: String) throws {
        // A wrong option on one rank alone must end all of them.
        let world = try World(communicator, limit: watchdog.isFinite && watchdog >= 0 ? watchdog : Launch.startLimit)
        let (request, options) = try world.agree { (try self.request(), try self.options(command)) }
        if dryRun {
            let text = try world.agree { try GAN.dryRun(request, options, resume: resumeRequest, ranks: communicator.size) }
            // Nobody leaves while rank 0 may still fail to write.
            try world.agree { if communicator.rank == 0 { try StandardOutput.printResult(text) } }
            return
        }
        try train(request, options, resume: resumeRequest, communicator: communicator)
    }

    private var resumeRequest: ResumeRequest? { resume.map { ResumeRequest($0) } }

    private func options(_ command: String) throws -> RunOptions {
        guard watchdog >= 0, watchdog.isFinite else {
            throw Failure(.usage, "--watchdog \(watchdog): must be a number of seconds, or 0 for never")
        }
        guard dumpSteps >= 0 else { throw Failure(.usage, "--dump-steps \(dumpSteps): must be 0 or more") }
        let paths: [(option: String, path: String?)] = [
            ("--data", data), ("--outdir", outdir), ("--trace", trace), ("--resume", resume),
        ]
        for (option, path) in paths where path == "" {
            throw Failure(.usage, "\(option) \"\": a path is expected, found an empty text")
        }
        var options = RunOptions()
        options.resumeCommand = ResumeRequest.command(command, Array(CommandLine.arguments.dropFirst()))
        options.dataFolder = data
        options.outdir = outdir
        options.instructionSet = isa == "auto" ? nil : try choice("--isa", isa)
        options.reduction = try choice("--reduction", reduction)
        options.overlaps = !noOverlap
        options.trace = trace
        options.watchdog = watchdog
        options.dumpSteps = dumpSteps
        options.isQuiet = quiet
        return options
    }

    private func request() throws -> ConfigurationRequest {
        var request = ConfigurationRequest()
        request.preset = preset
        if let preset { _ = try Preset.named(preset) }
        guard config.count <= 1 else {
            throw Failure(.usage, "--config is given \(config.count) times (\(config.joined(separator: ", "))): one model file describes a run")
        }
        if let path = config.first { try request.readModelFile(path) }
        let dataset: Configuration.Dataset? = try self.dataset.map { try choice("--dataset", $0) }
        let loss: Loss? = try self.loss.map { try choice("--loss", $0) }
        let precision: Precision? = try self.precision.map { try choice("--precision", $0) }
        let optimizer: Configuration.OptimizerKind? = try self.optimizer.map { try choice("--optimizer", $0) }
        let halfLife = try interval("--lr-half-life", lrHalfLife)
        let noiseDecay = try interval("--instance-noise-decay", instanceNoiseDecay)
        let log = try interval("--log-interval", logInterval)
        let sample = try interval("--sample-interval", sampleInterval)
        let checkpoint = try interval("--checkpoint-interval", checkpointInterval)
        let hash = try interval("--hash-interval", hashInterval)
        let exclusive: [(String, Any?)] = [
            ("loss", loss), ("gradient_penalty", gradientPenalty), ("weight_clip", weightClip), ("spectral_norm", spectralNorm),
            ("label_smoothing", labelSmoothing), ("label_flip", labelFlip), ("ema", ema), ("ema_ramp", emaRamp),
        ]
        request.flags = Set(exclusive.filter { $0.1 != nil }.map(\.0))
        request.override = { [self] configuration in
            if let dataset { configuration.dataset = dataset }
            if let loss { configuration.loss = loss }
            if let precision { configuration.precision = precision }
            if let batchSize { configuration.batchSize = batchSize }
            if let criticSteps { configuration.criticSteps = criticSteps }
            if let gradientPenalty { configuration.gradientPenalty = gradientPenalty }
            if let weightClip { configuration.weightClip = weightClip }
            if let spectralNorm { configuration.spectralNorm = spectralNorm }
            if let minibatchDiscrimination {
                try configuration.setMinibatchDiscrimination(kernels: minibatchDiscrimination)
            }
            if let labelSmoothing { configuration.labelSmoothing = labelSmoothing }
            if let labelFlip { configuration.labelFlip = labelFlip }
            if let instanceNoise { configuration.instanceNoise = instanceNoise }
            if let noiseDecay { configuration.instanceNoiseDecay = noiseDecay }
            if let ema { configuration.averageDecay = ema }
            if let emaRamp { configuration.averageRamp = emaRamp }
            if let optimizer { configuration.optimizer = optimizer }
            if let lr { configuration.learningRate = lr }
            if let lrGenerator { configuration.generatorLearningRate = lrGenerator }
            if let lrDiscriminator { configuration.discriminatorLearningRate = lrDiscriminator }
            if let halfLife { configuration.learningRateHalfLife = halfLife }
            if let beta1 { configuration.beta1 = beta1 }
            if let beta2 { configuration.beta2 = beta2 }
            if let latentDim { configuration.setLatentDimension(latentDim) }
            if let seed { configuration.seed = seed }
            if let shards { configuration.shards = shards }
            if let epochs {
                configuration.epochs = epochs
                configuration.steps = nil
            }
            if let steps { configuration.steps = steps }
            if let log { configuration.logInterval = log }
            if let sample { configuration.sampleInterval = sample }
            if let checkpoint { configuration.checkpointInterval = checkpoint }
            if let hash { configuration.hashInterval = hash }
            if let keep { configuration.keep = keep }
        }
        return request
    }
}

private func interval(_ option: String, _ text: String?) throws -> Interval? {
    try text.map {
        guard let interval = Interval($0) else {
            throw Failure(.usage, "\(option) \($0): an interval is a number of steps (400) or epochs (4e)")
        }
        return interval
    }
}

/// The case that an option names.
func choice<Choice: RawRepresentable & CaseIterable>(_ option: String, _ text: String) throws -> Choice
where Choice.RawValue == String {
    guard let choice = Choice(rawValue: text) else {
        throw Failure(
            .usage, "\(option) \(text): known are \(Choice.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return choice
}
