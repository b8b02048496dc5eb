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
    @Field("preset", changesBytes: false, help: "The preset that this one came from.")
    public var preset: String = Preset.standard
    @Field(Configuration.datasetKey, flag: "--dataset",
        help: "Data set to use if --data holds several: mnist, fashion, kmnist, or emnist-SPLIT with the split "
            + "byclass, bymerge, balanced, letters, digits or mnist.")
    public var dataset: String = DataFormat.mnist.name
    @Field("image_size", .sides(1...1_024, "the sides of an image must be 1 … 1,024 pixels"), flag: "--image-size",
        help: "Height and width of the images in pixels, 1 … 1024. Images are cropped to their centred square and "
            + "resized. Default: the data's own size, if the preset has none.")
    public var imageSize: ImageSize = KnownDataset.imageSize
    @Field("channels", .oneOf([1, 3], "must be 1, grey, or 3, colour"), .unlessDefault, flag: "--channels",
        help: "Channels of the images: 1 (grey) or 3 (RGB). Images are converted. Default: the data's own.")
    public var channels: Int = 1
    @Field("mirror", .any, .unlessDefault, flag: "--mirror", help: "Flip each real image horizontally with probability 1/2.")
    public var mirror: Bool = false

    // Length.

    @Field("epochs", .within(1...1 << 30, "must be at least 1"), changesBytes: false, flag: "--epochs",
        help: "Length of the training, in epochs.")
    public var epochs: Int = 1
    @Field("steps", .unlessNil(.within(1...1 << 31, "must be at least 1")), .unlessDefault, changesBytes: false, flag: "--steps",
        help: "Length of the training, in steps; overrides --epochs.")
    public var steps: Int? = nil
    @Field("batch_size", flag: "--batch-size", help: "Images in a batch, over all ranks; at least --shards.")
    public var batchSize: Int = 64

    // Updates.

    @Field("lr", .positive("the learning rate must be a positive number"), flag: "--lr",
        help: "Learning rate of all networks.")
    public var learningRate: Double = 2e-4
    @Field("lr_generator", .unlessNil(.positive), .unlessDefault, of: .gan, flag: "--lr-generator",
        help: "Learning rate of the generator, if it differs from --lr.")
    public var generatorLearningRate: Double? = nil
    @Field("lr_discriminator", .unlessNil(.positive), .unlessDefault, of: .gan, flag: "--lr-discriminator",
        help: "Learning rate of the discriminator, if it differs from --lr.")
    public var discriminatorLearningRate: Double? = nil
    @Field("lr_half_life", flag: "--lr-half-life",
        help: "Halve the learning rates whenever this time has passed, in steps or epochs (5e); 0: never.")
    public var learningRateHalfLife: Interval = .never
    @Field("lr_flat", .any, .unlessDefault, flag: "--lr-flat",
        help: "How long the learning rates stay constant before --lr-decay, in steps or epochs (5e).")
    public var learningRateFlat: Interval = .never
    @Field("lr_decay", .any, .unlessDefault, flag: "--lr-decay",
        help: "Then the learning rates fall linearly to 0 over this time, in steps or epochs (5e), and stay there; "
            + "0: no decay.")
    public var learningRateDecay: Interval = .never
    @Field("optimizer", flag: "--optimizer", help: "Optimizer: adam, rmsprop or sgd.")
    public var optimizer: OptimizerKind = .adam
    @Field("beta1", .within(0..<1, "must be at least 0 and less than 1"), flag: "--beta1",
        help: "Adam's β1: decay rate of the running mean of the gradient, 0 ≤ β1 < 1.")
    public var beta1: Double = 0.9
    @Field("beta2", .within(0..<1, "must be at least 0 and less than 1"), flag: "--beta2",
        help: "Adam's β2: decay rate of the running mean of the squared gradient, 0 ≤ β2 < 1.")
    public var beta2: Double = 0.999
    @Field("epsilon", .positive, help: "ε of Adam and RMSprop, added to the root of the mean squared gradient.")
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
    @Field("latent_dim", .within(1...65_536, "must be 1 … 65,536"), of: .gan, flag: "--latent-dim",
        help: "Length of the noise vectors, 1 … 65536.")
    public var latentDimension: Int = 100
    @Field("generator", of: .gan, help: "The generator's layers.")
    public var generator: [LayerSpecification] = []
    @Field("discriminator", of: .gan, help: "The discriminator's layers.")
    public var discriminator: [LayerSpecification] = []
    @Field("loss", of: .gan, flag: "--loss",
        help: "Loss: bce (on logits), mse (least squares), hinge, wasserstein, or relativistic (of pairs of real "
            + "and fake images).")
    public var loss: Loss = .bce
    @Field("generator_step", of: .gan, help: "What the generator step scores: fresh fakes, or the discriminator step's again.")
    public var generatorStep: GeneratorStep = .fresh
    @Field("critic_steps", .within(1...1_000, "must be 1 … 1,000"), of: .gan, flag: "--critic-steps",
        help: "Discriminator updates for each generator update, 1 … 1000.")
    public var criticSteps: Int = 1
    @Field("gradient_penalty", .fromZero, of: .gan, flag: "--gradient-penalty",
        help: "Weight λ of the gradient penalty of WGAN-GP, λ·E(‖∇D‖−1)² between real and fake images, with any "
            + "loss (10 is usual); 0: none.")
    public var gradientPenalty: Double = 0
    @Field("r1", .fromZero, .unlessDefault, of: .gan, flag: "--r1",
        help: "Weight γ of the R1 penalty, γ/2·E‖∇D‖² on real images (Mescheder et al. 2018); 0: none.")
    public var r1: Double = 0
    @Field("r2", .fromZero, .unlessDefault, of: .gan, flag: "--r2",
        help: "Weight γ of the R2 penalty, γ/2·E‖∇D‖² on fake images (Mescheder et al. 2018); 0: none.")
    public var r2: Double = 0
    @Field("penalty_interval", .within(1...1 << 30, "must be at least 1"), .unlessDefault, of: .gan, flag: "--penalty-interval",
        help: "Apply gradient penalties only in every n-th discriminator update, times n (lazy regularization, "
            + "Karras et al. 2020).")
    public var penaltyInterval: Int = 1
    @Field("weight_clip", .fromZero, of: .gan, flag: "--weight-clip",
        help: "Clip the discriminator's weights to [−c, c] after each update; 0: none.")
    public var weightClip: Double = 0
    @Field("spectral_norm", of: .gan, flag: "--spectral-norm",
        help: "Spectral normalization of the discriminator's weights (Miyato et al. 2018).")
    public var spectralNorm: Bool = false
    @Field("label_smoothing", .share, of: .gan, flag: "--label-smoothing",
        help: "One-sided label smoothing: the target of real images is 1 minus this. With bce and mse only; "
            + "0: none.")
    public var labelSmoothing: Double = 0
    @Field("label_flip", .within(0...0.5, "must be 0 … 0.5"), of: .gan, flag: "--label-flip",
        help: "Probability of swapping real and fake of an image in the discriminator's loss, 0 … 0.5. With bce "
            + "and mse only.")
    public var labelFlip: Double = 0
    @Field("instance_noise", .fromZero, of: .gan, flag: "--instance-noise",
        help: "Standard deviation of normal noise on all images that the discriminator sees; pixels are −1 … 1. "
            + "0: none.")
    public var instanceNoise: Double = 0
    @Field("instance_noise_decay", of: .gan, flag: "--instance-noise-decay",
        help: "The instance noise falls linearly to 0 over this time, in steps or epochs (5e); 0: no decay.")
    public var instanceNoiseDecay: Interval = .never
    @Field("instance_noise_mixed", .any, .unlessDefault, of: .gan, flag: "--instance-noise-mixed",
        help: "Draw each image's standard deviation of the instance noise uniformly from 0 to --instance-noise.")
    public var mixesInstanceNoise: Bool = false
    @Field("ema", .share, of: .gan, flag: "--ema",
        help: "Decay of the exponential moving average (EMA) of the generator's weights, 0 ≤ decay < 1. Samples "
            + "use the average. 0: none.")
    public var averageDecay: Double = 0
    @Field("ema_ramp", .any, .later, of: .gan, flag: "--ema-ramp",
        help: "EMA warm-up: in update t the decay is at most (1+t)/(10+t).")
    public var averageRamp: Bool = false

    // Translation of images between two domains.

    @Field("domain_b", .any, .unlessDefault, of: .cyclegan, flag: "--domain-b",
        help: "Make both domains of one data set: A is its first half, B a function of its second half. Give the "
            + "set and inverse, thick, edges or coloured, as in mnist:inverse.")
    public var domainB: KnownDomain? = nil
    @Field("channels_b", .unlessNil(.oneOf([1, 3], "must be 1, grey, or 3, colour")), .unlessDefault, of: .cyclegan,
        flag: "--channels-b", help: "Channels of domain B's images: 1 (grey) or 3 (RGB). Default: the data's own.")
    public var channelsB: Int? = nil
    @Field("cycle_weight", .fromZero, .unlessDefault, of: .cyclegan, flag: "--cycle-weight",
        help: "Weight λ of the cycle-consistency loss, E‖F(G(a))−a‖₁ + E‖G(F(b))−b‖₁. If one domain is grey "
            + "and the other in colour, the presets set the term of the colour domain to 0.")
    public var cycleWeight: Double = 10
    @Field("cycle_weight_b", .unlessNil(.fromZero), .unlessDefault, of: .cyclegan, flag: "--cycle-weight-b",
        help: "Weight of the second term, if it differs from the first.")
    public var cycleWeightB: Double? = nil
    @Field("identity_weight", .unlessNil(.fromZero), .unlessDefault, of: .cyclegan, flag: "--identity-weight",
        help: "Weight of the identity loss, E‖G(b)−b‖₁ + E‖F(a)−a‖₁. Default: 5, or 0 where A and B differ in "
            + "channels.")
    public var identityWeight: Double? = nil
    @Field("pool_size", .within(0...1 << 20, "must be 0 … 1,048,576"), .unlessDefault, of: .cyclegan, flag: "--pool-size",
        help: "Size of the buffer of generated images for each discriminator (Shrivastava et al. 2017), a multiple "
            + "of --shards; 0: none.")
    public var poolSize: Int = 0

    // What runs of one configuration differ in.

    @Field("seed", flag: "--seed", help: "Seed of all random numbers, a whole number from 0.")
    public var seed: UInt64 = 0

    // Evaluation.

    @Field("evaluate_interval", .any, .unlessDefault, changesBytes: false, flag: "--evaluate-interval",
        help: "Interval between evaluations, in steps or epochs (1e); 0: never. A GAN is measured as by gan-dist "
            + "evaluate, a classifier on its test images.")
    public var evaluateInterval: Interval = .never
    @Field("evaluate_images", .unlessNil(.within(6...1 << 30, "at least 6 pictures are measured")), .unlessDefault,
        changesBytes: false, of: .gan, flag: "--evaluate-images",
        help: "Generated images in an evaluation, at least 6, against as many test images. Default: 5000, or all "
            + "test images if there are fewer.")
    public var evaluateImages: Int? = nil
    @Field("keep_best", .any, .unlessDefault, changesBytes: false, flag: "--keep-best",
        help: "Keep the checkpoint with the best value of this measure, as in best-fid.safetensors. Needs --evaluate-interval. "
            + "GAN: \(Measure.allCases.map(\.rawValue).joined(separator: ", ")). Classifier: test_loss, test_accuracy. "
            + "CycleGAN: class_accuracy_ab, class_accuracy_ba, pixel_error_ab, pixel_error_ba, fid_a, fid_b.")
    public var keepBest: String? = nil

    // What is written when.

    @Field("log_interval", changesBytes: false, flag: "--log-interval",
        help: "Interval between log lines, in steps or epochs (1e); 0: only at the end.")
    public var logInterval: Interval = .epochs(1)
    @Field("sample_interval", changesBytes: false, flag: "--sample-interval",
        help: "Interval between image grids, in steps or epochs (1e); 0: only at the start and the end.")
    public var sampleInterval: Interval = .epochs(1)
    @Field("checkpoint_interval", changesBytes: false, flag: "--checkpoint-interval",
        help: "Interval between checkpoints, in steps or epochs (1e); 0: only at the end.")
    public var checkpointInterval: Interval = .epochs(1)
    @Field("hash_interval", changesBytes: false, flag: "--hash-interval",
        help: "Interval between SHA-256 hashes of the weights in stats.jsonl, in steps or epochs (1e); 0: only at "
            + "the end.")
    public var hashInterval: Interval = .epochs(1)
    @Field("keep", .within(1...1 << 30, "at least one checkpoint must be kept"), changesBytes: false, flag: "--keep",
        help: "Number of checkpoints to keep, the newest ones.")
    public var keep: Int = 5
    @Field("keep_every", .any, .unlessDefault, changesBytes: false, flag: "--keep-every",
        help: "Interval between checkpoints that are kept for good, whatever --keep says, in steps or epochs "
            + "(10e); 0: none.")
    public var keepEvery: Interval = .never

    // How the work is divided, and the numbers of matrix products.

    @Field("shards", .powerOfTwo(upTo: 4_096, "the number of logical shards must be a power of two from 1 to 4096"),
        flag: "--shards",
        help: "Logical shards of a batch: a power of two from 1 to 4096, at least the number of ranks. The bytes "
            + "of a run depend on it, and not on the number of ranks.")
    public var shards: Int = 8
    @Field("precision", flag: "--precision",
        help: "fp32, or bf16: inputs of matrix products are rounded to bf16, sums are kept in fp32.")
    public var precision: Precision = .fp32

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
