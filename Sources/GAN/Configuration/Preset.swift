import MessagePassing
import Networks

/// A recipe that `--preset` names. Its networks are built for the images and classes of the data.
public struct Preset: Sendable {
    public let name: String
    /// The size of its images, where it does not take the data's.
    let imageSize: ImageSize?
    private let recipe: @Sendable (Images) throws -> Configuration

    /// What a recipe builds its networks for.
    struct Images {
        let preset: String
        let shape: Shape
        let data: DataFormat
    }

    init(_ name: String, imageSize: ImageSize? = nil, _ recipe: @escaping @Sendable (Images) throws -> Configuration) {
        self.name = name
        self.imageSize = imageSize
        self.recipe = recipe
    }

    public static let standard = "dcgan28"

    static let all = [
        dcgan28, dcgan, lsgan, hinge, wgan, wganGP, cdcgan, cgan, mlp, mlpDropout, mlpWide, mlpReuse, classifier28, cyclegan28,
        cyclegan,
    ]

    public static let names = all.map(\.name)

    /// - Throws: a usage error that lists the known names.
    public static func named(_ name: String) throws -> Preset {
        guard let preset = all.first(where: { $0.name == name }) else {
            throw Failure(.usage, "unknown preset \"\(name)\"; known are \(names.joined(separator: ", "))" + suggestion(for: name, among: names))
        }
        return preset
    }

    /// The recipe for the data's images, made to be of a shape.
    /// - Throws: a usage error where its networks cannot be built for them, which names the option that makes them fit; missing
    ///   input where they are told classes and the data have none.
    public func configuration(for data: DataFormat, as image: Shape) throws -> Configuration {
        var configuration = try recipe(Images(preset: name, shape: image, data: data))
        configuration.preset = name
        configuration.imageSize = ImageSize(height: image.height, width: image.width)
        configuration.channels = image.channels
        return configuration
    }

    /// The recipe for data as their files hold them.
    /// - Precondition: the pictures are of one size, or the recipe has its own.
    public func configuration(for data: DataFormat) throws -> Configuration {
        guard let size = imageSize ?? data.size else { preconditionFailure("the pictures of \(data.name) are of several sizes") }
        return try configuration(for: data, as: Shape(channels: data.channels, size))
    }
}

extension Preset.Images {
    /// How many classes there are, for networks that are told them.
    func classes() throws -> Int {
        let need = "preset \(preset) needs the classes of images"
        guard let classes = data.classes else { throw data.withoutLabels(need) }
        guard (2...256).contains(classes) else {
            throw Failure(
                .usage, "\(need), 2 … 256 of them, and the data set \"\(data.name)\" has \(classes); use another preset")
        }
        return classes
    }
}

// Plain recipes, for images of any shape.

extension Preset {
    /// A plain GAN: two hidden layers of 256 in either network.
    static let mlp = Preset("mlp") { images in
        let features = try images.features()
        return recipe(
            batchSize: 64, epochs: 20, latentDimension: 64,
            generator: images.drawn(by: chain([64, 256, 256, features], hidden: [.relu], last: [.tanh])),
            discriminator: images.seen(by: chain([features, 256, 256, 1], hidden: [.leakyReLU(slope: 0.2)])),
            logInterval: .steps(400), sampleInterval: .epochs(4))
    }

    /// Dropout after each hidden layer of the discriminator.
    static let mlpDropout = Preset("mlp-dropout") { images in
        let features = try images.features()
        return recipe(
            batchSize: 64, epochs: 100, latentDimension: 100,
            generator: images.drawn(
                by: chain([100, 128, 256, features], hidden: [.leakyReLU(slope: 0.2)], last: [.tanh])),
            discriminator: images.seen(
                by: chain([features, 256, 128, 1], hidden: [.leakyReLU(slope: 0.2), .dropout(probability: 0.3)])),
            logInterval: .epochs(1), sampleInterval: .epochs(20))
    }

    /// Three hidden layers of up to 1024.
    static let mlpWide = Preset("mlp-wide") { images in
        let features = try images.features()
        return recipe(
            batchSize: 64, epochs: 50, latentDimension: 100,
            generator: images.drawn(
                by: chain([100, 256, 512, 1024, features], hidden: [.leakyReLU(slope: 0.2)], last: [.tanh])),
            discriminator: images.seen(by: chain([features, 1024, 512, 256, 1], hidden: [.leakyReLU(slope: 0.2)])),
            logInterval: .epochs(1), sampleInterval: .epochs(10))
    }

    /// The generator step scores the discriminator step's fakes again.
    static let mlpReuse = Preset("mlp-reuse") { images in
        let features = try images.features()
        return recipe(
            batchSize: 100, epochs: 100, latentDimension: 100,
            generator: images.drawn(by: chain([100, 256, 256, features], hidden: [.relu], last: [.tanh])),
            discriminator: images.seen(by: chain([features, 256, 256, 1], hidden: [.leakyReLU(slope: 0.2)])),
            generatorStep: .reuse, logInterval: .epochs(1), sampleInterval: .epochs(20))
    }

    /// The class of each image beside the noise (Mirza and Osindero 2014), and judged by projection (Miyato and Koyama 2018):
    /// a discriminator of linear layers pays little heed to a class that lies beside the pixels. Without normalisation the
    /// generator collapses to a few classes; normalisation takes a bias before it away again.
    static let cgan = Preset("cgan") { images in
        let classes = try images.classes()
        let features = try images.features()
        let epochs = 50
        var cgan = recipe(
            batchSize: 100, epochs: epochs, latentDimension: 100,
            generator: images.drawn(
                by: [.label(classes: classes)]
                    + chain(
                        [100 + classes, 256, 256, features], hidden: [.batchNormalization(channels: 256), .relu], last: [.tanh],
                        hiddenBias: false)),
            discriminator: images.seen(by: chain([features, 256, 256, 1 + classes], hidden: [.leakyReLU(slope: 0.2)]))
                + [.projection(classes: classes)],
            logInterval: .epochs(1), sampleInterval: .epochs(5))
        cgan.beta1 = 0.5
        cgan.labelSmoothing = 0.1
        cgan.instanceNoise = 0.3
        cgan.averageDecay = 0.999
        cgan.averageRamp = true
        cgan.learningRateFlat = .epochs(epochs / 3)
        cgan.learningRateDecay = .epochs(epochs - epochs / 3)
        return cgan
    }

    static func recipe(
        batchSize: Int, epochs: Int, latentDimension: Int, generator: [LayerSpecification], discriminator: [LayerSpecification],
        generatorStep: Configuration.GeneratorStep = .fresh, logInterval: Interval, sampleInterval: Interval
    ) -> Configuration {
        var recipe = Configuration()
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

extension Preset.Images {
    /// The numbers of an image, for linear layers.
    fileprivate func features() throws -> Int {
        // The most that a linear layer takes.
        guard shape.features <= 65_536 else {
            throw Failure(
                .usage,
                "preset \(preset) takes images of up to 65,536 numbers, and \(shape) are \(Double(shape.features).grouped); "
                    + "--image-size 128 makes them fit, or use preset dcgan28")
        }
        return shape.features
    }

    /// A chain of features as a generator: its outputs are pixels, in PyTorch's order.
    fileprivate func drawn(by chain: [LayerSpecification]) -> [LayerSpecification] {
        // Features of one channel lie as pixels do.
        shape.isInOrder ? chain : chain + [.reshape(channels: shape.channels, height: shape.height, width: shape.width)]
    }

    /// A chain of features as a discriminator.
    fileprivate func seen(by chain: [LayerSpecification]) -> [LayerSpecification] {
        shape.isInOrder ? chain : [.reshape(channels: shape.features, height: 1, width: 1)] + chain
    }
}
