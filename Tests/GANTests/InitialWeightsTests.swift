import Formats
import Foundation
import MessagePassing
import Testing

@testable import GAN

/// New runs that begin with the weights of a file.
@Suite(.timeLimit(.minutes(15))) struct InitialWeightsTests {
    private let folder: TemporaryFolder
    private let source: TrainedRun

    init() throws {
        folder = try TemporaryFolder()
        source = try trainedRun(smallImageModel(["steps": 3, "ema": 0.5]), data: folder.writeImages(37, to: "other"), outdir: folder.file("source"))
    }

    private var checkpoint: String { "\(source.path)/\(Checkpoint.name(step: 3))" }

    private func begin(
        _ request: ConfigurationRequest, from path: String, to outdir: String, hosts: [Int]? = nil, resume: ResumeRequest? = nil
    ) throws -> TrainedRun {
        var options = RunOptions()
        options.initialWeights = path
        return try trainedRun(request, data: folder.file("other"), outdir: folder.file(outdir), hosts: hosts, dumpSteps: 1, resume: resume, options: options)
    }

    private func state(_ run: TrainedRun, _ step: Int) throws -> String {
        try Checkpoint(path: "\(run.path)/\(Checkpoint.name(step: step))").hash(state: true)
    }

    /// Step 0 has the file's parameters, its running statistics, and an average of its parameters.
    @Test func beginsWithTheWeights() throws {
        let run = try begin(smallImageModel(["steps": 2, "seed": 9, "ema": 0.5, "checkpoint_interval": 1]), from: checkpoint, to: "runs")
        let first = try run.dump(0)
        let file = try Checkpoint(path: checkpoint)
        for entry in InitialWeights.taken(of: try file.configuration.playerPlans()) where entry.isWeight {
            #expect(try first.floats(entry.name) == file.floats(entry.name, count: entry.tensor.count), "\(entry.name)")
        }
        let digest = try file.hash(state: false)
        let options = RunDirectory(path: run.path).options
        #expect(options["init_sha256"] as? String == digest)
        #expect(options["init_from"] as? String == checkpoint)
        #expect(try run.lines("log.txt").contains("Begun with the weights of \(checkpoint), SHA-256 \(digest)"))
        #expect(try run.stats().compactMap { $0["step"] as? Int } == [1, 2])
        // Its options make a model file again.
        _ = try Configuration(json: Data(try run.bytes("training_options.json")), preset: nil, path: "options")
    }

    @Test(arguments: [[3], [1, 2], [8]]) func bytesDependOnNoRanks(hosts: [Int]) throws {
        let request = try smallImageModel(["steps": 2, "seed": 9, "ema": 0.5])
        let alone = try begin(request, from: checkpoint, to: "alone")
        let many = try begin(request, from: checkpoint, to: "many", hosts: hosts)
        #expect(try many.bytes(Checkpoint.name(step: 2)) == alone.bytes(Checkpoint.name(step: 2)))
    }

    /// Running statistics are taken where they are, and the average starts from the weights, not from the average.
    @Test func statisticsAndAverage() throws {
        func restored(_ name: String) throws -> [Float] {
            let configuration = try Checkpoint(path: checkpoint).configuration
            let world = try World(SoloCommunicator(), limit: 0)
            let game = try configuration.makeGame(
                RunData(synthetic: 37, for: configuration), layout: ShardLayout(shards: configuration.shards, ranks: 1), world: world,
                kernels: .fastest, reduction: .tree)
            let state = GameState(game: game)
            try state.initialise(seed: 1, from: InitialWeights(checkpoint, under: "none"))
            try state.save(to: folder.file("copy.safetensors"), metadata: [:])
            return try SafetensorsFile(path: folder.file("copy.safetensors")).floats(name)
        }
        let file = try SafetensorsFile(path: checkpoint)
        let statistics = try #require(file.tensorNames.first { $0.hasSuffix("running_var") && !$0.hasPrefix("ema.") })
        #expect(try restored(statistics) == file.floats(statistics))
        #expect(try restored("ema.generator.main.0.weight") == file.floats("generator.main.0.weight"))
        #expect(try file.floats("ema.generator.main.0.weight") != file.floats("generator.main.0.weight"))
        #expect(try restored("adam.generator.main.0.weight.exp_avg").allSatisfy { $0 == 0 })
    }

    /// A file of weights alone, with its tensors in another order, gives the same run as the checkpoint that they are of.
    @Test func plainFiles() throws {
        let file = try SafetensorsFile(path: checkpoint)
        let names = file.tensorNames.filter { $0.hasPrefix("generator.") || $0.hasPrefix("discriminator.") }.sorted()
        func write(_ names: [String], to path: String, shape: (String) -> [Int]) throws {
            let writer = try SafetensorsWriter(
                file: AtomicFile(path: path), tensors: names.map { ($0, shape($0)) }, metadata: ["format": "pt"])
            for name in names {
                let count = shape(name).reduce(1, *)
                try Array(try file.floats(name).prefix(count)).withUnsafeBufferPointer { try writer.append($0) }
            }
            _ = try writer.finish()
        }
        func own(_ name: String) -> [Int] { file.tensors[name]?.shape ?? [] }
        let plain = folder.file("plain.safetensors")
        try write(names, to: plain, shape: own)
        let request = try smallImageModel(["steps": 2, "ema": 0.5])
        let a = try begin(request, from: plain, to: "plain")
        #expect(try state(a, 2) == state(begin(request, from: checkpoint, to: "whole"), 2))

        try write(names.filter { !$0.hasSuffix("0.weight") }, to: plain, shape: own)
        let missing = #expect(throws: Failure.self) { try begin(request, from: plain, to: "missing", hosts: [2]) }
        #expect(missing?.code == .badData)
        #expect(missing?.description.contains("tensor generator.main.0.weight, [6, 8, 2, 2], is missing; tensor discriminator.main.0.weight") == true,
            "\(missing?.description ?? "")")
        try write(names, to: plain) { $0 == "generator.main.0.weight" ? [6, 8, 2, 1] : own($0) }
        let wrong = #expect(throws: Failure.self) { try begin(request, from: plain, to: "wrong") }
        #expect(wrong?.code == .badData)
        #expect(wrong?.description.contains("generator.main.0.weight: expected F32 [6, 8, 2, 2], found F32 [6, 8, 2, 1]") == true)
        #expect(!FileManager.default.fileExists(atPath: folder.file("wrong")))
    }

    /// A resumed run needs no file, and keeps what it began with.
    @Test func goesOnWithoutTheFile() throws {
        let request = try smallImageModel(["steps": 4, "seed": 9])
        let whole = try begin(request, from: checkpoint, to: "whole", resume: .auto)
        _ = try begin(smallImageModel(["steps": 2, "seed": 9]), from: checkpoint, to: "parts")
        let digest = try Checkpoint(path: checkpoint).hash(state: false)
        // The same command goes on with the run.
        #expect(try begin(smallImageModel(["steps": 3, "seed": 9]), from: checkpoint, to: "parts", resume: .auto).path.hasSuffix("/00000-mlp-b10"))
        try FileManager.default.removeItem(atPath: checkpoint)
        var more = ConfigurationRequest()
        try more.readOptions(["steps": 4])
        let resumed = try trainedRun(more, data: folder.file("other"), outdir: folder.file("parts"), hosts: [3], resume: .latest)
        #expect(try state(resumed, 4) == state(whole, 4))
        let options = RunDirectory(path: resumed.path).options
        #expect(options["init_sha256"] as? String == digest)
        #expect(options["init_from"] as? String == checkpoint)
    }

    /// With --resume auto a run that began otherwise is none to go on with.
    @Test func autoKnowsTheBeginning() throws {
        let request = try smallImageModel(["steps": 2, "seed": 9])
        _ = try trainedRun(request, data: folder.file("other"), outdir: folder.file("runs"))
        let run = try begin(request, from: checkpoint, to: "runs", resume: .auto)
        #expect(run.path.hasSuffix("/00001-mlp-b10"))
        #expect(try run.lines("log.txt").contains { $0.contains("did not begin with the weights of") })
        for resume in [ResumeRequest.latest, .named("0")] {
            expectUsage("--init-from \(checkpoint) begins a new run") { _ = try begin(request, from: checkpoint, to: "runs", resume: resume) }
        }
    }

    /// Without a preset the run is the checkpoint's, with what the options say.
    @Test func configurationOfTheCheckpoint() throws {
        var request = ConfigurationRequest()
        try request.readOptions(["steps": 1, "lr": 0.01])
        let run = try begin(request, from: source.path, to: "runs", hosts: [2])
        let configuration = try Checkpoint(path: "\(run.path)/\(Checkpoint.name(step: 1))").configuration
        #expect(configuration.generator == (try Checkpoint(path: checkpoint).configuration.generator))
        #expect(configuration.learningRate == 0.01)
        #expect(configuration.averageDecay == 0.5)
    }
}
