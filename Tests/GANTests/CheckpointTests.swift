import Foundation
import Kernels
import MessagePassing
import Testing

@testable import GAN

@Suite(.timeLimit(.minutes(15))) struct CheckpointTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// A checkpoint of three steps, and where it lies.
    private func checkpoint(_ fields: [String: Any] = [:]) throws -> String {
        let run = try trainedRun(
            try smallModel(["steps": 3].merging(fields) { $1 }), data: try folder.writeImages(30), outdir: folder.file("runs"))
        return "\(run.path)/\(Checkpoint.name(step: 3))"
    }

    private func read(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }

    @Test func namesTellTheStep() {
        #expect(Checkpoint.name(step: 937) == "checkpoint-000000937.safetensors")
        #expect(Checkpoint.step(of: "checkpoint-000000937.safetensors") == 937)
        for name in ["checkpoint-.safetensors", "checkpoint-1.safetensors.tmp", "fakes-1.png", "checkpoint-x.safetensors"] {
            #expect(Checkpoint.step(of: name) == nil, "\(name)")
        }
    }

    @Test func holdsNamesAndMetadata() throws {
        let checkpoint = try Checkpoint(path: try checkpoint())
        #expect(checkpoint.step == 3)
        #expect(checkpoint.dataDigest.count == 64)
        #expect(checkpoint.configuration == (try smallModel(["steps": 3]).fresh()))
        #expect(checkpoint.file.metadata["format"] == "1")
        #expect(checkpoint.file.metadata["version"] == Version.current)
        #expect(checkpoint.file.tensorNames.prefix(2) == ["generator.main.0.weight", "generator.main.0.bias"])
        #expect(checkpoint.file.tensors["discriminator.main.3.weight"]?.shape == [1, 8])
        #expect(checkpoint.file.tensors["adam.generator.main.2.weight.exp_avg"]?.shape == [784, 10])
        #expect(checkpoint.file.tensors["adam.discriminator.main.0.bias.exp_avg_sq"]?.shape == [8])
        #expect(checkpoint.file.tensorNames.count == 8 * 3 + 1)
        #expect(checkpoint.file.tensors["monitor.probe"]?.shape == [64, 784])
    }

    /// The hash that `stats.jsonl` holds is that of the checkpoint's parameters; the state's is another.
    @Test func hashIsThatOfTheLog() throws {
        let path = try checkpoint()
        let run = TrainedRun(path: (path as NSString).deletingLastPathComponent)
        let checkpoint = try Checkpoint(path: path)
        #expect(try run.stats().last?["weights_sha256"] as? String == checkpoint.hash(state: false))
        #expect(try checkpoint.hash(state: true) != checkpoint.hash(state: false))
    }

    /// Taken over and written again by other ranks it has the same bytes.
    @Test(arguments: [[1], [2], [3], [4], [2, 1], [1, 1, 1, 1]]) func roundTripAtAnyNumberOfRanks(hosts: [Int]) throws {
        // The generator's weights take several pieces.
        let path = try checkpoint(["latent_dim": 25, "generator": [["type": "linear", "inputs": 25, "outputs": 784]]])
        let copy = folder.file("copy.safetensors")
        try onRanks(hosts: hosts) { communicator in
            let world = try communicator.world()
            let configuration = try Checkpoint(path: path).configuration
            let game = try configuration.makeGame(
                RunData(synthetic: 30, for: configuration), layout: ShardLayout(shards: configuration.shards, ranks: communicator.size),
                world: world, kernels: .fastest, reduction: .tree)
            let state = GameState(game: game)
            let checkpoint = communicator.rank == 0 ? try Checkpoint(path: path) : nil
            try state.restore(checkpoint)
            var metadata = try Checkpoint(path: path).file.metadata
            metadata["sha256"] = nil
            let probe = ("monitor.probe", [64, 784], try Checkpoint(path: path).floats("monitor.probe", count: 64 * 784))
            try state.save(to: copy, metadata: metadata, extra: [probe])
        }
        #expect(try read(copy) == read(path))
    }

    /// Every bit of the first hundred bytes, one of each byte of the header, and some of the data.
    @Test func flippedBitsAreRefused() throws {
        // The smallest networks: one number of noise, no hidden layer.
        let path = try checkpoint([
            "latent_dim": 1, "generator": [["type": "linear", "inputs": 1, "outputs": 784]],
            "discriminator": [["type": "linear", "inputs": 784, "outputs": 1]],
        ])
        let bytes = Array(try read(path))
        let descriptor = open(path, O_WRONLY)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        var accepted: [String] = []
        let header = 8 + bytes[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
        for index in bytes.indices where index < header || index % 13 == 0 || index == bytes.count - 1 {
            for bit in index < 100 ? Array(0..<8) : [index * 5 % 8] {
                var damaged = bytes[index] ^ 1 << bit
                try #require(pwrite(descriptor, &damaged, 1, index) == 1)
                do {
                    _ = try Checkpoint(path: path)
                    accepted.append("bit \(bit) of byte \(index)")
                } catch let failure as Failure where failure.code == .badData {}
            }
            var original = bytes[index]
            try #require(pwrite(descriptor, &original, 1, index) == 1)
        }
        #expect(accepted == [])
        _ = try Checkpoint(path: path)
    }

    @Test func cutFilesAreRefused() throws {
        let bytes = try read(try checkpoint())
        let path = folder.file("cut.safetensors")
        for count in [0, 7, 8, 9, 500, bytes.count / 2, bytes.count - 1] {
            try bytes.prefix(count).write(to: URL(fileURLWithPath: path))
            let error = #expect(throws: Failure.self) { _ = try Checkpoint(path: path) }
            #expect(error?.code == .badData && error?.description.hasPrefix("\(path): ") == true, "\(count) bytes")
        }
        let error = #expect(throws: Failure.self) { _ = try Checkpoint(path: folder.file("none")) }
        #expect(error?.code == .missingInput)
    }
}
