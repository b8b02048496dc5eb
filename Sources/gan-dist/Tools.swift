import ArgumentParser
import Foundation
import GAN
import Kernels
import MessagePassing

/// How commands name a checkpoint.
struct CheckpointOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Checkpoint: a file, or the newest one of a run. Name a run by its folder, its number in --outdir, or latest.",
            valueName: "file|run|latest"))
    var checkpoint: String
    @Option(parsing: .unconditional, help: ArgumentHelp("Folder of the runs, for numbers and latest.", valueName: "folder"))
    var outdir = "runs"

    func file() throws -> String { try checkpointFile(checkpoint, under: outdir) }
}

struct Sample: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Generate images from a checkpoint: a PNG grid, a NumPy array, or single PNG files.",
        usage: "gan-dist sample --checkpoint <file|run|latest> --out <path> [<options>]",
        discussion: "Image number n depends on the seed and on n alone, and not on how many are generated.")

    @OptionGroup var which: CheckpointOptions
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Output: x.png, a grid; x.npy, an array [images, channels, height, width]; or a folder (x/) of single PNG files.",
            valueName: "x.png|x.npy|x/"))
    var out: String
    @Option(parsing: .unconditional, help: "Number of images, 1 … 1000000. (default: 64, or 8 of each class, or all of --noise)")
    var count: Int?
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Rows and columns of the grid, instead of --count. (default: 8x8, or 8 rows with a column for each class)",
            valueName: "RxC"))
    var grid: String?
    @Flag(
        help: ArgumentHelp(
            "Interpolate: each row of the grid walks from one image to another along a great circle (slerp), the first row from "
                + "image 1 to 2, the next from 3 to 4. Without --grid, 8x8."))
    var interpolate = false
    @Option(
        name: .customLong("class"), parsing: .unconditional,
        help: ArgumentHelp(
            "Class of all images, from 0, for a conditional generator. (default: one class for each column of the grid, or each "
                + "row of --interpolate)"))
    var label: Int?
    @Option(parsing: .unconditional, help: "Seed of the noise. (default: the checkpoint's)")
    var seed: UInt64?
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Use this noise instead of --seed: an array [images, latent_dim]. With --interpolate, the ends of the walks.",
            valueName: "noise.npy"))
    var noise: String?
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Also write the noise of each image, as such an array.", valueName: "noise.npy"))
    var saveNoise: String?
    @Flag(help: "Use the raw weights, not their moving average.")
    var raw = false

    func run() throws {
        try writeSamples(checkpoint: which.file(), seed: seed, isRaw: raw, noise: noise, savingNoise: saveNoise, to: out) { classes, vectors in
            try SampleRequest(count: count, grid: grid, isWalk: interpolate, label: label, classes: classes, vectors: vectors)
        }
    }
}

struct Classify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Classify images with a trained classifier; with labels, print accuracy and confusion matrix.",
        usage: "gan-dist classify --checkpoint <file|run|latest> [<options>]",
        discussion: "The checkpoint is that of a run with --preset classifier28. The test images of --data are classified, or all "
            + "images if there is no test set.")

    @OptionGroup var which: CheckpointOptions
    @Option(parsing: .unconditional, help: ArgumentHelp("Images, as for train.", valueName: "path"))
    var data = "data"
    @Option(parsing: .unconditional, help: "Data set to use if --data holds several, as for train.")
    var dataset: String?
    @Flag(help: "Only images that were held out of training: the test images, or else every tenth image of each class.")
    var heldOut = false
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Write the predicted classes as an array, in the order of the files.", valueName: "labels.npy"))
    var out: String?

    func run() throws {
        try StandardOutput.printResult(
            try classify(checkpoint: which.file(), data: data, dataset: dataset, onlyHeldOut: heldOut, out: out))
    }
}

struct Translate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Translate images to the other domain of a CycleGAN.",
        usage: "gan-dist translate --checkpoint <file|run|latest> --to <a|b> --out <path>\n[<options>]",
        discussion: "The test images of --data are translated, or all images if there is no test set.")

    @OptionGroup var which: CheckpointOptions
    @Option(parsing: .unconditional, help: ArgumentHelp("Domain to translate to.", valueName: "a|b"))
    var to: String
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Output: x.png, a grid of images above their translations; x.npy, an array [images, channels, height, width] of "
                + "translations; or a folder (x/) of them.",
            valueName: "x.png|x.npy|x/"))
    var out: String
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Images to translate, as for train: of domain A for --to b, of domain B for --to a. If the run was trained with "
                + "--domain-b, its data set; images of B are then made from it.",
            valueName: "path"))
    var data = "data"
    @Option(parsing: .unconditional, help: "Data set to use if --data holds several, as for train.")
    var dataset: String?
    @Option(parsing: .unconditional, help: "Number of images, from the first on. (default: 50 in a grid, else all)")
    var count: Int?

    func run() throws {
        let notes = try translate(checkpoint: which.file(), to: to, data: data, dataset: dataset, count: count, out: out)
        for note in notes { StandardOutput.printMessage(note) }
    }
}

/// Runs on all ranks of a launcher.
struct Evaluate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure how good generated images are: FID, KID, precision, recall and others. Also runs under mpirun.",
        usage: """
            gan-dist evaluate --checkpoint <file|run|latest> [<options>]
            gan-dist evaluate --pictures <path> [<options>]
            """,
        discussion: "The features are those of a classifier of the data, not of Inception v3: compare values only with others of "
            + "the same classifier.")

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Checkpoint: a file, or the newest one of a run. Name a run by its folder, its number in --outdir, or latest.",
            valueName: "file|run|latest"))
    var checkpoint: String?
    @Option(parsing: .unconditional, help: ArgumentHelp("Folder of the runs, for numbers and latest.", valueName: "folder"))
    var outdir = "runs"
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Images to measure, instead of a checkpoint's: an .npy array or a folder, as for --data.", valueName: "path"))
    var pictures: String?
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Real images to compare with, as for train. (default: data)", valueName: "path"))
    var data: String?
    @Option(parsing: .unconditional, help: ArgumentHelp("Real images of domain A of a CycleGAN, as for train.", valueName: "path"))
    var dataA: String?
    @Option(parsing: .unconditional, help: ArgumentHelp("Real images of domain B of a CycleGAN, as for train.", valueName: "path"))
    var dataB: String?
    @Option(parsing: .unconditional, help: "Data set to use if --data holds several, as for train.")
    var dataset: String?
    @Option(
        parsing: .unconditional,
        help: "Number of generated images, at least 6, against as many test images. (default: 10000, or as many as there are)")
    var images: Int?
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Measures: \(metricNames.replacing(",", with: ", ")). (default: all; fid for a CycleGAN)", valueName: "fid,kid,…"))
    var metrics: String?
    @OptionGroup var features: ExtractorOptions
    @Flag(help: "Use the raw weights, not their moving average.")
    var raw = false
    @Option(parsing: .unconditional, help: "Instruction set: auto (the fastest), avx512, avx2, neon or portable.")
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
        request.extractor = features.extractor
        request.instructionSet = try instructionSet(isa)
        request.isJSON = json
        return request
    }
}

struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write a network of a checkpoint as an ONNX model, or its weights for PyTorch.",
        usage: "gan-dist export --checkpoint <file|run|latest> --out <file> [<options>]")

    @OptionGroup var which: CheckpointOptions
    @Option(parsing: .unconditional, help: ArgumentHelp("File to write.", valueName: "x.onnx|x.safetensors"))
    var out: String
    @Option(
        parsing: .unconditional,
        help: "onnx (layers and weights) or safetensors (weights only). (default: by the name of --out)")
    var format: String?
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Network to write. GAN: generator (default) or discriminator. Classifier: classifier. CycleGAN: generator_ab "
                + "(default), generator_ba, discriminator_a or discriminator_b.",
            valueName: "network"))
    var player: String?
    @Flag(help: "Use the raw weights, not their moving average.")
    var raw = false
    @Flag(help: "Replace the file if it exists.")
    var force = false

    func run() throws {
        let known: ExportRequest.Format? = try format.map { try choice("--format", $0) }
        var request = ExportRequest(checkpoint: try which.file(), out: out)
        request.format = known
        request.player = player
        request.isRaw = raw
        request.isForced = force
        StandardOutput.printMessage(try export(request))
    }
}

struct Hash: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the SHA-256 of a checkpoint's weights.",
        usage: "gan-dist hash --checkpoint <file|run|latest> [<options>]")

    @OptionGroup var which: CheckpointOptions
    @Flag(help: "Include the whole state: moving average, running statistics and the optimizer's moments.")
    var state = false

    func run() throws { try StandardOutput.printResult(try Checkpoint(path: which.file()).hash(state: state)) }
}

struct ListRuns: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "runs", abstract: "List the runs: preset, data, steps, best FID, speed and state.",
        discussion: "The newest run is the last line. Unknown values are shown as a dash. The state is killed if a run's "
            + "process ended without saying why.")

    @Argument(help: "Folder of the runs.")
    var folder = "runs"
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Sort by \(RunKey.allCases.map(\.rawValue).joined(separator: ", ")); the best FID comes last. (default: the runs' "
                + "numbers)",
            valueName: "column"))
    var sort: String?
    @Flag(help: "Print JSON, one object for each run and line.")
    var json = false

    func run() throws {
        let text = try listRuns(in: folder, sortedBy: sort.map { try choice("--sort", $0) }, asJSON: json)
        if !text.isEmpty { try StandardOutput.printResult(text) }
    }
}

struct Animate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make an animation (GIF or animated PNG) of a run's image grids over time, or of a walk between images.",
        usage: "gan-dist animate <run> --out <x.gif|x.png> [<options>]",
        discussion: "A GIF of colour images has 252 colours; a PNG has all.")

    @Argument(help: ArgumentHelp("The run: its folder, its number, or latest.", valueName: "run"))
    var name: String
    @Option(parsing: .unconditional, help: ArgumentHelp("Folder of the runs, for numbers and latest.", valueName: "folder"))
    var outdir = "runs"
    @Option(parsing: .unconditional, help: ArgumentHelp("File to write.", valueName: "x.gif|x.png"))
    var out: String
    @Flag(help: "Instead of the grids over time, walk between images of the newest checkpoint, and back to the first.")
    var walk = false
    @Option(parsing: .unconditional, help: "Frames per second, 0.1 … 50.")
    var fps = 10.0
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Seconds for which the last grid is held, 0 … 60; not with --walk.", valueName: "seconds"))
    var hold = 2.0
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Number of frames, 2 … 10000. Of grids at most so many: of more, every n-th is shown. (default: 300; 120 with "
                + "--walk)"))
    var frames: Int?
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Rows and columns of the grid, with --walk. (default: 4x8, or 4 rows with a column for each class)", valueName: "RxC"))
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
        abstract: "Print version, MPI, instruction sets, and which rank owns which shards.")

    @Option(
        parsing: .unconditional,
        help: "Number of ranks to lay out, at most --shards. (default: one for each core, at most --shards)")
    var ranks: Int?
    @Option(parsing: .unconditional, help: "Number of logical shards, a power of two from 1 to 4096.")
    var shards = 8

    func run() throws { try StandardOutput.printResult(try information(ranks: ranks, shards: shards)) }
}

struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure the machine's peak, the kernels, and whole training steps on one rank and on several.",
        usage: "gan-dist bench [<options>]")

    @Option(parsing: .unconditional, help: "Preset to measure, as for train.")
    var preset = Preset.standard
    @Option(parsing: .unconditional, help: "Instruction set: auto (the fastest), avx512, avx2, neon or portable.")
    var isa = "auto"
    @Option(parsing: .unconditional, help: "fp32 or bf16, as for train. (default: the preset's)")
    var precision: String?
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Seconds of each measurement of whole steps, up to 3600.", valueName: "seconds"))
    var seconds = 3.0
    @Option(
        parsing: .unconditional,
        help: "Ranks of the second measurement of whole steps, 1 … 8; 1: none. (default: one for each core, at most 8)")
    var ranks: Int?
    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        var configuration = try Preset.named(preset).configuration(for: .usual)
        if let precision { configuration.precision = try choice("--precision", precision) }
        let kernels = try selectKernels(instructionSet(isa), configuration.precision)
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
