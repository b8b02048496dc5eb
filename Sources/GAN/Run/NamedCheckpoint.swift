import Formats
import Foundation
import MessagePassing

extension RunDirectory {
    /// The run that a user names: by its folder, by its number under `outdir` (`12` or `00012`), or as `latest`, the newest that
    /// has a checkpoint. A path comes before a number.
    /// - Returns: nil for the path of a file, which need not be there: a run that is under way removes checkpoints.
    /// - Throws: missing input where there is no such run; a usage error where several have the number; an I/O failure.
    static func named(_ name: String, under outdir: String) throws -> RunDirectory? {
        switch try withFiles({ try FileKind(path: name) }) {
        case .folder: return RunDirectory(path: name.count > 1 && name.hasSuffix("/") ? String(name.dropLast()) : name)
        case .file, .other: return nil
        case nil: break
        }
        let all = try all(under: outdir)
        if name == "latest" {
            guard let newest = try all.first(where: { try !$0.run.checkpoints().isEmpty }) else {
                throw Failure(.missingInput, "latest: no run under \(outdir) has a checkpoint; give its folder, or that of the runs as --outdir")
            }
            return newest.run
        }
        if name.contains("/") { return nil }
        guard !name.isEmpty, name.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }), let number = Int(name) else {
            throw Failure(
                .missingInput, "\(name.isEmpty ? "\"\"" : name): there is no such file or run; give a file, a run's folder, its number, or "
                    + "latest\(suggestion(for: name.lowercased(), among: ["latest"]))")
        }
        let found = all.filter { $0.number == number }.map(\.run.path)
        guard found.count < 2 else {
            throw Failure(.usage, "\(name): several runs have this number: \(found.sorted().joined(separator: ", ")); give the folder of one")
        }
        guard let path = found.first else {
            let newest = all.first.map { "; the newest is \($0.run.path)" } ?? ", which holds none"
            throw Failure(
                .missingInput, "\(name): no run of this number under \(outdir)\(newest); list them with gan-dist runs \(outdir.quotedForShell)")
        }
        return RunDirectory(path: path)
    }

    /// The checkpoint of the highest step that is whole.
    /// - Parameter damaged: takes the files that were skipped, and why.
    /// - Throws: an I/O failure where a file is there and cannot be read: that may pass.
    func newestCheckpoint(skipping damaged: inout [(path: String, reason: String)]) throws -> Checkpoint? {
        for (_, path) in try checkpoints() {
            do {
                return try Checkpoint(path: path)
            } catch let failure as Failure where failure.code != .inputOutput {
                damaged.append((path, failure.description))
            }
        }
        return nil
    }

    /// What to say where there is no whole checkpoint.
    func missingCheckpoint(_ damaged: [(path: String, reason: String)]) -> Failure {
        guard let first = damaged.first else {
            let runs = (try? RunDirectory.all(under: path)) ?? []
            let advice = runs.isEmpty ? "" : "; name one of its runs, such as \(runs[0].run.path)"
            return Failure(.missingInput, "\(path): a run with a checkpoint is expected, found a folder without checkpoints\(advice)")
        }
        let others = damaged.count > 1 ? "; the others are damaged too" : ""
        return Failure(.badData, "\(path): no checkpoint is whole: \(first.reason)\(others)")
    }
}

/// The file of a checkpoint that a user names: the file itself, or the newest whole one of a run; see `RunDirectory.named`.
///
/// - Parameters:
///   - outdir: the folder of the runs that have numbers.
///   - tell: takes which one it is, where the name does not say so, and which were skipped.
public func checkpointFile(
    _ name: String, under outdir: String = "runs", tell: (String) -> Void = StandardOutput.printMessage
) throws -> String {
    guard let run = try RunDirectory.named(name, under: outdir) else { return name }
    var damaged: [(path: String, reason: String)] = []
    let found = try run.newestCheckpoint(skipping: &damaged)
    guard let found else { throw run.missingCheckpoint(damaged) }
    for (_, reason) in damaged { tell("Warning: skipped a damaged checkpoint: \(reason)") }
    tell("Checkpoint: \(found.path) (step \(Double(found.step).grouped))")
    return found.path
}
