import Foundation
import MessagePassing

/// The folder of a run, `runs/00000-mlp-b64`, and the checkpoints in it.
public struct RunDirectory: Sendable {
    public let path: String

    /// Claims the next free number under `outdir`. `mkdir` decides, so that two runs never share a folder.
    public static func create(under outdir: String, _ configuration: Configuration) throws -> RunDirectory {
        try makeFolders(outdir, advice: "choose another with --outdir")
        var number = (all(under: outdir).first?.number ?? -1) + 1
        while true {
            let path = "\(outdir)/\(number.padded(to: 5))-\(configuration.preset)-b\(configuration.batchSize)"
            if mkdir(path, 0o777) == 0 { return RunDirectory(path: path) }
            guard errno == EEXIST else {
                throw Failure(
                    .inputOutput, "\(path): the run's folder cannot be made: \(String(cString: strerror(errno))); choose another "
                        + "with --outdir")
            }
            number += 1
        }
    }

    /// The runs under `outdir`, newest first.
    static func all(under outdir: String) -> [(number: Int, run: RunDirectory)] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: outdir)) ?? []
        return names.compactMap { name in
            guard let dash = name.firstIndex(of: "-"), let number = Int(name[..<dash]), number >= 0 else { return nil }
            return (number, RunDirectory(path: "\(outdir)/\(name)"))
        }.sorted { ($0.0, $0.1.path) > ($1.0, $1.1.path) }
    }

    /// Paths of the checkpoints, highest step first.
    var checkpoints: [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        return names.compactMap { name in Checkpoint.step(of: name).map { ($0, name) } }
            .sorted { $0.0 > $1.0 }.map { "\(path)/\($0.1)" }
    }

    /// Removes all but the newest checkpoints.
    func prune(keep: Int) {
        for path in checkpoints.dropFirst(keep) { try? FileManager.default.removeItem(atPath: path) }
    }

    func write(_ text: String, to name: String) throws {
        try Data(text.utf8).write(toFailing: "\(path)/\(name)")
    }

    /// The run directory that holds a checkpoint, if one does.
    static func containing(_ checkpoint: String) -> RunDirectory? {
        let folder = (checkpoint as NSString).deletingLastPathComponent
        let path = folder.isEmpty ? "." : folder
        return FileManager.default.fileExists(atPath: "\(path)/training_options.json") ? RunDirectory(path: path) : nil
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

extension Data {
    /// Writes a file anew, with a failure that names it.
    func write(toFailing path: String) throws {
        do {
            try write(to: URL(fileURLWithPath: path), options: .atomic)
        } catch {
            throw Failure(.inputOutput, "\(path) cannot be written: \(reason(error))")
        }
    }
}

/// What the system said of a file, without Foundation's wrapping.
func reason(_ error: any Error) -> String {
    let error = error as NSError
    if let cause = error.userInfo[NSUnderlyingErrorKey] as? NSError, cause.domain == NSPOSIXErrorDomain {
        return String(cString: strerror(Int32(cause.code)))
    }
    if error.domain == NSPOSIXErrorDomain { return String(cString: strerror(Int32(error.code))) }
    return error.localizedDescription
}
