import MessagePassing
import Networks

/// The recipes that `--preset` names.
public enum Preset {
    public static let standard = "dcgan28"

    public static let all: [Configuration] = [
        dcgan28, dcgan, lsgan, hinge, wgan, wganGP, cdcgan, cgan, mlp, mlpDropout, mlpWide, mlpReuse,
    ]

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

    static func recipe(
        _ name: String, batchSize: Int, epochs: Int, latentDimension: Int, generator: [LayerSpecification],
        discriminator: [LayerSpecification], generatorStep: Configuration.GeneratorStep = .fresh, logInterval: Interval,
        sampleInterval: Interval
    ) -> Configuration {
        var recipe = Configuration()
        recipe.preset = name
        recipe.batchSize = batchSize
        recipe.epochs = epochs
        recipe.latentDimension = latentDimension
        recipe.generator = generator
        recipe.discriminator = discriminator
        recipe.generatorStep = generatorStep
        recipe.logInterval = logInterval
        recipe.sampleInterval = sampleInterval
        return recipe
    }

    /// The class of each image beside the noise and beside the image (Mirza and Osindero 2014). With dropout
    /// in the discriminator the class shows beside 784 pixels; without normalisation the generator collapses to a few classes.
    /// Normalisation takes a bias before it away again.
    static let cgan: Configuration = {
        var cgan = recipe(
            "cgan", batchSize: 100, epochs: 50, latentDimension: 100,
            generator: [.label(classes: 10)]
                + chain(
                    [110, 256, 256, 784], hidden: [.batchNormalization(channels: 256), .relu], last: [.tanh], hiddenBias: false),
            discriminator: [.reshape(channels: 784, height: 1, width: 1), .label(classes: 10)]
                + chain([794, 256, 256, 1], hidden: [.leakyReLU(slope: 0.2), .dropout(probability: 0.3)]),
            logInterval: .epochs(1), sampleInterval: .epochs(5))
        cgan.beta1 = 0.5
        return cgan
    }()

    /// Linear layers of these widths, each but the last followed by `hidden`, the last by `last`.
    private static func chain(
        _ widths: [Int], hidden: [LayerSpecification], last: [LayerSpecification] = [], hiddenBias: Bool = true
    ) -> [LayerSpecification] {
        var layers: [LayerSpecification] = []
        for index in 1..<widths.count {
            let isLast = index == widths.count - 1
            layers.append(.linear(inputs: widths[index - 1], outputs: widths[index], hasBias: isLast || hiddenBias))
            layers += isLast ? last : hidden
        }
        return layers
    }
}
