import Kernels

/// A layer as a forward and backward pair. Activations are [features, stride] with the rows of the batch side by side;
/// the features of an image are its pixels, [H, W, C]. Nothing that a layer needs is kept in it: parameters, activations
/// and random keys are arguments.
public protocol Layer: AnyObject, Sendable {
    var inputs: Int { get }
    var outputs: Int { get }
    /// Tensors in PyTorch's order, names without the network's.
    var tensors: [Tensor] { get }
    /// Tensors that training changes by itself: running statistics.
    var buffers: [Tensor] { get }
    var needs: LayerNeeds { get }
    /// The layers inside it, whose tensors, buffers and needs are its own.
    var innerLayers: [any Layer] { get }
    /// Whether `inputGradient` writes over the output's gradient.
    var sharesGradient: Bool { get }
    /// Multiplications of one row's forward pass in matrix products; padding counts.
    var products: Int { get }
    /// Whether, in one row, the layer is a piecewise linear function of its input. Penalties of the slope rely on it.
    var isPiecewiseLinear: Bool { get }
    /// Whether all gradients of its parameters come from `BatchSums.weightGradient`, and then `biasGradient`.
    var sumsProductsOnly: Bool { get }
    /// Whether what it makes of a column depends on that column alone, whatever the pass.
    var isColumnwise: Bool { get }
    /// Whether the output may take the place of the input, given the layer that made the input.
    func worksInPlace(after previous: any Layer) -> Bool

    /// x [inputs, stride] → y [outputs, stride].
    func forward(_ x: Matrix, _ y: Matrix, _ memory: LayerMemory, _ pass: Pass) throws
    /// dx [inputs, stride] → dy [outputs, stride] of a piecewise linear layer: what a small change dx of the input changes,
    /// y being the output.
    func tangent(_ dx: Matrix, _ dy: Matrix, y: Matrix, _ memory: LayerMemory, _ pass: Pass)
    /// Called first in backward: turns dy [outputs, stride] into the gradient before the layer's nonlinearity, in place, and
    /// computes what `inputGradient` and `weightGradient` need of this pass. x and y are the layer's input and output.
    func preactivationGradient(_ dy: Matrix, x: Matrix, y: Matrix, _ memory: LayerMemory, _ pass: Pass) throws
    /// After `preactivationGradient`: dx [inputs, stride] from dy [outputs, stride].
    func inputGradient(_ dy: Matrix, _ dx: Matrix, x: Matrix, _ memory: LayerMemory, _ pass: Pass)
    /// After `preactivationGradient` of every pass: the sums over the batch of this layer's gradients, one buffer for each tree of the
    /// forest. dy is [slots, outputs, stride], x [slots, inputs, stride].
    func weightGradient(_ dy: Matrix, x: Matrix, offset: Int, _ memory: LayerMemory, _ sums: BatchSums)
}

extension Layer {
    public var tensors: [Tensor] { [] }
    public var buffers: [Tensor] { [] }
    public var needs: LayerNeeds { LayerNeeds() }
    public var isPiecewiseLinear: Bool { false }
    public var innerLayers: [any Layer] { [] }
    public var products: Int { 0 }
    public var sharesGradient: Bool { false }
    public var sumsProductsOnly: Bool { tensors.isEmpty }
    public var isColumnwise: Bool { false }
    public func worksInPlace(after previous: any Layer) -> Bool { false }
    public func tangent(_ dx: Matrix, _ dy: Matrix, y: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        preconditionFailure("\(type(of: self)) is not piecewise linear")
    }
    public func preactivationGradient(_ dy: Matrix, x: Matrix, y: Matrix, _ memory: LayerMemory, _ pass: Pass) throws {}
    public func weightGradient(_ dy: Matrix, x: Matrix, offset: Int, _ memory: LayerMemory, _ sums: BatchSums) {}

    /// It, or the layers inside it, and inside those.
    public var simpleLayers: [any Layer] { innerLayers.isEmpty ? [self] : innerLayers.flatMap(\.simpleLayers) }
}
