import Foundation
import Testing

@testable import GAN

/// A user's command for each checkpoint.
@Suite(.timeLimit(.minutes(15))) struct CheckpointCommandTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func text(_ name: String) throws -> String { try String(contentsOfFile: folder.file(name), encoding: .utf8) }

    @Test func fileIsTheLastArgument() throws {
        let command = CheckpointCommand("printf '%s|' one >> \(folder.file("out"))")
        #expect(command.run(for: "/a b/$HOME'.safetensors") == [])
        #expect(command.isRunning)
        #expect(command.finish() == [])
        #expect(!command.isRunning)
        #expect(try text("out") == "one|/a b/$HOME'.safetensors|")
    }

    @Test(arguments: [("exit 3;", "ended with code 3"), ("kill -9 $$;", "ended by signal 9"), ("/nonexistent/x", "ended with code 127")])
    func failuresAreWarnings(command: String, text: String) throws {
        let command = CheckpointCommand(command)
        #expect(command.run(for: "x") == [])
        let warnings = command.finish()
        #expect(warnings.count == 1 && warnings[0].contains(text) && warnings[0].contains("for x"), "\(warnings)")
    }

    /// One at a time: the newest waits, and what it takes the place of is said.
    @Test func oneAtATime() throws {
        let command = CheckpointCommand("while [ ! -e \(folder.file("go")) ]; do sleep 0.01; done; echo >> \(folder.file("out"))")
        let start = Date()
        #expect(command.run(for: "1") == [])
        #expect(command.run(for: "2") == [])
        let warnings = command.run(for: "3")
        #expect(warnings.count == 1 && warnings[0].hasSuffix("is left out for 2"))
        #expect(command.look() == [])
        #expect(Date().timeIntervalSince(start) < 5, "nobody waits")
        #expect(command.farewell?.contains("the command for 1 still runs") == true)
        #expect(command.farewell?.hasSuffix("is left out for 3") == true)
        var looks = 0
        #expect(command.finish { looks += 1; return looks < 3 } == [] && command.isRunning, "nobody wants to wait any longer")
        #expect(FileManager.default.createFile(atPath: folder.file("go"), contents: nil))
        #expect(command.finish() == [])
        #expect(command.farewell == nil)
        #expect(try text("out") == "1\n3\n")
    }

    /// It inherits no file, no ignored signal and nothing of the launcher.
    @Test func inheritsNothing() throws {
        let descriptor = open(folder.file("held"), O_CREAT | O_RDWR, 0o600)
        defer { close(descriptor) }
        signal(SIGPIPE, SIG_IGN)
        let environment = ["PATH": "/usr/bin:/bin", "OMPI_COMM_WORLD_SIZE": "4", "OMPI_ALLOW_RUN_AS_ROOT": "1"]
        let command = CheckpointCommand(
            "{ ls -l /proc/$$/fd; grep SigIgn /proc/$$/status; env; } > \(folder.file("out")); true", environment: environment)
        #expect(command.run(for: "x") == [])
        #expect(command.finish() == [])
        let told = try text("out")
        #expect(!told.contains(folder.file("held")), "\(told)")
        // The two above 31 are the C library's own.
        let ignored = told.firstMatch(of: /SigIgn:\s*([0-9a-f]+)/).flatMap { UInt64($0.1, radix: 16) }
        #expect(ignored.map { $0 & 0x7fff_ffff } == 0, "\(told)")
        #expect(!told.contains("OMPI_COMM_WORLD_SIZE"))
        #expect(told.contains("OMPI_ALLOW_RUN_AS_ROOT=1"))
    }

    @Test func checkpointsOfARun() throws {
        var options = RunOptions()
        options.checkpointCommand = "ls >> \(folder.file("out"))"
        let run = try trainedRun(
            smallModel(["steps": 4, "checkpoint_interval": 2]), data: folder.writeImages(30), outdir: folder.file("runs"), options: options)
        let listed = try text("out").split(separator: "\n").map(String.init)
        // The first may still run when the second comes, which then waits.
        #expect(listed == [2, 4].map { "\(run.path)/\(Checkpoint.name(step: $0))" })
        options.checkpointCommand = "exit 7; true"
        let other = try trainedRun(smallModel(["steps": 2]), data: folder.file("data"), outdir: folder.file("other"), options: options)
        #expect(try other.lines("log.txt").contains { $0.hasPrefix("Warning: --on-checkpoint: the command for ") && $0.contains("code 7") })
    }

    @Test func checkpointsKeptForGood() throws {
        let fields: [String: Any] = ["batch_size": 10, "checkpoint_interval": 1, "keep": 2, "keep_every": 3]
        let data = try folder.writeImages(30)
        let run = try trainedRun(smallModel(fields.merging(["steps": 8]) { $1 }), data: data, outdir: folder.file("runs"))
        func steps(_ run: TrainedRun) throws -> [Int] { try RunDirectory(path: run.path).checkpoints().map(\.step).reversed() }
        #expect(try steps(run) == [3, 6, 7, 8])
        var more = ConfigurationRequest()
        try more.readOptions(["steps": 11])
        #expect(try steps(trainedRun(more, data: data, outdir: folder.file("runs"), resume: .latest)) == [3, 6, 9, 10, 11])
        // They are written where no other checkpoint is due; an epoch has three steps.
        let rare = try trainedRun(
            smallModel(["batch_size": 10, "steps": 8, "checkpoint_interval": 0, "keep": 1, "keep_every": "1e"]), data: data, outdir: folder.file("rare"))
        #expect(try steps(rare) == [3, 6, 8])
    }
}
