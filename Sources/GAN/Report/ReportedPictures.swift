import Formats
import Foundation

/// The pictures of a run that a page holds: files as they are.
struct ReportedPictures: Encodable {
    struct File: Encodable {
        let name: String
        /// Of what it shows: a step, or a domain.
        let title: String
        /// The id of the page's element with its bytes.
        let id: String
    }

    private(set) var reals: [File] = []
    /// Grids over time, ascending.
    private(set) var grids: [File] = []
    /// How many grids the run has.
    private(set) var gridCount = 0
    /// Where the files are, by their ids: they are read once more when the page is written, one at a time.
    private(set) var paths: [(id: String, path: String)] = []
    private static let largest = 1 << 23

    private enum CodingKeys: String, CodingKey { case reals, grids, gridCount }

    static let mostGrids = 32
    private static let signature: [UInt8] = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]

    /// Nothing.
    init() {}

    /// - Parameters:
    ///   - budget: the most bytes of all files.
    ///   - most: the most grids.
    ///   - note: told what is missing.
    init(of run: RunDirectory, number: Int, budget: Int, most: Int = mostGrids, note: (String) -> Void) {
        let names = (try? folderEntries(run.path)) ?? []
        let grids = names.compactMap { name in Self.step(of: name).map { (step: $0, name: name) } }.sorted { $0.step < $1.step }
        gridCount = grids.count
        var left = budget
        for (name, title) in [("reals.png", "real"), ("reals-a.png", "A"), ("reals-b.png", "B")] where names.contains(name) {
            guard let size = try? fileSize("\(run.path)/\(name)"), size <= left / 2 else {
                note("\(name) is left out: it would make this page too large")
                continue
            }
            guard let file = read(run, name, title: title, id: "real-\(number)-\(title)", note: note) else { continue }
            left -= size
            reals.append(file)
        }
        let sizes = grids.map { (name: $0.name, size: (try? fileSize("\(run.path)/\($0.name)")) ?? 0) }
        let chosen = Self.thinned(sizes, most: most, budget: left)
        for (step, name) in grids where chosen.contains(name) {
            let title = step == 0 ? "before the first step" : "step \(Double(step).grouped)"
            if let file = read(run, name, title: title, id: "grid-\(number)-\(step)", note: note) { self.grids.append(file) }
        }
        if chosen.isEmpty, let last = grids.last { note("\(last.name) is left out: it would make this page too large") }
    }

    /// As many files as there is room for, evenly spaced, the last one among them.
    static func thinned(_ files: [(name: String, size: Int)], most: Int, budget: Int) -> Set<String> {
        for count in stride(from: min(most, files.count), to: 0, by: -1) {
            let chosen = evenly(count, of: files)
            if chosen.reduce(0, { $0 + $1.size }) <= budget { return Set(chosen.map(\.name)) }
        }
        return []
    }

    /// The step of a grid's name: `fakes-000937.png`, `fakes-init.png`, `translations-000937.png`.
    static func step(of name: String) -> Int? {
        guard let match = name.wholeMatch(of: /(?:fakes|translations)-(init|[0-9]{1,18})\.png/) else { return nil }
        return match.1 == "init" ? 0 : Int(match.1)
    }

    private mutating func read(_ run: RunDirectory, _ name: String, title: String, id: String, note: (String) -> Void) -> File? {
        do {
            let path = "\(run.path)/\(name)"
            guard try fileContents(path, limit: Self.largest).starts(with: Self.signature) else {
                note("\(name) is no PNG file")
                return nil
            }
            paths.append((id, path))
            return File(name: name, title: title, id: id)
        } catch {
            note("\(error)")
            return nil
        }
    }

    /// The bytes of the files by their ids; none of what is no longer there.
    var blocks: [ReportPage.Block] {
        paths.map { id, path in (id, { (try? fileContents(path, limit: Self.largest)) ?? [] }) }
    }
}
