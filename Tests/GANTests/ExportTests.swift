import Formats
import Foundation
import MessagePassing
import Networks
import Testing

@testable import GAN

/// What is exported of a checkpoint. What others make of the files, Tests/Launch/test_export.py shows.
@Suite(.timeLimit(.minutes(15))) struct ExportTests {
    private func failure(_ body: () throws -> Void) -> Failure? { #expect(throws: Failure.self, performing: body) }

    /// Weights of the average have the plain names, and a model holds each tensor that its graph names.
    @Test func averageHasThePlainNames() throws {
        let folder = try TemporaryFolder()
        let run = try trainedRun(
            try smallImageModel(["ema": 0.5, "steps": 2, "spectral_norm": true]), data: try folder.writeImages(30), outdir: folder.file("runs"))
        let checkpoint = try Checkpoint(path: "\(run.path)/\(Checkpoint.name(step: 2))")
        let average = try ExportedPlayer(checkpoint, name: nil, isRaw: false)
        let raw = try ExportedPlayer(checkpoint, name: "generator", isRaw: true)
        #expect(average.isAveraged && !raw.isAveraged && average.name == "generator")
        #expect(average.tensors.map(\.name) == raw.tensors.map(\.name))
        #expect(average.tensors.map(\.shape) == raw.tensors.map(\.shape))
        let name = "generator.main.3.weight"
        for (player, source) in [(average, "ema.\(name)"), (raw, name)] {
            let values = try #require(player.tensors.first { $0.name == name }?.values)
            #expect(try values == checkpoint.floats(source, count: values.count))
        }
        // A spectrally normalised weight is its quotient by σ in a model, and itself with its vectors among the weights.
        let discriminator = try ExportedPlayer(checkpoint, name: "discriminator", isRaw: false)
        let names = discriminator.tensors.map(\.name)
        for part in ["weight_orig", "weight_u", "weight_v"] { #expect(names.contains("discriminator.main.0.\(part)")) }
        let model = discriminator.model(summary: "", metadata: [:])
        #expect(Set(model.tensors.map(\.name)).isSuperset(of: ["main.0.weight", "main.3.running_var"]))
        #expect(!model.tensors.contains { $0.name.contains("weight_") })
        #expect(discriminator.signature == "pictures [N, 1, 8, 8] → logits [N, 1]")
    }

    @Test func refusals() throws {
        let folder = try TemporaryFolder()
        let run = try trainedRun(try smallModel(), data: try folder.writeImages(30), outdir: folder.file("runs"))
        let path = "\(run.path)/\(Checkpoint.name(step: 2))"
        var request = ExportRequest(checkpoint: path, out: folder.file("x.onnx"))
        request.player = "critic"
        let stranger = failure { _ = try export(request) }
        #expect(stranger?.code == .usage && stranger?.description.contains("players are generator, discriminator") == true)
        request.player = nil
        #expect(try export(request).contains("generator of step 2, noise [N, 6] → pictures [N, 1, 28, 28]"))
        let kept = failure { _ = try export(request) }
        #expect(kept?.code == .usage && kept?.description.contains("--force") == true)
        request.isForced = true
        _ = try export(request)
        request.out = path
        #expect(failure { _ = try export(request) }?.code == .usage)
        request.out = folder.file("z.onnx")
        request.format = .safetensors
        #expect(failure { _ = try export(request) }?.description.contains("contradict each other") == true)
        request = ExportRequest(checkpoint: path, out: folder.file("x.pt"))
        #expect(failure { _ = try export(request) }?.description.contains(".onnx or .safetensors") == true)
        request = ExportRequest(checkpoint: folder.file("none"), out: folder.file("y.onnx"))
        #expect(failure { _ = try export(request) }?.code == .missingInput)
    }

    /// A noise file is not replaced by pictures, and pictures that are not finite are none.
    @Test func noiseIsKept() throws {
        let folder = try TemporaryFolder()
        let layers: [[String: Any]] = [
            ["type": "linear", "inputs": 64, "outputs": 64], ["type": "relu"], ["type": "linear", "inputs": 64, "outputs": 784],
        ]
        let run = try trainedRun(
            try smallModel(["latent_dim": 64, "generator": layers]), data: try folder.writeImages(30), outdir: folder.file("runs"))
        let path = "\(run.path)/\(Checkpoint.name(step: 2))"
        let (noise, again) = (folder.file("z.npy"), "\(folder.path)/./z.npy")
        func sample(noise: String? = nil, saving: String? = nil, to out: String) throws {
            try writeSamples(checkpoint: path, seed: nil, noise: noise, savingNoise: saving, to: out) { _, _ in try SampleRequest(grid: "2x2") }
        }
        expectUsage("choose another file") { try sample(saving: noise, to: again) }
        try writeNoise((0..<4).map { row in (0..<64).map { (row * $0 * $0 + $0) % 3 == 0 ? 3.4e38 : -3.4e38 } }, to: noise)
        expectUsage("the file that --noise reads") { try sample(noise: noise, to: again) }
        for out in ["x.png", "x.npy"] {
            let error = failure { try sample(noise: noise, to: folder.file(out)) }
            #expect(error?.code == .badData && error?.description.contains("--noise \(noise): image ") == true, "\(error?.description ?? "")")
            #expect(!FileManager.default.fileExists(atPath: folder.file(out)))
        }
    }

    /// Pictures of noise that is given, two vectors for a walk.
    @Test func requestsOfGivenNoise() throws {
        func request(_ count: Int? = nil, _ grid: String? = nil, _ isWalk: Bool = false, vectors: Int) throws -> [Int] {
            let request = try SampleRequest(count: count, grid: grid, isWalk: isWalk, vectors: vectors)
            return [request.count, request.columns, request.vectorCount]
        }
        #expect(try request(vectors: 100) == [100, 8, 100])
        #expect(try request(7, vectors: 100) == [7, 8, 7])
        #expect(try request(nil, "3x4", vectors: 12) == [12, 4, 12])
        #expect(try request(nil, "3x4", true, vectors: 6) == [12, 4, 6])
        #expect(try request(nil, nil, true, vectors: 7) == [24, 8, 6])
        for (count, grid, isWalk, vectors) in [
            (8, nil, false, 7), (nil, "3x4", false, 11), (nil, "3x4", true, 5), (nil, nil, true, 1), (nil, nil, true, 999_999),
        ] as [(Int?, String?, Bool, Int)] {
            #expect(failure { _ = try request(count, grid, isWalk, vectors: vectors) }?.code == .usage)
        }
    }
}
