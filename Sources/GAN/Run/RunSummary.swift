import Formats
import Foundation

/// What the files of a run tell of it, for a list of runs; nil is what they do not tell. Damaged files are as if they were missing.
struct RunSummary {
    /// The folder's.
    let name: String
    let path: String
    var preset: String?
    var data: String?
    /// Steps done, and those of the whole training.
    var steps: Int?
    var totalSteps: Int?
    /// The lowest Fréchet distance of all measurements.
    var fid: Double?
    /// Of the last line.
    var imagesPerSecond: Double?
    /// `running`, `finished`, `stopped`, `failed`; or `killed` of a run that says that it is running and that nobody writes.
    var state: String?
    /// When the run was last written (RFC 3339).
    var when: String?

    init(_ run: RunDirectory) {
        path = run.path
        name = (run.path as NSString).lastPathComponent
        let options = run.options
        preset = options["preset"] as? String
        data = options["dataset"] as? String
        let status = run.object("status.json")
        totalSteps = status["steps"] as? Int
        when = (status["updated"] as? String).flatMap { (try? Date($0, strategy: .iso8601))?.rfc3339 }
        if let told = (status["state"] as? String).flatMap({ RunStatus.State(rawValue: $0) }) {
            state = told == .running && RunLock.isFree(on: run.path) ? "killed" : told.rawValue
        }
        try? readStatistics("\(run.path)/stats.jsonl")
        // The last line may be of a step after the checkpoint that a run went on from; the status is what counts.
        steps = status["step"] as? Int ?? steps ?? (try? run.checkpoints())?.first?.step
    }

    private mutating func readStatistics(_ path: String) throws {
        let key = Data("\"fid\":".utf8)
        var last: ArraySlice<UInt8> = []
        try forEachLine(of: path) { line in
            if Data(line).range(of: key) != nil, let value = RunSummary.object(line)["fid"] as? Double { fid = min(fid ?? .infinity, value) }
            // A kill may leave half a line.
            if line.last == UInt8(ascii: "}") { last = line }
        }
        let object = RunSummary.object(last)
        steps = object["step"] as? Int
        imagesPerSecond = object["images_per_second"] as? Double
    }

    private static func object(_ line: ArraySlice<UInt8>) -> [String: Any] {
        (try? JSONSerialization.jsonObject(with: Data(line))) as? [String: Any] ?? [:]
    }
}

/// Calls `body` with each line of a text file, without its end; of a line of more than a mebibyte, the beginning.
private func forEachLine(of path: String, _ body: (ArraySlice<UInt8>) -> Void) throws {
    let source = try ByteSource(path: path)
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    var rest: [UInt8] = []
    while true {
        let count = try piece.withUnsafeMutableBytes { try source.read(into: $0) }
        guard count > 0 else { break }
        var lines = piece[..<count].split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        if lines.count > 1 {
            body((rest + lines.removeFirst())[...])
            rest = []
            for line in lines.dropLast() { body(line) }
        }
        if rest.count < 1 << 20 { rest += lines.last ?? [] }
    }
    if !rest.isEmpty { body(rest[...]) }
}

extension RunLock {
    /// Whether nobody holds the lock on a folder, as far as its file system tells.
    ///
    /// It takes a share of the lock for that, for a moment, in which `init` tries again.
    static func isFree(on folder: String) -> Bool {
        let descriptor = open("\(folder)/lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard descriptor >= 0 else { return errno == ENOENT }
        defer { close(descriptor) }
        return flock(descriptor, LOCK_SH | LOCK_NB) == 0
    }
}
