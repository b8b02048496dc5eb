import ArgumentParser
import Foundation
import GAN
import Kernels
import MessagePassing

struct Train: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Train a GAN (the default command).",
        discussion: """
            Any field of a preset can be overridden. Intervals are in steps, or in epochs (4e); 0 is never. In brackets stands what \
            the preset sets for MNIST: dcgan28, or the one that is named before --help.

            EXAMPLES:
              gan-dist --preset cdcgan --epochs 5
              gan-dist --preset cdcgan --help                 what cdcgan sets
              gan-dist --data ~/flowers --image-size 32 --mirror
              gan-dist --resume latest                        goes on with the newest run that fits
              mpirun -np 8 gan-dist --evaluate-interval 1e --keep-best fid

            SIGNALS: SIGUSR1 writes a checkpoint and ends with 75; SIGUSR2 writes one and goes on; SIGTERM, SIGINT, SIGHUP and \
            SIGXCPU write one if the ranks agree in time.

            EXIT CODES: 0 finished; 64 a wrong option; 65 bad data; 66 something is missing; 70 an internal error, or numbers that \
            are not finite; 74 a file cannot be read or written; 75 stopped, and --resume latest goes on; 128 + n ended by signal n.
            """)

    @Option(
        parsing: .unconditional,
        help: "Recipe: \(Preset.names.joined(separator: ", ")) (default: \(Preset.standard)).")
    var preset: String?
    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Model file, as training_options.json holds it.", valueName: "file.json"))
    var config: [String] = []
    @Option(
        parsing: .unconditional,
        help: "Folder with IDX files, or MNIST/raw or the like, or PNG or JPEG pictures, or .npy array (default: data).")
    var data: String?
    @Option(parsing: .unconditional, help: "Domain A of a CycleGAN, as --data.")
    var dataA: String?
    @Option(parsing: .unconditional, help: "Domain B of a CycleGAN, as --data.")
    var dataB: String?
    @Option(parsing: .unconditional, help: "Folder of the runs.")
    var outdir = "runs"
    @Option(parsing: .unconditional, help: "Name of the run, a part of its folder's.")
    var name: String?
    @OptionGroup(title: "Data") var dataFields: FieldOptions<FieldGroup.Data>
    @OptionGroup(title: "Length and updates") var trainingFields: FieldOptions<FieldGroup.Training>
    @OptionGroup(title: "Loss and remedies of a GAN") var adversarialFields: FieldOptions<FieldGroup.Adversarial>
    @OptionGroup(title: "Translation between two domains (CycleGAN)") var cycleFields: FieldOptions<FieldGroup.Cycle>
    @OptionGroup(title: "Numbers, and what is written when") var runFields: FieldOptions<FieldGroup.Run>
    @Option(
        parsing: .unconditional,
        help: "Kernels of minibatch discrimination before the discriminator's last layer (50 is usual); each has 5 dimensions.")
    var minibatchDiscrimination: Int?
    @Option(parsing: .unconditional, help: "Instruction set: auto, avx512, avx2, neon or portable. All give the same bytes.")
    var isa = "auto"
    @Option(parsing: .unconditional, help: "tree (the same bytes at any number of ranks) or mpi (MPI_Allreduce, for comparison).")
    var reduction = "tree"
    @Flag(help: "Compute nothing while a gradient is being reduced, to see what the overlap brings; the same bytes.")
    var noOverlap = false
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Write where the time of the last steps went, as a Chrome trace (opens in Perfetto).", valueName: "file.json"))
    var trace: String?
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Go on from a checkpoint: a file, a run's folder or number, latest, or auto (a fresh start if there is none).",
            valueName: "latest|auto|run|file"))
    var resume: String?
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Begin a new run with the weights of a checkpoint, a run's newest one, or a safetensors file with PyTorch's names.",
            valueName: "file|run"))
    var initFrom: String?
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Shell command to run after each checkpoint, with the file as its last argument; training does not wait for it.",
            valueName: "command"))
    var onCheckpoint: String?
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Measure by the features of this classifier, in place of one of the data's own.", valueName: "file"))
    var extractor: String?
    @Option(parsing: .unconditional, help: "Write what goes into and comes out of each of the first steps.")
    var dumpSteps = 0
    @Flag(name: .customLong("tensorboard"), help: "Write curves, pictures and histograms into the run's folder, for TensorBoard.")
    var tensorBoard = false
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
            ("--data", data), ("--data-a", dataA), ("--data-b", dataB), ("--outdir", outdir), ("--trace", trace), ("--resume", resume),
            ("--extractor", extractor),
            ("--init-from", initFrom),
        ]
        for (option, path) in paths where path == "" {
            throw Failure(.usage, "\(option) \"\": a path is expected, found an empty text")
        }
        if onCheckpoint?.allSatisfy(\.isWhitespace) == true { throw Failure(.usage, "--on-checkpoint: a command is expected, found an empty text") }
        if let name { try RunDirectory.checkName(name) }
        try refuseContradictions(data: data, dataA: dataA, dataB: dataB)
        var options = RunOptions()
        options.resumeCommand = ResumeRequest.command(command, Array(CommandLine.arguments.dropFirst()))
        options.dataFolder = dataA ?? data ?? options.dataFolder
        options.secondDataFolder = dataB
        options.outdir = outdir
        options.name = name
        options.initialWeights = initFrom
        options.checkpointCommand = onCheckpoint
        options.instructionSet = isa == "auto" ? nil : try choice("--isa", isa)
        options.reduction = try choice("--reduction", reduction)
        options.overlaps = !noOverlap
        options.trace = trace
        options.extractor = extractor
        options.watchdog = watchdog
        options.dumpSteps = dumpSteps
        options.writesTensorBoard = tensorBoard
        options.isQuiet = quiet
        return options
    }

    private func request() throws -> ConfigurationRequest {
        var request = ConfigurationRequest()
        request.preset = preset
        if let preset { _ = try Preset.named(preset) }
        guard config.count <= 1 else {
            throw Failure(
                .usage,
                "--config is given \(config.count) times (\(config.joined(separator: ", "))): one model file describes a run"
            )
        }
        if let path = config.first { try request.readModelFile(path) }
        let fields = [
            dataFields.values, trainingFields.values, adversarialFields.values, cycleFields.values, runFields.values,
        ]
        try request.readOptions(fields.reduce(into: [:]) { $0.merge($1) { first, _ in first } })
        request.minibatchDiscrimination = minibatchDiscrimination
        return request
    }
}

/// Refuses one set of data beside two domains, and one domain without the other.
func refuseContradictions(data: String?, dataA: String?, dataB: String?) throws {
    if let data, let other = dataA ?? dataB {
        throw Failure(.usage, "--data \(data) and \(dataA == nil ? "--data-b" : "--data-a") \(other): give one set of data, or two domains")
    }
    switch (dataA, dataB) {
    case (let a?, nil):
        throw Failure(
            .usage, "--data-a \(a) without --data-b: give the other domain too; of a known domain (--domain-b mnist:inverse) give the "
                + "folder as --data")
    case (nil, let b?): throw Failure(.usage, "--data-b \(b) without --data-a: give the other domain too")
    default: break
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
