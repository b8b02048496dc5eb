import ArgumentParser
import Foundation
import GAN
import Kernels
import MessagePassing

/// Options with one title stand together in the help, whichever type they are of.
private enum Title {
    static let start = "Start"
    static let data = "Data"
    static let training = "Length and updates"
    static let adversarial = "Loss and regularization"
    static let cycle = "CycleGAN: translation between two domains"
    static let evaluation = "Evaluation"
    static let output = "What is written when"
    static let machine = "MPI and CPU"
}

struct StartOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: "Networks and settings to start from: \(Preset.names.joined(separator: ", ")). (default: \(Preset.standard))")
    var preset: String?
    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "Model file: JSON that overrides fields of the preset. Each run has one, training_options.json, and "
                + "--dry-run prints one.",
            valueName: "file.json"))
    var config: [String] = []
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Training images: a folder with IDX files (such as MNIST/raw), CIFAR-10's binary files, or PNG and JPEG files; or an "
                + ".npy array. (default: data)",
            valueName: "path"))
    var data: String?
    @Option(parsing: .unconditional, help: ArgumentHelp("Folder of all runs. Each run makes a folder in it.", valueName: "folder"))
    var outdir = "runs"
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Name of the run, 1 … 100 bytes: a part of its folder's name. Characters other than letters, digits, . - _ become _."))
    var name: String?
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Resume a run: latest, the newest one that fits the options and the data (also without a value); auto, the same, or a "
                + "new run if none fits; a run's folder or number; or a checkpoint file.",
            valueName: "latest|auto|run|file"))
    var resume: String?
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Start a new run with these weights: a checkpoint, the newest one of a run, or a safetensors file with PyTorch's "
                + "names.",
            valueName: "file|run"))
    var initFrom: String?
    @Flag(help: "Print the configuration as a model file, and do not train.")
    var dryRun = false
    @Flag(help: "Print no progress; log.txt is still written.")
    var quiet = false
}

struct AdversarialOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Add minibatch discrimination with so many kernels of 5 dimensions before the discriminator's last layer, 1 … 13107 "
                + "(50 is usual; Salimans et al. 2016). Only for GANs.",
            valueName: "kernels"))
    var minibatchDiscrimination: Int?
}

struct DomainOptions: ParsableArguments {
    @Option(parsing: .unconditional, help: ArgumentHelp("Images of domain A, as for --data.", valueName: "path"))
    var dataA: String?
    @Option(parsing: .unconditional, help: ArgumentHelp("Images of domain B, as for --data.", valueName: "path"))
    var dataB: String?
}

struct ExtractorOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Classifier whose features the measures of a GAN use: a checkpoint file of a run with --preset classifier28. "
                + "(default: one that is trained on the data when first needed, and kept in ~/.cache/gan-dist)",
            valueName: "file"))
    var extractor: String?
}

struct OutputOptions: ParsableArguments {
    @Flag(
        name: .customLong("tensorboard"), help: "Also write curves, images and histograms for TensorBoard into the run's folder.")
    var tensorBoard = false
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Shell command to run after each checkpoint; the file is its last argument. Training goes on meanwhile, and waits for "
                + "the command only at the end. If it fails, a warning is printed.",
            valueName: "command"))
    var onCheckpoint: String?
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Write a timeline of about the last hundred steps, as a Chrome trace for Perfetto.", valueName: "file.json"))
    var trace: String?
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Write inputs, gradients and weights of the first so many steps into the run's folder dump, to compare with PyTorch.",
            valueName: "steps"))
    var dumpSteps = 0
}

struct MachineOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: "Instruction set: auto (the fastest), avx512, avx2, neon or portable. All give the same bytes.")
    var isa = "auto"
    @Option(
        parsing: .unconditional,
        help: "Gradient reduction: tree (the same bytes at any number of ranks), or mpi (MPI_Allreduce, for comparison).")
    var reduction = "tree"
    @Flag(help: "Do not overlap communication with computation, to measure what the overlap brings; the same bytes.")
    var noOverlap = false
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Seconds without progress after which the run is ended; 0: never.", valueName: "seconds"))
    var watchdog = 60.0
}

struct Train: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Train a GAN, a CycleGAN or a classifier.",
        usage: "gan-dist [train] [<options>]",
        discussion: """
            Options override the model file (--config), which overrides the preset. Intervals are in steps (400) or in epochs (4e).

            Brackets show what a preset sets for MNIST: dcgan28, or the preset named beside --help. They do not show what is in a \
            model file.

            EXAMPLES:
              gan-dist --preset cdcgan --epochs 5
              gan-dist --preset cdcgan --help       show the values of cdcgan
              gan-dist --data ~/flowers --image-size 32 --mirror
              gan-dist --resume latest              resume the newest run that fits
              mpirun -np 8 gan-dist --evaluate-interval 1e --keep-best fid

            SIGNALS: SIGUSR1, SIGTERM, SIGINT (Ctrl-C), SIGHUP and SIGXCPU write a checkpoint after the current step and end with \
            exit code 75. SIGUSR2 writes a checkpoint and goes on. While the data are read, or if one rank keeps another waiting \
            for more than 0.3 s, SIGTERM, SIGINT, SIGHUP and SIGXCPU end the run without a checkpoint, with exit code 128 + n. \
            Under mpirun, SIGTERM and Ctrl-C give mpirun's own exit code (1 with Open MPI).

            \(GANDist.exitCodes)
            """)

    @OptionGroup(title: Title.start) var start: StartOptions
    @OptionGroup(title: Title.start) var startFields: FieldOptions<FieldGroup.Start>
    @OptionGroup(title: Title.data) var dataFields: FieldOptions<FieldGroup.Data>
    @OptionGroup(title: Title.training) var trainingFields: FieldOptions<FieldGroup.Training>
    @OptionGroup(title: Title.adversarial) var adversarialFields: FieldOptions<FieldGroup.Adversarial>
    @OptionGroup(title: Title.adversarial) var adversarial: AdversarialOptions
    @OptionGroup(title: Title.cycle) var domains: DomainOptions
    @OptionGroup(title: Title.cycle) var cycleFields: FieldOptions<FieldGroup.Cycle>
    @OptionGroup(title: Title.evaluation) var evaluationFields: FieldOptions<FieldGroup.Evaluation>
    @OptionGroup(title: Title.evaluation) var evaluation: ExtractorOptions
    @OptionGroup(title: Title.output) var outputFields: FieldOptions<FieldGroup.Output>
    @OptionGroup(title: Title.output) var output: OutputOptions
    @OptionGroup(title: Title.machine) var machineFields: FieldOptions<FieldGroup.Machine>
    @OptionGroup(title: Title.machine) var machine: MachineOptions

    func run() throws { preconditionFailure("training runs on a communicator") }

    /// - Parameter command: the words that start this program again, before its options.
    func run(on communicator: any Communicator, command: String) throws {
        // A wrong option on one rank alone must end all of them.
        let watchdog = machine.watchdog
        let world = try World(communicator, limit: watchdog.isFinite && watchdog >= 0 ? watchdog : Launch.startLimit)
        let (request, options) = try world.agree { (try self.request(), try self.options(command)) }
        if start.dryRun {
            let text = try world.agree { try GAN.dryRun(request, options, resume: resumeRequest, ranks: communicator.size) }
            // Nobody leaves while rank 0 may still fail to write.
            try world.agree { if communicator.rank == 0 { try StandardOutput.printResult(text) } }
            return
        }
        try train(request, options, resume: resumeRequest, communicator: communicator)
    }

    private var resumeRequest: ResumeRequest? { start.resume.map { ResumeRequest($0) } }

    private func options(_ command: String) throws -> RunOptions {
        guard machine.watchdog >= 0, machine.watchdog.isFinite else {
            throw Failure(.usage, "--watchdog \(machine.watchdog): must be a number of seconds, or 0 for never")
        }
        guard output.dumpSteps >= 0 else { throw Failure(.usage, "--dump-steps \(output.dumpSteps): must be 0 or more") }
        let (dataA, dataB) = (domains.dataA, domains.dataB)
        let paths: [(option: String, path: String?)] = [
            ("--data", start.data), ("--data-a", dataA), ("--data-b", dataB), ("--outdir", start.outdir),
            ("--trace", output.trace), ("--resume", start.resume), ("--extractor", evaluation.extractor), ("--init-from", start.initFrom),
        ]
        for (option, path) in paths where path == "" {
            throw Failure(.usage, "\(option) \"\": a path is expected, found an empty text")
        }
        if output.onCheckpoint?.allSatisfy(\.isWhitespace) == true {
            throw Failure(.usage, "--on-checkpoint: a command is expected, found an empty text")
        }
        if let name = start.name { try RunDirectory.checkName(name) }
        try refuseContradictions(data: start.data, dataA: dataA, dataB: dataB)
        var options = RunOptions()
        options.resumeCommand = ResumeRequest.command(command, Array(CommandLine.arguments.dropFirst()))
        options.dataFolder = dataA ?? start.data ?? options.dataFolder
        options.secondDataFolder = dataB
        options.outdir = start.outdir
        options.name = start.name
        options.initialWeights = start.initFrom
        options.checkpointCommand = output.onCheckpoint
        options.instructionSet = try instructionSet(machine.isa)
        options.reduction = try choice("--reduction", machine.reduction)
        options.overlaps = !machine.noOverlap
        options.trace = output.trace
        options.extractor = evaluation.extractor
        options.watchdog = machine.watchdog
        options.dumpSteps = output.dumpSteps
        options.writesTensorBoard = output.tensorBoard
        options.isQuiet = start.quiet
        return options
    }

    private func request() throws -> ConfigurationRequest {
        var request = ConfigurationRequest()
        request.preset = start.preset
        if let preset = start.preset { _ = try Preset.named(preset) }
        let config = start.config
        guard config.count <= 1 else {
            throw Failure(
                .usage,
                "--config is given \(config.count) times (\(config.joined(separator: ", "))): one model file describes a run"
            )
        }
        if let path = config.first { try request.readModelFile(path) }
        let fields = [
            startFields.values, dataFields.values, trainingFields.values, adversarialFields.values, cycleFields.values,
            evaluationFields.values, outputFields.values, machineFields.values,
        ]
        try request.readOptions(fields.reduce(into: [:]) { $0.merge($1) { first, _ in first } })
        request.minibatchDiscrimination = adversarial.minibatchDiscrimination
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
/// - Parameter others: further values that it takes, for the message.
func choice<Choice: RawRepresentable & CaseIterable>(
    _ option: String, _ text: String, besides others: [String] = []
) throws -> Choice
where Choice.RawValue == String {
    guard let choice = Choice(rawValue: text) else {
        let known = others + Choice.allCases.map(\.rawValue)
        throw Failure(
            .usage, "\(option) \(text): known are \(known.joined(separator: ", "))" + suggestion(for: text, among: known))
    }
    return choice
}

/// The instruction set that `--isa` names; nil for the fastest.
func instructionSet(_ isa: String) throws -> InstructionSet? {
    isa == "auto" ? nil : try choice("--isa", isa, besides: ["auto"])
}
