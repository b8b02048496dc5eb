import Formats
import Foundation
import MessagePassing

/// What `gan-dist animate` makes.
public struct AnimationRequest: Sendable {
    /// The run: its folder, its number, or `latest`.
    public var run: String
    public var outdir = "runs"
    /// A `.gif` or a `.png` file.
    public var out: String
    public var framesPerSecond = 10.0
    /// Seconds for which the last frame is held.
    public var hold = 2.0
    /// Most frames of a run's grids, or frames of a walk.
    public var frames: Int?

    public init(run: String, out: String) {
        self.run = run
        self.out = out
    }

    /// - Returns: the most frames, or `usual` if none are asked for.
    fileprivate func checked(usual: Int) throws -> Int {
        guard out.hasSuffix(".gif") || out.hasSuffix(".png"), out.utf8.count > 4 else {
            throw Failure(
                .usage, "--out \(out.isEmpty ? "\"\"" : out): the name of a file is expected that ends in .gif or .png, as in training.gif")
        }
        guard (0.1...50).contains(framesPerSecond) else {
            throw Failure(.usage, "--fps \(framesPerSecond): must be 0.1 … 50; viewers show no more")
        }
        guard (0...60).contains(hold) else { throw Failure(.usage, "--hold \(hold): must be 0 … 60 seconds") }
        let frames = frames ?? usual
        guard (2...10_000).contains(frames) else { throw Failure(.usage, "--frames \(frames): must be 2 … 10,000") }
        return frames
    }

    fileprivate func directory() throws -> RunDirectory {
        guard let directory = try RunDirectory.named(run, under: outdir) else {
            throw Failure(.missingInput, "\(run): the folder of a run, its number or latest is expected, found none; list them with gan-dist runs")
        }
        if try directory.grids().contains(where: { isSameFile($0, out) }) {
            throw Failure(.usage, "--out \(out): this is a grid of the run; choose another name")
        }
        return directory
    }

    fileprivate func writer(frames: Int) throws -> any AnimationWriter {
        try withFiles { () throws -> any AnimationWriter in
            do {
                return out.hasSuffix(".gif") ? try GIFWriter(path: out) : try AnimatedPNGWriter(path: out, frames: frames)
            } catch let error as FormatError {
                throw error.of("--out")
            }
        }
    }
}

/// Makes a film of the grids that a run has drawn, in the order of their steps; the last one is held.
///
/// - Parameter tell: takes warnings, and what was written.
/// - Throws: missing input where there is no grid; a usage error; an I/O failure.
public func animate(_ request: AnimationRequest, tell: (String) -> Void) throws {
    let most = try request.checked(usual: 300)
    let run = try request.directory()
    var all = try run.grids()
    guard !all.isEmpty else {
        throw Failure(
            .missingInput, "\(run.path): no grid of pictures (fakes-000937.png) is there; train with --sample-interval, or make a walk with --walk")
    }
    // The first and the last, and as many between as fit.
    if all.count > most { all = (0..<most).map { all[$0 * (all.count - 1) / (most - 1)] } }
    // All are read twice: the file says first how many frames it has.
    var shape: [Int]?
    let frames = all.reversed().filter { path in
        do {
            let picture = try Picture(path: path)
            let found = [picture.channels, picture.height, picture.width]
            shape = shape ?? found
            if found == shape { return true }
            tell("Warning: \(path): pictures of the last one's size are expected, found another; left out")
        } catch {
            tell("Warning: \(error); left out")
        }
        return false
    }.reversed()
    guard let last = frames.last else { throw Failure(.badData, "\(run.path): none of the grids can be read") }
    try Signals.noting {
        let writer = try request.writer(frames: frames.count)
        for path in frames {
            try Signals.endIfAsked(while: "writing \(request.out)")
            let picture = try withFiles { try Picture(path: path) }
            let seconds = max(path == last ? request.hold : 0, 1 / request.framesPerSecond)
            try withFiles { try writer.append(picture, seconds: seconds) }
        }
        try withFiles { try writer.finish() }
    }
    tell("\(request.out): \(frames.count) \(frames.count == 1 ? "grid" : "grids") of \(run.path)")
}

/// Makes a film in which each picture of a grid walks along great circles to two others and back, drawn by the generator of
/// the run's newest checkpoint.
///
/// - Parameters:
///   - grid: rows and columns, or nil.
///   - tell: takes warnings, and what was written.
public func animateWalk(_ request: AnimationRequest, grid: String?, tell: (String) -> Void) throws {
    let frames = try request.checked(usual: 120)
    let run = try request.directory()
    let checkpoint = try Checkpoint(path: checkpointFile(run.path, tell: tell))
    try checkpoint.requireGenerator()
    let configuration = checkpoint.configuration
    let places = try SampleRequest(grid: grid ?? "4x\(configuration.classes ?? 8)", classes: configuration.classes)
    let image = configuration.image
    try Pictures.checkGrid(of: places.count, image, columns: places.columns, path: request.out)
    let sampler = try Sampler(configuration, kernels: selectKernels(nil, configuration.precision))
    try sampler.load(checkpoint)
    sampler.label = places.label(of:)
    let stations = 3
    let noise = sampler.noise(first: 0, count: stations * places.count)
    try Signals.noting {
        let writer = try request.writer(frames: frames)
        for frame in 0..<frames {
            try Signals.endIfAsked(while: "writing \(request.out)")
            let position = Double(frame * stations) / Double(frames)
            let (from, to) = (Int(position), (Int(position) + 1) % stations)
            let codes = (0..<places.count).map {
                slerp(noise[from * places.count + $0], noise[to * places.count + $0], at: position - Double(from))
            }
            let picture = Pictures.grid(try sampler.pictures(of: codes, 0..<places.count), image, columns: places.columns)
            try withFiles { try writer.append(picture, seconds: 1 / request.framesPerSecond) }
        }
        try withFiles { try writer.finish() }
    }
    tell("\(request.out): a walk of \(frames) frames")
}

extension RunDirectory {
    /// The grids of pictures that were drawn while it trained, in the order of their steps.
    func grids() throws -> [String] {
        try withFiles { try folderEntries(path) ?? [] }.compactMap { name -> (step: Int, path: String)? in
            guard let match = name.wholeMatch(of: /(?:fakes|translations)-(init|[0-9]{6,12})\.png/) else { return nil }
            return (match.1 == "init" ? -1 : Int(match.1) ?? 0, "\(path)/\(name)")
        }.sorted { $0.step < $1.step }.map(\.path)
    }
}
