import Formats
import Foundation
import MessagePassing

/// Writes the page of one run, or one that compares several.
///
/// - Parameters:
///   - names: runs' folders or numbers, `latest`, and folders of runs.
///   - outdir: where runs with numbers are.
///   - out: where to; nil for `report.html` in the folder, or where several are given in the current one.
///   - tell: takes a warning for all that is missing or damaged.
/// - Returns: where the page is.
/// - Throws: missing input where there is no such folder or no run in it; a usage error; an I/O failure.
public func writeReport(
    of names: [String], under outdir: String = "runs", to out: String?, tell: (String) -> Void = StandardOutput.printMessage
) throws -> String {
    if let out, !out.hasSuffix(".html") || out.utf8.count <= 5 {
        throw Failure(
            .usage, "--out \(out.isEmpty ? "\"\"" : out): the name of a file is expected that ends in .html, as in report.html")
    }
    let paths = try names.map { try RunDirectory.named($0, under: outdir)?.path ?? $0 }
    var runs: [RunDirectory] = []
    for path in paths {
        guard let names = try withFiles({ try folderEntries(path) }) else {
            throw Failure(.missingInput, "\(path): a run's folder, or one of runs, is expected; there is no folder of that name")
        }
        if RunDirectory.isRun(path, holding: names) {
            runs.append(RunDirectory(path: path))
        } else {
            let found = try RunDirectory.all(under: path).map(\.run).reversed()
            guard !found.isEmpty else {
                throw Failure(
                    .missingInput,
                    "\(path): no run is in this folder; name one such as runs/00000-dcgan28-b64, or a folder of them")
            }
            runs += found
        }
    }
    guard runs.count <= Report.mostRuns else {
        throw Failure(.usage, "\(runs.count) runs: one page compares at most \(Report.mostRuns); name some of them")
    }
    let path = out ?? (paths.count == 1 ? "\(paths[0])/\(Report.name)" : Report.name)
    let report = Report(of: runs)
    for run in report.runs { for text in run.missing { tell("Warning: \(run.folder): \(text)") } }
    try report.write(to: path)
    return path
}

extension RunDirectory {
    /// Whether a folder is a run's: by one of its files, or where it is empty still by its name.
    static func isRun(_ path: String, holding names: [String]) -> Bool {
        if names.contains(where: { ["training_options.json", "stats.jsonl", "log.txt"].contains($0) }) { return true }
        let name = ((path as NSString).standardizingPath as NSString).lastPathComponent
        return name.wholeMatch(of: /[0-9]{5,}-.+/) != nil
    }
}

/// A page of one run or of several, made of their files alone.
struct Report {
    /// Its name in a run's folder.
    static let name = "report.html"
    static let mostRuns = 200
    fileprivate let runs: [ReportedRun]
    private let groups: [Group]

    /// Runs that differ in their seeds at most.
    struct Group: Encodable {
        let name: String
        var runs: [Int]
    }

    private struct Content: Encodable {
        let program: String
        let written: String
        let runs: [ReportedRun]
        let groups: [Group]
    }

    init(of directories: [RunDirectory]) {
        let share = PageShare(runs: directories.count)
        runs = directories.enumerated().map { ReportedRun($1, number: $0, share: share) }
        groups = Self.groups(runs)
    }

    private static func groups(_ runs: [ReportedRun]) -> [Group] {
        var groups: [Group] = []
        var known: [String: Int] = [:]
        for (number, run) in runs.enumerated() {
            if let identity = run.settings?.identity, let group = known[identity] {
                groups[group].runs.append(number)
            } else {
                if let identity = run.settings?.identity { known[identity] = groups.count }
                groups.append(Group(name: run.name, runs: [number]))
            }
        }
        return groups
    }

    /// Replaces the file at once: readers see the old page or the new one.
    func write(to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let content = Content(program: "gan-dist \(Version.current)", written: Date().rfc3339, runs: runs, groups: groups)
        let json = try encoder.encode(content)
        let title = runs.count == 1 ? runs[0].name : "\(runs.count) runs"
        var blocks = runs.flatMap(\.pictures.blocks)
        if let weights = runs.first?.weights { blocks += [("halves", { weights.halves }), ("singles", { weights.singles })] }
        try withFiles {
            let file = try AtomicFile(path: path)
            try ReportPage.write(title: title, json: json, blocks: blocks) { try file.append($0) }
            try file.commit(isDurable: false)
        }
    }
}
