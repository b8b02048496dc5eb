import Kernels
import MessagePassing
import Networks

/// A trained classifier: it looks at images by themselves, with running statistics in place of a batch's.
final class ImageClassifier {
    /// Images of one call.
    static let batchSize = 64

    let classes: Int
    /// Numbers of a feature vector: the inputs of the last layer.
    let featureCount: Int
    private let network: Network
    private let arena = Arena(usesHugePages: false)
    private let kernels: Kernels
    private let seed: UInt64
    private let size: Int
    private let parameters: UnsafeMutablePointer<Float>
    /// [batchSize, size]
    private let staging: UnsafeMutablePointer<Float>

    init(_ configuration: Configuration, kernels: Kernels) throws {
        self.kernels = kernels
        seed = configuration.seed
        let plan = try configuration.classifierPlan()
        classes = plan.outputs
        size = plan.inputs
        featureCount = plan.layers.last?.inputs ?? 0
        parameters = arena.floats(plan.layout.count)
        staging = arena.floats(ImageClassifier.batchSize * size)
        network = Network(
            name: "classifier", plan: plan, stride: ImageClassifier.batchSize, parameters: parameters, keepsGradients: false,
            arena: arena)
    }

    /// Takes over a classifier's parameters and running statistics.
    func load(parameters: UnsafePointer<Float>, buffers: UnsafePointer<Float>) {
        self.parameters.update(from: parameters, count: network.layout.count)
        network.buffers.update(from: buffers, count: network.bufferLayout.count)
    }

    /// Takes over a checkpoint that rank 0 reads; every rank calls it.
    /// - Parameter checkpoint: nil on other ranks.
    func load(_ checkpoint: Checkpoint?, of configuration: Configuration, _ world: World) throws {
        for entry in try configuration.playerPlans().stateEntries where entry.part == .parameters || entry.part == .buffers {
            let count = entry.tensor.count
            var values = try world.agree {
                try checkpoint?.floats(entry.name, count: count) ?? [Float](repeating: 0, count: count)
            }
            try values.withUnsafeMutableBytes { try world.broadcast($0, from: 0) }
            entry.tensor.store(values, in: entry.part == .parameters ? parameters : network.buffers)
        }
    }

    /// What it makes of a few images.
    struct Outputs {
        /// [classes, columns]
        let logits: Matrix
        /// What its last layer sees: [features, columns].
        let features: Matrix

        /// The class that is most probable for a column; the first of equals.
        func best(_ column: Int) -> Int {
            CrossEntropy.largest(UnsafePointer(logits.base) + column, logits.features, logits.stride).best
        }

        /// Whether all its outputs for a column are finite.
        func isFinite(_ column: Int) -> Bool {
            (0..<logits.features).allSatisfy { logits.base[$0 * logits.stride + column].isFinite }
        }

        /// ln of the probability of a class.
        func logProbability(_ column: Int, of label: Int) -> Float {
            let x = logits.base + column
            let largest = CrossEntropy.largest(UnsafePointer(x), logits.features, logits.stride).value
            var sum: Float = 0
            for c in 0..<logits.features { sum += Reference.exponential(x[c * logits.stride] - largest) }
            return x[label * logits.stride] - largest - Reference.logarithm(sum)
        }
    }

    /// Looks at images, a few at a time.
    /// - Parameters:
    ///   - pixels: the bytes [H, W, C] of an image, valid until it is asked for another.
    ///   - body: is told of some of them, from a first one on.
    func look(
        at count: Int, pixels: (_ image: Int) throws -> UnsafePointer<UInt8>,
        _ body: (_ first: Int, _ columns: Int, _ outputs: Outputs) throws -> Void
    ) throws {
        let batch = ImageClassifier.batchSize
        let last = network.layers.count - 1
        for first in stride(from: 0, to: count, by: batch) {
            let columns = min(batch, count - first)
            for column in 0..<columns {
                let bytes = try pixels(first + column)
                kernels.normalizeBytes(bytes, staging + column * size, size, bytes)
            }
            kernels.transpose(staging, size, batch, size, network.input.base, network.input.stride)
            try network.forward(
                Pass(kernels: kernels, columns: batch, kind: .real, seed: seed, step: 0, firstRow: first, isTraining: false))
            let features = last > 0 ? network.activation(of: last - 1) : network.input
            try body(first, columns, Outputs(logits: network.output, features: features))
        }
    }
}
