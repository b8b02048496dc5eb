import Formats
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

    /// The command line with which a run goes on from its newest checkpoint.
    ///
    /// - Parameters:
    ///   - words: what starts the program, up to its options.
    ///   - arguments: those of the run that stops.
    public static func command(_ words: String, _ arguments: [String]) -> String {
        var kept: [String] = []
        var isValue = false
        for argument in arguments.first == "train" ? arguments.dropFirst() : arguments[...] {
            if !isValue, argument != "--resume", !argument.hasPrefix("--resume=") { kept.append(argument) }
            isValue = argument == "--resume"
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
    /// Of the data, by the name of the set.
    private var fingerprints: [String: String] = [:]
    /// The lock on the run directory of the checkpoint that was found.
    private(set) var lock: RunLock?
    /// Files that were skipped, by path, and why.
    private(set) var damaged: [(path: String, reason: String)] = []
    /// Why the newest run that could be read does not match, if it does not.
    private(set) var refusal: Failure?

    init(_ wanted: ConfigurationRequest, _ options: RunOptions, locks: Bool = true) {
        self.wanted = wanted
        self.options = options
        outdir = options.outdir
        self.locks = locks
    }

    /// - Returns: nil for a fresh start.
    /// - Throws: a failure where no checkpoint is found, another run writes on it, or one is there and cannot be read: that
    ///   may pass, and a fresh start in its place would lose the run.
    mutating func find(_ request: ResumeRequest) throws -> Resumption? {
        if case .file(let path) = request {
            let directory = try RunDirectory.containing(path)
            // First: a run that is under way removes checkpoints.
            if locks { lock = try directory.map { try RunLock(on: $0.path) } }
            return try named(path, in: directory)
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
                        "no checkpoint to resume from under \(outdir) that matches; start without --resume, or with --resume auto")
            }
        }
    }

    private func named(_ path: String, in directory: RunDirectory?) throws -> Resumption {
        if let newest = try folderCheckpoint(path) {
            throw Failure(.usage, "--resume \(path): a checkpoint is expected, found a folder\(newest)")
        }
        let checkpoint = try Checkpoint(path: path)
        let configuration = try wanted.resumed(from: checkpoint.configuration)
        try CheckpointSearch.refuseDifferences(configuration, checkpoint)
        return Resumption(checkpoint: checkpoint, configuration: configuration, directory: directory)
    }

    /// What to name instead where a path is that of a folder.
    private func folderCheckpoint(_ path: String) throws -> String? {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { return nil }
        let newest = try RunDirectory(path: path).checkpoints().first
        return newest.map { "; the newest one in it is \($0.path)" } ?? " without checkpoints"
    }

    private mutating func newest() throws -> Resumption? {
        damaged = []
        refusal = nil
        for (_, run) in try RunDirectory.all(under: outdir) {
            for (_, path) in try run.checkpoints() {
                let checkpoint: Checkpoint
                do {
                    checkpoint = try Checkpoint(path: path)
                } catch let failure as Failure where failure.code != .inputOutput {
                    damaged.append((path, failure.description))
                    continue
                }
                if let preset = wanted.preset, preset != checkpoint.configuration.preset { break }
                let configuration = try wanted.resumed(from: checkpoint.configuration)
                do {
                    try CheckpointSearch.refuseDifferences(configuration, checkpoint)
                    try refuseOtherData(configuration, checkpoint)
                    return Resumption(checkpoint: checkpoint, configuration: configuration, directory: run)
                } catch let failure as Failure where failure.code == .usage || failure.code == .badData {
                    refusal = refusal ?? failure
                    break
                }
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
            "\(checkpoint.path) was written with another \(first): \(old), not \(new). A resumed run keeps what its bytes depend on; "
                + "omit the option, or start a new run without --resume")
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
        guard let text = try? fileContents("\(folder.isEmpty ? "." : folder)/training_options.json", limit: 1 << 24),
            let options = try? JSONSerialization.jsonObject(with: Data(text)) as? [String: Any]
        else { return nil }
        return options["data_path"] as? String
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
