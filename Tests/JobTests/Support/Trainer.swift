import Foundation
import Testing

/// All tests that start jobs: one after the other, since each wants the whole machine.
@Suite(.serialized) struct Jobs {}

/// The program under test. GAN_DIST_BINARY names another than that of the release build.
enum Program {
    static let root = URL(fileURLWithPath: #filePath).pathComponents.dropLast(4).joined(separator: "/").replacingOccurrences(
        of: "//", with: "/")

    static let path: String = {
        let path = ProcessInfo.processInfo.environment["GAN_DIST_BINARY"] ?? "\(root)/.build/release/gan-dist"
        precondition(
            FileManager.default.isExecutableFile(atPath: path),
            "no program at \(path): swift build -c release --static-swift-stdlib, or set GAN_DIST_BINARY")
        return path
    }()

    static func run(_ arguments: String..., limit: Double = 60) throws -> Job.Outcome {
        try Job.run([path] + arguments, limit: limit)
    }
}

/// A folder of runs, and trainings in it.
struct Runs {
    let outdir: String

    init() throws { outdir = try Scratch.makeFolder() + "/runs" }

    init(outdir: String) { self.outdir = outdir }

    /// Arguments of a training of preset mlp on the small data, batch 64: an epoch is 4 steps. What `more` says counts.
    func arguments(_ more: [String]) throws -> [String] {
        let defaults = [
            ("--preset", "mlp"), ("--data", try SmallData.shared.get()), ("--outdir", outdir), ("--log-interval", "1"),
            ("--hash-interval", "1"), ("--sample-interval", "0"),
        ]
        return ["train"] + defaults.filter { !more.contains($0.0) }.flatMap { [$0.0, $0.1] } + more
    }

    /// Starts ranks under mpirun, or one process without it.
    func start(ranks: Int = 1, hosts: String? = nil, _ more: [String]) throws -> Job {
        let command = try [Program.path] + arguments(more)
        guard ranks > 1 else { return try Job(command) }
        return try Job(
            ["mpirun", "-np", "\(ranks)"] + command,
            environment: Job.environment(hosts.map { ["GAN_DIST_HOSTS": $0] } ?? [:]))
    }

    func train(ranks: Int = 1, hosts: String? = nil, _ more: String..., limit: Double = 60) throws -> Job.Outcome {
        try start(ranks: ranks, hosts: hosts, more).wait(limit: limit)
    }

    /// Trains, and expects that it ends well.
    func succeed(ranks: Int = 1, hosts: String? = nil, _ more: String..., sourceLocation: SourceLocation = #_sourceLocation)
        throws
    {
        let outcome = try start(ranks: ranks, hosts: hosts, more).wait()
        try #require(outcome.code == 0, "\(outcome)", sourceLocation: sourceLocation)
    }

    /// Ranks with arguments of their own, in one job.
    func start(each: [[String]], hosts: String? = nil, programs: [String]? = nil) throws -> Job {
        var command = ["mpirun"]
        for (rank, more) in each.enumerated() {
            command += (rank == 0 ? [] : [":"]) + ["-np", "1", programs?[rank] ?? Program.path] + (try arguments(more))
        }
        return try Job(command, environment: Job.environment(hosts.map { ["GAN_DIST_HOSTS": $0] } ?? [:]))
    }

    // MARK: Files

    /// Names of the run directories, in order.
    var names: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: outdir)) ?? []).sorted() }

    var newest: String { "\(outdir)/\(names.last ?? "none")" }

    /// Names of a run's checkpoints, in order of their steps.
    func checkpoints(of run: String? = nil) -> [String] {
        let run = run ?? newest
        return ((try? FileManager.default.contentsOfDirectory(atPath: run)) ?? [])
            .filter { $0.hasPrefix("checkpoint-") && $0.hasSuffix(".safetensors") }.sorted().map { "\(run)/\($0)" }
    }

    /// The complete lines of a run's stats.jsonl.
    func stats(of run: String? = nil) throws -> [[String: Any]] {
        guard let text = try? readText("\(run ?? newest)/stats.jsonl") else { return [] }
        return try text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map {
            try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
        }
    }

    /// status.json of the newest run.
    func status() throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: readFile("\(newest)/status.json")) as? [String: Any])
    }

    func steps(of run: String? = nil) throws -> [Int] { try stats(of: run).compactMap { $0["step"] as? Int } }

    /// The weights' SHA-256 after each step.
    func hashes(of run: String? = nil) throws -> [String] { try stats(of: run).compactMap { $0["weights_sha256"] as? String } }

    /// Waits until the newest run has done this many steps.
    func waitForStep(_ step: Int, of job: Job) throws {
        try job.poll("step \(step)") { try (steps().last ?? 0) >= step ? true : nil }
    }
}

/// The SHA-256 of a checkpoint's parameters, and with `state` of the moments too.
func checkpointHash(_ path: String, state: Bool = false) throws -> String {
    let outcome = try Job.run([Program.path, "hash", "--checkpoint", path] + (state ? ["--state"] : []))
    try #require(outcome.code == 0, "\(outcome)")
    return outcome.output.trimmingCharacters(in: .whitespacesAndNewlines)
}

/// The step that a checkpoint's name tells.
func checkpointStep(_ path: String) -> Int? {
    Int(path.split(separator: "/").last?.dropFirst("checkpoint-".count).prefix { $0 != "." } ?? "")
}

/// Expects an end with this code and one message that says all of `parts`.
func expectRefusal(
    _ outcome: Job.Outcome, _ code: Int32, _ parts: [String], sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(outcome.code == code, "\(outcome)", sourceLocation: sourceLocation)
    #expect(outcome.messages.count == 1, "one message: \(outcome.errors)", sourceLocation: sourceLocation)
    for part in parts {
        #expect(
            outcome.messages.first?.contains(part) == true, "\"\(part)\" in \(outcome.errors)", sourceLocation: sourceLocation)
    }
    for trace in ["Fatal error", "Stack dump", "Backtrace", "crashed", "Segmentation", "*** Process received signal"] {
        #expect(!(outcome.errors + outcome.output).contains(trace), "\(outcome)", sourceLocation: sourceLocation)
    }
}
