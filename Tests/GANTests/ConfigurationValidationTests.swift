import MessagePassing
import Testing

@testable import GAN

/// Values of fields that make no sense, by themselves or together.
@Suite struct ConfigurationValidationTests {
    /// A change, and what is said of it.
    struct Nonsense: Sendable {
        var text: String
        var change: @Sendable (inout Configuration) -> Void

        init(_ text: String, _ change: @escaping @Sendable (inout Configuration) -> Void) {
            self.text = text
            self.change = change
        }
    }

    static let nonsense: [Nonsense] = [
        Nonsense("--shards 6: the number of logical shards must be a power of two from 1 to 4096") { $0.shards = 6 },
        Nonsense("--shards 0: ") { $0.shards = 0 },
        Nonsense("--shards -8: ") { $0.shards = -8 },
        Nonsense("--shards 8192: ") { $0.shards = 8_192 },
        Nonsense("--shards -9223372036854775808: ") { $0.shards = .min },
        Nonsense("--batch-size 7: the global batch must hold at least one image for each of the 8 logical shards") { $0.batchSize = 7 },
        Nonsense("--batch-size 0: ") { $0.batchSize = 0 },
        Nonsense("--batch-size 1048577: ") { $0.batchSize = (1 << 20) + 1 },
        Nonsense("--epochs 0: must be at least 1") { $0.epochs = 0 },
        Nonsense("--epochs ") { $0.epochs = .max },
        Nonsense("--steps 0: must be at least 1") { $0.steps = 0 },
        Nonsense("--steps -1: ") { $0.steps = -1 },
        Nonsense("--steps ") { $0.steps = .max },
        Nonsense("--image-size 0: the sides of an image must be 1 … 1,024 pixels") { $0.imageSize = 0 },
        Nonsense("--image-size 1025: ") { $0.imageSize = 1_025 },
        Nonsense("--image-size 28 × 1025: ") { $0.imageSize = ImageSize(height: 28, width: 1_025) },
        Nonsense("--channels 2: must be 1, grey, or 3, colour") { $0.channels = 2 },
        Nonsense("--image-size -28: ") { $0.imageSize = -28 },
        Nonsense("--image-size ") { $0.imageSize = ImageSize(side: .max) },
        Nonsense("the generator gives 784 features; images of 1 × 32 × 32 are needed (image_size 32)") { $0.imageSize = 32 },
        Nonsense(
            "the discriminator does not fit together: layer 0, linear [784 → 256], does not take what the network's input gives: "
                + "1 × 32 × 32"
        ) {
            $0.imageSize = 32
            $0.generator[4] = .linear(inputs: 256, outputs: 1_024)
        },
        Nonsense("--latent-dim 0: ") { $0.latentDimension = 0 },
        Nonsense("--latent-dim 65537: ") { $0.latentDimension = 65_537 },
        Nonsense("--lr 0.0: the learning rate must be a positive number") { $0.learningRate = 0 },
        Nonsense("--lr -0.001: ") { $0.learningRate = -1e-3 },
        Nonsense("--lr nan: ") { $0.learningRate = .nan },
        Nonsense("--lr inf: ") { $0.learningRate = .infinity },
        Nonsense("--beta1 1.0: must be at least 0 and less than 1") { $0.beta1 = 1 },
        Nonsense("--beta2 -0.1: ") { $0.beta2 = -0.1 },
        Nonsense("--beta2 nan: ") { $0.beta2 = .nan },
        Nonsense("epsilon 0.0: must be a positive number") { $0.epsilon = 0 },
        Nonsense("--keep 0: at least one checkpoint must be kept") { $0.keep = 0 },
        Nonsense(
            "the generator does not fit together: layer 0, linear [64 → 256], does not take what the network's input gives: 32 features"
        ) { $0.latentDimension = 32 },
        Nonsense("the generator gives 256 features; images of 1 × 28 × 28 are needed") { $0.generator.removeLast(2) },
        Nonsense("the discriminator gives 256 features; one output is needed") { $0.discriminator.removeLast() },
        Nonsense("the discriminator does not fit together: no layer has parameters") { $0.discriminator = [] },
        Nonsense("the discriminator does not fit together: layer 1, linear [256 → 256], does not take what layer 0, relu, gives: 1 × 28 × 28") {
            $0.discriminator[0] = .relu
            $0.discriminator.remove(at: 1)
        },
        Nonsense("--critic-steps 0: must be 1 … 1,000") { $0.criticSteps = 0 },
        Nonsense("--critic-steps 1001: ") { $0.criticSteps = 1_001 },
        Nonsense("--gradient-penalty -1.0: must be a number from 0, which is none") { $0.gradientPenalty = -1 },
        Nonsense("--gradient-penalty nan: ") { $0.gradientPenalty = .nan },
        Nonsense("--r1 -1.0: must be a number from 0, which is none") { $0.r1 = -1 },
        Nonsense("--r2 nan: ") { $0.r2 = .nan },
        Nonsense("--r1 and --weight-clip both bound the discriminator's slope; use one of them") {
            ($0.r1, $0.r2) = (1, 1)
            $0.weightClip = 0.01
        },
        Nonsense("--gradient-penalty and --r2 both bound the discriminator's slope") { ($0.gradientPenalty, $0.r2) = (10, 1) },
        Nonsense("--penalty-interval 0: must be at least 1") { $0.penaltyInterval = 0 },
        Nonsense("--weight-clip -0.01: ") { $0.weightClip = -0.01 },
        Nonsense("--weight-clip inf: ") { $0.weightClip = .infinity },
        Nonsense("--gradient-penalty and --weight-clip both bound the discriminator's slope; use one of them") {
            $0.gradientPenalty = 10
            $0.weightClip = 0.01
        },
        Nonsense("--label-smoothing 1.0: must be at least 0, which is none, and less than 1") { $0.labelSmoothing = 1 },
        Nonsense("--label-smoothing -0.1: ") { $0.labelSmoothing = -0.1 },
        Nonsense("--label-smoothing nan: ") { $0.labelSmoothing = .nan },
        Nonsense("--label-flip 0.6: must be 0 … 0.5") { $0.labelFlip = 0.6 },
        Nonsense("--label-flip -0.1: ") { $0.labelFlip = -0.1 },
        Nonsense("--label-smoothing and --label-flip change the targets of --loss bce and mse; hinge has none") {
            $0.loss = .hinge
            $0.labelSmoothing = 0.1
        },
        Nonsense("--label-smoothing and --label-flip change the targets of --loss bce and mse; wasserstein has none") {
            $0.loss = .wasserstein
            $0.labelFlip = 0.1
        },
        Nonsense("--instance-noise -0.1: ") { $0.instanceNoise = -0.1 },
        Nonsense("--instance-noise inf: ") { $0.instanceNoise = .infinity },
        Nonsense("--instance-noise-mixed mixes levels of noise, and there is none; add --instance-noise 0.3") {
            $0.mixesInstanceNoise = true
        },
        Nonsense("--ema 1.0: must be at least 0, which is none, and less than 1") { $0.averageDecay = 1 },
        Nonsense("--ema -0.5: ") { $0.averageDecay = -0.5 },
        Nonsense("--ema-ramp changes the generator's moving average, and none is kept; add --ema 0.999") { $0.averageRamp = true },
        Nonsense("--lr-half-life and --lr-decay both lower the learning rates; use one of them") {
            ($0.learningRateHalfLife, $0.learningRateDecay) = (.steps(3), .epochs(1))
        },
        Nonsense("--lr-flat 3: how long the learning rates stay before they fall, and they do not; add --lr-decay") {
            $0.learningRateFlat = .steps(3)
        },
        Nonsense("--lr-generator 0.0: must be a positive number") { $0.generatorLearningRate = 0 },
        Nonsense("--lr-generator nan: ") { $0.generatorLearningRate = .nan },
        Nonsense("--lr-discriminator -1.0: must be a positive number") { $0.discriminatorLearningRate = -1 },
        Nonsense("--gradient-penalty 10.0: layer 1 of the discriminator, tanh, is not piecewise linear") {
            $0.gradientPenalty = 10
            $0.discriminator.insert(.tanh, at: 1)
        },
        Nonsense("the generator normalises over a batch of one value, whose variance is not defined; raise --batch-size") {
            $0.batchSize = 1
            $0.shards = 1
            $0.generator.insert(.batchNormalization(channels: 256), at: 1)
        },
        Nonsense("the discriminator normalises over a batch of one value") {
            $0.batchSize = 1
            $0.shards = 1
            $0.discriminator.insert(.batchNormalization(channels: 256), at: 1)
        },
    ]

    @Test(arguments: nonsense) func refusesWhatMakesNoSense(test: Nonsense) throws {
        var configuration = try mnistPreset("mlp")
        test.change(&configuration)
        let changed = configuration
        expectUsage(test.text) { try changed.validate() }
    }

    static let nonsenseOfImages: [Nonsense] = [
        Nonsense("--gradient-penalty 10.0: layer 3 of the discriminator, batch_norm, is not piecewise linear") {
            $0.gradientPenalty = 10
        },
        Nonsense("--r1 10.0: layer 3 of the discriminator, batch_norm, is not piecewise linear") { ($0.r1, $0.r2) = (10, 10) },
        Nonsense("--r2 0.5: layer 3 of the discriminator, batch_norm, is not piecewise linear") { $0.r2 = 0.5 },
        // The four doublings of the generator make 64 of 4, and nothing else.
        Nonsense("the generator gives 1 × 64 × 64; images of 1 × 28 × 28 are needed (image_size 28)") { $0.imageSize = 28 },
        Nonsense("the discriminator gives 1 × 5 × 5; one output is needed") {
            $0.imageSize = 128
            $0.generator.insert(.upsample(factor: 2), at: 1)
        },
        Nonsense("the discriminator does not fit together: layer 2, conv2d [8 → 128] of kernel 4, stride 2, padding 1, does not take "
            + "what layer 1, leaky_relu, gives: 64 × 32 × 32") {
            $0.discriminator[2] = .convolution(.init(inputs: 8, outputs: 128, kernel: 4, stride: 2, padding: 1, hasBias: false))
        },
        Nonsense("the generator gives 2 × 64 × 64; images of 1 × 64 × 64 are needed") {
            $0.generator[12] = .convolution(
                .init(isTransposed: true, inputs: 64, outputs: 2, kernel: 4, stride: 2, padding: 1, hasBias: false))
        },
        Nonsense("the generator does not fit together: layer 0, conv_transpose2d [100 → 512] of kernel 4, stride 1, padding 0, does "
            + "not take what the network's input gives: 64 features") { $0.latentDimension = 64 },
    ]

    @Test(arguments: nonsenseOfImages) func refusesWhatMakesNoSenseOfImages(test: Nonsense) throws {
        var configuration = try mnistPreset("dcgan")
        test.change(&configuration)
        let changed = configuration
        expectUsage(test.text) { try changed.validate() }
    }

    /// One image is enough where there are several pixels to normalise over.
    @Test func oneImageMayHaveAVariance() throws {
        var configuration = try mnistPreset("dcgan")
        (configuration.batchSize, configuration.shards) = (1, 1)
        try configuration.validate()
    }
}
