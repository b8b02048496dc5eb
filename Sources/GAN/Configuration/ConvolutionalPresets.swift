import MessagePassing
import Networks

// The convolutional recipes.

extension Preset {
    /// A DCGAN (Radford et al. 2015) of 64 × 64 pixels; the generator step scores the same fakes.
    static let dcgan = Preset("dcgan", imageSize: ImageSize(side: 64)) { images in
        let shape = images.shape
        guard shape.height == 64, shape.width == 64 else {
            throw Failure(
                .usage, "preset dcgan makes images of 64 × 64 pixels, not \(shape.height) × \(shape.width); use --image-size 64, or "
                    + "preset dcgan28 or mlp")
        }
        var generator: [LayerSpecification] = [enlarging(100, 512, stride: 1, padding: 0)]
        var discriminator: [LayerSpecification] = [reducing(shape.channels, 64), .leakyReLU(slope: 0.2)]
        for channels in [512, 256, 128] {
            generator += [.batchNormalization(channels: channels), .relu, enlarging(channels, channels / 2)]
        }
        for channels in [64, 128, 256] {
            discriminator += [
                reducing(channels, 2 * channels), .batchNormalization(channels: 2 * channels), .leakyReLU(slope: 0.2),
            ]
        }
        generator += [.batchNormalization(channels: 64), .relu, enlarging(64, shape.channels), .tanh]
        discriminator.append(reducing(512, 1, stride: 1, padding: 0))
        var dcgan = recipe(
            batchSize: 64, epochs: 5, latentDimension: 100, generator: generator, discriminator: discriminator,
            generatorStep: .reuse, logInterval: .steps(50), sampleInterval: .epochs(1))
        dcgan.beta1 = 0.5
        return dcgan
    }

    /// The recommended recipe: a DCGAN at the data's own size, which its convolutions halve twice, 28 → 14 → 7. Its averaged
    /// generator is sampled, the discriminator sees images through noise, and the learning rates fall to 0.
    static let dcgan28 = Preset("dcgan28") { try recommended($0, epochs: 15) }

    /// `dcgan28` with least squares (Mao et al. 2017).
    static let lsgan = Preset("lsgan") { images in
        var lsgan = try recommended(images, epochs: 15)
        lsgan.loss = .mse
        lsgan.labelSmoothing = 0
        return lsgan
    }

    /// `dcgan28` with the hinge loss and a spectrally normalised discriminator (Miyato et al. 2018), which keeps its
    /// BatchNorm.
    static let hinge = Preset("hinge") { images in
        var hinge = try recommended(images, epochs: 15)
        hinge.loss = .hinge
        hinge.labelSmoothing = 0
        hinge.spectralNorm = true
        return hinge
    }

    /// `dcgan28`'s convolutions as a Wasserstein GAN with clipped weights (Arjovsky et al. 2017); the paper clips to 0.01, trains
    /// the critic five times a step, and both at 5e-5.
    static let wgan = Preset("wgan") { images in
        var wgan = try small(images, epochs: 20)
        wgan.loss = .wasserstein
        wgan.weightClip = 0.05
        wgan.criticSteps = 2
        wgan.optimizer = .rmsprop
        wgan.learningRate = 1e-3
        wgan.discriminatorLearningRate = 2e-4
        return wgan
    }

    /// `dcgan28`'s convolutions as a Wasserstein GAN with a gradient penalty (Gulrajani et al. 2017), the critic without
    /// normalisation; the paper trains the critic five times a step, and both at 1e-4.
    static let wganGP = Preset("wgan-gp") { images in
        var wganGP = try small(images, epochs: 20, normalizesDiscriminator: false)
        wganGP.loss = .wasserstein
        wganGP.gradientPenalty = 10
        wganGP.criticSteps = 2
        wganGP.learningRate = 1e-3
        wganGP.beta1 = 0
        wganGP.beta2 = 0.9
        return wganGP
    }

    /// `dcgan28` with classes, judged by projection (Miyato and Koyama 2018).
    static let cdcgan = Preset("cdcgan") { try recommended($0, epochs: 10, isConditional: true) }

    private static func recommended(_ images: Images, epochs: Int, isConditional: Bool = false) throws -> Configuration {
        var recommended = try small(images, epochs: epochs, isConditional: isConditional)
        recommended.learningRate = 2e-3
        recommended.labelSmoothing = 0.1
        recommended.instanceNoise = 0.3
        return recommended
    }

    /// Networks of two convolutions each, between the image and a quarter of its sides: 28 × 28 and 7 × 7 pixels. The
    /// generator's noise goes through a hidden layer first; a conditional one, which collapses behind such a layer, does
    /// without. A further convolution works at half of the sides. Above its convolutions, which see 10 × 10 pixels at
    /// most, the discriminator has a hidden layer that sees the whole image.
    private static func small(
        _ images: Images, epochs: Int, normalizesDiscriminator: Bool = true, isConditional: Bool = false
    ) throws -> Configuration {
        let image = images.shape
        let corner = try images.quarter(channels: 64)
        let latent = 64
        let classes = isConditional ? try images.classes() : 0
        let first: [LayerSpecification] =
            isConditional
            ? [.label(classes: classes)]
            : [reducing(latent, 256, kernel: 1, stride: 1, padding: 0, hasBias: true), .leakyReLU(slope: 0.2)]
        let generator: [LayerSpecification] =
            first + spreading(isConditional ? latent + classes : 256, to: corner) + [
                .batchNormalization(channels: 64), .relu, enlarging(64, 32), .batchNormalization(channels: 32), .relu,
                reducing(32, 32, kernel: 3, stride: 1, padding: 1), .batchNormalization(channels: 32), .relu,
                enlarging(32, image.channels, hasBias: true), .tanh,
            ]
        func normalization(_ channels: Int) -> [LayerSpecification] {
            (normalizesDiscriminator ? [.batchNormalization(channels: channels)] : []) + [.leakyReLU(slope: 0.2)]
        }
        let discriminator: [LayerSpecification] =
            [reducing(image.channels, 32, hasBias: true), .leakyReLU(slope: 0.2), reducing(32, 64, hasBias: !normalizesDiscriminator)]
            + normalization(64) + gathering(corner, to: 256, hasBias: !normalizesDiscriminator) + normalization(256) + [
                reducing(256, isConditional ? 1 + classes : 1, kernel: 1, stride: 1, padding: 0, hasBias: true)
            ] + (isConditional ? [.projection(classes: classes)] : [])
        var small = recipe(
            batchSize: 64, epochs: epochs, latentDimension: latent, generator: generator, discriminator: discriminator,
            logInterval: .steps(100), sampleInterval: .epochs(1))
        small.beta1 = 0.5
        small.averageDecay = 0.999
        small.averageRamp = true
        small.learningRateFlat = .epochs(epochs / 3)
        small.learningRateDecay = .epochs(epochs - epochs / 3)
        return small
    }

    /// Features to an image: a transposed convolution whose kernel is the image, or what is the same, a linear layer, since
    /// kernels are square.
    private static func spreading(_ inputs: Int, to image: Shape) -> [LayerSpecification] {
        guard image.height != image.width else {
            return [enlarging(inputs, image.channels, kernel: image.height, stride: 1, padding: 0)]
        }
        return [
            .linear(inputs: inputs, outputs: image.features, hasBias: false),
            .reshape(channels: image.channels, height: image.height, width: image.width),
        ]
    }

    /// The reverse: a convolution whose kernel is the image.
    static func gathering(_ image: Shape, to outputs: Int, hasBias: Bool) -> [LayerSpecification] {
        guard image.height != image.width else {
            return [reducing(image.channels, outputs, kernel: image.height, stride: 1, padding: 0, hasBias: hasBias)]
        }
        return [
            .reshape(channels: image.features, height: 1, width: 1),
            .linear(inputs: image.features, outputs: outputs, hasBias: hasBias),
        ]
    }

    static func reducing(
        _ inputs: Int, _ outputs: Int, kernel: Int = 4, stride: Int = 2, padding: Int = 1, hasBias: Bool = false
    ) -> LayerSpecification {
        .convolution(
            .init(inputs: inputs, outputs: outputs, kernel: kernel, stride: stride, padding: padding, hasBias: hasBias))
    }

    private static func enlarging(
        _ inputs: Int, _ outputs: Int, kernel: Int = 4, stride: Int = 2, padding: Int = 1, hasBias: Bool = false
    ) -> LayerSpecification {
        .convolution(
            .init(
                isTransposed: true, inputs: inputs, outputs: outputs, kernel: kernel, stride: stride, padding: padding,
                hasBias: hasBias))
    }
}

extension Preset.Images {
    /// What two convolutions that halve the sides of an image leave of it.
    func quarter(channels: Int) throws -> Shape {
        guard shape.height % 4 == 0, shape.width % 4 == 0, max(shape.height, shape.width) <= 128 else {
            let nearest = min(128, max(4, (min(shape.height, shape.width) + 2) / 4 * 4))
            throw Failure(
                .usage,
                "preset \(preset) halves the sides of its images twice: \(shape.height) × \(shape.width) pixels are not "
                    + "multiples of 4 up to 128; --image-size \(nearest) makes them fit, or use preset mlp")
        }
        return Shape(channels: channels, height: shape.height / 4, width: shape.width / 4)
    }
}
