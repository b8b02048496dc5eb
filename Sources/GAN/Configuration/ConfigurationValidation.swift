import MessagePassing
import Networks

extension Configuration {
    /// Throws a usage error unless every field has a value that makes sense, by itself and with the others.
    public func validate() throws {
        func require(_ condition: Bool, _ message: @autoclosure () -> String) throws {
            if !condition { throw Failure(.usage, message()) }
        }
        try require(
            shards >= 1 && shards <= 4_096 && shards & (shards - 1) == 0,
            "--shards \(shards): the number of logical shards must be a power of two from 1 to 4096")
        try require(
            batchSize >= shards && batchSize <= 1 << 20,
            "--batch-size \(batchSize): the global batch must hold at least one image for each of the \(shards) logical "
                + "shards and at most 1,048,576; raise it, or lower --shards")
        try require((8...256).contains(imageSize), "image_size \(imageSize): the side of an image must be 8 … 256 pixels")
        try require((1...1 << 30).contains(epochs), "--epochs \(epochs): must be at least 1")
        try require(steps.map { (1...1 << 31).contains($0) } ?? true, "--steps \(steps ?? 0): must be at least 1")
        try require((1...65_536).contains(latentDimension), "--latent-dim \(latentDimension): must be 1 … 65,536")
        try require(
            learningRate.isFinite && learningRate > 0, "--lr \(learningRate): the learning rate must be a positive number")
        for (name, beta) in [("beta1", beta1), ("beta2", beta2)] {
            try require(beta >= 0 && beta < 1, "--\(name) \(beta): must be at least 0 and less than 1")
        }
        try require(epsilon.isFinite && epsilon > 0, "epsilon \(epsilon): must be a positive number")
        try require((1...1 << 30).contains(keep), "--keep \(keep): at least one checkpoint must be kept")
        for classes in (generator + discriminator).flatMap(\.classes) {
            try require(
                classes == GAN.Dataset.classes,
                "a layer for \(classes) classes: the images of \(dataset.rawValue) are of \(GAN.Dataset.classes)")
        }
        if (generator + discriminator).contains(where: \.comparesRows) {
            try require(
                batchSize >= 2 * shards,
                "--batch-size \(batchSize): minibatch discrimination compares the rows of a logical shard; at least two are needed in "
                    + "each of the \(shards)")
        }
        try validateRemedies()
        let plans = try networkPlans()
        for (network, plan) in [("generator", plans.generator), ("discriminator", plans.discriminator)] {
            try require(
                plan.normalizedPixels.map { $0 * batchSize > 1 } ?? true,
                "the \(network) normalises over a batch of one value, whose variance is not defined; raise --batch-size")
        }
        if gradientPenalty > 0, let index = plans.discriminator.layers.firstIndex(where: { !$0.isPiecewiseLinear }) {
            let number = plans.discriminator.layerNumbers[index]
            throw Failure(
                .usage,
                "--gradient-penalty \(gradientPenalty): layer \(number) of the discriminator, \(discriminator[number].name), is not "
                    + "piecewise linear in one image alone; take it out, or use --spectral-norm")
        }
    }

    private func validateRemedies() throws {
        func require(_ condition: Bool, _ message: @autoclosure () -> String) throws {
            if !condition { throw Failure(.usage, message()) }
        }
        try require((1...1_000).contains(criticSteps), "--critic-steps \(criticSteps): must be 1 … 1,000")
        for (name, value) in [
            ("gradient-penalty", gradientPenalty), ("weight-clip", weightClip), ("instance-noise", instanceNoise),
        ] {
            try require(value.isFinite && value >= 0, "--\(name) \(value): must be a number from 0, which is none")
        }
        for (name, rate) in [("lr-generator", generatorLearningRate), ("lr-discriminator", discriminatorLearningRate)] {
            try require(rate.map { $0.isFinite && $0 > 0 } ?? true, "--\(name) \(rate ?? 0): must be a positive number")
        }
        try require(averageDecay >= 0 && averageDecay < 1, "--ema \(averageDecay): must be at least 0, which is none, and less than 1")
        try require(
            !averageRamp || averageDecay > 0, "--ema-ramp changes the generator's moving average, and none is kept; add --ema 0.999")
        try require(
            labelSmoothing >= 0 && labelSmoothing < 1,
            "--label-smoothing \(labelSmoothing): must be at least 0, which is none, and less than 1")
        try require(labelFlip >= 0 && labelFlip <= 0.5, "--label-flip \(labelFlip): must be 0 … 0.5")
        try require(
            labelSmoothing == 0 && labelFlip == 0 || loss.takesTargets,
            "--label-smoothing and --label-flip change the targets of --loss bce and mse; \(loss.rawValue) has none")
        try require(
            gradientPenalty == 0 || !spectralNorm,
            "--gradient-penalty and --spectral-norm both bound the discriminator's slope; use one of them")
        try require(
            weightClip == 0 || !spectralNorm,
            "--weight-clip and --spectral-norm both bound the discriminator's slope; use one of them")
        try require(
            gradientPenalty == 0 || weightClip == 0,
            "--gradient-penalty and --weight-clip both bound the discriminator's slope; use one of them")
    }

    /// The layers of both networks.
    /// - Throws: a usage error that names the layers that do not fit.
    public func networkPlans() throws -> (generator: NetworkPlan, discriminator: NetworkPlan) {
        func plan(
            _ role: NetworkRole, _ layers: [LayerSpecification], input: Shape, outputs: Int, _ purpose: String
        ) throws -> NetworkPlan {
            do {
                let plan = try NetworkPlan(
                    layers, input: input, role: role, isSpectral: spectralNorm && role == .discriminator)
                guard plan.outputs == outputs, plan.output.isInOrder else {
                    throw Failure(.usage, "the \(role) gives \(plan.output); \(purpose)")
                }
                return plan
            } catch let error as ShapeError {
                throw Failure(.usage, "the \(role) does not fit together: \(error.description)")
            }
        }
        return (
            try plan(
                .generator, generator, input: Shape(channels: latentDimension), outputs: pixelCount,
                "images of \(image) are needed (image_size \(imageSize))"),
            try plan(.discriminator, discriminator, input: image, outputs: 1, "one output is needed")
        )
    }
}
