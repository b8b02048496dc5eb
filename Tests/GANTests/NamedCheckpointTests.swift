import Foundation
import MessagePassing
import Testing

@testable import GAN

/// How a user names a checkpoint: a file, a run's folder, its number, or latest.
@Suite(.timeLimit(.minutes(15))) struct NamedCheckpointTests {
    private let folder: TemporaryFolder
    private let outdir: String
    private let run: TrainedRun

    init() throws {
        folder = try TemporaryFolder()
        outdir = folder.file("runs")
        run = try trainedRun(
            smallModel(["batch_size": 10, "steps": 4, "checkpoint_interval": 2]), data: folder.writeImages(30), outdir: outdir)
    }

    private func checkpoint(_ step: Int) -> String { "\(run.path)/\(Checkpoint.name(step: step))" }

    private func damage(_ step: Int) throws {
        try Data("nothing".utf8).write(to: URL(fileURLWithPath: checkpoint(step)))
    }

    private func find(_ name: String) throws -> (path: String, told: [String]) {
        var told: [String] = []
        let path = try checkpointFile(name, under: outdir) { told.append($0) }
        return (path, told)
    }

    @Test func everyNameLeadsToTheNewest() throws {
        for name in [run.path, run.path + "/", "0", "00000", "latest"] {
            let found = try find(name)
            #expect(found.path == checkpoint(4), "\(name)")
            #expect(found.told == ["Checkpoint: \(checkpoint(4)) (step 4)"])
        }
        let file = try find(checkpoint(2))
        #expect(file.path == checkpoint(2) && file.told == [])
    }

    @Test func damagedOnesAreSkipped() throws {
        try damage(4)
        let found = try find("latest")
        #expect(found.path == checkpoint(2))
        #expect(found.told.count == 2 && found.told[0].hasPrefix("Warning: skipped a damaged checkpoint: \(checkpoint(4))"))
        try damage(2)
        let error = #expect(throws: Failure.self) { try find("0") }
        #expect(error?.code == .badData)
        #expect(error?.description.contains(checkpoint(4)) == true)
    }

    @Test func whatIsNotThere() throws {
        try FileManager.default.createDirectory(atPath: "\(outdir)/00007-mlp-b64", withIntermediateDirectories: true)
        for (name, code, text) in [
            ("12", .missingInput, "the newest is \(outdir)/00007-mlp-b64"), ("7", .missingInput, "without checkpoints"),
            ("none.safetensors", .missingInput, "none.safetensors: there is no such file or run; "), ("", .missingInput, "\"\": there is"),
            ("Latst", .missingInput, "did you mean latest?"), ("-1", .missingInput, "no such file or run"),
            (outdir, .missingInput, "name one of its runs, such as \(outdir)/00007-mlp-b64"),
        ] as [(String, ExitCode, String)] {
            let error = #expect(throws: Failure.self) { try find(name) }
            #expect(error?.code == code)
            #expect(error?.description.contains(text) == true, "\(error?.description ?? "")")
        }
        // A newer run without a checkpoint is none to go by.
        #expect(try find("latest").path == checkpoint(4))
        try FileManager.default.createDirectory(atPath: "\(outdir)/00007-other-b64", withIntermediateDirectories: true)
        expectUsage("00007-mlp-b64, \(outdir)/00007-other-b64") { _ = try find("7") }
        let error = #expect(throws: Failure.self) { try checkpointFile("latest", under: folder.file("none")) { _ in } }
        #expect(error?.code == .missingInput)
    }

    @Test func runsGoOnByTheirNames() throws {
        for (name, steps) in [("0", 5), (run.path, 6)] {
            var request = ConfigurationRequest()
            try request.readOptions(["steps": steps])
            let resumed = try trainedRun(request, data: folder.file("data"), outdir: outdir, resume: .named(name))
            #expect(resumed.path == run.path)
            #expect(try resumed.stats().compactMap { $0["step"] as? Int } == Array(1...steps))
        }
    }

    @Test func namesOfRuns() throws {
        let configuration = try mnistPreset("mlp")
        let names = try [nil, "first", "a b/ü"].map {
            (try RunDirectory.create(under: folder.file("named"), name: $0, configuration).path as NSString).lastPathComponent
        }
        #expect(names == ["00000-mlp-b64", "00001-first-mlp-b64", "00002-a_b___-mlp-b64"])
        for name in ["", String(repeating: "x", count: 101)] { expectUsage("--name") { try RunDirectory.checkName(name) } }
    }
}
