import Formats
import Foundation
import MessagePassing
import Networks

/// A checkpoint file: parameters and moments of both networks, the step and the configuration, in one safetensors file
/// that does not depend on the number of ranks.
public struct Checkpoint {
    /// Raised whenever a reader of the old format would misread a file of the new one.
    static let format = 1

    public let path: String
    public let step: Int
    public let configuration: Configuration
    public let dataDigest: String
    let file: SafetensorsFile

    public static func name(step: Int) -> String { "checkpoint-\(step.padded(to: 9)).safetensors" }

    /// The step that a file name tells, or nil for another name.
    static func step(of name: String) -> Int? {
        guard name.hasPrefix("checkpoint-"), name.hasSuffix(".safetensors") else { return nil }
        return Int(name.dropFirst("checkpoint-".count).dropLast(".safetensors".count))
    }

    /// Opens and checks a file: its structure, its SHA-256, its format, its configuration and every tensor's shape.
    public init(path: String) throws {
        func bad(_ reason: String) -> Failure { Failure(.badData, "\(path): \(reason)") }
        let file = try withFiles {
            let file = try SafetensorsFile(path: path)
            try file.verifyDigest()
            return file
        }
        guard let format = file.metadata["format"].flatMap({ Int($0) }), let text = file.metadata["configuration"],
            let step = file.metadata["step"].flatMap({ Int($0) }), step >= 0
        else { throw bad("not a checkpoint of gan-dist: format, step or configuration is missing in its metadata") }
        guard format <= Checkpoint.format else {
            throw bad("written in format \(format) by a newer gan-dist; this one reads up to format \(Checkpoint.format)")
        }
        let configuration: Configuration
        do {
            configuration = try Configuration(json: Data(text.utf8), preset: nil, path: path)
            try configuration.validate()
        } catch let failure as Failure {
            throw Failure(.badData, failure.description)
        }
        for tensor in try Checkpoint.tensors(configuration) {
            guard let found = file.tensors[tensor.name] else { throw bad("tensor \(tensor.name) is missing") }
            guard found.shape == tensor.shape, found.elementType.rawValue == "F32" else {
                throw bad(
                    "tensor \(tensor.name) is \(found.elementType.rawValue) \(found.shape); the configuration asks for F32 "
                        + "\(tensor.shape)")
            }
        }
        self.path = path
        self.step = step
        self.configuration = configuration
        self.file = file
        dataDigest = file.metadata["data_sha256"] ?? ""
    }

    /// Every tensor of the file, in order: parameters of both networks, then their moments.
    static func tensors(_ configuration: Configuration) throws -> [(name: String, shape: [Int])] {
        let plans = try configuration.networkPlans()
        let parameters =
            plans.generator.layout.tensors.map { ("generator.\($0.name)", $0.shape) }
            + plans.discriminator.layout.tensors.map { ("discriminator.\($0.name)", $0.shape) }
        return parameters.map { ($0.0, $0.1) }
            + parameters.flatMap { [("adam.\($0.0).exp_avg", $0.1), ("adam.\($0.0).exp_avg_sq", $0.1)] }
    }

    /// Reads the parameters of a network into its flat buffer.
    func readParameters(of network: String, _ layout: ParameterLayout, into parameters: UnsafeMutablePointer<Float>) throws {
        try withFiles {
            for tensor in layout.tensors {
                try file.readFloats(
                    "\(network).\(tensor.name)",
                    into: UnsafeMutableBufferPointer(start: parameters + tensor.offset, count: tensor.count))
            }
        }
    }

    /// The SHA-256 of the little-endian bytes of the parameters, generator then discriminator; with `state` also of the
    /// moments, in the file's order.
    public func hash(state: Bool) throws -> String {
        let digest = SHA256Digest()
        for tensor in try Checkpoint.tensors(configuration) where state || !tensor.name.hasPrefix("adam.") {
            var values = [Float](repeating: 0, count: tensor.shape.reduce(1, *))
            try values.withUnsafeMutableBufferPointer { buffer in
                try withFiles { try file.readFloats(tensor.name, into: buffer) }
                digest.update(UnsafeRawBufferPointer(buffer))
            }
        }
        return digest.finish().hexadecimal
    }
}

/// The state of a run as its ranks hold it together: collected on rank 0 to be written, handed out to be resumed.
struct TrainingState {
    let step: TrainingStep
    let patience: Patience

    private struct Part {
        let name: String
        let network: Network
        let reducer: Reducer
        let moments: Moments
    }

    private var parts: [Part] {
        [
            Part(name: "generator", network: step.generator, reducer: step.generatorReducer, moments: step.generatorMoments),
            Part(
                name: "discriminator", network: step.discriminator, reducer: step.discriminatorReducer,
                moments: step.discriminatorMoments),
        ]
    }

    /// Draws the initial weights.
    func initialise(seed: UInt64) throws {
        if patience.communicator.isHostLeader {
            for (part, stream) in zip(parts, [RandomStream.generatorWeights, RandomStream.discriminatorWeights]) {
                part.network.layout.initialise(part.reducer.parameters, seed: seed, stream: stream, kernels: step.kernels)
            }
        }
        try patience.agree {}
    }

    /// SHA-256 of the parameters, generator then discriminator, without padding.
    func weightsDigest() -> String {
        let digest = SHA256Digest()
        for part in parts {
            for tensor in part.network.layout.tensors {
                digest.update(
                    UnsafeRawBufferPointer(start: part.reducer.parameters + tensor.offset, count: 4 * tensor.count))
            }
        }
        return digest.finish().hexadecimal
    }

    /// Writes a checkpoint; every rank calls it, rank 0 writes. On other ranks it returns at once.
    func save(to path: String, metadata: [String: String], configuration: Configuration) throws {
        guard patience.communicator.rank == 0 else {
            for part in parts { _ = try gatherMoments(part) }
            return
        }
        try withFiles {
            let file = try AtomicFile(path: path)
            let writer = try SafetensorsWriter(file: file, tensors: Checkpoint.tensors(configuration), metadata: metadata)
            for part in parts {
                for tensor in part.network.layout.tensors {
                    try writer.append(
                        UnsafeBufferPointer(start: part.reducer.parameters + tensor.offset, count: tensor.count))
                }
            }
            for part in parts {
                // One network at a time: the moments of both would be the most that rank 0 ever holds.
                let (first, second) = try gatherMoments(part)
                for tensor in part.network.layout.tensors {
                    for moments in [first, second] {
                        try moments.withUnsafeBufferPointer {
                            try writer.append(UnsafeBufferPointer(rebasing: $0[tensor.range]))
                        }
                    }
                }
            }
            try writer.finish()
        }
    }

    private func gatherMoments(_ part: Part) throws -> (first: [Float], second: [Float]) {
        let count = part.network.layout.count
        return (
            try patience.gatherSegments(part.moments.first, part.reducer, count: count),
            try patience.gatherSegments(part.moments.second, part.reducer, count: count)
        )
    }

    /// Takes over the state that rank 0 reads from a checkpoint; `checkpoint` is nil on other ranks.
    func restore(_ checkpoint: Checkpoint?) throws {
        for part in parts {
            for tensor in part.network.layout.tensors {
                let name = "\(part.name).\(tensor.name)"
                let segment = part.reducer.segment
                try receive(name, tensor, checkpoint) { values in
                    if patience.communicator.isHostLeader {
                        (part.reducer.parameters + tensor.offset).update(from: values, count: tensor.count)
                    }
                }
                for (suffix, moments) in [("exp_avg", part.moments.first), ("exp_avg_sq", part.moments.second)] {
                    try receive("adam.\(name).\(suffix)", tensor, checkpoint) { values in
                        let own = tensor.range.clamped(to: segment)
                        guard !own.isEmpty else { return }
                        (moments + (own.lowerBound - segment.lowerBound))
                            .update(from: values + (own.lowerBound - tensor.offset), count: own.count)
                    }
                }
            }
        }
        try patience.agree {}
    }

    private func receive(
        _ name: String, _ tensor: Tensor, _ checkpoint: Checkpoint?, _ body: (UnsafePointer<Float>) -> Void
    ) throws {
        var values = [Float](repeating: 0, count: tensor.count)
        try patience.agree {
            if let checkpoint {
                try values.withUnsafeMutableBufferPointer { buffer in
                    try withFiles { try checkpoint.file.readFloats(name, into: buffer) }
                }
            }
        }
        try values.withUnsafeMutableBytes { try patience.broadcast($0, from: 0) }
        values.withUnsafeBufferPointer { if let base = $0.baseAddress { body(base) } }
    }
}

extension Patience {
    /// On rank 0 the whole of a buffer of which each rank holds its segment; on others nothing.
    func gatherSegments(_ own: UnsafePointer<Float>, _ reducer: Reducer, count: Int) throws -> [Float] {
        let bytes = UnsafeRawBufferPointer(start: own, count: 4 * reducer.segment.count)
        guard communicator.rank == 0 else {
            try send(bytes, to: 0, tag: .state)
            return []
        }
        var whole = [Float](repeating: 0, count: count)
        try whole.withUnsafeMutableBytes { target in
            target.copyMemory(from: bytes)
            for rank in 0..<communicator.size where rank > 0 {
                let segment = reducer.segment(of: rank)
                try receive(
                    UnsafeMutableRawBufferPointer(rebasing: target[4 * segment.lowerBound..<4 * segment.upperBound]),
                    from: rank, tag: .state)
            }
        }
        return whole
    }
}

extension Int {
    /// With leading zeros.
    func padded(to width: Int) -> String {
        let digits = String(self)
        return String(repeating: "0", count: Swift.max(0, width - digits.count)) + digits
    }
}
