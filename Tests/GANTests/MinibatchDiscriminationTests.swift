import Foundation
import MessagePassing
import Networks
import Testing

@testable import GAN

@Suite(.timeLimit(.minutes(15))) struct MinibatchDiscriminationTests {
    @Test func comesBeforeTheLastLinearLayer() throws {
        let layers: [LayerSpecification] = [
            .linear(inputs: 784, outputs: 32), .leakyReLU(slope: 0.2), .dropout(probability: 0.3), .linear(inputs: 32, outputs: 1), .sigmoid,
        ]
        let added = try layers.addingMinibatchDiscrimination(kernels: 5, dimensions: 3)
        #expect(
            added == layers[..<3] + [
                .minibatchDiscrimination(inputs: 32, kernels: 5, dimensions: 3), .linear(inputs: 37, outputs: 1), .sigmoid,
            ])
        let plan = try NetworkPlan(added, input: Shape(channels: 1, height: 28, width: 28))
        #expect(plan.outputs == 1)
        #expect(plan.layout.tensors.first { $0.name == "main.3.weight" }?.shape == [15, 32])
    }

    @Test func takesThePlaceOfTheLastConvolution() throws {
        var dcgan = try mnistPreset("dcgan")
        let before = dcgan.discriminator
        dcgan.discriminator = try before.addingMinibatchDiscrimination(kernels: 20, dimensions: 4)
        #expect(
            dcgan.discriminator == before.dropLast() + [
                .reshape(channels: 8_192, height: 1, width: 1),
                .minibatchDiscrimination(inputs: 8_192, kernels: 20, dimensions: 4), .linear(inputs: 8_212, outputs: 1),
            ])
        try dcgan.validate()
    }

    @Test func saysWhereItCannotBe() throws {
        let padded: [LayerSpecification] = [.convolution(.init(inputs: 1, outputs: 1, kernel: 3, padding: 1))]
        let twice = try [LayerSpecification.linear(inputs: 4, outputs: 1)].addingMinibatchDiscrimination(kernels: 2, dimensions: 2)
        for (layers, kernels, dimensions) in [
            (padded, 4, 4), (twice, 4, 4), ([.relu], 4, 4), ([.linear(inputs: 4, outputs: 1)], 0, 4), ([.linear(inputs: 4, outputs: 1)], 4, -1),
            ([.linear(inputs: 4, outputs: 1)], .max, .max),
        ] {
            let failure = #expect(throws: Failure.self) {
                try layers.addingMinibatchDiscrimination(kernels: kernels, dimensions: dimensions)
            }
            #expect(failure?.code == .usage)
        }
    }

    private let layers: [[String: Any]] = [
        ["type": "linear", "inputs": 784, "outputs": 8], ["type": "layer_norm", "channels": 8],
        ["type": "leaky_relu", "slope": 0.2],
        ["type": "minibatch_discrimination", "inputs": 8, "kernels": 3, "dimensions": 2],
        ["type": "linear", "inputs": 11, "outputs": 1],
    ]

    /// A gradient penalty needs a discriminator that is piecewise linear in one row.
    @Test(arguments: [0..<3, 0..<5]) func isRefusedWithAGradientPenalty(kept: Range<Int>) throws {
        let chosen = kept.count == 5 ? layers : Array(layers[kept]) + [["type": "linear", "inputs": 8, "outputs": 1]]
        let folder = try TemporaryFolder()
        let failure = #expect(throws: Failure.self) {
            try trainedRun(
                try smallModel(["discriminator": chosen, "gradient_penalty": 10]), data: try folder.writeImages(30),
                outdir: folder.file("runs"))
        }
        #expect(failure?.code == .usage && failure?.description.contains("not piecewise linear") == true)
    }

    @Test func shardsOfOneRowAreRefused() throws {
        let folder = try TemporaryFolder()
        let failure = #expect(throws: Failure.self) {
            try trainedRun(
                try smallModel(["discriminator": layers, "batch_size": 7]), data: try folder.writeImages(30),
                outdir: folder.file("runs"))
        }
        #expect(failure?.code == .usage && failure?.description.contains("minibatch") == true)
    }

    /// Runs of both layers have the same bytes at any number of ranks.
    @Test func ranksDoNotChangeTheWeights() throws {
        let folder = try TemporaryFolder()
        let data = try folder.writeImages(64)
        let generator: [[String: Any]] = [
            ["type": "linear", "inputs": 6, "outputs": 10], ["type": "layer_norm", "channels": 10], ["type": "relu"],
            ["type": "linear", "inputs": 10, "outputs": 784], ["type": "tanh"],
        ]
        let model = try smallModel([
            "generator": generator, "discriminator": layers, "batch_size": 18, "steps": 3, "lr": 0.01,
        ])
        func hashes(_ hosts: [Int]?) throws -> [String] {
            let run = try trainedRun(model, data: data, outdir: folder.file("runs-\(hosts ?? [])"), hosts: hosts)
            return try run.stats().compactMap { $0["weights_sha256"] as? String }
        }
        let alone = try hashes(nil)
        #expect(Set(alone).count == 3)
        for hosts in [[2], [3], [4], [2, 1]] { #expect(try hashes(hosts) == alone, "\(hosts)") }
    }
}
