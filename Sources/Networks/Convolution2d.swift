import Kernels

/// A layer y = W x + b, with the rectifier that follows it, if one does, fused into it.
protocol AffineLayer: Layer {
    /// Slope of a fused rectifier for negative values, or nil.
    var slope: Float? { get }
    /// Whether the weights are divided by their largest singular value, for which y must stay as it is.
    var isSpectral: Bool { get }
    /// Channels of the output, which share a bias.
    var outputChannels: Int { get }
    /// Whether W is [in, out, …], as PyTorch has it for transposed convolutions.
    var isTransposed: Bool { get }
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
    let slope: Float?
    /// Slope of the rectifier that made this layer's input and whose derivative its input gradient includes, or nil.
    let inputSlope: Float?
    /// Whether the next layer's input gradient includes this layer's derivative.
    let isFusedWithNext: Bool
    let isSpectral: Bool
    let tensors: [Tensor]
    let buffers: [Tensor]

    private var geometry: ConvolutionGeometry { plan.geometry }
    private var large: Int { geometry.channels * geometry.pixels }
    private var small: Int { geometry.outputs * geometry.outputPixels }
    var inputs: Int { isTransposed ? small : large }
    var outputs: Int { isTransposed ? large : small }
    var outputChannels: Int { isTransposed ? geometry.channels : geometry.outputs }
    private var biasOffset: Int { tensors[0].count.paddedToVectors }

    init(
        index: Int, geometry: ConvolutionGeometry, isTransposed: Bool, hasBias: Bool, slope: Float?, inputSlope: Float?,
        isFusedWithNext: Bool, isSpectral: Bool
    ) {
        plan = ConvolutionPlan(geometry)
        self.isTransposed = isTransposed
        self.hasBias = hasBias
        self.slope = slope
        self.inputSlope = inputSlope
        self.isFusedWithNext = isFusedWithNext
        self.isSpectral = isSpectral
        let kernel = geometry.kernel
        let bound = 1 / Float(geometry.channels * geometry.taps).squareRoot()
        let weight = Tensor(
            "main.\(index).weight\(isSpectral ? "_orig" : "")", [geometry.outputs, geometry.channels, kernel, kernel],
            .uniform(bound), isChannelsLast: true)
        let channels = isTransposed ? geometry.channels : geometry.outputs
        tensors = [weight] + (hasBias ? [Tensor("main.\(index).bias", [channels], .uniform(bound))] : [])
        buffers = isSpectral ? Tensor.singularVectors(index, of: weight, isTransposed: isTransposed) : []
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
            scatter(x, y, bias: bias, gate: nil, slope: slope, memory, pass)
        } else {
            gather(x, y, bias: bias, gate: nil, slope: slope, memory, pass)
        }
    }

    func tangent(_ dx: Matrix, _ dy: Matrix, y: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        if isTransposed {
            scatter(dx, dy, bias: nil, gate: y, slope: slope, memory, pass)
        } else {
            gather(dx, dy, bias: nil, gate: y, slope: slope, memory, pass)
        }
    }

    func preactivationGradient(_ dy: Matrix, x: Matrix, y: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        guard let slope, !isFusedWithNext else { return }
        pass.kernels.leakyReLUBackward(dy.base, y.base, outputs, pass.columns, dy.stride, slope)
    }

    func inputGradient(_ dy: Matrix, _ dx: Matrix, x: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        if isTransposed {
            gather(dy, dx, bias: nil, gate: x, slope: inputSlope, memory, pass)
        } else {
            scatter(dy, dx, bias: nil, gate: x, slope: inputSlope, memory, pass)
        }
    }

    func weightGradient(_ dy: Matrix, x: Matrix, offset: Int, _ memory: LayerMemory, _ sums: BatchSums) {
        guard let shards = sums.shards.baseAddress, let outputs = sums.outputs.baseAddress else { return }
        let (large, small) = isTransposed ? (dy, x) : (x, dy)
        let tapsAtOnce = geometry.taps / plan.pairs.count
        for (number, pairs) in plan.pairs.enumerated() {
            guard let positions = pairs.baseAddress else { continue }
            var gradient = ConvolutionGradient(
                a: small.base, a_pass: small.features * small.stride, a_channel: small.stride,
                a_row: geometry.outputs * small.stride, x: large.base, x_pass: large.features * large.stride,
                x_channel: large.stride, x_row: geometry.channels * large.stride, pixels: geometry.pixels, rows: geometry.outputs,
                channels: geometry.channels, passes: sums.slots, positions: positions, tap_count: tapsAtOnce,
                position_count: pairs.count / tapsAtOnce, outputs: outputs,
                output_offset: offset + number * geometry.channels, out_row: geometry.taps * geometry.channels,
                shards: shards, shard_count: sums.shards.count, scratch: sums.scratch, interlude: sums.interlude)
            sums.kernels.convolutionGradient(&gradient)
        }
        guard hasBias else { return }
        let channels = outputChannels
        for slot in 0..<sums.biasSlots {
            let dy = dy.slot(slot)
            for channel in 0..<channels {
                sums.kernels.sumPixels(
                    dy.base + channel * dy.stride, self.outputs / channels, sums.columns, channels * dy.stride,
                    sums.pixelSums + (slot * channels + channel) * sums.columns)
            }
        }
        sums.biasGradient(
            Matrix(sums.pixelSums, features: channels, stride: sums.columns), offset: offset + biasOffset)
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
