import Kernels
import Networks

/// Everything that the bytes of a run depend on besides the data, and when it logs and saves.
///
/// Each field is one declaration, which says all that is known of it; see `Field`. Their order is that of the help. A preset
/// starts from the defaults and sets what is its own. A model file, and then the options, change the preset's fields, both as
/// JSON and through one reader; see `Settings`.
///
/// `init(json:preset:path:)` and `json()` read and write files. `Codable` goes by the names of the properties.
public struct Configuration: Codable, Equatable, Sendable {
    @Field("preset", changesBytes: false, help: "The recipe that this one came from.")
    public var preset: String = Preset.standard
    @Field(Configuration.datasetKey, flag: "--dataset", help: "Which data set it is, where a folder holds several: mnist, fashion, kmnist, "
        + "emnist-letters and EMNIST's other splits.")
    public var dataset: String = DataFormat.mnist.name
    @Field("image_size", .sides(1...1_024, "the sides of an image must be 1 … 1,024 pixels"), flag: "--image-size",
        help: "Side of the images in pixels: pictures are cropped to the centred square and resized to it (the data's own).")
    public var imageSize: ImageSize = KnownDataset.imageSize
    @Field("channels", .oneOf([1, 3], "must be 1, grey, or 3, colour"), .unlessDefault, flag: "--channels",
        help: "1, grey, or 3, colour; pictures are converted to it (the data's own).")
    public var channels: Int = 1
    @Field("mirror", .any, .unlessDefault, flag: "--mirror", help: "Show each real image mirrored with probability 1/2.")
    public var mirror: Bool = false

    // Length.

    @Field("epochs", .within(1...1 << 30, "must be at least 1"), changesBytes: false, flag: "--epochs",
        help: "Length of the training.")
    public var epochs: Int = 1
    @Field("steps", .unlessNil(.within(1...1 << 31, "must be at least 1")), .unlessDefault, changesBytes: false, flag: "--steps",
        help: "Length of the training in steps; comes before --epochs.")
    public var steps: Int? = nil
    @Field("batch_size", flag: "--batch-size", help: "Images of a step, over all ranks.")
    public var batchSize: Int = 64

    // Updates.

    @Field("lr", .positive("the learning rate must be a positive number"), flag: "--lr", help: "Learning rate of both networks.")
    public var learningRate: Double = 2e-4
    @Field("lr_generator", .unlessNil(.positive), .unlessDefault, of: .gan, flag: "--lr-generator",
        help: "The generator's learning rate, in place of --lr.")
    public var generatorLearningRate: Double? = nil
    @Field("lr_discriminator", .unlessNil(.positive), .unlessDefault, of: .gan, flag: "--lr-discriminator",
        help: "The discriminator's learning rate, in place of --lr.")
    public var discriminatorLearningRate: Double? = nil
    @Field("lr_half_life", flag: "--lr-half-life",
        help: "After how long the learning rates are halved, again and again; 0 is never.")
    public var learningRateHalfLife: Interval = .never
    @Field("lr_flat", .any, .unlessDefault, flag: "--lr-flat",
        help: "How long the learning rates stay as they are before --lr-decay.")
    public var learningRateFlat: Interval = .never
    @Field("lr_decay", .any, .unlessDefault, flag: "--lr-decay",
        help: "How long the learning rates then take to fall evenly to 0, where they stay: training ends there; 0 is never.")
    public var learningRateDecay: Interval = .never
    @Field("optimizer", flag: "--optimizer", help: "adam, rmsprop or sgd.")
    public var optimizer: OptimizerKind = .adam
    @Field("beta1", .within(0..<1, "must be at least 0 and less than 1"), flag: "--beta1",
        help: "Share that each update keeps of Adam's mean gradient.")
    public var beta1: Double = 0.9
    @Field("beta2", .within(0..<1, "must be at least 0 and less than 1"), flag: "--beta2",
        help: "Share that each update keeps of Adam's mean squared gradient.")
    public var beta2: Double = 0.999
    @Field("epsilon", .positive, help: "What Adam and RMSprop add to the root of the mean squared gradient.")
    public var epsilon: Double = 1e-8

    // Networks, and the game that they play.

    @Field("game", .any, .unlessDefault, help: "What is trained: gan, classifier, or cyclegan.")
    public var game: GameKind = .gan
    @Field("classifier", .any, .unlessDefault, of: .classifier, help: "The classifier's layers.")
    public var classifier: [LayerSpecification] = []
    @Field("generator_ab", .any, .unlessDefault, of: .cyclegan, help: "The layers of the generator from A to B.")
    public var generatorAB: [LayerSpecification] = []
    @Field("generator_ba", .any, .unlessDefault, of: .cyclegan, help: "The layers of the generator from B to A.")
    public var generatorBA: [LayerSpecification] = []
    @Field("discriminator_a", .any, .unlessDefault, of: .cyclegan, help: "The layers of the discriminator on A.")
    public var discriminatorA: [LayerSpecification] = []
    @Field("discriminator_b", .any, .unlessDefault, of: .cyclegan, help: "The layers of the discriminator on B.")
    public var discriminatorB: [LayerSpecification] = []
    @Field("latent_dim", .within(1...65_536, "must be 1 … 65,536"), of: .gan, flag: "--latent-dim", help: "Length of the noise vectors.")
    public var latentDimension: Int = 100
    @Field("generator", of: .gan, help: "The generator's layers.")
    public var generator: [LayerSpecification] = []
    @Field("discriminator", of: .gan, help: "The discriminator's layers.")
    public var discriminator: [LayerSpecification] = []
    @Field("loss", of: .gan, flag: "--loss", help: "bce (on logits), mse (least squares on the raw output), hinge, wasserstein, or "
        + "relativistic (of pairs of real and fake images).")
    public var loss: Loss = .bce
    @Field("generator_step", of: .gan, help: "What the generator step scores: fresh fakes, or the discriminator step's again.")
    public var generatorStep: GeneratorStep = .fresh
    @Field("critic_steps", .within(1...1_000, "must be 1 … 1,000"), of: .gan, flag: "--critic-steps",
        help: "Updates of the discriminator for each one of the generator.")
    public var criticSteps: Int = 1
    @Field("gradient_penalty", .fromZero, of: .gan, flag: "--gradient-penalty",
        help: "Weight of the penalty on the discriminator's slope (10 is usual); 0 is none.")
    public var gradientPenalty: Double = 0
    @Field("r1", .fromZero, .unlessDefault, of: .gan, flag: "--r1",
        help: "Weight γ of the penalty γ/2·E‖∇D‖² on real images (Mescheder et al. 2018); 0 is none.")
    public var r1: Double = 0
    @Field("r2", .fromZero, .unlessDefault, of: .gan, flag: "--r2",
        help: "Weight γ of the penalty γ/2·E‖∇D‖² on fake images (Mescheder et al. 2018); 0 is none.")
    public var r2: Double = 0
    @Field("penalty_interval", .within(1...1 << 30, "must be at least 1"), .unlessDefault, of: .gan, flag: "--penalty-interval",
        help: "Apply gradient penalties every so many discriminator updates, scaled by the interval (Karras et al. 2020).")
    public var penaltyInterval: Int = 1
    @Field("weight_clip", .fromZero, of: .gan, flag: "--weight-clip",
        help: "Largest magnitude of the discriminator's parameters; 0 is no limit.")
    public var weightClip: Double = 0
    @Field("spectral_norm", of: .gan, flag: "--spectral-norm", help: "Divide the discriminator's weights by their largest singular value.")
    public var spectralNorm: Bool = false
    @Field("label_smoothing", .share, of: .gan, flag: "--label-smoothing",
        help: "How far below 1 the discriminator's target of real images is.")
    public var labelSmoothing: Double = 0
    @Field("label_flip", .within(0...0.5, "must be 0 … 0.5"), of: .gan, flag: "--label-flip",
        help: "Probability with which the discriminator is told the opposite of what an image is.")
    public var labelFlip: Double = 0
    @Field("instance_noise", .fromZero, of: .gan, flag: "--instance-noise",
        help: "Standard deviation of noise on whatever the discriminator sees.")
    public var instanceNoise: Double = 0
    @Field("instance_noise_decay", of: .gan, flag: "--instance-noise-decay",
        help: "After how long the instance noise has decreased to nothing; 0 is never.")
    public var instanceNoiseDecay: Interval = .never
    @Field("instance_noise_mixed", .any, .unlessDefault, of: .gan, flag: "--instance-noise-mixed",
        help: "Give each image a share of the instance noise of its own, drawn evenly from 0 to all of it.")
    public var mixesInstanceNoise: Bool = false
    @Field("ema", .share, of: .gan, flag: "--ema",
        help: "Share that each step keeps of the generator's moving average, which is then sampled; 0 is none.")
    public var averageDecay: Double = 0
    @Field("ema_ramp", .any, .later, of: .gan, flag: "--ema-ramp",
        help: "Let the first updates keep less of it: (1 + t) / (10 + t) in update t, if that is less.")
    public var averageRamp: Bool = false

    // What pictures of two domains are translated by.

    @Field("domain_b", .any, .unlessDefault, of: .cyclegan, flag: "--domain-b",
        help: "Translate between the first half of a data set under --data, A, and a known function of its second half, B: "
            + "mnist:inverse, mnist:thick, mnist:edges or mnist:coloured.")
    public var domainB: KnownDomain? = nil
    @Field("channels_b", .unlessNil(.oneOf([1, 3], "must be 1, grey, or 3, colour")), .unlessDefault, of: .cyclegan,
        flag: "--channels-b", help: "Channels of B's images, as --channels (the data's own).")
    public var channelsB: Int? = nil
    @Field("cycle_weight", .fromZero, .unlessDefault, of: .cyclegan, flag: "--cycle-weight",
        help: "Weight λ of the cycles' loss, E‖F(G(a)) − a‖₁ + E‖G(F(b)) − b‖₁ (10, or 0 of a cycle from colours through grey).")
    public var cycleWeight: Double = 10
    @Field("cycle_weight_b", .unlessNil(.fromZero), .unlessDefault, of: .cyclegan, flag: "--cycle-weight-b",
        help: "Weight of the second of them, where it is another one: A may not hold all that B shows.")
    public var cycleWeightB: Double? = nil
    @Field("identity_weight", .unlessNil(.fromZero), .unlessDefault, of: .cyclegan, flag: "--identity-weight",
        help: "Weight of the loss E‖G(b) − b‖₁ + E‖F(a) − a‖₁ (5; 0, none, where A and B differ in shape).")
    public var identityWeight: Double? = nil
    @Field("pool_size", .within(0...1 << 20, "must be 0 … 1,048,576"), .unlessDefault, of: .cyclegan, flag: "--pool-size",
        help: "How many earlier fakes of each domain are kept for the discriminators; 0 is none.")
    public var poolSize: Int = 0

    // What any training needs.

    @Field("precision", flag: "--precision",
        help: "fp32, or bf16: products of factors rounded to bf16, everything else in fp32.")
    public var precision: Precision = .fp32
    @Field("seed", flag: "--seed", help: "Seed of all random numbers.")
    public var seed: UInt64 = 0
    @Field("shards", .powerOfTwo(upTo: 4_096, "the number of logical shards must be a power of two from 1 to 4096"),
        flag: "--shards", help: "Logical shards, a power of two; the bytes of a run depend on it, and not on the number of ranks.")
    public var shards: Int = 8
    @Field("log_interval", changesBytes: false, flag: "--log-interval", help: "Steps between log lines.")
    public var logInterval: Interval = .epochs(1)
    @Field("sample_interval", changesBytes: false, flag: "--sample-interval", help: "Steps between sample grids.")
    public var sampleInterval: Interval = .epochs(1)
    @Field("checkpoint_interval", changesBytes: false, flag: "--checkpoint-interval", help: "Steps between checkpoints.")
    public var checkpointInterval: Interval = .epochs(1)
    @Field("hash_interval", changesBytes: false, flag: "--hash-interval",
        help: "Steps between SHA-256 hashes of the weights in stats.jsonl.")
    public var hashInterval: Interval = .epochs(1)
    @Field("evaluate_interval", .any, .unlessDefault, changesBytes: false, flag: "--evaluate-interval",
        help: "Steps between measurements of the pictures (see evaluate), or of a classifier on its test images; 0 is never.")
    public var evaluateInterval: Interval = .never
    @Field("evaluate_images", .unlessNil(.within(6...1 << 30, "at least 6 pictures are measured")), .unlessDefault,
        changesBytes: false, of: .gan, flag: "--evaluate-images",
        help: "How many pictures are measured, against as many test images (5000, or all test images if they are fewer).")
    public var evaluateImages: Int? = nil
    @Field("keep_best", .any, .unlessDefault, changesBytes: false, flag: "--keep-best",
        help: "Keep the checkpoint in which this measure is the best, best-fid.safetensors.")
    public var keepBest: String? = nil
    @Field("keep", .within(1...1 << 30, "at least one checkpoint must be kept"), changesBytes: false, flag: "--keep",
        help: "Checkpoints to keep.")
    public var keep: Int = 5
    @Field("keep_every", .any, .unlessDefault, changesBytes: false, flag: "--keep-every",
        help: "Steps between checkpoints that are written and kept for good, whatever --keep says; 0 is never.")
    public var keepEvery: Interval = .never

    /// What the networks play with each other.
    public enum GameKind: String, Codable, CaseIterable, Sendable {
        /// A generator against a discriminator (Goodfellow et al. 2014).
        case gan
        /// One network that names the class of an image.
        case classifier
        /// Two generators between two kinds of pictures, against a discriminator of each (Zhu et al. 2017).
        case cyclegan

        var description: String {
            switch self {
            case .gan: "a GAN"
            case .classifier: "a classifier"
            case .cyclegan: "a CycleGAN"
            }
        }
    }

    /// What the generator step scores.
    public enum GeneratorStep: String, Codable, CaseIterable, Sendable {
        /// Fakes of fresh noise.
        case fresh
        /// The discriminator step's fakes again, with the updated discriminator.
        case reuse
    }

    /// The rule of the updates. Adam goes by `learningRate`, `beta1`, `beta2` and `epsilon`, RMSprop by `learningRate` and
    /// `epsilon`, plain gradient descent by `learningRate` alone.
    public enum OptimizerKind: String, Codable, CaseIterable, Sendable { case adam, rmsprop, sgd }

    /// What updates a network's parameters.
    public func optimizer(of network: NetworkRole) -> Optimizer {
        optimizer(learningRate: (network == .generator ? generatorLearningRate : discriminatorLearningRate) ?? learningRate)
    }

    func optimizer(learningRate rate: Double) -> Optimizer {
        switch optimizer {
        case .adam: .adam(Adam(learningRate: rate, beta1: beta1, beta2: beta2, epsilon: epsilon))
        case .rmsprop: .rmsprop(RMSprop(learningRate: rate, epsilon: epsilon))
        case .sgd: .sgd(SGD(learningRate: rate))
        }
    }

    /// What the learning rates are multiplied with in a step t, from 0: 2^−⌊t / half-life⌋, which no rounding touches, or
    /// 1 − (t − flat) / decay, at most 1 and at least 0. At 0 the networks stay as they are, however long the training.
    func learningRateScale(step t: Int, stepsPerEpoch: Int) -> Double {
        let halfLife = learningRateHalfLife.steps(stepsPerEpoch: stepsPerEpoch)
        if halfLife > 0 { return Double(sign: .plus, exponent: -min(t / halfLife, 1_000), significand: 1) }
        let decay = learningRateDecay.steps(stepsPerEpoch: stepsPerEpoch)
        guard decay > 0 else { return 1 }
        let fallen = t - learningRateFlat.steps(stepsPerEpoch: stepsPerEpoch)
        return max(0, 1 - Double(max(0, fallen)) / Double(decay))
    }

    /// What to say of learning rates that reach 0 before the end of a training on so many images.
    func warningOfLearningRates(images: Int) -> String? {
        let (stepsPerEpoch, total) = (stepsPerEpoch(images: images), totalSteps(images: images))
        let flat = learningRateFlat.steps(stepsPerEpoch: stepsPerEpoch)
        let decay = learningRateDecay.steps(stepsPerEpoch: stepsPerEpoch)
        guard decay > 0, flat + decay < total else { return nil }
        let length = steps ?? epochs
        let stay = Int((Double(length) * Double(flat) / Double(flat + decay)).rounded())
        let unit = steps == nil ? "e" : ""
        return "the learning rates reach 0 after \(Double(flat + decay).grouped) of \(Double(total).grouped) steps, and nothing is "
            + "learned after that; --lr-flat \(stay)\(unit) --lr-decay \(length - stay)\(unit) spreads their fall over the whole run"
    }

    /// The share that update number t of the generator, from 1, keeps of the moving average: d, or with a ramp
    /// min(d, (1 + t) / (10 + t)), as TensorFlow's `ExponentialMovingAverage` has it with `num_updates` = t. Without a ramp the
    /// initial weights are in the average for some multiples of 1 / (1 − d) updates.
    func averageDecay(update t: Int) -> Double {
        averageRamp ? min(averageDecay, Double(1 + t) / Double(10 + t)) : averageDecay
    }

    /// Standard deviation of the instance noise in a step, from 0.
    func instanceNoise(step: Int, stepsPerEpoch: Int) -> Float {
        let length = instanceNoiseDecay.steps(stepsPerEpoch: stepsPerEpoch)
        return Float(length == 0 ? instanceNoise : instanceNoise * max(0, 1 - Double(step) / Double(length)))
    }

    /// Whether training needs the classes of images.
    public var isConditional: Bool { classes != nil }

    /// How many classes its networks tell apart; nil where they are told none.
    public var classes: Int? {
        switch game {
        case .gan: (generator + discriminator).flatMap(\.classes).first
        case .classifier: try? classifierPlan().outputs
        case .cyclegan: nil
        }
    }

    /// The data, as far as it tells them: those of a checkpoint.
    var dataFormat: DataFormat {
        var format = DataFormat(name: dataset, channels: channels, size: imageSize, classes: classes)
        format.secondChannels = game == .cyclegan ? imageB.channels : nil
        return format
    }

    static let datasetKey = "dataset"

    /// The shape of an image as the discriminator sees it.
    public var image: Shape { Shape(channels: channels, imageSize) }

    /// Changes the length of the noise vectors, and with it the generator's first layer that depends on it.
    public mutating func setLatentDimension(_ dimension: Int) {
        let change = dimension - latentDimension
        if let first = generator.firstIndex(where: \.isAffine) {
            switch generator[first].description {
            case let linear as LinearDescription:
                generator[first] = .linear(inputs: linear.inputs + change, outputs: linear.outputs, hasBias: linear.hasBias)
            case var convolution as ConvolutionDescription:
                convolution.inputs += change
                generator[first] = .convolution(convolution)
            default: break
            }
        }
        latentDimension = dimension
    }

    /// Steps of an epoch over N images, each of as many batches as there are critic steps.
    public func stepsPerEpoch(images: Int) -> Int { images / (batchSize * criticSteps) }

    /// Steps of the whole training.
    public func totalSteps(images: Int) -> Int { steps ?? epochs * stepsPerEpoch(images: images) }
}
