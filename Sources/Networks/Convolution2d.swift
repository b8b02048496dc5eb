import Kernels

/// `{"type": "conv2d", "inputs": 1, "outputs": 64, "kernel": 4, "stride": 2, "padding": 1, "bias": true}`, or
/// `conv_transpose2d`, which may have an `output_padding`: `nn.Conv2d` or `nn.ConvTranspose2d` with a square kernel.
public struct ConvolutionDescription: LayerDescription {
    public var isTransposed: Bool
    public var inputs, outputs, kernel, stride, padding: Int
    /// Extra rows and columns at the bottom and on the right of a transposed convolution's output: of the sizes that would
    /// shrink to the same input, it names one.
    public var outputPadding: Int
    /// Without the word there is one.
    public var hasBias: Bool

    public init(
        isTransposed: Bool = false, inputs: Int = 1, outputs: Int = 1, kernel: Int = 1, stride: Int = 1, padding: Int = 0,
        outputPadding: Int = 0, hasBias: Bool = true
    ) {
        self.isTransposed = isTransposed
        self.inputs = inputs
        self.outputs = outputs
        self.kernel = kernel
        self.stride = stride
        self.padding = padding
        self.outputPadding = outputPadding
        self.hasBias = hasBias
    }

    public var type: String { isTransposed ? "conv_transpose2d" : "conv2d" }
    public var isAffine: Bool { true }
    public var fields: [LayerField<Self>] {
        [
            .integer("inputs", \.inputs, 1...8_192), .integer("outputs", \.outputs, 1...8_192),
            .integer("kernel", \.kernel, 1...32), .integer("stride", \.stride, 1...32),
            .integer("padding", \.padding, 0...32), .flag("bias", \.hasBias, default: true),
        ] + (isTransposed ? [.integer("output_padding", \.outputPadding, default: 0) { 0...$0.stride - 1 }] : [])
    }

    public func append(to chain: inout ChainBuilder) throws {
        let shape = chain.shape
        let text = "\(type) [\(inputs) → \(outputs)] of kernel \(kernel), stride \(stride), padding \(padding)"
            + (outputPadding == 0 ? "" : ", output padding \(outputPadding)")
        let result = Shape(channels: outputs, height: side(shape.height), width: side(shape.width))
        let fits = min(shape.height, shape.width) + 2 * padding >= kernel || isTransposed
        guard inputs == shape.channels, fits, min(result.height, result.width) > 0 else { throw chain.misfit(text) }
        try chain.check(result, text)
        let (large, small) = isTransposed ? (result, shape) : (shape, result)
        let places = small.pixels * kernel * kernel
        guard places <= 1 << 22 else {
            throw chain.error(text, "has \(places) places of its kernel in an image; at most 4,194,304 are laid out")
        }
        let convolution = Convolution2d(
            name: chain.name,
            geometry: ConvolutionGeometry(
                channels: large.channels, height: large.height, width: large.width, outputs: small.channels,
                outputHeight: small.height, outputWidth: small.width, kernel: kernel, stride: stride, padding: padding),
            isTransposed: isTransposed, hasBias: hasBias, fusion: chain.fusion, isSpectral: chain.isSpectral)
        chain.append(Linear(convolution) ?? convolution, output: result, includesRectifier: true)
    }

    /// The side of the output.
    private func side(_ length: Int) -> Int {
        isTransposed
            ? (length - 1) * stride + kernel - 2 * padding + outputPadding : (length + 2 * padding - kernel) / stride + 1
    }

    public func addOperations(to graph: inout OperationGraph) {
        graph.setFlat(false)
        let tensors = [graph.tensor("weight")] + (hasBias ? [graph.tensor("bias")] : [])
        var attributes: [String: OperationGraph.Attribute] = [
            "kernel_shape": .integers([kernel, kernel]), "strides": .integers([stride, stride]),
            "pads": .integers([padding, padding, padding, padding]),
        ]
        if outputPadding > 0 { attributes["output_padding"] = .integers([outputPadding, outputPadding]) }
        let (height, width) = (side(graph.shape.height), side(graph.shape.width))
        graph.apply(
            isTransposed ? "ConvTranspose" : "Conv", tensors, attributes,
            giving: Shape(channels: outputs, height: height, width: width))
    }
}

extension LayerSpecification {
    /// y = W ∗ x + b over the pixels of an image, or its transpose.
    public static func convolution(_ convolution: ConvolutionDescription) -> LayerSpecification {
        LayerSpecification(convolution)
    }
}

/// y = leakyReLU(W ∗ x + b): `nn.Conv2d`, or its transpose `nn.ConvTranspose2d` (Dumoulin and Visin 2016), with the
/// rectifier that follows it, if one does.
///
/// x is [H, W, C, rows], y [H′, W′, C′, rows]. W is PyTorch's [C′, C, k, k], or [C, C′, k, k] of a transposed one, in memory
/// with the second dimension last: [·, k, k, ·]. Initial values are uniform in ±1/√(shape[1] · k²), as PyTorch draws them.
/// Backward keeps x and y.
final class Convolution2d: AffineLayer {
    let plan: ConvolutionPlan
    let isTransposed: Bool
    let hasBias: Bool
    let fusion: RectifierFusion
    let isSpectral: Bool
    let tensors: [Tensor]
    let buffers: [Tensor]

    private var geometry: ConvolutionGeometry { plan.geometry }
    private var large: Int { geometry.channels * geometry.pixels }
    private var small: Int { geometry.outputs * geometry.outputPixels }
    var isPiecewiseLinear: Bool { true }
    var inputs: Int { isTransposed ? small : large }
    var outputs: Int { isTransposed ? large : small }
    var outputChannels: Int { isTransposed ? geometry.channels : geometry.outputs }
    private var biasOffset: Int { tensors[0].count.paddedToVectors }

    init(
        name: String, geometry: ConvolutionGeometry, isTransposed: Bool, hasBias: Bool, fusion: RectifierFusion,
        isSpectral: Bool
    ) {
        plan = ConvolutionPlan(geometry)
        self.isTransposed = isTransposed
        self.hasBias = hasBias
        self.fusion = fusion
        self.isSpectral = isSpectral
        let kernel = geometry.kernel
        let bound = 1 / Float(geometry.channels * geometry.taps).squareRoot()
        let weight = Tensor(
            "\(name).weight\(isSpectral ? "_orig" : "")", [geometry.outputs, geometry.channels, kernel, kernel],
            .uniform(bound), isChannelsLast: true)
        let channels = isTransposed ? geometry.channels : geometry.outputs
        tensors = [weight] + (hasBias ? [Tensor("\(name).bias", [channels], .uniform(bound))] : [])
        buffers = isSpectral ? Tensor.singularVectors(name, of: weight, isTransposed: isTransposed) : []
    }

    var products: Int { geometry.outputPixels * tensors[0].count }
    var needs: LayerNeeds {
        LayerNeeds(
            // A product's, and the weights the other way round.
            workspace: GEMM.workspaceCount + geometry.channels * geometry.taps * plan.scatterDepth,
            gradientRows: hasBias ? outputChannels : 0,
            convolutionRows: geometry.outputs, convolutionPixels: geometry.channels % 16 == 0 ? geometry.pixels : 0,
            biasRows: hasBias ? outputChannels : 0)
    }

    func forward(_ x: Matrix, _ y: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        let bias = hasBias ? memory.parameters + biasOffset : nil
        if isTransposed {
            scatter(x, y, bias: bias, gate: nil, slope: fusion.slope, memory, pass)
        } else {
            gather(x, y, bias: bias, gate: nil, slope: fusion.slope, memory, pass)
        }
    }

    func tangent(_ dx: Matrix, _ dy: Matrix, y: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        if isTransposed {
            scatter(dx, dy, bias: nil, gate: y, slope: fusion.slope, memory, pass)
        } else {
            gather(dx, dy, bias: nil, gate: y, slope: fusion.slope, memory, pass)
        }
    }

    func preactivationGradient(_ dy: Matrix, x: Matrix, y: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        guard let slope = fusion.slope, !fusion.isFusedWithNext else { return }
        pass.kernels.leakyReLUBackward(dy.base, y.base, outputs, pass.columns, dy.stride, slope)
    }

    func inputGradient(_ dy: Matrix, _ dx: Matrix, x: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        if isTransposed {
            gather(dy, dx, bias: nil, gate: x, slope: fusion.inputSlope, memory, pass)
        } else {
            scatter(dy, dx, bias: nil, gate: x, slope: fusion.inputSlope, memory, pass)
        }
    }

    func weightGradient(_ dy: Matrix, x: Matrix, offset: Int, _ memory: LayerMemory, _ sums: BatchSums) {
        guard let shards = sums.shards.baseAddress, let outputs = sums.outputs.baseAddress else { return }
        let (large, small) = isTransposed ? (dy, x) : (x, dy)
        let tapsAtOnce = geometry.taps / plan.pairs.count
        for (number, pairs) in plan.pairs.enumerated() {
            guard let positions = pairs.baseAddress else { continue }
            var gradient = ConvolutionGradient(
                a: small.base, a_pass: small.slotStride, a_channel: small.stride,
                a_row: geometry.outputs * small.stride, x: large.base, x_pass: large.slotStride,
                x_channel: large.stride, x_row: geometry.channels * large.stride, pixels: geometry.pixels, rows: geometry.outputs,
                channels: geometry.channels, passes: sums.passes, positions: positions, tap_count: tapsAtOnce,
                position_count: pairs.count / tapsAtOnce, outputs: outputs,
                output_offset: offset + number * geometry.channels, out_row: geometry.taps * geometry.channels,
                shards: shards, shard_count: sums.shards.count, scratch: sums.scratch, interlude: sums.interlude)
            sums.kernels.convolutionGradient(&gradient)
        }
        guard hasBias else { return }
        let channels = outputChannels
        sums.addRowGradients(count: channels, offset: offset + biasOffset) { slot, channel, pixelSums in
            sums.kernels.sumPixels(
                dy.slot(slot).base + channel * dy.stride, self.outputs / channels, sums.columns, channels * dy.stride, pixelSums)
        }
    }

    /// The smaller side y from the larger side x.
    private func gather(
        _ x: Matrix, _ y: Matrix, bias: UnsafePointer<Float>?, gate: Matrix?, slope: Float?, _ memory: LayerMemory, _ pass: Pass
    ) {
        convolve(
            plan.gather, memory.parameters, depth: geometry.channels, x, channels: geometry.channels, y,
            outputs: geometry.outputs, bias: bias, gate: gate, slope: slope, memory.workspace, pass)
    }

    /// The larger side y from the smaller side x.
    private func scatter(
        _ x: Matrix, _ y: Matrix, bias: UnsafePointer<Float>?, gate: Matrix?, slope: Float?, _ memory: LayerMemory, _ pass: Pass
    ) {
        // [O, taps, C] → [C, taps, O], O padded, since whole vectors are written.
        let weights = memory.workspace + GEMM.workspaceCount
        let (channels, outputs, taps, depth) = (geometry.channels, geometry.outputs, geometry.taps, plan.scatterDepth)
        for tap in 0..<taps {
            pass.kernels.transpose(
                memory.parameters + tap * channels, taps * channels, outputs, channels, weights + tap * depth, taps * depth)
        }
        convolve(
            plan.scatter, weights, depth: depth, x, channels: outputs, y, outputs: channels, bias: bias, gate: gate,
            slope: slope, memory.workspace, pass)
    }

    /// - Parameter depth: floats from one tap's weights to the next one's.
    private func convolve(
        _ groups: [ConvolutionPlan.Group], _ weights: UnsafePointer<Float>, depth: Int, _ x: Matrix, channels: Int,
        _ y: Matrix, outputs: Int, bias: UnsafePointer<Float>?, gate: Matrix?, slope: Float?,
        _ workspace: UnsafeMutablePointer<Float>, _ pass: Pass
    ) {
        precondition(
            gate.map { $0.stride == y.stride } ?? true, "a gate of stride \(gate?.stride ?? 0) for \(y.stride)")
        for group in groups {
            guard let positions = group.positions.baseAddress, let taps = group.taps.baseAddress else { continue }
            var convolution = Convolution(
                a: weights, a_output: geometry.taps * depth, x: x.base, x_channel: x.stride, x_row: channels * x.stride,
                y: y.base, y_channel: y.stride, y_row: outputs * y.stride, outputs: outputs, channels: channels,
                columns: pass.columns, positions: positions, position_count: group.positions.count, taps: taps,
                tap_count: group.taps.count, bias: bias, gate: gate.map { UnsafePointer($0.base) },
                rectifies: slope == nil ? 0 : 1, slope: slope ?? 1, workspace: workspace, interlude: pass.interlude)
            pass.kernels.convolution(&convolution)
        }
    }
}
