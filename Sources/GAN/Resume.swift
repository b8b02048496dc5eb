import Foundation
import MessagePassing

/// Which checkpoint a run goes on from.
public enum ResumeRequest: Equatable, Sendable {
    /// The highest step of the newest run that matches; none is an error.
    case latest
    /// The same, or a fresh start.
    case auto
    case file(String)

    public init(_ text: String) {
        self = text == "latest" ? .latest : text == "auto" ? .auto : .file(text)
    }
}

/// What a user asked for: a configuration, and which of its fields were said rather than left to the preset.
public struct ConfigurationRequest: Sendable {
    /// Set where `--preset` names one.
    public var preset: String?
    /// Set where `--config` names a file.
    public var modelFile: (path: String, text: Data)?
    /// What the flags say, applied to a configuration.
    public var override: @Sendable (inout Configuration) throws -> Void = { _ in }

    public init() {}

    /// The configuration of a fresh run.
    public func fresh() throws -> Configuration {
        var configuration = try modelFile.map { try model($0.text, $0.path) } ?? Preset.named(preset ?? Preset.standard)
        try override(&configuration)
        try configuration.validate()
        return configuration
    }

    /// A model file that makes sense by itself; what does not is told with the file's name.
    private func model(_ text: Data, _ path: String) throws -> Configuration {
        let configuration = try Configuration(json: text, preset: preset, path: path)
        do {
            try configuration.validate()
        } catch let failure as Failure {
            throw Failure(failure.code, "\(path): \(failure.description)")
        }
        return configuration
    }

    /// The configuration of a run that goes on from a checkpoint: the checkpoint's, changed by what the user said.
    func resumed(from checkpoint: Configuration) throws -> Configuration {
        // A preset's own length and intervals are no wish: those of the interrupted run stay.
        var configuration = checkpoint
        if modelFile != nil {
            configuration = try fresh()
        } else if let preset, preset != checkpoint.preset {
            configuration = try Preset.named(preset)
        }
        try override(&configuration)
        try configuration.validate()
        return configuration
    }
}

/// A checkpoint to go on from, and the configuration to go on with.
struct Resumption {
    let checkpoint: Checkpoint
    let configuration: Configuration

    /// Finds the checkpoint; nil means a fresh start. Runs on rank 0.
    /// - Parameter warn: takes a line for each damaged file that is skipped.
    static func find(
        _ request: ResumeRequest, _ wanted: ConfigurationRequest, outdir: String, warn: (String) -> Void
    ) throws -> Resumption? {
        if case .file(let path) = request {
            let checkpoint = try Checkpoint(path: path)
            let configuration = try wanted.resumed(from: checkpoint.configuration)
            try refuseDifferences(configuration, checkpoint, path)
            return Resumption(checkpoint: checkpoint, configuration: configuration)
        }
        var refusal: Failure?
        for (_, run) in RunDirectory.all(under: outdir) {
            for path in run.checkpoints {
                let checkpoint: Checkpoint
                do {
                    checkpoint = try Checkpoint(path: path)
                } catch let failure as Failure {
                    warn("skipped a damaged checkpoint: \(failure.description)")
                    continue
                }
                if let preset = wanted.preset, preset != checkpoint.configuration.preset { break }
                let configuration = try wanted.resumed(from: checkpoint.configuration)
                do {
                    try refuseDifferences(configuration, checkpoint, path)
                    return Resumption(checkpoint: checkpoint, configuration: configuration)
                } catch let failure as Failure {
                    refusal = refusal ?? failure
                    break
                }
            }
        }
        if request == .auto { return nil }
        throw refusal
            ?? Failure(
                .missingInput,
                "no checkpoint to resume from under \(outdir) that matches; start without --resume, or with --resume auto")
    }

    private static func refuseDifferences(_ configuration: Configuration, _ checkpoint: Checkpoint, _ path: String) throws {
        let differences = try configuration.differences(from: checkpoint.configuration)
        guard let first = differences.first else { return }
        let old = try checkpoint.configuration.fields()[first] ?? "nothing"
        let new = try configuration.fields()[first] ?? "nothing"
        throw Failure(
            .usage,
            "\(path) was written with another \(first): \(old), not \(new). A resumed run keeps what its bytes depend on; leave "
                + "the option away, or start a new run without --resume")
    }
}
