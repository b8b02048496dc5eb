import Formats
import Foundation
import MessagePassing

/// What `gan-dist export` is to write, and where.
public struct ExportRequest: Sendable {
    public enum Format: String, CaseIterable, Sendable {
        /// Layers and weights, for any program that runs ONNX models.
        case onnx
        /// Weights alone, by PyTorch's names.
        case safetensors
    }

    public var checkpoint: String
    public var out: String
    /// Nil where the file's name tells it.
    public var format: Format?
    /// Nil for the player that a game is played for.
    public var player: String?
    /// Whether to take the trained weights where the checkpoint holds their average too.
    public var isRaw = false
    /// Whether a file that is there already is replaced.
    public var isForced = false

    public init(checkpoint: String, out: String) {
        self.checkpoint = checkpoint
        self.out = out
    }

    fileprivate func knownFormat() throws -> Format {
        let named = Format.allCases.first { out.hasSuffix(".\($0.rawValue)") }
        if let format, let named, format != named {
            throw Failure(
                .usage, "--out \(out) and --format \(format.rawValue) contradict each other; name a file that ends in .\(format.rawValue), or "
                    + "leave --format away")
        }
        if let known = format ?? named { return known }
        throw Failure(
            .usage, "--out \(out.isEmpty ? "\"\"" : out): the name of a file is expected that ends in .onnx or .safetensors, or "
                + "--format onnx or safetensors beside it")
    }
}

/// Writes one player of a checkpoint for other programs.
///
/// - Returns: what was written, in a line.
/// - Throws: a usage error where the game has no such player, the file is there already, or a model would be too large.
public func export(_ request: ExportRequest) throws -> String {
    let (format, out) = (try request.knownFormat(), request.out)
    if !request.isForced, try withFiles({ try FileKind(path: out) }) == .file {
        throw Failure(.usage, "--out \(out): this file is there already, and was left as it is; choose another name, or add --force")
    }
    let checkpoint = try Checkpoint(path: request.checkpoint)
    guard !isSameFile(out, checkpoint.path) else {
        throw Failure(.usage, "--out \(out): this is the checkpoint itself; choose another name")
    }
    let player = try ExportedPlayer(checkpoint, name: request.player, isRaw: request.isRaw)
    if let tensor = player.brokenTensor {
        throw Failure(
            .badData, "\(checkpoint.path): tensor \(tensor) holds numbers that are not finite: the training has diverged; take an "
                + "earlier checkpoint")
    }
    let metadata = try checkpoint.facts.merging([
        "player": player.name, "weights": player.isAveraged ? "average" : "trained",
    ]) { $1 }
    try checkWritable(out, option: "--out")
    switch format {
    case .onnx:
        // Names and layers are far less than a megabyte.
        let size = 4 * player.tensors.reduce(0) { $0 + $1.values.count } + 1 << 20
        guard size <= ONNXModel.largestSize else {
            throw Failure(
                .usage, "--format onnx: the weights of \(player.name) take \(Double(size).grouped) bytes, and a model of this format at "
                    + "most \(Double(ONNXModel.largestSize).grouped); use --format safetensors")
        }
        let bytes = player.model(summary: player.signature, metadata: metadata).bytes()
        try withFiles { try AtomicFile.write(path: out, bytes: bytes) }
    case .safetensors:
        try withFiles {
            let writer = try SafetensorsWriter(
                file: AtomicFile(path: out), tensors: player.tensors.map { ($0.name, $0.shape) }, metadata: metadata)
            for tensor in player.tensors { try tensor.values.withUnsafeBufferPointer(writer.append) }
            try writer.finish()
        }
    }
    let averaged = player.isAveraged ? ", averaged," : ""
    return "\(out): \(player.name)\(averaged) of step \(Double(checkpoint.step).grouped), \(player.signature)"
}

extension Checkpoint {
    /// What it says of itself, and the run that it lies in.
    fileprivate var facts: [String: String] {
        get throws {
            var facts = [
                "preset": configuration.preset, "dataset": configuration.dataset, "step": "\(step)",
                "weights_sha256": try hash(state: false), "data_sha256": dataDigest,
            ]
            for key in ["version", "data_b_sha256"] { facts[key] = file.metadata[key] }
            guard let run = try RunDirectory.containing(path) else { return facts }
            facts["run"] = URL(fileURLWithPath: run.path).standardizedFileURL.lastPathComponent
            facts["class_names"] = run.classNames
            return facts
        }
    }
}

extension RunDirectory {
    /// The names of the classes as a JSON list, where the data had any.
    fileprivate var classNames: String? {
        guard let bytes = try? fileContents("\(path)/training_options.json", limit: 1 << 24),
            let options = try? JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any],
            let names = options["class_names"] as? [String], let text = try? JSONEncoder().encode(names)
        else { return nil }
        return String(decoding: text, as: UTF8.self)
    }
}
