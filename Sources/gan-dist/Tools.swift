import ArgumentParser
import Foundation
import GAN
import Kernels
import MessagePassing

struct Sample: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Draw pictures from a checkpoint, as a PNG grid, a NumPy array or single PNG files.",
        discussion: "The seed and its number determine a picture, however many are drawn. A walk follows a great circle (slerp).")

    @Option(help: "Checkpoint file.")
    var checkpoint: String
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
        try writeSamples(checkpoint: checkpoint, seed: seed, isRaw: raw, to: out) { classes in
            try SampleRequest(count: count, grid: grid, isWalk: interpolate, label: label, classes: classes)
        }
    }
}

struct Hash: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print the SHA-256 of a checkpoint's parameters.")

    @Option(help: "Checkpoint file.")
    var checkpoint: String
    @Flag(help: "Include the optimiser's moments.")
    var state = false

    func run() throws { try StandardOutput.printResult(try Checkpoint(path: checkpoint).hash(state: state)) }
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
        var configuration = try Preset.named(preset).configuration(for: .mnist)
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
