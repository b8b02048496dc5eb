import MessagePassing
import Networks
import Testing

@testable import GAN

/// The recipes, layer by layer.
@Suite struct PresetTests {
    private func linear(_ inputs: Int, _ outputs: Int) -> LayerSpecification { .linear(inputs: inputs, outputs: outputs) }
    private let leaky = LayerSpecification.leakyReLU(slope: 0.2)

    /// What the recipes of linear layers share.
    private func checkCommon(_ preset: Configuration) throws {
        #expect(preset.learningRate == 2e-4)
        #expect((preset.beta1, preset.beta2, preset.epsilon) == (0.9, 0.999, 1e-8))
        #expect(preset.loss == .bce)
        #expect(preset.dataset == "mnist")
        #expect(preset.shards == 8)
        #expect(preset.seed == 0)
        #expect(preset.steps == nil)
        #expect(preset.keep == 5)
        try preset.validate()
    }

    @Test func mlp() throws {
        let preset = try mnistPreset("mlp")
        try checkCommon(preset)
        #expect(preset.generator == [linear(64, 256), .relu, linear(256, 256), .relu, linear(256, 784), .tanh])
        #expect(preset.discriminator == [linear(784, 256), leaky, linear(256, 256), leaky, linear(256, 1)])
        #expect((preset.latentDimension, preset.batchSize, preset.epochs) == (64, 64, 20))
        #expect(preset.generatorStep == .fresh)
        #expect((preset.logInterval, preset.sampleInterval) == (.steps(400), .epochs(4)))
        #expect(preset.stepsPerEpoch(images: 60_000) == 937)
    }

    @Test func mlpDropout() throws {
        let preset = try mnistPreset("mlp-dropout")
        try checkCommon(preset)
        let dropout = LayerSpecification.dropout(probability: 0.3)
        #expect(preset.generator == [linear(100, 128), leaky, linear(128, 256), leaky, linear(256, 784), .tanh])
        #expect(
            preset.discriminator == [linear(784, 256), leaky, dropout, linear(256, 128), leaky, dropout, linear(128, 1)])
        #expect((preset.latentDimension, preset.batchSize, preset.epochs) == (100, 64, 100))
        #expect(preset.generatorStep == .fresh)
    }

    @Test func mlpWide() throws {
        let preset = try mnistPreset("mlp-wide")
        try checkCommon(preset)
        #expect(
            preset.generator == [
                linear(100, 256), leaky, linear(256, 512), leaky, linear(512, 1024), leaky, linear(1024, 784), .tanh,
            ])
        #expect(
            preset.discriminator == [linear(784, 1024), leaky, linear(1024, 512), leaky, linear(512, 256), leaky, linear(256, 1)])
        #expect((preset.latentDimension, preset.batchSize, preset.epochs) == (100, 64, 50))
        #expect(preset.generatorStep == .fresh)
    }

    @Test func mlpReuse() throws {
        let preset = try mnistPreset("mlp-reuse")
        try checkCommon(preset)
        #expect(preset.generator == [linear(100, 256), .relu, linear(256, 256), .relu, linear(256, 784), .tanh])
        #expect(preset.discriminator == [linear(784, 256), leaky, linear(256, 256), leaky, linear(256, 1)])
        #expect((preset.latentDimension, preset.batchSize, preset.epochs) == (100, 100, 100))
        #expect(preset.generatorStep == .reuse)
        #expect(preset.stepsPerEpoch(images: 60_000) == 600)
    }

    @Test func dcgan() throws {
        let preset = try mnistPreset("dcgan")
        try preset.validate()
        func convolution(_ inputs: Int, _ outputs: Int, stride: Int = 2, padding: Int = 1) -> LayerSpecification {
            .convolution(.init(inputs: inputs, outputs: outputs, kernel: 4, stride: stride, padding: padding, hasBias: false))
        }
        func transposed(_ inputs: Int, _ outputs: Int, stride: Int = 2, padding: Int = 1) -> LayerSpecification {
            .convolution(
                .init(
                    isTransposed: true, inputs: inputs, outputs: outputs, kernel: 4, stride: stride, padding: padding,
                    hasBias: false))
        }
        func normalization(_ channels: Int) -> LayerSpecification { .batchNormalization(channels: channels) }
        #expect(
            preset.generator == [
                transposed(100, 512, stride: 1, padding: 0), normalization(512), .relu, transposed(512, 256), normalization(256),
                .relu, transposed(256, 128), normalization(128), .relu, transposed(128, 64), normalization(64), .relu,
                transposed(64, 1), .tanh,
            ])
        #expect(
            preset.discriminator == [
                convolution(1, 64), leaky, convolution(64, 128), normalization(128), leaky, convolution(128, 256),
                normalization(256), leaky, convolution(256, 512), normalization(512), leaky,
                convolution(512, 1, stride: 1, padding: 0),
            ])
        #expect((preset.imageSize, preset.latentDimension, preset.batchSize, preset.epochs) == (64, 100, 64, 5))
        #expect((preset.learningRate, preset.beta1, preset.beta2) == (2e-4, 0.5, 0.999))
        #expect(preset.generatorStep == .reuse)
        #expect(preset.loss == .bce)
    }

    /// Normalisation takes the mean away, and a bias with it: its gradient is rounding noise.
    @Test(arguments: Preset.names) func noBiasBeforeNormalisation(name: String) throws {
        let preset = try mnistPreset(name)
        for layers in [preset.generator, preset.discriminator] {
            for (layer, next) in zip(layers, layers.dropFirst()) {
                guard next.description is BatchNormalizationDescription else { continue }
                switch layer.description {
                case let linear as LinearDescription: #expect(!linear.hasBias)
                case let convolution as ConvolutionDescription: #expect(!convolution.hasBias)
                default: break
                }
            }
        }
    }

    @Test func cgan() throws {
        let preset = try mnistPreset("cgan")
        try preset.validate()
        #expect(
            preset.generator == [
                .label(classes: 10), .linear(inputs: 110, outputs: 256, hasBias: false), .batchNormalization(channels: 256), .relu,
                .linear(inputs: 256, outputs: 256, hasBias: false), .batchNormalization(channels: 256), .relu,
                linear(256, 784), .tanh,
            ])
        #expect(
            preset.discriminator == [
                linear(784, 256), .leakyReLU(slope: 0.2), linear(256, 256), .leakyReLU(slope: 0.2), linear(256, 11),
                .projection(classes: 10),
            ])
        var shorter = preset
        shorter.setLatentDimension(20)
        #expect(shorter.generator[1] == .linear(inputs: 30, outputs: 256, hasBias: false))
        try shorter.validate()
    }

    /// Learning rates that fall to 0 do so at the end, not before it.
    @Test(arguments: Preset.names) func learningRatesFallUntilTheEnd(name: String) throws {
        let preset = try mnistPreset(name)
        guard !preset.learningRateDecay.isNever else { return }
        let steps = preset.stepsPerEpoch(images: 60_000)
        #expect(preset.learningRateScale(step: preset.epochs * steps - 1, stepsPerEpoch: steps) > 0)
        #expect(preset.learningRateScale(step: preset.epochs * steps, stepsPerEpoch: steps) == 0)
    }

    @Test func namesAreKnown() throws {
        #expect(
            Preset.names == [
                "dcgan28", "dcgan", "lsgan", "hinge", "wgan", "wgan-gp", "cdcgan", "cgan", "mlp", "mlp-dropout", "mlp-wide",
                "mlp-reuse", "classifier28", "cyclegan28", "cyclegan",
            ])
        #expect(Preset.standard == "dcgan28")
        let error = #expect(throws: Failure.self) { _ = try mnistPreset("mpl") }
        #expect(error?.code == .usage)
        #expect(error?.description.contains("unknown preset \"mpl\"; known are dcgan28, dcgan, ") == true)
    }

    /// Parameters of a linear and of a convolutional preset, counted by hand.
    @Test func parameters() throws {
        let small = try mnistPreset("dcgan28").networkPlans()
        #expect(
            small.generator.layout.parameterCount
                == 64 * 256 + 256 + 256 * 64 * 49 + 2 * 64 + 64 * 32 * 16 + 2 * 32 + 32 * 32 * 9 + 2 * 32 + 32 * 16 + 1)
        #expect(small.discriminator.layout.parameterCount == 32 * 16 + 32 + 32 * 64 * 16 + 2 * 64 + 64 * 49 * 256 + 2 * 256 + 256 + 1)
        let plans = try mnistPreset("mlp").networkPlans()
        #expect(plans.generator.layout.parameterCount == 64 * 256 + 256 + 256 * 256 + 256 + 256 * 784 + 784)
        #expect(plans.discriminator.layout.parameterCount == 784 * 256 + 256 + 256 * 256 + 256 + 256 + 1)
    }
}
