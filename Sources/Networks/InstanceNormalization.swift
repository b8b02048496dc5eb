import Kernels

/// `{"type": "instance_norm", "channels": 64, "affine": false}`: `nn.InstanceNorm2d`.
public struct InstanceNormalizationDescription: LayerDescription {
    public var channels = 1
    /// Whether each channel has a scale and a shift: the field "affine", false if it is missing.
    public var hasWeights = false

    public let type = "instance_norm"
    public var fields: [LayerField<Self>] {
        [.integer("channels", \.channels, 1...65_536), .flag("affine", \.hasWeights, default: false)]
    }

    public func append(to chain: inout ChainBuilder) throws {
        let shape = chain.shape
        guard channels == shape.channels else { throw chain.misfit("instance_norm of \(channels)") }
        guard shape.pixels > 1 else {
            throw chain.error(
                "instance_norm of \(channels)",
                "normalises each channel by its pixels, and would make 0 of all \(shape): they have one pixel each; use layer_norm")
        }
        let layer = InstanceNormalization(
            name: chain.name, shape: shape, hasWeights: hasWeights, slope: chain.rectifierSlope)
        chain.append(layer, output: shape, includesRectifier: true)
    }

    public func addOperations(to graph: inout OperationGraph) {
        graph.setFlat(false)
        let weights = hasWeights
            ? [graph.tensor("weight"), graph.tensor("bias")]
            : [Float(1), 0].map { graph.constant([Float](repeating: $0, count: channels)) }
        graph.apply("InstanceNormalization", weights, ["epsilon": .number(Float(InstanceNormalization.epsilon))])
    }
}

extension LayerSpecification {
    /// Over the pixels of each channel of each row.
    public static func instanceNormalization(channels: Int, isAffine: Bool = false) -> LayerSpecification {
        LayerSpecification(InstanceNormalizationDescription(channels: channels, hasWeights: isAffine))
    }
}

/// Instance normalisation (Ulyanov, Vedaldi and Lempitsky 2016) of an image, with the rectifier that follows it, if one does:
/// v = γ x̂ + β, x̂ = (x − μ) r, y = leakyReLU(v), γ = 1 and β = 0 if there are no weights.
///
/// μ and r = 1/√(σ² + ε) are those of a row's channel alone: of its P pixels in memory order, σ² the biased variance, ε 1e-5, in
/// training and in sampling alike. x and y are [pixels, channels, rows], γ and β [channels], at first 1 and 0. Backwards
///
/// dx = γ r (dv − Σ dv / P − x̂ Σ dv x̂ / P), dγ = Σ dv x̂, dβ = Σ dv,
///
/// The sums in dx are over a channel's pixels. Those in dγ and dβ are also over the rows, and over the shards by the tree.
/// Forward keeps μ and r, `preactivationGradient` the two sums over pixels; backward also reads x and y.
final class InstanceNormalization: Layer {
    let inputs: Int
    let channels: Int
    /// Slope of the fused rectifier, 1 without one.
    let slope: Float
    let tensors: [Tensor]
    var outputs: Int { inputs }
    var sharesGradient: Bool { true }
    var needs: LayerNeeds {
        // γ and β of a channel; two sums in double precision and three factors.
        LayerNeeds(
            workspace: 16, columnWorkspace: 7, kept: Kept.count * channels, gradientRows: tensors.isEmpty ? 0 : channels)
    }

    fileprivate static let epsilon = 1e-5

    private var pixels: Int { inputs / channels }

    init(name: String, shape: Shape, hasWeights: Bool, slope: Float?) {
        inputs = shape.features
        channels = shape.channels
        self.slope = slope ?? 1
        tensors = hasWeights
            ? [Tensor("\(name).weight", [channels], .constant(1)), Tensor("\(name).bias", [channels], .constant(0))] : []
    }

    /// What is kept of each channel of a row, [count, channels, columns]: μ, r, Σ dv and Σ dv x̂.
    private enum Kept { static let mean = 0, inverse = 1, errors = 2, products = 3, count = 4 }

    private func kept(_ number: Int, _ channel: Int, _ memory: LayerMemory) -> UnsafeMutablePointer<Float> {
        memory.kept.base + (number * channels + channel) * memory.kept.stride
    }

    /// γ and β of a channel.
    private func weights(_ channel: Int, _ memory: LayerMemory) -> (scale: Float, shift: Float) {
        tensors.isEmpty ? (1, 0) : (memory.parameters[channel], memory.parameters[channels.paddedToVectors + channel])
    }

    func forward(_ x: Matrix, _ y: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        let constants = memory.workspace
        let count = Double(pixels)
        for channel in 0..<channels {
            let (mean, inverse) = (kept(Kept.mean, channel, memory), kept(Kept.inverse, channel, memory))
            let (x, y) = (x.base + channel * x.stride, y.base + channel * y.stride)
            let rowStride = channels * memory.kept.stride
            let sums = self.sums(x, x, gate: nil, memory, pass)
            for column in 0..<pass.columns {
                let average = sums[column] / count
                let variance = max(0, sums[pass.columns + column] / count - average * average)
                mean[column] = Float(average)
                inverse[column] = Float(1 / (variance + InstanceNormalization.epsilon).squareRoot())
            }
            (constants[0], constants[1]) = weights(channel, memory)
            pass.kernels.normalizeRows(
                x, y, pixels, 1, pass.columns, rowStride, mean, inverse, constants, constants + 1, slope)
        }
    }

    func preactivationGradient(_ dy: Matrix, x: Matrix, y: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        for channel in 0..<channels {
            let (mean, inverse) = (kept(Kept.mean, channel, memory), kept(Kept.inverse, channel, memory))
            let (errors, products) = (kept(Kept.errors, channel, memory), kept(Kept.products, channel, memory))
            let sums = self.sums(
                dy.base + channel * dy.stride, x.base + channel * x.stride,
                gate: slope == 1 ? nil : y.base + channel * y.stride, memory, pass)
            for column in 0..<pass.columns {
                errors[column] = Float(sums[column])
                products[column] = Float(
                    (sums[pass.columns + column] - Double(mean[column]) * sums[column]) * Double(inverse[column]))
            }
        }
    }

    func inputGradient(_ dy: Matrix, _ dx: Matrix, x: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        copy(dy, dx, features: inputs, columns: pass.columns)
        let factors = memory.workspace + 16 + 4 * pass.columns
        let (scales, slopes, constants) = (factors, factors + pass.columns, factors + 2 * pass.columns)
        for channel in 0..<channels {
            let (mean, inverse) = (kept(Kept.mean, channel, memory), kept(Kept.inverse, channel, memory))
            let (errors, products) = (kept(Kept.errors, channel, memory), kept(Kept.products, channel, memory))
            let gamma = Double(weights(channel, memory).scale)
            for column in 0..<pass.columns {
                let scale = gamma * Double(inverse[column])
                scales[column] = Float(scale)
                slopes[column] = Float(-scale * Double(inverse[column]) * Double(products[column]) / Double(pixels))
                constants[column] = Float(-scale * Double(errors[column]) / Double(pixels))
            }
            pass.kernels.normalizeRowsBackward(
                dx.base + channel * dx.stride, x.base + channel * x.stride, pixels, pass.columns, channels * dx.stride, mean,
                scales, slopes, constants)
        }
    }

    func weightGradient(_ dy: Matrix, x: Matrix, offset: Int, _ memory: LayerMemory, _ sums: BatchSums) {
        guard !tensors.isEmpty else { return }
        func rows(_ number: Int) -> Matrix {
            Matrix(
                kept(number, 0, memory), features: channels, stride: memory.kept.stride, slotStride: memory.kept.slotStride)
        }
        sums.biasGradient(rows(Kept.products), offset: offset)
        sums.biasGradient(rows(Kept.errors), offset: offset + channels.paddedToVectors)
    }

    /// Σ a and then Σ a b over a channel's pixels of each column, a rectified by the gate first.
    private func sums(
        _ a: UnsafeMutablePointer<Float>, _ b: UnsafePointer<Float>, gate: UnsafePointer<Float>?, _ memory: LayerMemory,
        _ pass: Pass
    ) -> UnsafeMutablePointer<Double> {
        let sums = UnsafeMutableRawPointer(memory.workspace + 16).bindMemory(to: Double.self, capacity: 2 * pass.columns)
        pass.kernels.moments(a, b, gate, slope, pixels, pass.columns, channels * memory.kept.stride, sums)
        return sums
    }
}
