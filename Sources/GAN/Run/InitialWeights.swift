import Formats
import Foundation
import MessagePassing

/// Weights that a new run begins with in place of drawn ones: those of a checkpoint, or of any safetensors file with PyTorch's
/// names, `generator.main.0.weight`.
///
/// Taken are all parameters, and running statistics as far as the file has them. A run begins at step 0, with an optimiser
/// that knows nothing, and with a moving average of these weights themselves, not of the average that a checkpoint may hold.
struct InitialWeights {
    /// The file.
    let path: String
    /// What is to be told of how it was found.
    let notes: [String]
    private let file: SafetensorsFile

    /// - Parameters:
    ///   - name: a file, or a run as `RunDirectory.named` knows it.
    ///   - outdir: the folder of the runs that have numbers.
    /// - Throws: missing input, or bad data where the file is damaged; an I/O failure.
    init(_ name: String, under outdir: String) throws {
        var told: [String] = []
        path = try checkpointFile(name, under: outdir) { told.append($0) }
        notes = told
        let path = self.path
        file = try withFiles {
            let file = try SafetensorsFile(path: path)
            // A file that was not written here need not have one.
            if file.metadata["sha256"] != nil { try file.verifyDigest() }
            return file
        }
    }

    /// Of the run that wrote the file, as a model file has it; nil where it is no checkpoint.
    var configuration: String? { file.metadata["configuration"] }

    /// Refuses a file that does not hold the parameters of these players, naming the first that do not fit.
    /// - Returns: what is to be told of tensors that nobody takes.
    func check(_ plans: [PlayerPlan]) throws -> [String] {
        let entries = InitialWeights.taken(of: plans)
        let wrong = entries.compactMap(problem)
        guard wrong.isEmpty else {
            let more = wrong.count > 3 ? "; and \(wrong.count - 3) more" : ""
            throw Failure(
                .badData, "\(path) does not fit the networks of this run: \(wrong.prefix(3).joined(separator: "; "))\(more). Give the "
                    + "preset or model file that the weights are of, or other weights")
        }
        let known = Set(entries.map(\.name))
        let surplus = file.tensorNames.filter { name in
            plans.contains { name.hasPrefix("\($0.name).") } && !known.contains(name) && !name.hasSuffix(".num_batches_tracked")
        }
        guard let first = surplus.first else { return [] }
        return ["\(surplus.count == 1 ? "the tensor" : "\(surplus.count) tensors, the first of them") \(first.debugDescription) of \(path) "
            + "\(surplus.count == 1 ? "is" : "are") not used: the networks of this run have no such place"]
    }

    private func problem(_ entry: StateEntry) -> String? {
        guard let found = file.tensors[entry.name] else {
            return entry.isWeight ? "tensor \(entry.name), \(entry.tensor.shape), is missing" : nil
        }
        if found.shape == entry.tensor.shape, found.elementType == .float32 { return nil }
        return "tensor \(entry.name): expected F32 \(entry.tensor.shape), found \(found.elementType.rawValue) \(found.shape)"
    }

    /// What of players' state may come from a file.
    static func taken(of plans: [PlayerPlan]) -> [StateEntry] { plans.stateEntries.filter { [.parameters, .buffers].contains($0.part) } }

    /// A tensor in the file; nil where it has none.
    func values(_ entry: StateEntry) throws -> [Float]? {
        guard file.tensors[entry.name] != nil else { return nil }
        var values = [Float](repeating: 0, count: entry.tensor.count)
        try values.withUnsafeMutableBufferPointer { buffer in try withFiles { try file.readFloats(entry.name, into: buffer) } }
        return values
    }

    /// The SHA-256 of these players' parameters, as `Checkpoint.hash`.
    func digest(_ plans: [PlayerPlan]) throws -> String {
        let digest = SHA256Digest()
        for entry in InitialWeights.taken(of: plans) where entry.isWeight {
            try (values(entry) ?? []).withUnsafeBytes(digest.update)
        }
        return digest.finish().hexadecimal
    }

    /// Refuses a checkpoint of a run that began with other weights.
    func refuseOther(_ checkpoint: Checkpoint) throws {
        let plans = try checkpoint.configuration.playerPlans()
        _ = try check(plans)
        guard try checkpoint.initialDigest == digest(plans) else {
            throw Failure(.usage, "\(checkpoint.path) is of a run that did not begin with the weights of \(path)")
        }
    }
}

extension Checkpoint {
    static let initialDigestKey = "init_sha256"

    /// The SHA-256 of the weights that the run was given to begin with; nil where they were drawn.
    var initialDigest: String? { file.metadata[Checkpoint.initialDigestKey] }
}

extension ConfigurationRequest {
    /// Asks for the configuration of a checkpoint whose weights a run begins with, where nobody has asked for another.
    mutating func adopt(_ configuration: String?, of path: String) {
        guard let configuration, !configuration.isEmpty, preset == nil, modelFile == nil else { return }
        modelFile = (path, Data(configuration.utf8))
    }
}

extension RunOptions {
    /// Refuses to begin with given weights and to go on from others at once.
    func checkBeginning(_ resume: ResumeRequest?) throws {
        guard let resume, resume != .auto else { return }
        let told: String
        if case .named(let name) = resume { told = name } else { told = "latest" }
        if let name {
            throw Failure(
                .usage, "--name \(name) is for a new run, and --resume \(told) goes on with one, which keeps its name; leave one of them away")
        }
        guard let initialWeights else { return }
        throw Failure(
            .usage, "--init-from \(initialWeights) begins a new run, and --resume \(told) goes on with one; leave one of them away. A resumed run "
                + "needs no --init-from; --resume auto goes on with a run that began so, or begins it")
    }
}
