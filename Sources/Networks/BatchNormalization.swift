import Kernels

/// `{"type": "batch_norm", "channels": 64}`: `nn.BatchNorm2d`, or `nn.BatchNorm1d` of features.
public struct BatchNormalizationDescription: LayerDescription {
    public var channels = 1

    public let type = "batch_norm"
    public var fields: [LayerField<Self>] { [.integer("channels", \.channels, 1...65_536)] }

    public func append(to chain: inout ChainBuilder) throws {
        let shape = chain.shape
        guard channels == shape.channels || channels == shape.features && shape.isInOrder else {
            throw chain.misfit("batch_norm of \(channels)")
        }
        chain.noteNormalization(of: shape.features / channels)
        let layer = BatchNormalization(
            name: chain.name, features: shape.features, channels: channels, slope: chain.rectifierSlope)
        chain.append(layer, output: shape, includesRectifier: true)
    }

    public func addOperations(to graph: inout OperationGraph) {
        graph.setChannels(channels)
        let tensors = ["weight", "bias", "running_mean", "running_var"].map { graph.tensor($0) }
        graph.apply("BatchNormalization", tensors, ["epsilon": .number(Float(BatchNormalization.epsilon))])
    }
}

extension LayerSpecification {
    /// Over the channels of an image, or over features; statistics are those of the global batch.
    public static func batchNormalization(channels: Int) -> LayerSpecification {
        LayerSpecification(BatchNormalizationDescription(channels: channels))
    }
}

/// Batch normalisation (Ioffe and Szegedy 2015) over features or over the channels of an image, with the rectifier that
/// follows it, if one does: v = γ (x − μ) / √(σ² + ε) + β, y = leakyReLU(v).
///
/// In training μ and σ² are the mean and the biased variance over all rows of the global batch and all pixels, so that
/// all ranks normalise alike; the running mean and the running unbiased variance (momentum 0.1), as PyTorch keeps them,
/// are used for sampling. ε is 1e-5. Backward keeps x, y, μ, 1/√(σ² + ε), and the sums Σ dv and Σ dv x̂, which are the
/// gradients of β and γ.
final class BatchNormalization: Layer {
    let inputs: Int
    let channels: Int
    /// Slope of the fused rectifier, 1 without one.
    let slope: Float
    let tensors: [Tensor]
    let buffers: [Tensor]
    var outputs: Int { inputs }
    var sharesGradient: Bool { true }
    var needs: LayerNeeds { LayerNeeds(saved: 4 * channels, statistics: 2 * channels) }

    fileprivate static let epsilon = 1e-5
    private static let momentum = 0.1

    private var pixels: Int { inputs / channels }

    init(name: String, features: Int, channels: Int, slope: Float?) {
        inputs = features
        self.channels = channels
        self.slope = slope ?? 1
        tensors = [
            Tensor("\(name).weight", [channels], .constant(1)), Tensor("\(name).bias", [channels], .constant(0)),
        ]
        buffers = [
            Tensor("\(name).running_mean", [channels], .constant(0)),
            Tensor("\(name).running_var", [channels], .constant(1)),
        ]
    }

    /// Numbers that a pass keeps of a channel.
    private enum Saved { static let mean = 0, inverse = 1, errors = 2, products = 3 }

    func forward(_ x: Matrix, _ y: Matrix, _ memory: LayerMemory, _ pass: Pass) throws {
        let (gamma, beta) = (memory.parameters, memory.parameters + channels.paddedToVectors)
        let (runningMean, runningVariance) = (memory.buffers, memory.buffers + channels.paddedToVectors)
        if let statistics = pass.statistics, pass.isTraining {
            try sum(x, times: x, gate: nil, statistics, pass)
            let count = Double(statistics.batch * pixels)
            for channel in 0..<channels {
                let mean = statistics.totals[2 * channel] / count
                let variance = max(0, statistics.totals[2 * channel + 1] / count - mean * mean)
                let saved = memory.saved + 4 * channel
                saved[Saved.mean] = mean
                saved[Saved.inverse] = 1 / (variance + BatchNormalization.epsilon).squareRoot()
                func update(_ running: UnsafeMutablePointer<Float>, _ value: Double) {
                    running[channel] += Float(BatchNormalization.momentum * (value - Double(running[channel])))
                }
                update(runningMean, mean)
                update(runningVariance, variance * count / (count - 1))
            }
        } else {
            for channel in 0..<channels {
                let saved = memory.saved + 4 * channel
                saved[Saved.mean] = Double(runningMean[channel])
                saved[Saved.inverse] = 1 / (Double(runningVariance[channel]) + BatchNormalization.epsilon).squareRoot()
            }
        }
        for channel in 0..<channels {
            let saved = memory.saved + 4 * channel
            pass.kernels.normalize(
                x.base + channel * x.stride, y.base + channel * y.stride, pixels, pass.columns, channels * x.stride,
                Float(saved[Saved.mean]), Float(Double(gamma[channel]) * saved[Saved.inverse]), beta[channel], slope)
        }
    }

    func preactivationGradient(_ dy: Matrix, x: Matrix, y: Matrix, _ memory: LayerMemory, _ pass: Pass) throws {
        guard let statistics = pass.statistics else { preconditionFailure("batch normalisation without statistics") }
        try sum(dy, times: x, gate: slope == 1 ? nil : y, statistics, pass)
        for channel in 0..<channels {
            let saved = memory.saved + 4 * channel
            let (errors, products) = (statistics.totals[2 * channel], statistics.totals[2 * channel + 1])
            saved[Saved.errors] = errors
            saved[Saved.products] = (products - saved[Saved.mean] * errors) * saved[Saved.inverse]
        }
    }

    /// dx = γ/√(σ² + ε) (dv − Σ dv / n − x̂ Σ dv x̂ / n)
    func inputGradient(_ dy: Matrix, _ dx: Matrix, x: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        guard let statistics = pass.statistics else { preconditionFailure("batch normalisation without statistics") }
        copy(dy, dx, features: inputs, columns: pass.columns)
        let count = Double(statistics.batch * pixels)
        for channel in 0..<channels {
            let saved = memory.saved + 4 * channel
            let scale = Double(memory.parameters[channel]) * saved[Saved.inverse]
            pass.kernels.normalizeBackward(
                dx.base + channel * dx.stride, x.base + channel * x.stride, pixels, pass.columns, channels * x.stride,
                Float(saved[Saved.mean]), Float(scale), Float(-scale * saved[Saved.inverse] * saved[Saved.products] / count),
                Float(-scale * saved[Saved.errors] / count))
        }
    }

    /// The sums of backward are over the whole batch already. The owner of shard 0 adds them, the others add zero.
    func weightGradient(_ dy: Matrix, x: Matrix, offset: Int, _ memory: LayerMemory, _ sums: BatchSums) {
        for (number, output) in sums.outputs.enumerated() {
            for channel in 0..<channels {
                func total(_ field: Int) -> Float {
                    guard number == 0, sums.ownsFirstShard else { return 0 }
                    var sum = 0.0
                    for slot in 0..<sums.passes { sum += memory.saved[slot * memory.savedStride + 4 * channel + field] }
                    // A sum of −0 becomes 0, as it does where another rank's 0 is added.
                    return Float(sum) + 0
                }
                output[offset + channel] = total(Saved.products)
                output[offset + channels.paddedToVectors + channel] = total(Saved.errors)
            }
        }
    }

    /// totals = (Σ a, Σ a b) of each channel over the batch, a rectified by the gate first.
    private func sum(_ a: Matrix, times b: Matrix, gate: Matrix?, _ statistics: BatchStatistics, _ pass: Pass) throws {
        precondition(a.stride == b.stride, "strides \(a.stride) and \(b.stride)")
        for channel in 0..<channels {
            pass.kernels.moments(
                a.base + channel * a.stride, b.base + channel * b.stride, gate.map { UnsafePointer($0.base + channel * $0.stride) },
                slope, pixels, pass.columns, channels * a.stride, statistics.rows)
            statistics.add(pair: channel, of: channels)
        }
        try statistics.sumPairs(channels)
    }
}
