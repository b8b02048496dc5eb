import Formats
import Foundation
import MessagePassing

/// Which checkpoint a run goes on from.
public enum ResumeRequest: Equatable, Sendable {
    /// The highest step of the newest run that matches; none is an error.
    case latest
    /// The same, or a fresh start.
    case auto
    /// A file, or a run by its folder or number; see `RunDirectory.named`.
    case named(String)

    public init(_ text: String) {
        self = text == "latest" ? .latest : text == "auto" ? .auto : .named(text)
    }

    /// The command line with which a run goes on from its newest checkpoint.
    ///
    /// - Parameters:
    ///   - words: what starts the program, up to its options.
    ///   - arguments: those of the run that stops.
    public static func command(_ words: String, _ arguments: [String]) -> String {
        // What a run began with counts once.
        let dropped = ["--resume", "--init-from"]
        var kept: [String] = []
        var isValue = false
        for argument in arguments.first == "train" ? arguments.dropFirst() : arguments[...] {
            let isDropped = dropped.contains { argument == $0 || argument.hasPrefix("\($0)=") }
            if !isValue, !isDropped { kept.append(argument) }
            isValue = !isValue && dropped.contains(argument)
        }
        return ([words] + (kept + ["--resume", "latest"]).map(\.quotedForShell)).joined(separator: " ")
    }
}

/// A checkpoint to go on from, and the configuration to go on with.
struct Resumption {
    let checkpoint: Checkpoint
    let configuration: Configuration
    /// The run directory that the checkpoint lies in, if it lies in one.
    let directory: RunDirectory?
}

/// Looks for the checkpoint to go on from, on rank 0, and takes the lock on its run directory.
struct CheckpointSearch {
    private let wanted: ConfigurationRequest
    private let outdir: String
    private let options: RunOptions
    private var dataFolder: String { options.dataFolder }
    /// Whether the run is to be written on, and so must have no other writer.
    private let locks: Bool
    /// Weights that the run began with, where it is to be one that began with given ones.
    private let initial: InitialWeights?
    /// Of the data, by the name of the set.
    private var fingerprints: [String: String] = [:]
    /// The lock on the run directory of the checkpoint that was found.
    private(set) var lock: RunLock?
    /// Files that were skipped, by path, and why.
    private(set) var damaged: [(path: String, reason: String)] = []
    /// Why the newest run that could be read does not match, if it does not.
    private(set) var refusal: Failure?

    init(_ wanted: ConfigurationRequest, _ options: RunOptions, initial: InitialWeights? = nil, locks: Bool = true) {
        self.wanted = wanted
        self.initial = initial
        self.options = options
        outdir = options.outdir
        self.locks = locks
    }

    /// - Returns: nil for a fresh start.
    /// - Throws: a failure where no checkpoint is found, another run writes on it, or one is there and cannot be read: that
    ///   may pass, and a fresh start in its place would lose the run.
    mutating func find(_ request: ResumeRequest) throws -> Resumption? {
        if case .named(let name) = request {
            let run = try RunDirectory.named(name, under: outdir)
            let directory = try RunDirectory.containing(run.map { "\($0.path)/checkpoint" } ?? name)
            // First: a run that is under way removes checkpoints.
            if locks { lock = try directory.map { try RunLock(on: $0.path) } }
            return try named(name, of: run, in: directory)
        }
        var locked: String?
        while true {
            if let found = try newest() {
                guard locks, let directory = found.directory, directory.path != locked else { return found }
                lock = try RunLock(on: directory.path)
                locked = directory.path
                // Whoever held it may have written more before it ended: look again.
            } else {
                lock = nil
                guard request == .latest else { return nil }
                throw refusal
                    ?? Failure(
                        .missingInput,
                        "no checkpoint to resume from under \(outdir) with these options and data; start without --resume, or with --resume auto")
            }
        }
    }

    /// - Parameters:
    ///   - run: the run that the name is of, or nil for a file.
    ///   - directory: where the run goes on.
    private mutating func named(_ name: String, of run: RunDirectory?, in directory: RunDirectory?) throws -> Resumption {
        let checkpoint: Checkpoint
        if let run {
            guard let found = try run.newestCheckpoint(skipping: &damaged) else { throw run.missingCheckpoint(damaged) }
            checkpoint = found
        } else {
            checkpoint = try Checkpoint(path: name)
        }
        let configuration = try wanted.resumed(from: checkpoint.configuration)
        try CheckpointSearch.refuseDifferences(configuration, checkpoint)
        return Resumption(checkpoint: checkpoint, configuration: configuration, directory: directory)
    }

    private mutating func newest() throws -> Resumption? {
        damaged = []
        refusal = nil
        for (_, run) in try RunDirectory.all(under: outdir) {
            guard let checkpoint = try run.newestCheckpoint(skipping: &damaged) else { continue }
            if let preset = wanted.preset, preset != checkpoint.configuration.preset { continue }
            let configuration = try wanted.resumed(from: checkpoint.configuration)
            do {
                try CheckpointSearch.refuseDifferences(configuration, checkpoint)
                try initial?.refuseOther(checkpoint)
                try refuseOtherData(configuration, checkpoint)
                return Resumption(checkpoint: checkpoint, configuration: configuration, directory: run)
            } catch let failure as Failure where failure.code == .usage || failure.code == .badData {
                refusal = refusal ?? failure
            }
        }
        return nil
    }

    private static func refuseDifferences(_ configuration: Configuration, _ checkpoint: Checkpoint) throws {
        let differences = try configuration.differences(from: checkpoint.configuration)
        guard let first = differences.first else { return }
        let old = try checkpoint.configuration.fields()[first] ?? "nothing"
        let new = try configuration.fields()[first] ?? "nothing"
        throw Failure(
            .usage,
            "\(checkpoint.path) was written with another \(first): \(old), not \(new). A resumed run keeps what its bytes depend on; omit the option, "
                + "or start a new run: without --resume, or with --init-from in its place to begin with these weights")
    }

    private mutating func refuseOtherData(_ configuration: Configuration, _ checkpoint: Checkpoint) throws {
        let (dataset, domain) = (configuration.dataset, configuration.domainB?.text ?? "")
        let fingerprint: String
        do {
            fingerprint =
                try fingerprints["\(dataset) \(domain)"]
                ?? Domains.fingerprint(options, configuration.domainB, wanted: wanted.dataset, preferred: dataset)
        } catch let failure as Failure where failure.code == .missingInput {
            let place = checkpoint.dataPath.map { "; \(checkpoint.path) was trained on --data \($0.quotedForShell)" } ?? ""
            throw Failure(failure.code, failure.description + place)
        }
        fingerprints["\(dataset) \(domain)"] = fingerprint
        guard checkpoint.dataFingerprint != fingerprint else { return }
        // Digests say more than the names of files.
        let isOfFiles = checkpoint.dataFingerprint == checkpoint.dataDigest
        throw isOfFiles
            ? checkpoint.otherData(fingerprint, folder: dataFolder)
            : Failure(
                .badData,
                "\(checkpoint.path) was trained on other data than those in \(dataFolder): their files differ; give the run's data, "
                    + "or start a new run")
    }
}

extension Checkpoint {
    /// Where the run's data were, as its options tell.
    fileprivate var dataPath: String? {
        let folder = (path as NSString).deletingLastPathComponent
        return RunDirectory(path: folder.isEmpty ? "." : folder).options["data_path"] as? String
    }

    /// Refuses data that the run was not trained on.
    /// - Parameter digest: that of the data in `folder`.
    func refuseOtherData(_ digest: String, folder: String) throws {
        if dataDigest != digest { throw otherData(digest, folder: folder) }
    }

    /// Refuses a domain B that the run was not trained on.
    func refuseOtherSecondData(_ digest: String) throws {
        guard file.metadata["data_b_sha256"] != digest else { return }
        throw Failure(
            .badData, "\(path) was trained on a domain B of SHA-256 \(file.metadata["data_b_sha256"] ?? "none"); this one has \(digest); "
                + "give the run's data, or start a new run")
    }

    func otherData(_ digest: String, folder: String) -> Failure {
        Failure(
            .badData, "\(path) was trained on data of SHA-256 \(dataDigest); those in \(folder) have \(digest); give the run's "
                + "data, or start a new run")
    }
}

extension String {
    /// As a shell reads it back.
    public var quotedForShell: String {
        let plain = !isEmpty && unicodeScalars.allSatisfy { scalar in
            scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) || "_-+=./:,@%^".unicodeScalars.contains(scalar)
        }
        return plain ? self : "'" + replacingOccurrences(of: "'", with: "'\\''") + "'"
    }
}
