import Formats
import Foundation
import MessagePassing
import Networks

/// A checkpoint file: the state of a game, the step and the configuration, in one safetensors file
/// that does not depend on the number of ranks.
public struct Checkpoint {
    /// Raised whenever a reader of the old format would misread a file of the new one.
    static let format = 1

    public let path: String
    public let step: Int
    public let configuration: Configuration
    public let dataDigest: String
    /// What tells the data without reading them: the digest of IDX files; see `DataSource.fingerprint`.
    let dataFingerprint: String
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
        let expected =
            try configuration.playerPlans().stateEntries.map { ($0.name, $0.tensor.shape) }
            + configuration.memoryPlans.map { ($0.name, $0.shape) }
        for (name, shape) in expected {
            guard let found = file.tensors[name] else { throw bad("tensor \(name) is missing") }
            guard found.shape == shape, found.elementType.rawValue == "F32" else {
                throw bad(
                    "tensor \(name) is \(found.elementType.rawValue) \(found.shape); the configuration asks for F32 \(shape)")
            }
        }
        self.path = path
        self.step = step
        self.configuration = configuration
        self.file = file
        dataDigest = file.metadata["data_sha256"] ?? ""
        dataFingerprint = file.metadata["data_fingerprint"] ?? dataDigest
    }

    /// What it holds of the game's state, in order.
    var entries: [StateEntry] { get throws { try configuration.playerPlans().stateEntries } }

    func floats(_ name: String, count: Int) throws -> [Float] {
        var values = [Float](repeating: 0, count: count)
        try values.withUnsafeMutableBufferPointer { buffer in try withFiles { try file.readFloats(name, into: buffer) } }
        return values
    }

    /// The SHA-256 of the little-endian bytes of the players' parameters in their order; with `state` of all tensors, in the
    /// file's order.
    public func hash(state: Bool) throws -> String {
        let digest = SHA256Digest()
        for entry in try entries where state || entry.isWeight {
            try floats(entry.name, count: entry.tensor.count).withUnsafeBytes(digest.update)
        }
        for memory in state ? configuration.memoryPlans : [] {
            try floats(memory.name, count: memory.count).withUnsafeBytes(digest.update)
        }
        return digest.finish().hexadecimal
    }
}
