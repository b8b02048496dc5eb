import MessagePassing
import Networks

extension Configuration {
    /// Throws a usage error unless every field has a value that makes sense, by itself and with the others.
    public func validate() throws {
        func require(_ condition: Bool, _ message: @autoclosure () -> String) throws {
            if !condition { throw Failure(.usage, message()) }
        }
        try validateFields()
        if let keepBest {
            let known = Measure.keys(of: game).map(\.key)
            try require(
                known.contains(keepBest),
                "--keep-best \(keepBest): known are \(known.joined(separator: ", "))" + suggestion(for: keepBest, among: known))
            try require(
                evaluateInterval != .never, "--keep-best \(keepBest): nothing is measured; add --evaluate-interval 1e")
        }
        try require(
            batchSize >= shards && batchSize <= 1 << 20,
            "--batch-size \(batchSize): the global batch must hold at least one image for each of the \(shards) logical "
                + "shards and at most 1,048,576; raise it, or lower --shards")
        try validateLearningRates()
        let plans: [(name: String, plan: NetworkPlan)]
        switch game {
        case .gan: plans = try validateAdversarial()
        case .classifier: plans = [("classifier", try classifierPlan())]
        case .cyclegan:
            plans = try cyclePlans()
            try validateCycle()
        }
        for (network, plan) in plans {
            try require(
                plan.normalizedPixels.map { $0 * batchSize > 1 } ?? true,
                "the \(network) normalises over a batch of one value, whose variance is not defined; raise --batch-size")
        }
    }

    /// - Returns: the plans of its networks.
    private func validateAdversarial() throws -> [(name: String, plan: NetworkPlan)] {
        func require(_ condition: Bool, _ message: @autoclosure () -> String) throws {
            if !condition { throw Failure(.usage, message()) }
        }
        if let classes, let other = (generator + discriminator).flatMap(\.classes).first(where: { $0 != classes }) {
            throw Failure(.usage, "layers for \(classes) classes and for \(other): all must be told the same ones")
        }
        if (generator + discriminator).contains(where: \.comparesRows) {
            try require(
                batchSize >= 2 * shards,
                "--batch-size \(batchSize): minibatch discrimination compares the rows of a logical shard; at least two are needed "
                    + "in each of the \(shards)")
        }
        try validateCombinations()
        let plans = try networkPlans()
        if let penalty = gradientPenalties.first,
            let index = plans.discriminator.layers.firstIndex(where: { !$0.isPiecewiseLinear }) {
            let number = plans.discriminator.layerNumbers[index]
            throw Failure(
                .usage,
                "\(penalty.flag ?? penalty.key) \(penalty.text): layer \(number) of the discriminator, "
                    + "\(discriminator[number].name), is not piecewise linear in one image alone; take it out, or use --spectral-norm")
        }
        return [("generator", plans.generator), ("discriminator", plans.discriminator)]
    }

    /// Throws a usage error unless every field has a value that makes sense by itself.
    func validateFields() throws { for (_, field) in members { try field.validate() } }

    /// Refuses two schedules of the learning rates, and half of one.
    func validateLearningRates() throws {
        guard learningRateHalfLife.isNever || learningRateDecay.isNever else {
            throw Failure(.usage, "--lr-half-life and --lr-decay both lower the learning rates; use one of them")
        }
        guard learningRateFlat.isNever || !learningRateDecay.isNever else {
            throw Failure(
                .usage, "--lr-flat \(learningRateFlat.text): how long the learning rates stay before they fall, and they do not; add "
                    + "--lr-decay")
        }
    }

    /// Refuses values that make sense each by itself, and not together.
    private func validateCombinations() throws {
        guard !averageRamp || averageDecay > 0 else {
            throw Failure(.usage, "--ema-ramp changes the generator's moving average, and none is kept; add --ema 0.999")
        }
        guard !mixesInstanceNoise || instanceNoise > 0 else {
            throw Failure(.usage, "--instance-noise-mixed mixes levels of noise, and there is none; add --instance-noise 0.3")
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

    /// The classifier's layers.
    /// - Throws: a usage error that names the layers that do not fit.
    func classifierPlan() throws -> NetworkPlan {
        if let layer = classifier.first(where: { $0.comparesRows || !$0.classes.isEmpty }) {
            throw Failure(.usage, "the classifier: layer \(layer.name) does not look at one image alone; take it out")
        }
        do {
            let plan = try NetworkPlan(classifier, input: image)
            guard plan.output.pixels == 1, (2...256).contains(plan.outputs) else {
                throw Failure(.usage, "the classifier gives \(plan.output); one output for each class is needed, 2 … 256 of them")
            }
            return plan
        } catch let error as ShapeError {
            throw Failure(.usage, "the classifier does not fit together: \(error.description)")
        }
    }

    /// The layers of both networks.
    /// - Throws: a usage error that names the layers that do not fit.
    public func networkPlans() throws -> (generator: NetworkPlan, discriminator: NetworkPlan) {
        func plan(
            _ role: NetworkRole, _ layers: [LayerSpecification], input: Shape, output: Shape, _ purpose: String
        ) throws -> NetworkPlan {
            do {
                let plan = try NetworkPlan(
                    layers, input: input, role: role, isSpectral: spectralNorm && role == .discriminator)
                let isRight = plan.output == output || plan.output.isInOrder && output.isInOrder
                guard plan.outputs == output.features, isRight else {
                    throw Failure(.usage, "the \(role) gives \(plan.output); \(purpose)")
                }
                return plan
            } catch let error as ShapeError {
                throw Failure(.usage, "the \(role) does not fit together: \(error.description)")
            }
        }
        return (
            try plan(
                .generator, generator, input: Shape(channels: latentDimension), output: image,
                "images of \(image) are needed (image_size \(imageSize.text))"),
            try plan(.discriminator, discriminator, input: image, output: Shape(channels: 1), "one output is needed")
        )
    }
}

extension Configuration {
    /// Refuses data that the networks are not for, or that cannot be made to images.
    /// - Parameter path: where the data are.
    func validate(for data: DataFormat, at path: String) throws {
        if let classes {
            guard let found = data.classes else { throw data.withoutLabels("the networks need the classes of images") }
            guard found <= classes else {
                throw Failure(
                    .badData, "the networks are told \(classes) classes, and the data in \(path) have \(found); use a preset, "
                        + "which builds them for the data, or change \"classes\" in the model file")
            }
        }
        try validate(forPicturesOf: data, at: path)
    }

    /// Refuses data whose pictures cannot be made to images.
    func validate(forPicturesOf data: DataFormat, at path: String) throws {
        guard imageSize == data.size || imageSize.isSquare else {
            throw Failure(
                .usage, "image_size \(imageSize): pictures are cropped to squares only, and those in \(path) are "
                    + "\(data.size.map(\.description) ?? "of several sizes"); use a square, or data of that size")
        }
    }
}
