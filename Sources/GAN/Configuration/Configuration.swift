import Foundation
import Kernels
import MessagePassing
import Networks

/// Everything that the bytes of a run depend on besides the data, and when it logs and saves.
public struct Configuration: Codable, Equatable, Sendable {
    public enum Dataset: String, Codable, CaseIterable, Sendable { case mnist, fashion }

    /// What the generator step scores.
    public enum GeneratorStep: String, Codable, CaseIterable, Sendable {
        /// Fakes of fresh noise.
        case fresh
        /// The discriminator step's fakes again, with the updated discriminator.
        case reuse
    }

    /// Whose constants are `learningRate`, `beta1`, `beta2` and `epsilon` as far as it has them.
    public enum OptimizerKind: String, Codable, CaseIterable, Sendable { case adam, rmsprop, sgd }

    public var preset: String
    public var dataset: Dataset
    /// The side in pixels of the images that the discriminator sees; those of the data are resized to it.
    public var imageSize: Int
    /// B, the images of a step over all ranks.
    public var batchSize: Int
    /// V, the logical shards.
    public var shards: Int
    public var seed: UInt64
    /// Length of the training, from its start; `steps` comes before `epochs`.
    public var epochs: Int
    public var steps: Int?
    public var latentDimension: Int
    public var generator: [LayerSpecification]
    public var discriminator: [LayerSpecification]
    public var loss: Loss
    public var generatorStep: GeneratorStep
    /// Updates of the discriminator for each one of the generator; each takes a batch.
    public var criticSteps: Int
    /// λ of a penalty on the slope of the discriminator between real and fake images; 0 is none.
    public var gradientPenalty: Double
    /// The largest magnitude of a discriminator's parameter; 0 is no limit.
    public var weightClip: Double
    /// Whether the discriminator's weights are divided by their largest singular value.
    public var spectralNorm: Bool
    /// How far below 1 the discriminator's target of real images is.
    public var labelSmoothing: Double
    /// Probability with which the discriminator is told the opposite of what an image is.
    public var labelFlip: Double
    /// Standard deviation of the noise on whatever the discriminator sees, and after how long it has decreased to nothing.
    public var instanceNoise: Double
    public var instanceNoiseDecay: Interval
    /// The share that an update keeps of the generator's moving average, which is sampled if there is one; 0 is none.
    public var averageDecay: Double
    /// Whether the first updates keep less of it; see `averageDecay(update:)`.
    public var averageRamp: Bool
    public var optimizer: OptimizerKind
    public var learningRate: Double
    /// In place of `learningRate`.
    public var generatorLearningRate: Double?
    public var discriminatorLearningRate: Double?
    /// After how long the learning rates are halved, again and again.
    public var learningRateHalfLife: Interval
    public var beta1: Double
    public var beta2: Double
    public var epsilon: Double
    /// How the factors of matrix products are rounded.
    public var precision: Precision
    public var logInterval: Interval
    public var sampleInterval: Interval
    public var checkpointInterval: Interval
    public var hashInterval: Interval
    /// Checkpoints to keep.
    public var keep: Int

    enum CodingKeys: String, CodingKey, CaseIterable {
        case preset, dataset
        case imageSize = "image_size"
        case batchSize = "batch_size"
        case shards, seed, epochs, steps
        case latentDimension = "latent_dim"
        case generator, discriminator, loss
        case generatorStep = "generator_step"
        case criticSteps = "critic_steps"
        case gradientPenalty = "gradient_penalty"
        case weightClip = "weight_clip"
        case spectralNorm = "spectral_norm"
        case labelSmoothing = "label_smoothing"
        case labelFlip = "label_flip"
        case instanceNoise = "instance_noise"
        case instanceNoiseDecay = "instance_noise_decay"
        case averageDecay = "ema"
        case averageRamp = "ema_ramp"
        case optimizer
        case learningRate = "lr"
        case generatorLearningRate = "lr_generator"
        case discriminatorLearningRate = "lr_discriminator"
        case learningRateHalfLife = "lr_half_life"
        case beta1, beta2, epsilon, precision
        case logInterval = "log_interval"
        case sampleInterval = "sample_interval"
        case checkpointInterval = "checkpoint_interval"
        case hashInterval = "hash_interval"
        case keep
    }

    /// Fields that `training_options.json` holds besides and a model file may.
    static let ignoredFields: Set<String> = ["version", "data_sha256", "images"]
    /// Fields that a resumed run may change: length and intervals.
    static let freeFields: Set<CodingKeys> = [
        .epochs, .steps, .logInterval, .sampleInterval, .checkpointInterval, .hashInterval, .keep,
    ]

    /// Fields that are left away where they say nothing.
    static let optionalFields: Set<CodingKeys> = [.steps, .generatorLearningRate, .discriminatorLearningRate]
    /// Fields that came later than version 0.1.0, and what a whole configuration without them means: what it meant before
    /// they existed, whatever its preset means now, so that old checkpoints go on to their bytes.
    static var laterFields: [CodingKeys: Any] { [.averageRamp: false] }

    /// The side of the data's images, and their pixels.
    public static let dataSide = 28
    static let dataSize = dataSide * dataSide

    /// Pixels of an image as the discriminator sees it.
    public var pixelCount: Int { imageSize * imageSize }

    /// What updates a network's parameters.
    public func optimizer(of network: NetworkRole) -> Optimizer {
        let rate = (network == .generator ? generatorLearningRate : discriminatorLearningRate) ?? learningRate
        return switch optimizer {
        case .adam: .adam(Adam(learningRate: rate, beta1: beta1, beta2: beta2, epsilon: epsilon))
        case .rmsprop: .rmsprop(RMSprop(learningRate: rate, epsilon: epsilon))
        case .sgd: .sgd(SGD(learningRate: rate))
        }
    }

    /// What the learning rates are multiplied with in a step t, from 0: 2^−⌊t / half-life⌋, which no rounding touches.
    func learningRateScale(step t: Int, stepsPerEpoch: Int) -> Double {
        let halfLife = learningRateHalfLife.steps(stepsPerEpoch: stepsPerEpoch)
        return halfLife == 0 ? 1 : Double(sign: .plus, exponent: -min(t / halfLife, 1_000), significand: 1)
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

    /// Whether a network is told the classes of images.
    public var isConditional: Bool {
        (generator + discriminator).contains { !$0.classes.isEmpty }
    }

    /// The shape of an image.
    public var image: Shape { Shape(channels: 1, height: imageSize, width: imageSize) }

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

    /// Names of fields in which the bytes of two configurations' runs differ.
    public func differences(from other: Configuration) throws -> [String] {
        let mine = try fields()
        let theirs = try other.fields()
        return CodingKeys.allCases.filter { !Configuration.freeFields.contains($0) && $0 != .preset }
            .map(\.rawValue).filter { mine[$0] != theirs[$0] }
    }

    /// Each field as canonical JSON.
    func fields() throws -> [String: String] {
        let object = try JSONSerialization.jsonObject(with: JSONEncoder().encode(self)) as? [String: Any] ?? [:]
        return try object.mapValues {
            let data = try JSONSerialization.data(withJSONObject: $0, options: [.sortedKeys, .fragmentsAllowed])
            return String(decoding: data, as: UTF8.self)
        }
    }

    /// JSON with sorted keys, on many lines or one.
    public func json(pretty: Bool = false, adding extra: [String: Any] = [:]) throws -> String {
        var object = try JSONSerialization.jsonObject(with: JSONEncoder().encode(self)) as? [String: Any] ?? [:]
        object.merge(extra) { $1 }
        let options: JSONSerialization.WritingOptions =
            pretty ? [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes] : [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try JSONSerialization.data(withJSONObject: object, options: options), as: UTF8.self)
    }
}
