import Foundation
import MessagePassing
import Networks
import Testing

@testable import GAN

/// Runs that stop and go on have the bytes of the run that did not, at any numbers of ranks. Three steps an epoch: all
/// stops lie within one.
@Suite(.timeLimit(.minutes(15))) struct ResumeTests {
    private let folder: TemporaryFolder
    private let data: String

    init() throws {
        folder = try TemporaryFolder()
        data = try folder.writeImages(37)
    }

    private func model(steps: Int, _ fields: [String: Any] = [:]) throws -> ConfigurationRequest {
        try smallModel(["batch_size": 10, "steps": steps, "checkpoint_interval": 2].merging(fields) { $1 })
    }

    /// What `--steps N --resume …` asks for: the model of the checkpoint.
    private func goOn(steps: Int, _ options: [String: any FieldValue] = [:]) throws -> ConfigurationRequest {
        var request = ConfigurationRequest()
        try request.readOptions(options.merging(["steps": steps]) { $1 })
        return request
    }

    private func state(_ run: TrainedRun, _ step: Int) throws -> String {
        try Checkpoint(path: "\(run.path)/\(Checkpoint.name(step: step))").hash(state: true)
    }

    @Test(arguments: [(nil, nil), (nil, [3]), ([3], nil), ([4], [2, 1]), ([1, 2], [2]), ([1, 1, 2], [3])] as [([Int]?, [Int]?)])
    func resumedRunEqualsTheUninterrupted(first: [Int]?, second: [Int]?) throws {
        let whole = try trainedRun(try model(steps: 8), data: data, outdir: folder.file("whole"))
        let stopped = try trainedRun(try model(steps: 5), data: data, outdir: folder.file("parts"), hosts: first)
        let resumed = try trainedRun(goOn(steps: 8), data: data, outdir: folder.file("parts"), hosts: second, resume: .latest)
        #expect(resumed.path == stopped.path)
        #expect(try state(resumed, 8) == state(whole, 8))
        #expect(try state(resumed, 5) != state(whole, 8))
        let (a, b) = (try resumed.stats(), try whole.stats())
        #expect(a.compactMap { $0["step"] as? Int } == Array(1...8))
        #expect(a.map { $0["weights_sha256"] as? String } == b.map { $0["weights_sha256"] as? String })
        #expect(a.map { $0["loss_d"] as? Double } == b.map { $0["loss_d"] as? Double })
        #expect(try resumed.lines("log.txt").contains { $0.hasPrefix("Resumed from ") && $0.hasSuffix(" at step 5") })
    }

    /// A run that was killed after its last checkpoint: the lines past it go, and come again.
    @Test func linesPastTheCheckpointAreDropped() throws {
        let whole = try trainedRun(try model(steps: 7), data: data, outdir: folder.file("whole"))
        let killed = try trainedRun(try model(steps: 5), data: data, outdir: folder.file("parts"))
        try FileManager.default.removeItem(atPath: "\(killed.path)/\(Checkpoint.name(step: 5))")
        let resumed = try trainedRun(goOn(steps: 7), data: data, outdir: folder.file("parts"), resume: .latest)
        #expect(resumed.path == killed.path)
        #expect(try resumed.stats().compactMap { $0["step"] as? Int } == Array(1...7))
        #expect(try state(resumed, 7) == state(whole, 7))
    }

    /// Checkpoints without a copy of their state stay; a damaged one is skipped with a warning.
    @Test func damagedCheckpointIsSkipped() throws {
        let run = try trainedRun(try model(steps: 5), data: data, outdir: folder.file("runs"))
        let path = "\(run.path)/\(Checkpoint.name(step: 5))"
        var bytes = try run.bytes(Checkpoint.name(step: 5))
        bytes[bytes.count / 2] ^= 4
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        let resumed = try trainedRun(goOn(steps: 6), data: data, outdir: folder.file("runs"), hosts: [2], resume: .latest)
        let log = try resumed.lines("log.txt")
        #expect(log.contains { $0.hasPrefix("Warning: skipped a damaged checkpoint: \(path): ") }, "\(log)")
        #expect(log.contains { $0.hasSuffix(" at step 4") })
        let whole = try trainedRun(try model(steps: 6), data: data, outdir: folder.file("whole"))
        #expect(try state(resumed, 6) == state(whole, 6))
        // Asked for by name it is refused.
        let error = #expect(throws: Failure.self) {
            try trainedRun(goOn(steps: 6), data: data, outdir: folder.file("other"), resume: .named(path))
        }
        #expect(error?.code == .badData)
    }

    /// A file that lies in no run directory starts a new one.
    @Test func fileOutsideARunStartsARun() throws {
        let run = try trainedRun(try model(steps: 3), data: data, outdir: folder.file("runs"))
        let copy = folder.file("copy.safetensors")
        try FileManager.default.copyItem(atPath: "\(run.path)/\(Checkpoint.name(step: 3))", toPath: copy)
        let resumed = try trainedRun(goOn(steps: 4), data: data, outdir: folder.file("new"), resume: .named(copy))
        #expect(resumed.path.hasSuffix("/new/00000-mlp-b10"))
        #expect(try resumed.stats().compactMap { $0["step"] as? Int } == [4])
    }

    @Test(arguments: [nil, [2]] as [[Int]?]) func nothingToResumeFrom(hosts: [Int]?) throws {
        let error = #expect(throws: Failure.self) {
            try trainedRun(goOn(steps: 4), data: data, outdir: folder.file("none"), hosts: hosts, resume: .latest)
        }
        #expect(error?.code == .missingInput)
        let run = try trainedRun(try model(steps: 2), data: data, outdir: folder.file("none"), hosts: hosts, resume: .auto)
        #expect(try run.lines("log.txt").contains("No checkpoint to resume from: a fresh start"))
    }

    /// Whatever the bytes depend on stays; length, intervals and the like may change.
    @Test func optionsThatChangeTheBytesAreRefused() throws {
        let run = try trainedRun(try model(steps: 3), data: data, outdir: folder.file("runs"))
        let changes: [String: any FieldValue] = [
            "lr": 1e-3, "seed": 1, "batch_size": 12, "shards": 8, "loss": "mse", "generator_step": "reuse", "beta1": 0.5,
            "dataset": "fashion", "discriminator": [LayerSpecification.linear(inputs: 784, outputs: 1)],
        ]
        for (field, change) in changes {
            for resume in [ResumeRequest.latest, .named("\(run.path)/\(Checkpoint.name(step: 3))")] {
                let error = #expect(throws: Failure.self, "\(field)") {
                    try trainedRun(goOn(steps: 4, [field: change]), data: data, outdir: folder.file("runs"), resume: resume)
                }
                #expect(error?.code == .usage)
                #expect(error?.description.contains(" another \(field): ") == true, "\(error?.description ?? "")")
            }
        }
        let resumed = try trainedRun(
            goOn(
                steps: 4,
                [
                    "log_interval": "2", "sample_interval": "1e", "checkpoint_interval": "0", "hash_interval": "0", "keep": 1,
                ]), data: data, outdir: folder.file("runs"), resume: .latest)
        #expect(try resumed.names.filter { $0.hasPrefix("checkpoint-") } == [Checkpoint.name(step: 4)])
    }

    @Test func otherDataAreRefused() throws {
        _ = try trainedRun(try model(steps: 3), data: data, outdir: folder.file("runs"))
        let other = try folder.writeImages(38, to: "other")
        let error = #expect(throws: Failure.self) {
            try trainedRun(goOn(steps: 4), data: other, outdir: folder.file("runs"), hosts: [2], resume: .latest)
        }
        #expect(error?.code == .badData)
        #expect(error?.description.contains("was trained on data of SHA-256") == true)
    }

    @Test func finishedRunHasNothingLeft() throws {
        _ = try trainedRun(try model(steps: 3), data: data, outdir: folder.file("runs"))
        let run = try trainedRun(goOn(steps: 3), data: data, outdir: folder.file("runs"), resume: .latest)
        #expect(
            try run.lines("log.txt").last
                == "The checkpoint is at step 3 of 3: nothing is left to do. More --epochs or --steps go on from it.")
    }
}
