import MessagePassing
import Networks

/// The recipes that `--preset` names.
public enum Preset {
    public static let standard = "mlp"

    public static let all: [Configuration] = [mlp, mlpDropout, mlpWide, mlpReuse, dcgan]

    /// - Throws: a usage error that lists the known names.
    public static func named(_ name: String) throws -> Configuration {
        guard let preset = all.first(where: { $0.preset == name }) else {
            throw Failure(
                .usage, "unknown preset \"\(name)\"; known are \(all.map(\.preset).joined(separator: ", "))")
        }
        return preset
    }

    /// A plain GAN: two hidden layers of 256 in either network.
    static let mlp = recipe(
        "mlp", batchSize: 64, epochs: 20, latentDimension: 64,
        generator: chain([64, 256, 256, 784], hidden: [.relu], last: [.tanh]),
        discriminator: chain([784, 256, 256, 1], hidden: [.leakyReLU(slope: 0.2)]),
        logInterval: .steps(400), sampleInterval: .epochs(4))

    /// Dropout after each hidden layer of the discriminator.
    static let mlpDropout = recipe(
        "mlp-dropout", batchSize: 64, epochs: 100, latentDimension: 100,
        generator: chain([100, 128, 256, 784], hidden: [.leakyReLU(slope: 0.2)], last: [.tanh]),
        discriminator: chain([784, 256, 128, 1], hidden: [.leakyReLU(slope: 0.2), .dropout(probability: 0.3)]),
        logInterval: .epochs(1), sampleInterval: .epochs(20))

    /// Three hidden layers of up to 1024.
    static let mlpWide = recipe(
        "mlp-wide", batchSize: 64, epochs: 50, latentDimension: 100,
        generator: chain([100, 256, 512, 1024, 784], hidden: [.leakyReLU(slope: 0.2)], last: [.tanh]),
        discriminator: chain([784, 1024, 512, 256, 1], hidden: [.leakyReLU(slope: 0.2)]),
        logInterval: .epochs(1), sampleInterval: .epochs(10))

    /// The generator step scores the discriminator step's fakes again.
    static let mlpReuse = recipe(
        "mlp-reuse", batchSize: 100, epochs: 100, latentDimension: 100,
        generator: chain([100, 256, 256, 784], hidden: [.relu], last: [.tanh]),
        discriminator: chain([784, 256, 256, 1], hidden: [.leakyReLU(slope: 0.2)]),
        generatorStep: .reuse, logInterval: .epochs(1), sampleInterval: .epochs(20))

    /// A DCGAN (Radford et al. 2015) of 64 × 64 pixels; the generator step scores the same fakes.
    static let dcgan: Configuration = {
        func convolution(_ inputs: Int, _ outputs: Int, isTransposed: Bool, stride: Int = 2, padding: Int = 1) -> LayerSpecification {
            .convolution(
                .init(
                    isTransposed: isTransposed, inputs: inputs, outputs: outputs, kernel: 4, stride: stride,
                    padding: padding, hasBias: false))
        }
        var generator = [convolution(100, 512, isTransposed: true, stride: 1, padding: 0)]
        var discriminator = [convolution(1, 64, isTransposed: false), .leakyReLU(slope: 0.2)]
        for channels in [512, 256, 128] {
            generator += [.batchNormalization(channels: channels), .relu, convolution(channels, channels / 2, isTransposed: true)]
        }
        for channels in [64, 128, 256] {
            discriminator += [
                convolution(channels, 2 * channels, isTransposed: false), .batchNormalization(channels: 2 * channels),
                .leakyReLU(slope: 0.2),
            ]
        }
        generator += [.batchNormalization(channels: 64), .relu, convolution(64, 1, isTransposed: true), .tanh]
        discriminator.append(convolution(512, 1, isTransposed: false, stride: 1, padding: 0))
        var dcgan = recipe(
            "dcgan", batchSize: 64, epochs: 5, latentDimension: 100, generator: generator, discriminator: discriminator,
            generatorStep: .reuse, logInterval: .steps(50), sampleInterval: .epochs(1))
        dcgan.imageSize = 64
        dcgan.beta1 = 0.5
        return dcgan
    }()

    private static func recipe(
        _ name: String, batchSize: Int, epochs: Int, latentDimension: Int, generator: [LayerSpecification],
        discriminator: [LayerSpecification], generatorStep: Configuration.GeneratorStep = .fresh, logInterval: Interval,
        sampleInterval: Interval
    ) -> Configuration {
        Configuration(
            preset: name, dataset: .mnist, imageSize: Configuration.dataSide, batchSize: batchSize, shards: 8, seed: 0,
            epochs: epochs, steps: nil, latentDimension: latentDimension, generator: generator,
            discriminator: discriminator, loss: .bce, generatorStep: generatorStep, criticSteps: 1, gradientPenalty: 0,
            weightClip: 0, spectralNorm: false, labelSmoothing: 0, labelFlip: 0, instanceNoise: 0, instanceNoiseDecay: .never, averageDecay: 0,
            optimizer: .adam, learningRate: 2e-4, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, precision: .fp32,
            logInterval: logInterval, sampleInterval: sampleInterval, checkpointInterval: .epochs(1),
            hashInterval: .epochs(1), keep: 5)
    }

    /// Linear layers of these widths, each but the last followed by `hidden`, the last by `last`.
    private static func chain(
        _ widths: [Int], hidden: [LayerSpecification], last: [LayerSpecification] = []
    ) -> [LayerSpecification] {
        var layers: [LayerSpecification] = []
        for index in 1..<widths.count {
            layers.append(.linear(inputs: widths[index - 1], outputs: widths[index]))
            layers += index == widths.count - 1 ? last : hidden
        }
        return layers
    }
}
