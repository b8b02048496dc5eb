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
    public var learningRate: Double
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
        case learningRate = "lr"
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

    /// The side of the data's images, and their pixels.
    public static let dataSide = 28
    static let dataSize = dataSide * dataSide

    /// Pixels of an image as the discriminator sees it.
    public var pixelCount: Int { imageSize * imageSize }

    public var adam: Adam {
        Adam(learningRate: learningRate, beta1: beta1, beta2: beta2, epsilon: epsilon)
    }

    /// Changes the length of the noise vectors, and with it the generator's first layer.
    public mutating func setLatentDimension(_ dimension: Int) {
        if case .linear(latentDimension, let outputs)? = generator.first {
            generator[0] = .linear(inputs: dimension, outputs: outputs)
        }
        latentDimension = dimension
    }

    /// Steps of an epoch over N images, ⌊N/B⌋.
    public func stepsPerEpoch(images: Int) -> Int { images / batchSize }

    /// Steps of the whole training.
    public func totalSteps(images: Int) -> Int { steps ?? epochs * stepsPerEpoch(images: images) }

    /// Throws a usage error unless every field has a value that makes sense, by itself and with the others.
    public func validate() throws {
        func require(_ condition: Bool, _ message: @autoclosure () -> String) throws {
            if !condition { throw Failure(.usage, message()) }
        }
        try require(
            shards >= 1 && shards <= 4_096 && shards & (shards - 1) == 0,
            "--shards \(shards): the number of logical shards must be a power of two from 1 to 4096")
        try require(
            batchSize >= shards && batchSize <= 1 << 20,
            "--batch-size \(batchSize): the global batch must hold at least one image for each of the \(shards) logical "
                + "shards and at most 1,048,576; raise it, or lower --shards")
        try require((8...256).contains(imageSize), "image_size \(imageSize): the side of an image must be 8 … 256 pixels")
        try require((1...1 << 30).contains(epochs), "--epochs \(epochs): must be at least 1")
        try require(steps.map { (1...1 << 31).contains($0) } ?? true, "--steps \(steps ?? 0): must be at least 1")
        try require((1...65_536).contains(latentDimension), "--latent-dim \(latentDimension): must be 1 … 65,536")
        try require(
            learningRate.isFinite && learningRate > 0, "--lr \(learningRate): the learning rate must be a positive number")
        for (name, beta) in [("beta1", beta1), ("beta2", beta2)] {
            try require(beta >= 0 && beta < 1, "--\(name) \(beta): must be at least 0 and less than 1")
        }
        try require(epsilon.isFinite && epsilon > 0, "epsilon \(epsilon): must be a positive number")
        try require((1...1 << 30).contains(keep), "--keep \(keep): at least one checkpoint must be kept")
        _ = try networkPlans()
    }

    /// The layers of both networks.
    /// - Throws: a usage error that names the layers that do not fit.
    public func networkPlans() throws -> (generator: NetworkPlan, discriminator: NetworkPlan) {
        func plan(_ role: NetworkRole, _ layers: [LayerSpecification], inputs: Int, outputs: Int) throws -> NetworkPlan {
            let name = "\(role)"
            do {
                let plan = try NetworkPlan(layers, inputs: inputs, role: role)
                guard plan.outputs == outputs else {
                    throw Failure(.usage, "the \(name) gives \(plan.outputs) outputs; \(outputs) are needed")
                }
                return plan
            } catch let error as ShapeError {
                throw Failure(.usage, "the \(name) does not fit together: \(error.description)")
            }
        }
        return (
            try plan(.generator, generator, inputs: latentDimension, outputs: pixelCount),
            try plan(.discriminator, discriminator, inputs: pixelCount, outputs: 1)
        )
    }

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
