import MessagePassing
import Networks
import Testing

@testable import GAN

/// Where a number that is not finite came from.
@Suite(.timeLimit(.minutes(15))) struct OriginTests {
    /// What a step says after `spoil` has been at its parameters and data, on three ranks.
    private func message(
        _ fields: [String: Any] = [:], spoil: @escaping @Sendable (AdversarialGame, Dataset, _ rank: Int) -> Void
    ) throws -> String {
        let configuration = try smallModel(fields).fresh()
        let results = try outcomes(hosts: [2, 1]) { communicator in
            let world = try communicator.world()
            let dataset = Dataset(synthetic: 64, for: configuration)
            let step = try #require(
                try configuration.makeGame(
                    RunData(training: dataset), layout: ShardLayout(shards: 4, ranks: communicator.size), world: world, kernels: .fastest, reduction: .tree)
                    as? AdversarialGame)
            try GameState(game: step).initialise(seed: 1)
            spoil(step, dataset, communicator.rank)
            try world.agree {}
            try step.run(0, requests: 0)
            try step.settled()
        }
        let messages = results.map { result in
            if case .failure(let failure as Failure) = result, failure.code == .internalError, failure.isShared {
                failure.description
            } else {
                "\(result)"
            }
        }
        #expect(Set(messages).count == 1, "\(messages)")
        return messages[0]
    }

    @Test func parameter() throws {
        let text = try message { step, _, _ in
            step.discriminator.reducer.parameters[step.discriminator.network.layout.tensors[2].offset] = .nan
        }
        #expect(text.contains("the gradient of discriminator.main.0.weight is not finite on rank 0, "), "\(text)")
        #expect(text.contains("first seen in the parameter discriminator.main.3.weight on rank 0"), "\(text)")
    }

    /// Sums of white images overflow; those of grey ones do not.
    @Test(arguments: [0, 1, 2]) func outputOfOneRank(victim: Int) throws {
        let text = try message { step, dataset, rank in
            for i in 0..<64 * 784 { dataset.pixels[i] = rank == victim ? 255 : UInt8(127 + i % 2) }
            (step.discriminator.reducer.parameters).update(repeating: 1e38, count: 784)
        }
        #expect(text.contains("first seen in the output of discriminator layer 0 (real rows) on rank \(victim)."), "\(text)")
    }

    /// Layers are numbered as in the specification, though the rectifier is part of the one before it.
    @Test func outputOfALaterLayer() throws {
        let text = try message { step, _, _ in
            let last = step.discriminator.network.layout.tensors[2]
            for i in 0..<last.count { step.discriminator.reducer.parameters[last.offset + i] = 3e38 }
            let bias = step.discriminator.network.layout.tensors[1]
            for i in 0..<bias.count { step.discriminator.reducer.parameters[bias.offset + i] = 9 }
        }
        #expect(text.contains("first seen in the output of discriminator layer 3 (real rows) on rank 0."), "\(text)")
    }

    @Test func outputOfFakes() throws {
        let text = try message { step, _, _ in
            let bias = step.generator.network.layout.tensors[3]
            for i in 0..<bias.count { step.generator.reducer.parameters[bias.offset + i] = .nan }
        }
        #expect(text.contains("first seen in the parameter generator.main.2.bias on rank 0."), "\(text)")
        let images = try message { step, dataset, _ in
            for i in 0..<64 * 784 { dataset.pixels[i] = UInt8(127 + i % 2) }
            let bias = step.generator.network.layout.tensors[3]
            for i in 0..<bias.count { step.generator.reducer.parameters[bias.offset + i] = 9 }
            step.discriminator.reducer.parameters.update(repeating: 1e38, count: 784)
        }
        #expect(images.contains("first seen in the output of discriminator layer 0 (fake rows) on rank 0."), "\(images)")
    }

    /// Losses whose gradient is large, and a layer that makes it larger.
    @Test func errorSignal() throws {
        let text = try message(["loss": "mse"]) { step, _, _ in
            let tensors = step.discriminator.network.layout.tensors
            let parameters = step.discriminator.reducer.parameters
            parameters[tensors[3].offset] = 2e38
            for i in 0..<tensors[2].count { parameters[tensors[2].offset + i] = 100 }
        }
        #expect(text.contains("first seen in the output gradient of discriminator layer 2 (real rows) on rank 0."), "\(text)")
    }

    /// Nothing is infinite but the sum that is the gradient.
    @Test func productsAlone() throws {
        let text = try message(["loss": "mse"]) { step, dataset, _ in
            for i in 0..<64 * 784 { dataset.pixels[i] = 255 }
            let tensors = step.discriminator.network.layout.tensors
            let parameters = step.discriminator.reducer.parameters
            for i in 0..<784 * 8 { parameters[tensors[0].offset + i] = 1e2 }
            parameters[tensors[3].offset] = 1e38
        }
        #expect(text.contains("the gradient of discriminator.main."), "\(text)")
        #expect(text.contains("though all that it is made of is."), "\(text)")
    }

    /// The discriminator's update makes it overflow, and the generator meets it first.
    @Test func generator() throws {
        let text = try message(["lr": 1e30]) { _, _, _ in }
        #expect(text.contains("the gradient of generator.main.0.weight is not finite on rank 0, "), "\(text)")
        #expect(text.contains("first seen in the output of discriminator layer 3 (fake rows) on rank 0."), "\(text)")
    }
}
