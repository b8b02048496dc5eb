import Formats
import Foundation
import MessagePassing

/// The folder of a run, `runs/00000-mlp-b64`, and the checkpoints in it.
public struct RunDirectory: Sendable {
    public let path: String

    /// Claims the next free number under `outdir`, for `00000-mlp-b64` of MNIST, or `00000-mlp-flowers-b64` of other data, and
    /// `00000-first-mlp-b64` of a run with a name. `mkdir` decides, so that two runs never share a folder.
    public static func create(under outdir: String, name: String? = nil, _ configuration: Configuration) throws -> RunDirectory {
        try makeFolders(outdir, advice: "choose another with --outdir")
        let parts = [name.map(plain), configuration.preset, configuration.dataset == DataFormat.mnist.name ? nil : plain(configuration.dataset)]
        let words = parts.compactMap(\.self).joined(separator: "-")
        var number = try (all(under: outdir).first?.number ?? -1) + 1
        while true {
            let path = "\(outdir)/\(number.padded(to: 5))-\(words)-b\(configuration.batchSize)"
            if mkdir(path, 0o777) == 0 { return RunDirectory(path: path) }
            guard errno == EEXIST else {
                throw Failure(
                    .inputOutput, "\(path): the run's folder cannot be made: \(String(cString: strerror(errno))); choose another "
                        + "with --outdir")
            }
            number += 1
        }
    }

    /// Refuses a name of a run that makes no part of a folder's; of others, bytes that need quotes somewhere become `_`.
    public static func checkName(_ name: String) throws {
        guard (1...100).contains(name.utf8.count) else {
            let found = name.isEmpty ? "\"\"" : "of \(name.utf8.count) bytes"
            throw Failure(.usage, "--name \(found): a name of 1 … 100 bytes is expected, as in first-try")
        }
    }

    /// A text as a part of a folder's name: other bytes become `_`.
    private static func plain(_ text: String) -> String {
        String(decoding: text.utf8.map { plainBytes.contains($0) ? $0 : UInt8(ascii: "_") }, as: UTF8.self)
    }

    /// What the name of a folder needs no quotes for anywhere.
    private static let plainBytes = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._".utf8)

    /// The runs under `outdir`, newest first; none where there is no such folder.
    /// - Throws: an I/O failure where the folder is there and cannot be read.
    static func all(under outdir: String) throws -> [(number: Int, run: RunDirectory)] {
        let names = try withFiles { try folderEntries(outdir) ?? [] }
        return names.compactMap { name in
            guard let dash = name.firstIndex(of: "-"), let number = Int(name[..<dash]), number >= 0 else { return nil }
            return (number, RunDirectory(path: "\(outdir)/\(name)"))
        }.sorted { ($0.0, $0.1.path) > ($1.0, $1.1.path) }
    }

    /// Steps and paths of the checkpoints, highest step first.
    /// - Throws: an I/O failure where the folder cannot be read.
    func checkpoints() throws -> [(step: Int, path: String)] {
        let names = try withFiles { try folderEntries(path) ?? [] }
        return names.compactMap { name in Checkpoint.step(of: name).map { ($0, "\(path)/\(name)") } }
            .sorted { $0.0 > $1.0 }
    }

    /// Removes the unfinished files of trainings that were killed, and none that `gan-dist sample` may be writing here.
    /// - Precondition: This process holds the folder's lock.
    func removeLeftovers() throws {
        for name in try withFiles({ try folderEntries(path) ?? [] }) where Self.isLeftover(name) {
            unlink("\(path)/\(name)")
        }
    }

    /// `.dat.nosync…` is what Foundation's atomic writing leaves, which earlier versions used.
    static func isLeftover(_ name: String) -> Bool {
        if name.hasPrefix(".dat.nosync") { return true }
        guard let target = AtomicFile.target(ofPartial: name) else { return false }
        if target.wholeMatch(of: /(reals(-[ab])?|(fakes|translations)-(init|\d{6,}))\.png/) != nil { return true }
        return target.wholeMatch(
            of: /training_options\.json|status\.json|report\.html|checkpoint-\d{9,}\.safetensors|best-[a-z_]+\.safetensors/) != nil
    }

    /// What `training_options.json` holds; nothing where it is missing or damaged.
    var options: [String: Any] { object("training_options.json") }

    /// A JSON object in a file of the run; empty where there is none.
    func object(_ name: String) -> [String: Any] {
        guard let text = try? fileContents("\(path)/\(name)", limit: 1 << 24) else { return [:] }
        return (try? JSONSerialization.jsonObject(with: Data(text))) as? [String: Any] ?? [:]
    }

    func write(_ text: String, to name: String) throws {
        try withFiles { try AtomicFile.write(path: "\(path)/\(name)", bytes: Array(text.utf8)) }
    }

    /// The run directory that holds a checkpoint, if one does.
    static func containing(_ checkpoint: String) throws -> RunDirectory? {
        let folder = (checkpoint as NSString).deletingLastPathComponent
        let path = folder.isEmpty ? "." : folder
        let names = try withFiles { try folderEntries(path) ?? [] }
        return names.contains("training_options.json") ? RunDirectory(path: path) : nil
    }
}

/// Which checkpoints of a run stay: the newest of those that are known to be good.
///
/// A name alone proves nothing: a file with a high number may be damaged, or another run's. Known are those that this
/// process wrote or resumed from. Older ones fill up what is left of the number to keep; those found damaged, and those
/// of later steps, neither count nor are they touched.
struct CheckpointRetention {
    private let run: RunDirectory
    private let keep: Int
    /// Whether the checkpoint of a step stays for good.
    private let isSpared: (_ step: Int) -> Bool
    private let damaged: Set<String>
    private var known: [(step: Int, path: String)]
    private let first: Int

    /// - Parameters:
    ///   - resumed: the checkpoint that the run goes on from, if it lies in this folder.
    ///   - damaged: paths of files that proved unreadable.
    ///   - isSpared: whether the checkpoint of a step stays for good, beside the newest.
    init(
        _ run: RunDirectory, keep: Int, resumed: (step: Int, path: String)?, damaged: Set<String> = [],
        isSpared: @escaping (_ step: Int) -> Bool = { _ in false }
    ) {
        self.run = run
        self.keep = keep
        self.isSpared = isSpared
        self.damaged = damaged
        known = resumed.map { [$0] } ?? []
        first = resumed?.step ?? 0
    }

    /// Notes a checkpoint that was just written, and removes those that are too many.
    mutating func add(step: Int, path: String) throws {
        known.removeAll { $0.step == step }
        known.insert((step, path), at: 0)
        let older = try run.checkpoints().filter { $0.step < first && !damaged.contains($0.path) }
        let surplus = known.dropFirst(keep) + older.dropFirst(max(0, keep - known.count))
        for checkpoint in surplus where !isSpared(checkpoint.step) { unlink(checkpoint.path) }
        known = Array(known.prefix(keep))
    }
}

/// Makes a folder and those above it.
func makeFolders(_ path: String, advice: String = "") throws {
    if mkdir(path, 0o777) == 0 || errno == EEXIST { return }
    let parent = (path as NSString).deletingLastPathComponent
    if errno == ENOENT, !parent.isEmpty, parent != path {
        try makeFolders(parent, advice: advice)
        if mkdir(path, 0o777) == 0 || errno == EEXIST { return }
    }
    let reason = String(cString: strerror(errno))
    throw Failure(.inputOutput, "\(path): the folder cannot be made: \(reason)" + (advice.isEmpty ? "" : "; \(advice)"))
}
