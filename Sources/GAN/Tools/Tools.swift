import Formats
import Foundation
import Kernels
import MessagePassing
import Networks

/// Writes pictures of a checkpoint's generator: a grid, or an array [count, 1, side, side].
///
/// - Parameters:
///   - isRaw: whether to draw the generator itself where the checkpoint holds its average too.
///   - request: what to draw, of a generator that is told classes or is not.
public func writeSamples(
    checkpoint path: String, seed: UInt64?, isRaw: Bool = false, to out: String,
    _ request: (_ isConditional: Bool) throws -> SampleRequest
) throws {
    try checkName(out)
    let checkpoint = try Checkpoint(path: path)
    var configuration = checkpoint.configuration
    if let seed { configuration.seed = seed }
    let request = try request(configuration.isConditional)
    let sampler = try Sampler(configuration, kernels: selectKernels(nil, configuration.precision))
    try sampler.load(checkpoint, isRaw: isRaw)
    sampler.label = request.label(of:)
    let (count, columns) = (request.count, request.columns)
    let side = configuration.imageSize
    if out.hasSuffix(".png") { try Pictures.checkGrid(of: count, side: side, columns: columns, path: out) }
    // Made and dropped again, before anything is drawn.
    try withFiles {
        do { _ = try AtomicFile(path: out) } catch let error as FormatError { throw error.of("--out") }
    }
    let pictures =
        request.isWalk
        ? try sampler.pictures(of: walks(between: sampler.noise(first: 0, count: 2 * count / columns), columns: columns))
        : try sampler.pictures(first: 0, count: count)
    if out.hasSuffix(".png") {
        try Pictures.writeGrid(pictures, side: side, columns: columns, to: out)
    } else {
        try withFiles {
            try pictures.withUnsafeBufferPointer { try writeNPY(path: out, shape: [count, 1, side, side], elements: $0) }
        }
    }
}

private func checkName(_ out: String) throws {
    let name = out.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
    guard name.hasSuffix(".png") || name.hasSuffix(".npy"), name.utf8.count > 4 else {
        let shown = out.isEmpty ? "\"\"" : out
        throw Failure(.usage, "--out \(shown): the name of a file is expected that ends in .png or .npy, as in samples.png")
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
