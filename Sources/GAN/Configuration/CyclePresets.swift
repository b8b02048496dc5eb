import MessagePassing
import Networks

// CycleGANs: generators that halve an image's sides twice, change it in residual blocks and double them again (Johnson et al.
// 2016), against discriminators that score patches (Isola et al. 2017). Biases before instance normalisation, which would take
// them away, are left out.

extension Preset {
    /// For small pictures, 28 × 28 or 32 × 32.
    static let cyclegan28 = Preset("cyclegan28") { images in
        var cyclegan28 = try cycle(images, channels: 16, blocks: 3, discriminator: [32, 64, 128])
        cyclegan28.batchSize = 32
        cyclegan28.poolSize = 64
        cyclegan28.epochs = 6
        cyclegan28.learningRateFlat = .epochs(3)
        cyclegan28.learningRateDecay = .epochs(3)
        cyclegan28.logInterval = .steps(100)
        // Whether classes survive, only a classifier of them can see.
        if images.data.classes != nil, images.data.secondClasses != nil { cyclegan28.evaluateInterval = .epochs(1) }
        return cyclegan28
    }

    /// The paper's networks (Zhu et al. 2017): 6 residual blocks for pictures of less than 256 pixels a side, 9 for larger ones.
    static let cyclegan = Preset("cyclegan") { images in
        let isLarge = min(images.shape.height, images.shape.width) >= 256
        var cyclegan = try cycle(images, channels: 64, blocks: isLarge ? 9 : 6, discriminator: [64, 128, 256, 512])
        cyclegan.batchSize = 8
        cyclegan.poolSize = 48
        cyclegan.epochs = 200
        cyclegan.learningRateFlat = .epochs(100)
        cyclegan.learningRateDecay = .epochs(100)
        cyclegan.logInterval = .steps(50)
        return cyclegan
    }

    private static func cycle(_ images: Images, channels: Int, blocks: Int, discriminator: [Int]) throws -> Configuration {
        let a = images.shape
        guard let second = images.data.secondChannels else {
            throw Failure(
                .usage, "preset \(images.preset) translates between two domains; give --data-a and --data-b, or --domain-b "
                    + "mnist:inverse")
        }
        let b = Shape(channels: second, height: a.height, width: a.width)
        let side = min(a.height, a.width)
        guard a.height % 4 == 0, a.width % 4 == 0, side >= 16 else {
            throw Failure(
                .usage, "preset \(images.preset) takes images whose sides are multiples of 4 and at least 16 pixels, not "
                    + "\(a.height) × \(a.width); --image-size \(max(16, (side + 2) / 4 * 4)) makes them fit")
        }
        // Four pixels a side or more are left where convolutions no longer halve.
        let discriminator = Array(discriminator.prefix(side < 32 ? 3 : discriminator.count))
        var cycle = Configuration()
        cycle.game = .cyclegan
        cycle.channelsB = second
        cycle.generatorAB = translator(from: a, to: b, channels, blocks)
        cycle.generatorBA = translator(from: b, to: a, channels, blocks)
        cycle.discriminatorA = patches(of: a, discriminator)
        cycle.discriminatorB = patches(of: b, discriminator)
        cycle.beta1 = 0.5
        // Grey pictures hold no colours. A cycle that asks for them makes a generator hide them in what nobody sees.
        if a.channels < second { cycle.cycleWeightB = 0 }
        if a.channels > second { (cycle.cycleWeight, cycle.cycleWeightB) = (0, cycle.cycleWeight) }
        return cycle
    }

    private static func normalised(_ layer: LayerSpecification, _ channels: Int, _ rectifier: LayerSpecification?) -> [LayerSpecification] {
        [layer, .instanceNormalization(channels: channels)] + [rectifier].compactMap(\.self)
    }

    private static func translator(from x: Shape, to y: Shape, _ c: Int, _ blocks: Int) -> [LayerSpecification] {
        func block(_ channels: Int) -> LayerSpecification {
            let convolution = reducing(channels, channels, kernel: 3, stride: 1, padding: 0)
            return .residual(
                [.reflectionPadding(1)] + normalised(convolution, channels, .relu) + [.reflectionPadding(1)]
                    + normalised(convolution, channels, nil))
        }
        func doubling(_ inputs: Int, _ outputs: Int) -> LayerSpecification {
            .convolution(
                .init(
                    isTransposed: true, inputs: inputs, outputs: outputs, kernel: 3, stride: 2, padding: 1, outputPadding: 1,
                    hasBias: false))
        }
        let first = [LayerSpecification.reflectionPadding(3)]
            + normalised(reducing(x.channels, c, kernel: 7, stride: 1, padding: 0), c, .relu)
        let down = normalised(reducing(c, 2 * c, kernel: 3), 2 * c, .relu) + normalised(reducing(2 * c, 4 * c, kernel: 3), 4 * c, .relu)
        let up = normalised(doubling(4 * c, 2 * c), 2 * c, .relu) + normalised(doubling(2 * c, c), c, .relu)
        let last = [
            LayerSpecification.reflectionPadding(3), reducing(c, y.channels, kernel: 7, stride: 1, padding: 0, hasBias: true), .tanh,
        ]
        return first + down + (0..<blocks).map { _ in block(4 * c) } + up + last
    }

    /// Convolutions of 4 × 4, all but the last of these widths halving, and a score for each patch.
    private static func patches(of image: Shape, _ widths: [Int]) -> [LayerSpecification] {
        var layers = [reducing(image.channels, widths[0], hasBias: true), .leakyReLU(slope: 0.2)]
        for index in 1..<widths.count {
            let isLast = index == widths.count - 1
            layers += normalised(reducing(widths[index - 1], widths[index], stride: isLast ? 1 : 2), widths[index], .leakyReLU(slope: 0.2))
        }
        return layers + [reducing(widths[widths.count - 1], 1, stride: 1, hasBias: true)]
    }
}
