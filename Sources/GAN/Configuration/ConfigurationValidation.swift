import MessagePassing
import Networks

extension Configuration {
    /// Throws a usage error unless every field has a value that makes sense, by itself and with the others.
    public func validate() throws {
        func require(_ condition: Bool, _ message: @autoclosure () -> String) throws {
            if !condition { throw Failure(.usage, message()) }
        }
        try validateFields()
        try require(
            batchSize >= shards && batchSize <= 1 << 20,
            "--batch-size \(batchSize): the global batch must hold at least one image for each of the \(shards) logical "
                + "shards and at most 1,048,576; raise it, or lower --shards")
        for classes in (generator + discriminator).flatMap(\.classes) {
            try require(
                classes == GAN.Dataset.classes,
                "a layer for \(classes) classes: the images of \(dataset.rawValue) are of \(GAN.Dataset.classes)")
        }
        if (generator + discriminator).contains(where: \.comparesRows) {
            try require(
                batchSize >= 2 * shards,
                "--batch-size \(batchSize): minibatch discrimination compares the rows of a logical shard; at least two are needed "
                    + "in each of the \(shards)")
        }
        try validateCombinations()
        let plans = try networkPlans()
        for (network, plan) in [("generator", plans.generator), ("discriminator", plans.discriminator)] {
            try require(
                plan.normalizedPixels.map { $0 * batchSize > 1 } ?? true,
                "the \(network) normalises over a batch of one value, whose variance is not defined; raise --batch-size")
        }
        if let penalty = gradientPenalties.first,
            let index = plans.discriminator.layers.firstIndex(where: { !$0.isPiecewiseLinear }) {
            let number = plans.discriminator.layerNumbers[index]
            throw Failure(
                .usage,
                "\(penalty.flag ?? penalty.key) \(penalty.text): layer \(number) of the discriminator, "
                    + "\(discriminator[number].name), is not piecewise linear in one image alone; take it out, or use --spectral-norm")
        }
    }

    /// Throws a usage error unless every field has a value that makes sense by itself.
    func validateFields() throws { for (_, field) in members { try field.validate() } }

    /// Refuses values that make sense each by itself, and not together.
    private func validateCombinations() throws {
        guard !averageRamp || averageDecay > 0 else {
            throw Failure(.usage, "--ema-ramp changes the generator's moving average, and none is kept; add --ema 0.999")
        }
        guard labelSmoothing == 0 && labelFlip == 0 || loss.takesTargets else {
            throw Failure(
                .usage, "--label-smoothing and --label-flip change the targets of --loss bce and mse; \(loss.rawValue) has none")
        }
        let bounds = slopeBounds
        if let first = bounds.first, let other = bounds.dropFirst().first(where: { !goTogether(first, $0) }) {
            throw Failure(
                .usage,
                "\(first.flag ?? first.key) and \(other.flag ?? other.key) both bound the discriminator's slope; use one of them")
        }
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
