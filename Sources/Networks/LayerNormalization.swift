import Kernels

/// `{"type": "layer_norm", "channels": 64}`: `nn.GroupNorm(1, 64)`.
public struct LayerNormalizationDescription: LayerDescription {
    public var channels = 1

    public let type = "layer_norm"
    public var fields: [LayerField<Self>] { [.integer("channels", \.channels, 1...65_536)] }

    public func append(to chain: inout ChainBuilder) throws {
        let shape = chain.shape
        guard channels == shape.channels || channels == shape.features && shape.isInOrder, shape.features > 1 else {
            throw chain.misfit("layer_norm of \(channels)")
        }
        let layer = LayerNormalization(
            name: chain.name, features: shape.features, channels: channels, slope: chain.rectifierSlope)
        chain.append(layer, output: shape, includesRectifier: true)
    }

    public func addOperations(to graph: inout OperationGraph) {
        // Instance normalisation of one channel, which holds all features.
        graph.setChannels(channels)
        let shape = graph.shape
        let sizes = graph.isFlat ? [shape.features] : [shape.channels, shape.height, shape.width]
        graph.apply("Reshape", [graph.constant([0, 1, shape.features])])
        graph.apply(
            "InstanceNormalization", [graph.constant([Float(1)]), graph.constant([Float(0)])],
            ["epsilon": .number(Float(LayerNormalization.epsilon))])
        graph.apply("Reshape", [graph.constant([0] + sizes)])
        for (operation, name) in [("Mul", "weight"), ("Add", "bias")] {
            var tensor = graph.tensor(name)
            if !graph.isFlat { tensor = graph.add("Reshape", [tensor, graph.constant([channels, 1, 1])]) }
            graph.apply(operation, [tensor])
        }
    }
}

extension LayerSpecification {
    /// Over all features of a row, with a scale and a shift for each channel of an image, or each feature.
    public static func layerNormalization(channels: Int) -> LayerSpecification {
        LayerSpecification(LayerNormalizationDescription(channels: channels))
    }
}

/// Layer normalisation (Ba, Kiros and Hinton 2016) of features, or of an image with a scale and a shift for each channel, as
/// `nn.GroupNorm(1, channels)` has it, with the rectifier that follows it, if one does: v = γ x̂ + β, x̂ = (x − μ) r,
/// y = leakyReLU(v).
///
/// μ and r = 1/√(σ² + ε) are those of a row alone: of its F features, all pixels and channels in memory order, σ² the biased
/// variance, ε 1e-5. x and y are [pixels, channels, rows], γ and β [channels], at first 1 and 0. Backwards, with
/// e = γ dv,
///
/// dx = r (e − Σ e / F − x̂ Σ e x̂ / F), dγ = Σ dv x̂, dβ = Σ dv,
///
/// the first sums over the features of a row, the last two over pixels, rows, and shards by the tree. Backward keeps x, y, μ
/// and r.
final class LayerNormalization: Layer {
    let inputs: Int
    let channels: Int
    /// Slope of the fused rectifier, 1 without one.
    let slope: Float
    let tensors: [Tensor]
    var outputs: Int { inputs }
    // Two sums in double precision and two factors; μ and r.
    var needs: LayerNeeds { LayerNeeds(columnWorkspace: 6, kept: 2, gradientRows: channels, biasRows: channels) }

    fileprivate static let epsilon = 1e-5

    private var pixels: Int { inputs / channels }
    private var betaOffset: Int { channels.paddedToVectors }

    init(name: String, features: Int, channels: Int, slope: Float?) {
        inputs = features
        self.channels = channels
        self.slope = slope ?? 1
        tensors = [
            Tensor("\(name).weight", [channels], .constant(1)), Tensor("\(name).bias", [channels], .constant(0)),
        ]
    }

    func forward(_ x: Matrix, _ y: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        let (mean, inverse) = rows(memory.kept)
        let sums = self.sums(x, x, memory, pass)
        let count = Double(inputs)
        for column in 0..<pass.columns {
            let average = sums[column] / count
            let variance = max(0, sums[pass.columns + column] / count - average * average)
            mean[column] = Float(average)
            inverse[column] = Float(1 / (variance + LayerNormalization.epsilon).squareRoot())
        }
        pass.kernels.normalizeRows(
            x.base, y.base, pixels, channels, pass.columns, x.stride, mean, inverse, memory.parameters,
            memory.parameters + betaOffset, slope)
    }

    func preactivationGradient(_ dy: Matrix, x: Matrix, y: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        guard slope != 1 else { return }
        precondition(dy.stride == y.stride, "output gradient of stride \(dy.stride) for activations of \(y.stride)")
        pass.kernels.leakyReLUBackward(dy.base, y.base, outputs, pass.columns, dy.stride, slope)
    }

    func inputGradient(_ dy: Matrix, _ dx: Matrix, x: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        precondition(dy.stride == dx.stride, "output gradients of strides \(dy.stride) and \(dx.stride)")
        pass.kernels.scaleChannels(dy.base, dx.base, pixels, channels, pass.columns, dx.stride, memory.parameters)     // e
        let (mean, inverse) = rows(memory.kept)
        let sums = self.sums(dx, x, memory, pass)
        let factors = memory.workspace + 4 * pass.columns
        let (slopes, constants) = (factors, factors + pass.columns)
        for column in 0..<pass.columns {
            let r = Double(inverse[column])
            let errors = sums[column]
            let products = (sums[pass.columns + column] - Double(mean[column]) * errors) * r
            slopes[column] = Float(-r * r * products / Double(inputs))
            constants[column] = Float(-r * errors / Double(inputs))
        }
        pass.kernels.normalizeRowsBackward(
            dx.base, x.base, inputs, pass.columns, dx.stride, mean, inverse, slopes, constants)
    }

    func weightGradient(_ dy: Matrix, x: Matrix, offset: Int, _ memory: LayerMemory, _ sums: BatchSums) {
        precondition(dy.stride == x.stride, "output gradient of stride \(dy.stride) for an input of \(x.stride)")
        sums.addRowGradients(count: channels, offset: offset) { slot, channel, pixelSums in
            let (mean, inverse) = rows(memory.kept.slot(slot))
            sums.kernels.sumNormalized(
                dy.slot(slot).base + channel * dy.stride, x.slot(slot).base + channel * x.stride, pixels, sums.columns,
                channels * dy.stride, mean, inverse, pixelSums)
        }
        sums.addRowGradients(count: channels, offset: offset + betaOffset) { slot, channel, pixelSums in
            sums.kernels.sumPixels(
                dy.slot(slot).base + channel * dy.stride, pixels, sums.columns, channels * dy.stride, pixelSums)
        }
    }

    /// μ and r of each column.
    private func rows(_ kept: Matrix) -> (mean: UnsafeMutablePointer<Float>, inverse: UnsafeMutablePointer<Float>) {
        (kept.base, kept.base + kept.stride)
    }

    /// Σ a and then Σ a b over the features of each column.
    private func sums(_ a: Matrix, _ b: Matrix, _ memory: LayerMemory, _ pass: Pass) -> UnsafeMutablePointer<Double> {
        precondition(a.stride == b.stride, "strides \(a.stride) and \(b.stride)")
        let sums = UnsafeMutableRawPointer(memory.workspace).bindMemory(to: Double.self, capacity: 2 * pass.columns)
        pass.kernels.moments(a.base, b.base, nil, 1, inputs, pass.columns, a.stride, sums)
        return sums
    }
}
