import Kernels

/// `{"type": "linear", "inputs": 64, "outputs": 256, "bias": true}`: `nn.Linear`.
public struct LinearDescription: LayerDescription {
    public var inputs = 1
    public var outputs = 1
    /// Without the word there is one.
    public var hasBias = true

    public let type = "linear"
    public let isAffine = true
    public var fields: [LayerField<Self>] {
        [
            .integer("inputs", \.inputs, 1...65_536), .integer("outputs", \.outputs, 1...65_536),
            .flag("bias", \.hasBias, default: true),
        ]
    }

    public func append(to chain: inout ChainBuilder) throws {
        guard chain.shape.isInOrder, inputs == chain.shape.features else {
            throw chain.misfit("linear [\(inputs) → \(outputs)]")
        }
        let layer = Linear(
            name: chain.name, inputs: inputs, outputs: outputs, hasBias: hasBias, fusion: chain.fusion,
            isSpectral: chain.isSpectral)
        chain.append(layer, output: Shape(channels: outputs), includesRectifier: true)
    }

    public func addOperations(to graph: inout OperationGraph) {
        graph.setFlat(true)
        let tensors = [graph.tensor("weight")] + (hasBias ? [graph.tensor("bias")] : [])
        graph.apply("Gemm", tensors, ["transB": .integer(1)], giving: Shape(channels: outputs))
    }
}

extension LayerSpecification {
    /// y = W x + b, weights [outputs, inputs]; without a bias y = W x.
    public static func linear(inputs: Int, outputs: Int, hasBias: Bool = true) -> LayerSpecification {
        LayerSpecification(LinearDescription(inputs: inputs, outputs: outputs, hasBias: hasBias))
    }
}

/// y = leakyReLU(W x + b): a linear layer with the rectifier that follows it, if one does, fused into the product.
///
/// W is [outputs, inputs], b [outputs], if there is a bias, x [inputs, rows], y [outputs, rows]. Initial values are uniform
/// in ±1/√inputs, as PyTorch's `nn.Linear` draws them. Backward keeps x and y.
///
/// A convolution whose kernel is the whole image is such a layer too: `Conv2d` to one pixel, or `ConvTranspose2d` from one,
/// whose W is [inputs, outputs].
final class Linear: AffineLayer {
    var isPiecewiseLinear: Bool { true }
    let inputs: Int
    let outputs: Int
    let tensors: [Tensor]
    let fusion: RectifierFusion
    let isSpectral: Bool
    let buffers: [Tensor]
    let outputChannels: Int
    private let hasBias: Bool
    /// Whether W is [inputs, outputs].
    let isTransposed: Bool

    init(name: String, inputs: Int, outputs: Int, hasBias: Bool, fusion: RectifierFusion, isSpectral: Bool) {
        self.inputs = inputs
        self.outputs = outputs
        outputChannels = outputs
        self.hasBias = hasBias
        isTransposed = false
        self.fusion = fusion
        self.isSpectral = isSpectral
        let bound = 1 / Float(inputs).squareRoot()
        let weight = Tensor("\(name).weight\(isSpectral ? "_orig" : "")", [outputs, inputs], .uniform(bound))
        buffers = isSpectral ? Tensor.singularVectors(name, of: weight) : []
        tensors = [weight] + (hasBias ? [Tensor("\(name).bias", [outputs], .uniform(bound))] : [])
    }

    /// The layer that a convolution is if its kernel is the whole image; nil if it is not, or has a bias for many pixels.
    init?(_ convolution: Convolution2d) {
        let geometry = convolution.plan.geometry
        guard geometry.outputPixels == 1, geometry.padding == 0, geometry.pixels == geometry.taps,
            !convolution.isTransposed || !convolution.hasBias
        else { return nil }
        inputs = convolution.inputs
        outputs = convolution.outputs
        outputChannels = convolution.outputChannels
        tensors = convolution.tensors
        buffers = convolution.buffers
        fusion = convolution.fusion
        isSpectral = convolution.isSpectral
        hasBias = convolution.hasBias
        isTransposed = convolution.isTransposed
    }

    private var biasOffset: Int { (inputs * outputs).paddedToVectors }
    /// Distances in W from an output to the next, and from an input.
    private var outputStride: Int { isTransposed ? 1 : inputs }
    private var inputStride: Int { isTransposed ? outputs : 1 }

    var products: Int { inputs * outputs }
    var sumsProductsOnly: Bool { true }
    var isColumnwise: Bool { !isSpectral }
    var needs: LayerNeeds {
        let (rows, columns) = isTransposed ? (inputs, outputs) : (outputs, inputs)
        return LayerNeeds(
            workspace: GEMM.workspaceCount, transposedInputs: columns, gradientRows: rows,
            sharedRows: SharedRows.floats(outputs: rows, inputs: columns))
    }

    func forward(_ x: Matrix, _ y: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        let parameters = memory.parameters
        var product = GEMM(
            a: parameters, a_row: outputStride, a_depth: inputStride, b: x.base, b_depth: x.stride, c: y.base,
            c_row: y.stride, rows: outputs, columns: pass.columns, depth: inputs,
            bias: hasBias ? parameters + biasOffset : nil, gate: nil, gate_row: 0, rectifies: fusion.slope == nil ? 0 : 1,
            slope: fusion.slope ?? 1, workspace: memory.workspace, interlude: pass.interlude)
        pass.kernels.gemm(&product)
    }

    func tangent(_ dx: Matrix, _ dy: Matrix, y: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        var product = GEMM(
            a: memory.parameters, a_row: outputStride, a_depth: inputStride, b: dx.base, b_depth: dx.stride, c: dy.base,
            c_row: dy.stride, rows: outputs, columns: pass.columns, depth: inputs, bias: nil, gate: y.base,
            gate_row: y.stride, rectifies: fusion.slope == nil ? 0 : 1, slope: fusion.slope ?? 1, workspace: memory.workspace,
            interlude: pass.interlude)
        pass.kernels.gemm(&product)
    }

    func preactivationGradient(_ dy: Matrix, x: Matrix, y: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        guard let slope = fusion.slope, !fusion.isFusedWithNext else { return }
        precondition(dy.stride == y.stride, "output gradient of stride \(dy.stride) for activations of \(y.stride)")
        pass.kernels.leakyReLUBackward(dy.base, y.base, outputs, pass.columns, dy.stride, slope)
    }

    func inputGradient(_ dy: Matrix, _ dx: Matrix, x: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        var product = GEMM(
            a: memory.parameters, a_row: inputStride, a_depth: outputStride, b: dy.base, b_depth: dy.stride, c: dx.base,
            c_row: dx.stride, rows: inputs, columns: pass.columns, depth: outputs, bias: nil, gate: x.base,
            gate_row: x.stride, rectifies: fusion.inputSlope == nil ? 0 : 1, slope: fusion.inputSlope ?? 1,
            workspace: memory.workspace, interlude: pass.interlude)
        pass.kernels.gemm(&product)
    }

    func weightGradient(_ dy: Matrix, x: Matrix, offset: Int, _ memory: LayerMemory, _ sums: BatchSums) {
        sums.weightGradient(isTransposed ? x : dy, x: isTransposed ? dy : x, offset: offset)
        guard hasBias else { return }
        sums.biasGradient(dy, offset: offset + biasOffset)
    }
}
