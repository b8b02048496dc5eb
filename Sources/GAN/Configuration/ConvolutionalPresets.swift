import Networks

// The convolutional recipes.

extension Preset {
    /// A DCGAN (Radford et al. 2015) of 64 × 64 pixels; the generator step scores the same fakes.
    static let dcgan: Configuration = {
        var generator: [LayerSpecification] = [enlarging(100, 512, stride: 1, padding: 0)]
        var discriminator: [LayerSpecification] = [reducing(1, 64), .leakyReLU(slope: 0.2)]
        for channels in [512, 256, 128] {
            generator += [.batchNormalization(channels: channels), .relu, enlarging(channels, channels / 2)]
        }
        for channels in [64, 128, 256] {
            discriminator += [
                reducing(channels, 2 * channels), .batchNormalization(channels: 2 * channels), .leakyReLU(slope: 0.2),
            ]
        }
        generator += [.batchNormalization(channels: 64), .relu, enlarging(64, 1), .tanh]
        discriminator.append(reducing(512, 1, stride: 1, padding: 0))
        var dcgan = recipe(
            "dcgan", batchSize: 64, epochs: 5, latentDimension: 100, generator: generator, discriminator: discriminator,
            generatorStep: .reuse, logInterval: .steps(50), sampleInterval: .epochs(1))
        dcgan.imageSize = 64
        dcgan.beta1 = 0.5
        return dcgan
    }()

    /// The recommended recipe: a DCGAN at the data's own 28 × 28 pixels, 7 → 14 → 28, its averaged generator sampled. Its
    /// noise is a code of bits, which leaves fewer images between two digits, and the discriminator sees images through noise.
    static let dcgan28 = recommended("dcgan28", epochs: 15)

    /// `dcgan28` with least squares (Mao et al. 2017).
    static let lsgan: Configuration = {
        var lsgan = recommended("lsgan", epochs: 15)
        lsgan.loss = .mse
        lsgan.labelSmoothing = 0
        return lsgan
    }()

    /// `dcgan28`'s convolutions with the hinge loss and a spectrally normalised discriminator (Miyato et al. 2018), which is
    /// updated five times a step.
    static let hinge: Configuration = {
        var hinge = small("hinge", epochs: 20, normalizesDiscriminator: false)
        hinge.loss = .hinge
        hinge.spectralNorm = true
        hinge.criticSteps = 5
        hinge.beta1 = 0
        hinge.beta2 = 0.9
        return hinge
    }()

    /// `dcgan28`'s convolutions as a Wasserstein GAN with clipped weights (Arjovsky et al. 2017).
    static let wgan: Configuration = {
        var wgan = small("wgan", epochs: 20)
        wgan.loss = .wasserstein
        wgan.weightClip = 0.01
        wgan.criticSteps = 5
        wgan.optimizer = .rmsprop
        wgan.learningRate = 5e-5
        return wgan
    }()

    /// `dcgan28`'s convolutions as a Wasserstein GAN with a gradient penalty (Gulrajani et al. 2017), the critic without
    /// normalisation.
    static let wganGP: Configuration = {
        var wganGP = small("wgan-gp", epochs: 20, normalizesDiscriminator: false)
        wganGP.loss = .wasserstein
        wganGP.gradientPenalty = 10
        wganGP.criticSteps = 5
        wganGP.learningRate = 1e-4
        wganGP.beta1 = 0
        wganGP.beta2 = 0.9
        return wganGP
    }()

    /// `dcgan28` with classes, judged by projection (Miyato and Koyama 2018), which needs no noise on the images.
    static let cdcgan: Configuration = {
        var cdcgan = recommended("cdcgan", epochs: 10, isConditional: true)
        cdcgan.instanceNoise = 0
        return cdcgan
    }()

    private static func recommended(_ name: String, epochs: Int, isConditional: Bool = false) -> Configuration {
        var recommended = small(name, epochs: epochs, isConditional: isConditional)
        recommended.learningRate = 1e-3
        recommended.labelSmoothing = 0.1
        recommended.instanceNoise = 0.3
        recommended.averageDecay = 0.999
        recommended.averageRamp = true
        return recommended
    }

    /// Networks of two convolutions each, between 7 × 7 and 28 × 28 pixels. The generator's noise is a code of 20 bits, which
    /// goes through a hidden layer first; a conditional one, which collapses behind such a layer, takes normal noise and the
    /// class instead. Above its convolutions, which see 10 × 10 pixels at most, the discriminator has a hidden layer that sees
    /// the whole digit.
    private static func small(
        _ name: String, epochs: Int, normalizesDiscriminator: Bool = true, isConditional: Bool = false
    ) -> Configuration {
        let (latent, classes) = (isConditional ? 64 : 20, 10)
        let first: [LayerSpecification] =
            isConditional
            ? [.label(classes: classes)]
            : [.sign, reducing(latent, 256, kernel: 1, stride: 1, padding: 0, hasBias: true), .leakyReLU(slope: 0.2)]
        let generator: [LayerSpecification] =
            first + [
                enlarging(isConditional ? latent + classes : 256, 64, kernel: 7, stride: 1, padding: 0),
                .batchNormalization(channels: 64), .relu, enlarging(64, 32), .batchNormalization(channels: 32), .relu,
                enlarging(32, 1, hasBias: true), .tanh,
            ]
        func normalization(_ channels: Int) -> [LayerSpecification] {
            (normalizesDiscriminator ? [.batchNormalization(channels: channels)] : []) + [.leakyReLU(slope: 0.2)]
        }
        let discriminator: [LayerSpecification] =
            [reducing(1, 32, hasBias: true), .leakyReLU(slope: 0.2), reducing(32, 64, hasBias: !normalizesDiscriminator)]
            + normalization(64) + [reducing(64, 256, kernel: 7, stride: 1, padding: 0, hasBias: !normalizesDiscriminator)]
            + normalization(256) + [
                reducing(256, isConditional ? 1 + classes : 1, kernel: 1, stride: 1, padding: 0, hasBias: true)
            ] + (isConditional ? [.projection(classes: classes)] : [])
        var small = recipe(
            name, batchSize: 64, epochs: epochs, latentDimension: latent, generator: generator,
            discriminator: discriminator, logInterval: .steps(100), sampleInterval: .epochs(1))
        small.beta1 = 0.5
        return small
    }

    private static func reducing(
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
