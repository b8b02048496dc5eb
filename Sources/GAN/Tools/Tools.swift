import Formats
import Foundation
import Kernels
import MessagePassing
import Networks

/// Writes pictures of a checkpoint's generator: a grid `.png`, an array `.npy` [count, C, H, W], or a folder of single
/// pictures, whose name ends in `/`.
///
/// - Parameters:
///   - isRaw: whether to draw the generator itself where the checkpoint holds its average too.
///   - noiseFile: an `.npy` array [vectors, latent dimension] of the noise, which else is drawn.
///   - savedNoise: where to write the noise that each picture is made of, as such an array.
///   - request: what to draw, of a generator that is told so many classes or none, with so many vectors given or none.
public func writeSamples(
    checkpoint path: String, seed: UInt64?, isRaw: Bool = false, noise noiseFile: String? = nil, savingNoise savedNoise: String? = nil,
    to out: String, _ request: (_ classes: Int?, _ vectors: Int?) throws -> SampleRequest
) throws {
    let form = try SampleForm(out)
    if let savedNoise { try checkSavedNoise(savedNoise, out: out) }
    if let noiseFile, isSameFile(noiseFile, out) {
        throw Failure(.usage, "--out \(out): this is the file that --noise reads; choose another name")
    }
    if let noiseFile, let seed {
        throw Failure(.usage, "--noise \(noiseFile) and --seed \(seed): noise that is given is not drawn; leave one of them away")
    }
    let checkpoint = try Checkpoint(path: path)
    try checkpoint.requireGenerator()
    var configuration = checkpoint.configuration
    if let seed { configuration.seed = seed }
    let file = try noiseFile.map { try NoiseFile(path: $0, dimension: configuration.latentDimension) }
    let request = try request(configuration.classes, file?.count)
    let sampler = try Sampler(configuration, kernels: selectKernels(nil, configuration.precision))
    try sampler.load(checkpoint, isRaw: isRaw)
    sampler.label = request.label(of:)
    let (count, columns, image) = (request.count, request.columns, configuration.image)
    // What cannot be written is said before anything is drawn.
    switch form {
    case .grid, .array:
        if form == .grid { try Pictures.checkGrid(of: count, image, columns: columns, path: out) }
        try checkWritable(out, option: "--out")
    case .folder: try makeFolders(out, advice: "choose another with --out")
    }
    if let savedNoise { try checkWritable(savedNoise, option: "--save-noise") }
    var noise = try file?.vectors(request.vectorCount)
    if request.isWalk {
        noise = walks(between: noise ?? sampler.noise(first: 0, count: request.vectorCount), columns: columns)
    }
    if let savedNoise { try writeNoise(noise ?? sampler.noise(first: 0, count: count), to: savedNoise) }
    func draw(_ numbers: Range<Int>) throws -> [Float] {
        let values = try noise.map { try sampler.pictures(of: $0, numbers) } ?? sampler.pictures(first: numbers.lowerBound, count: numbers.count)
        if let bad = values.firstIndex(where: { !$0.isFinite }) {
            let number = numbers.lowerBound + bad / image.features
            throw noiseFile.map { Failure(.badData, "--noise \($0): image \(number) that is made of it is not finite; give smaller numbers") }
                ?? Failure(
                    .internalError, "\(path): image \(number) of the generator is not finite: the training has diverged; take an earlier checkpoint")
        }
        return values
    }
    switch form {
    case .grid: try Pictures.writeGrid(draw(0..<count), image, columns: columns, to: out)
    case .array:
        let pictures = image.inOrder(try draw(0..<count))
        try withFiles {
            try pictures.withUnsafeBufferPointer {
                try writeNPY(path: out, shape: [count, image.channels, image.height, image.width], elements: $0)
            }
        }
    case .folder:
        try Signals.noting {
            for first in stride(from: 0, to: count, by: Sampler.batchSize) {
                try Signals.endIfAsked(while: "writing \(out)", leaving: "\(first) of \(count) images are there")
                try Pictures.writeSingly(
                    draw(first..<min(first + Sampler.batchSize, count)), image, first: first, to: String(out.dropLast()))
            }
        }
    }
}

private func checkSavedNoise(_ path: String, out: String) throws {
    guard path.hasSuffix(".npy"), path.utf8.count > 4 else {
        throw Failure(.usage, "--save-noise \(path): the name of a file is expected that ends in .npy, as in noise.npy")
    }
    guard !isSameFile(path, out) else { throw Failure(.usage, "--save-noise \(path): --out writes the pictures there; choose another file") }
}

/// Whether two paths lead to the same file, be it there or not.
func isSameFile(_ a: String, _ b: String) -> Bool {
    func resolved(_ path: String) -> String { URL(fileURLWithPath: path).resolvingSymlinksInPath().path }
    return resolved(a) == resolved(b)
}

/// Refuses a file that cannot be written.
func checkWritable(_ path: String, option: String) throws {
    try withFiles { do { _ = try AtomicFile(path: path) } catch let error as FormatError { throw error.of(option) } }
}

/// What a path asks samples to be written as.
enum SampleForm {
    case grid, array, folder

    init(_ out: String) throws {
        let name = out.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
        if name.isEmpty, !out.isEmpty {
            self = .folder
        } else if name.hasSuffix(".png"), name.utf8.count > 4 {
            self = .grid
        } else if name.hasSuffix(".npy"), name.utf8.count > 4 {
            self = .array
        } else {
            let shown = out.isEmpty ? "\"\"" : out
            throw Failure(
                .usage, "--out \(shown): the name of a file is expected that ends in .png or .npy, as in samples.png, or of a "
                    + "folder for single pictures, as in samples/")
        }
    }
}

/// What `gan-dist info` prints.
public func information(ranks: Int?, shards: Int) throws -> String {
    guard shards >= 1, shards <= 4_096, shards & (shards - 1) == 0 else {
        throw Failure(.usage, "--shards \(shards): must be a power of two from 1 to 4096")
    }
    let ranks = ranks ?? min(shards, ProcessInfo.processInfo.activeProcessorCount)
    guard ranks >= 1, ranks <= shards else {
        throw Failure(.usage, "--ranks \(ranks): must be 1 … \(shards), the number of shards")
    }
    let available = InstructionSet.available
    var lines = ["gan-dist \(Version.current)", "MPI: \(MPICommunicator.libraryVersion)", "Instruction sets:"]
    for set in InstructionSet.allCases {
        let state = available.contains(set) ? (set == available[0] ? "available, the default" : "available") : "not on this CPU"
        lines.append("  \(set.rawValue): \(state)\(set.isTestedByEmulation ? "; run on emulated Arm only: the same bytes" : "")")
    }
    let reason = Kernels.hasNativeBFloat16 ? " (AVX-512 BF16 is slower on this CPU)" : ""
    lines.append("bf16: \(Kernels.hasFastBFloat16 ? "AVX-512 BF16" : "emulated, no faster than fp32\(reason)")")
    let layout = ShardLayout(shards: shards, ranks: ranks)
    lines.append("\(shards) logical shards on \(ranks) ranks:")
    for rank in 0..<ranks {
        let own = layout.shards(of: rank)
        lines.append("  rank \(rank): " + (own.count == 1 ? "shard \(own.lowerBound)" : "shards \(own.lowerBound) … \(own.upperBound - 1)"))
    }
    return lines.joined(separator: "\n")
}
