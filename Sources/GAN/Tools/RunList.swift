import Formats
import Foundation
import MessagePassing

/// What a list of runs can be sorted by: its columns, by their names on the command line.
public enum RunKey: String, CaseIterable, Sendable {
    case name, preset, data, steps, fid
    case imagesPerSecond = "images_per_second"
    case state, when
}

/// What `gan-dist runs` prints: a table, or one JSON object a line.
///
/// - Parameters:
///   - folder: that of the runs.
///   - key: what to sort by, ascending, runs without it first; nil for their numbers. So the newest, the largest and the last
///     to be written stand last, and of the Fréchet distance, where less is more, the best.
/// - Throws: missing input where there is no such folder; an I/O failure where it cannot be read.
public func listRuns(in folder: String, sortedBy key: RunKey?, asJSON: Bool) throws -> String {
    var runs = try RunDirectory.all(under: folder).reversed().map { RunSummary($0.run) }
    if runs.isEmpty {
        guard let names = try withFiles({ try FileKind(path: folder) == .folder ? folderEntries(folder) : nil }) else {
            let found = FileManager.default.fileExists(atPath: folder) ? "a file" : "nothing"
            throw Failure(
                .missingInput, "\(folder.isEmpty ? "\"\"" : folder): a folder of runs is expected, found \(found); give the --outdir of train")
        }
        guard !RunDirectory.isRun(folder, holding: names) else {
            throw Failure(.missingInput, "\(folder): a folder of runs is expected, and this is a run; give the folder that it is in")
        }
        if !asJSON { return "No runs in \(folder)" }
    }
    if let key { runs = runs.sorted(by: key) }
    return asJSON ? runs.map(\.json).joined(separator: "\n") : table(runs)
}

extension [RunSummary] {
    func sorted(by key: RunKey) -> [RunSummary] {
        // Equal ones stay in the order of their numbers.
        func ordered<Value: Comparable>(_ value: (RunSummary) -> Value?, by isBefore: (Value, Value) -> Bool = { $0 < $1 }) -> [RunSummary] {
            enumerated().sorted { a, b in
                switch (value(a.element), value(b.element)) {
                case (nil, nil): a.offset < b.offset
                case (nil, _): true
                case (_, nil): false
                case (let x?, let y?): x == y ? a.offset < b.offset : isBefore(x, y)
                }
            }.map(\.element)
        }
        return switch key {
        case .name: ordered { $0.name }
        case .preset: ordered { $0.preset }
        case .data: ordered { $0.data }
        case .steps: ordered { $0.steps }
        case .fid: ordered({ $0.fid }, by: >)
        case .imagesPerSecond: ordered { $0.imagesPerSecond }
        case .state: ordered { $0.state }
        case .when: ordered { $0.when }
        }
    }
}

private func table(_ runs: [RunSummary]) -> String {
    /// What a file holds may control a terminal, or be very long.
    func shown(_ text: String?) -> String {
        guard let text, !text.isEmpty else { return "–" }
        return String(text.unicodeScalars.prefix(80).map { $0.properties.generalCategory == .control ? "?" : Character($0) })
    }
    let header = ["name", "preset", "data", "steps", "best FID", "images/s", "state", "when (UTC)"]
    let rows = runs.map { run -> [String] in
        let total = run.totalSteps.flatMap { $0 == run.steps ? nil : " of \(Double($0).grouped)" } ?? ""
        return [
            shown(run.name), shown(run.preset), shown(run.data), shown(run.steps.map { Double($0).grouped + total }),
            shown(run.fid.map { $0.readable(4) }), shown(run.imagesPerSecond?.grouped), shown(run.state),
            shown(run.when.map { $0.prefix(16).replacingOccurrences(of: "T", with: " ") }),
        ]
    }
    let widths = header.indices.map { column in ([header] + rows).map { $0[column].count }.max() ?? 0 }
    return ([header] + rows).map { row in
        row.enumerated().map { column, cell in
            let space = String(repeating: " ", count: widths[column] - cell.count)
            // Numbers are read from their end.
            return (3...5).contains(column) ? space + cell : column == row.count - 1 ? cell : cell + space
        }.joined(separator: "  ")
    }.joined(separator: "\n")
}

extension RunSummary {
    /// One line.
    fileprivate var json: String {
        let object: [String: Any?] = [
            "name": name, "path": path, "preset": preset, "data": data, "steps": steps, "total_steps": totalSteps, "fid": fid,
            "images_per_second": imagesPerSecond, "state": state, "when": when,
        ]
        let text = try? JSONSerialization.data(
            withJSONObject: object.mapValues { $0 ?? NSNull() }, options: [.sortedKeys, .withoutEscapingSlashes])
        return text.map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }
}
