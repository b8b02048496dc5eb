import ArgumentParser
import Foundation
import GAN
import Kernels
import MessagePassing

/// How commands name a checkpoint.
struct CheckpointOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Checkpoint: a file, or the newest of a run by its folder, its number, or latest.", valueName: "file|run|latest"))
    var checkpoint: String
    @Option(parsing: .unconditional, help: "Folder of the runs that have numbers.")
    var outdir = "runs"

    func file() throws -> String { try checkpointFile(checkpoint, under: outdir) }
}

struct Sample: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Draw pictures from a checkpoint, as a PNG grid, a NumPy array or single PNG files.",
        discussion: "The seed and its number determine a picture, however many are drawn. A walk follows a great circle (slerp).")

    @OptionGroup var which: CheckpointOptions
    @Option(parsing: .unconditional, help: "How many pictures, 8 in a row of a grid (default: 64).")
    var count: Int?
    @Option(help: ArgumentHelp("Rows and columns of the grid, instead of --count.", valueName: "RxC"))
    var grid: String?
    @Flag(help: "Let each row walk between two pictures, the first from 1 to 2, the next from 3 to 4; 8x8 without --grid.")
    var interpolate = false
    @Option(
        name: .customLong("class"), parsing: .unconditional,
        help: "Class of all pictures, for a conditional generator. Without it each column of a grid has its class, and each walk.")
    var label: Int?
    @Option(help: "Where to write: a .png grid, an .npy array [pictures, channels, height, width], or a folder/ of single pictures.")
    var out: String
    @Option(help: "Seed of the noise; the checkpoint's if it is left away.")
    var seed: UInt64?
    @Flag(help: "Draw the generator itself, not the average of it that a checkpoint may hold.")
    var raw = false

    func run() throws {
        try writeSamples(checkpoint: which.file(), seed: seed, isRaw: raw, to: out) { classes in
            try SampleRequest(count: count, grid: grid, isWalk: interpolate, label: label, classes: classes)
        }
    }
}

struct Classify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Name the classes of pictures with a trained classifier, and compare with their labels.",
        discussion: "Looks at the test pictures of the data where their files have a test part, else at all pictures.")

    @OptionGroup var which: CheckpointOptions
    @Option(parsing: .unconditional, help: "Pictures, as for train.")
    var data = "data"
    @Option(help: "Which data set it is, where a folder holds several, as for train.")
    var dataset: String?
    @Flag(help: "Only pictures that were held out of training: every tenth of each class where there is no test part.")
    var heldOut = false
    @Option(help: ArgumentHelp("Write the classes as an array, in the order of the files.", valueName: "labels.npy"))
    var out: String?

    func run() throws {
        try StandardOutput.printResult(
            try classify(checkpoint: which.file(), data: data, dataset: dataset, onlyHeldOut: heldOut, out: out))
    }
}

struct Translate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Translate pictures to the other domain of a CycleGAN.",
        discussion: "Takes the test pictures of the data where their files have a test part, else all pictures.")

    @OptionGroup var which: CheckpointOptions
    @Option(help: "The domain to translate to: a or b.")
    var to: String
    @Option(parsing: .unconditional, help: "Pictures of the other domain, as for train.")
    var data = "data"
    @Option(help: "Which data set it is, where a folder holds several, as for train.")
    var dataset: String?
    @Option(parsing: .unconditional, help: "How many pictures, the first ones (50 in a grid, else all).")
    var count: Int?
    @Option(
        help: ArgumentHelp(
            "A grid of pictures above their translations, an array [count, C, H, W], or a folder.", valueName: "x.png|x.npy|x/"))
    var out: String

    func run() throws {
        let notes = try translate(checkpoint: which.file(), to: to, data: data, dataset: dataset, count: count, out: out)
        for note in notes { StandardOutput.printMessage(note) }
    }
}

/// Runs on all ranks of a launcher.
struct Evaluate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure how like the data a generator's pictures are: Fréchet distance and its kin. Also under mpirun.",
        discussion: "Features are those of a classifier of the data, which is trained first where there is none yet.")

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Checkpoint: a file, or the newest of a run by its folder, its number, or latest.", valueName: "file|run|latest"))
    var checkpoint: String?
    @Option(parsing: .unconditional, help: "Folder of the runs that have numbers.")
    var outdir = "runs"
    @Option(help: "Pictures to measure in place of a checkpoint's: an .npy array or a folder, as --data.")
    var pictures: String?
    @Option(parsing: .unconditional, help: "The data that the pictures are to be like, as for train (default: data).")
    var data: String?
    @Option(parsing: .unconditional, help: "Domain A of a CycleGAN, as for train.")
    var dataA: String?
    @Option(parsing: .unconditional, help: "Domain B of a CycleGAN, as for train.")
    var dataB: String?
    @Option(help: "Which data set it is, where a folder holds several, as for train.")
    var dataset: String?
    @Option(parsing: .unconditional, help: "How many pictures, against as many test pictures (10000, or as many as there are).")
    var images: Int?
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("What to measure (default: all): \(metricNames).", valueName: "fid,kid,…"))
    var metrics: String?
    @Option(help: ArgumentHelp("Measure by the features of this classifier, in place of one of the data's own.", valueName: "file"))
    var extractor: String?
    @Flag(help: "Measure the generator itself, not the average of it that a checkpoint may hold.")
    var raw = false
    @Option(help: "Instruction set, as for train.")
    var isa = "auto"
    @Flag(help: "Print one line of JSON.")
    var json = false

    func run() throws { preconditionFailure("measuring runs on a communicator") }

    func run(on communicator: any Communicator) throws {
        let world = try World(communicator, limit: Launch.startLimit)
        try evaluate(try world.agree { try request() }, world: world)
    }

    private func request() throws -> EvaluationRequest {
        let made: EvaluationRequest.Pictures
        switch (checkpoint, pictures) {
        case (let checkpoint?, nil): made = .checkpoint(checkpoint, isRaw: raw)
        case (nil, let pictures?): made = .files(pictures)
        default: throw Failure(.usage, "either --checkpoint or --pictures is expected, and not both")
        }
        if let images, images < 6 { throw Failure(.usage, "--images \(images): at least 6 pictures are measured") }
        var request = EvaluationRequest(made)
        request.outdir = outdir
        try refuseContradictions(data: data, dataA: dataA, dataB: dataB)
        request.data = data ?? request.data
        if let dataA, let dataB { request.domains = (dataA, dataB) }
        request.dataset = dataset
        request.images = images
        request.metrics = metrics
        request.extractor = extractor
        request.instructionSet = isa == "auto" ? nil : try choice("--isa", isa)
        request.isJSON = json
        return request
    }
}

struct Hash: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print the SHA-256 of a checkpoint's parameters.")

    @OptionGroup var which: CheckpointOptions
    @Flag(help: "Include the optimiser's moments.")
    var state = false

    func run() throws { try StandardOutput.printResult(try Checkpoint(path: which.file()).hash(state: state)) }
}

struct ListRuns: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "runs", abstract: "List the runs: what they are, how far they are, and how good.",
        discussion: "The newest stands last. What a run's files do not tell is a dash. A run that says that it is running, and that nobody "
            + "writes any more, was killed.")

    @Argument(help: "Folder of the runs.")
    var folder = "runs"
    @Option(help: "Column to sort by: \(RunKey.allCases.map(\.rawValue).joined(separator: ", ")) (default: the runs' numbers).")
    var sort: String?
    @Flag(help: "Print one JSON object a line.")
    var json = false

    func run() throws {
        let text = try listRuns(in: folder, sortedBy: sort.map { try choice("--sort", $0) }, asJSON: json)
        if !text.isEmpty { try StandardOutput.printResult(text) }
    }
}

struct Animate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a film, GIF or animated PNG, of a run's pictures over time, or of a walk between pictures.",
        discussion: "A GIF of colour pictures has 252 colours; a PNG has all.")

    @Argument(help: ArgumentHelp("The run: its folder, its number, or latest.", valueName: "run"))
    var name: String
    @Option(parsing: .unconditional, help: "Folder of the runs that have numbers.")
    var outdir = "runs"
    @Option(help: "Where to write: a .gif or .png file.")
    var out: String
    @Flag(help: "Walk between pictures of the newest checkpoint, and back to the first, instead.")
    var walk = false
    @Option(parsing: .unconditional, help: "Frames a second.")
    var fps = 10.0
    @Option(parsing: .unconditional, help: "Seconds for which the last frame is held; a walk goes on at once.")
    var hold = 2.0
    @Option(parsing: .unconditional, help: "Most frames of grids, evenly thinned (default: 300), or frames of a walk (default: 120).")
    var frames: Int?
    @Option(help: ArgumentHelp("Rows and columns of a walk's grid (default: 4x8, or a column for each class).", valueName: "RxC"))
    var grid: String?

    func run() throws {
        var request = AnimationRequest(run: name, out: out)
        request.outdir = outdir
        request.framesPerSecond = fps
        request.hold = hold
        request.frames = frames
        guard walk else {
            if let grid { throw Failure(.usage, "--grid \(grid): the grids of a run are as they are; add --walk") }
            return try animate(request, tell: StandardOutput.printMessage)
        }
        try animateWalk(request, grid: grid, tell: StandardOutput.printMessage)
    }
}

struct Info: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print version, instruction sets, MPI, and which rank owns which shards.")

    @Option(parsing: .unconditional, help: "Ranks to lay out.")
    var ranks: Int?
    @Option(parsing: .unconditional, help: "Logical shards.")
    var shards = 8

    func run() throws { try StandardOutput.printResult(try information(ranks: ranks, shards: shards)) }
}

struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure the machine's peak, the kernels and whole training steps on one rank.")

    @Option(help: "Recipe to measure.")
    var preset = Preset.standard
    @Option(help: "Instruction set, as for train.")
    var isa = "auto"
    @Option(help: "fp32 or bf16, as for train.")
    var precision: String?
    @Option(parsing: .unconditional, help: "Seconds to measure whole steps.")
    var seconds = 3.0
    @Option(
        parsing: .unconditional, help: "Ranks of a second measurement, after that on one rank (default: one for each core, at most 8).")
    var ranks: Int?
    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        var configuration = try Preset.named(preset).configuration(for: .usual)
        if let precision { configuration.precision = try choice("--precision", precision) }
        let kernels = try selectKernels(isa == "auto" ? nil : try choice("--isa", isa), configuration.precision)
        guard seconds > 0, seconds <= 3_600 else { throw Failure(.usage, "--seconds \(seconds): must be between 0 and 3600") }
        let most = configuration.shards
        let ranks = ranks ?? min(most, ProcessInfo.processInfo.activeProcessorCount)
        guard (1...most).contains(ranks) else {
            throw Failure(.usage, "--ranks \(ranks): must be 1 … \(most), the number of logical shards")
        }
        try StandardOutput.printResult(
            try benchmark(configuration, kernels: kernels, seconds: seconds, ranks: ranks, asJSON: json))
    }
}
