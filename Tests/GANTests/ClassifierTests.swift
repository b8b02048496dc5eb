import Foundation
import Kernels
import MessagePassing
import Networks
import Testing

@testable import GAN

@Suite struct ClassifierTests {
    /// Losses and gradients against the formula in double precision.
    @Test func crossEntropyIsThatOfTheFormula() {
        let (classes, rows, batch) = (7, 13, 20)
        let (columns, arena) = (rows.paddedToVectors, Arena())
        let (x, gradient) = (arena.matrix(features: classes, stride: columns), arena.matrix(features: classes, stride: columns))
        let labels = UnsafeMutablePointer<UInt8>.allocate(capacity: columns)
        defer { labels.deallocate() }
        func logit(_ c: Int, _ row: Int) -> Float { Float((c * 37 + row * 101) % 61 - 30) * (row % 3 == 0 ? 3 : 0.1) }
        for row in 0..<columns {
            labels[row] = UInt8(row % classes)
            for c in 0..<classes { x.base[c * columns + row] = logit(c, row) }
        }
        let loss = CrossEntropy(columns: columns, arena: arena)
        let pass = Pass(kernels: .fastest, columns: columns, kind: .real, seed: 0, step: 0, firstRow: 0)
        loss.apply(x, labels, batch: batch, gradient: gradient, pass)
        for row in 0..<rows {
            let values = (0..<classes).map { Double(logit($0, row)) }
            let largest = values.max() ?? 0
            let sum = values.reduce(0) { $0 + exp($1 - largest) }
            let label = Int(labels[row])
            let expected = log(sum) - (values[label] - largest)
            #expect(abs(Double(loss.losses[row]) - expected) <= 2e-6 * max(1, expected))
            #expect(loss.hits[row] == (values.firstIndex(of: largest) == label ? 1 : 0))
            for c in 0..<classes {
                let slope = (exp(values[c] - largest) / sum - (c == label ? 1 : 0)) / Double(batch)
                #expect(abs(Double(gradient.base[c * columns + row]) - slope) < 1e-8)
            }
        }
    }

    /// A model file of a small classifier of 28 × 28 pixels.
    private func model(_ fields: [String: Any] = [:]) throws -> ConfigurationRequest {
        var object: [String: Any] = [
            "preset": "classifier28", "game": "classifier", "batch_size": 16, "epochs": 2, "evaluate_interval": 4, "hash_interval": 4,
            "checkpoint_interval": 4, "log_interval": 4, "lr_flat": 0, "lr_decay": 0,
            "classifier": [
                ["type": "linear", "inputs": 784, "outputs": 12], ["type": "relu"], ["type": "dropout", "probability": 0.2],
                ["type": "linear", "inputs": 12, "outputs": 10],
            ],
        ]
        for (name, value) in fields { object[name] = value }
        return modelFile(try JSONSerialization.data(withJSONObject: object))
    }

    /// Weights, test figures and the best checkpoint are the same on any number of ranks, and after a resume.
    @Test func sameBytesOnRanksAndAfterResume() throws {
        let folder = try TemporaryFolder()
        let data = try folder.writeImages(190)
        let request = try model(["keep_best": "test_loss", "steps": 22])
        func figures(_ run: TrainedRun) throws -> [[String]] {
            try run.stats().filter { $0["test_loss"] != nil }.map { line in
                ["step", "loss", "accuracy", "test_loss", "test_accuracy", "weights_sha256"].map { "\(line[$0] ?? "")" }
            }
        }
        let alone = try trainedRun(request, data: data, outdir: folder.file("alone"))
        let expected = try figures(alone)
        // Every tenth of each class of 19 is held out: 10 of 190, and 180 are 11 batches of 16.
        #expect(expected.count == 6)
        #expect(expected.allSatisfy { !$0.contains("") })
        for hosts in [[3], [1, 2]] {
            let run = try trainedRun(request, data: data, outdir: folder.file("ranks-\(hosts.count)"), hosts: hosts)
            #expect(try figures(run) == expected)
            #expect(try run.bytes("best-test_loss.safetensors") == alone.bytes("best-test_loss.safetensors"))
        }
        let first = try trainedRun(try model(["keep_best": "test_loss", "steps": 8]), data: data, outdir: folder.file("resumed"))
        #expect(try first.names.contains("best-test_loss.safetensors"))
        let resumed = try trainedRun(request, data: data, outdir: folder.file("resumed"), hosts: [2], resume: .latest)
        #expect(try figures(resumed) == expected)
        #expect(try best(of: resumed) == best(of: alone))
    }

    /// What a classifier lacks is refused, and so is keeping the best of what is not measured.
    @Test(arguments: [
        (["latent_dim": 5], "--latent-dim"), (["loss": "mse"], "--loss"), (["critic_steps": 2], "--critic-steps"),
        (["keep_best": "fid"], "known are test_loss, test_accuracy"),
        (["keep_best": "test_accuracy", "evaluate_interval": "0"], "--evaluate-interval 1e"),
    ] as [([String: any FieldValue], String)])
    func refusals(options: [String: any FieldValue], text: String) throws {
        var request = ConfigurationRequest()
        request.preset = "classifier28"
        try request.readOptions(options)
        let error = #expect(throws: Failure.self) { try request.fresh() }
        #expect(error?.code == .usage && error?.description.contains(text) == true, "\(error?.description ?? "")")
    }

    /// A classifier's file holds no fields of a GAN, and a file that sets one is refused.
    @Test func filesOfClassifiers() throws {
        let configuration = try mnistPreset("classifier28")
        let text = try configuration.json()
        #expect(!text.contains("latent_dim") && !text.contains("generator") && text.contains("\"game\":\"classifier\""))
        #expect(try !mnistPreset("dcgan28").json().contains("\"game\""))
        let error = #expect(throws: Failure.self) { try model(["instance_noise": 0.1]).fresh() }
        #expect(error?.description.contains("field instance_noise") == true)
        let layers = #expect(throws: Failure.self) {
            try model(["classifier": [["type": "label", "classes": 10], ["type": "linear", "inputs": 794, "outputs": 10]]]).fresh()
        }
        #expect(layers?.description.contains("does not look at one image alone") == true)
    }

    /// `classify` names the classes in the order of the files, and its accuracy is that of its names.
    @Test func classifyNames() throws {
        let folder = try TemporaryFolder()
        let data = try folder.writeImages(190)
        let run = try trainedRun(try model(), data: data, outdir: folder.file("runs"))
        let checkpoint = "\(run.path)/\(try #require(run.names.last { $0.hasPrefix("checkpoint") }))"
        let out = folder.file("labels.npy")
        let text = try classify(checkpoint: checkpoint, data: data, dataset: nil, onlyHeldOut: false, out: out)
        #expect(text.contains("accuracy"))
        #expect(Data(try Data(contentsOf: URL(fileURLWithPath: out)).prefix(60)).contains(UInt8(ascii: "i")))
        #expect(throws: Failure.self) {
            try classify(checkpoint: checkpoint, data: data, dataset: nil, onlyHeldOut: false, out: folder.file("labels.txt"))
        }
        let gan = try trainedRun(try smallModel(), data: data, outdir: folder.file("gan"))
        let other = "\(gan.path)/\(try #require(gan.names.last { $0.hasPrefix("checkpoint") }))"
        let error = #expect(throws: Failure.self) {
            try classify(checkpoint: other, data: data, dataset: nil, onlyHeldOut: false, out: nil)
        }
        #expect(error?.code == .badData)
    }
}

/// The step and the measure that the best checkpoint tells.
private func best(of run: TrainedRun) throws -> [String?] {
    let metadata = try Checkpoint(path: "\(run.path)/best-test_loss.safetensors").file.metadata
    return ["best_of", "best_step", "best_value", "step"].map { metadata[$0] }
}
