import Formats
import Foundation
import MessagePassing

/// What a user asked for: a configuration, and which of its fields were said rather than left to the preset.
public struct ConfigurationRequest: Sendable {
    /// Set where `--preset` names one.
    public var preset: String?
    /// Set where `--config` names a file.
    public var modelFile: (path: String, text: Data)?
    /// What the flags say, applied to a configuration.
    public var override: @Sendable (inout Configuration) throws -> Void = { _ in }
    /// The fields that the flags say, by their names in model files: at least those of `Configuration.exclusiveFields`.
    public var flags: Set<String> = []

    public init() {}

    /// Takes over the model file that `--config` names; it may be a pipe.
    /// - Throws: missing input, bad data or an I/O failure.
    public mutating func readModelFile(_ path: String) throws {
        modelFile = (path, Data(try withFiles { try fileContents(path, limit: 1 << 24, allowsPipes: true) }))
    }

    /// The configuration of a fresh run.
    public func fresh() throws -> Configuration { try resolved(from: nil).configuration }

    /// The configuration of a run that goes on from a checkpoint: the checkpoint's, changed by what the user said.
    func resumed(from checkpoint: Configuration) throws -> Configuration { try resolved(from: checkpoint).configuration }

    /// A line for each setting that was turned off because the user said something else, in a fresh run or in one that goes
    /// on from a checkpoint.
    public func notes(from checkpoint: Configuration?) throws -> [String] { try resolved(from: checkpoint).notes }

    /// Flags come before the file, and the file before the preset or the checkpoint.
    private func resolved(from checkpoint: Configuration?) throws -> (configuration: Configuration, notes: [String]) {
        let file = try modelFile.map { try ModelFile($0.text, path: $0.path) }
        var configuration = try base(file, checkpoint)
        let preset = "preset \(configuration.preset)"
        var notes: [String] = []
        if let file {
            configuration = try file.configuration(over: configuration)
            do {
                notes = try configuration.giveWay(to: file.said, areFlags: false) { _ in preset }.map { "\(file.path): \($0)" }
                // A model file makes sense by itself.
                try configuration.validate()
            } catch let failure as Failure {
                throw Failure(failure.code, "\(file.path): \(failure.description)")
            }
        }
        try override(&configuration)
        let said = Set(flags.compactMap { Configuration.CodingKeys(rawValue: $0) })
        notes += try configuration.giveWay(to: said, areFlags: true) { field in
            file.map { $0.said.contains(field) ? $0.path : preset } ?? preset
        }
        try configuration.validate()
        return (configuration, notes)
    }

    /// What the file and the flags change: the preset that they name, or where the checkpoint is of it the checkpoint's
    /// configuration, since a preset's own fields are no wish.
    private func base(_ file: ModelFile?, _ checkpoint: Configuration?) throws -> Configuration {
        if let checkpoint, file == nil, preset == nil || preset == checkpoint.preset { return checkpoint }
        let named = try file?.base(preset: preset) ?? Preset.named(preset ?? Preset.standard)
        return checkpoint.map { $0.preset == named.preset ? $0 : named } ?? named
    }
}
