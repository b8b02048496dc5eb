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
    /// Whether the gradient of the input takes the place of the output's.
    var sharesGradient: Bool { get }
    /// Multiplications of one row's forward pass in matrix products; padding counts.
    var products: Int { get }
    /// Whether, in one row, the layer is a piecewise linear function of its input.
    var isPiecewiseLinear: Bool { get }
    /// Whether `BatchSums.weightGradient` makes the gradients of all its parameters, and `biasGradient` after it.
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
    /// dy [outputs, stride] becomes the gradient before this layer's nonlinearity; x and y are its input and output.
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
    public var products: Int { 0 }
    public var sharesGradient: Bool { false }
    public var isPiecewiseLinear: Bool { true }
    public var sumsProductsOnly: Bool { tensors.isEmpty }
    public var isColumnwise: Bool { false }
    public func worksInPlace(after previous: any Layer) -> Bool { false }
    public func preactivationGradient(_ dy: Matrix, x: Matrix, y: Matrix, _ memory: LayerMemory, _ pass: Pass) throws {}
    public func weightGradient(_ dy: Matrix, x: Matrix, offset: Int, _ memory: LayerMemory, _ sums: BatchSums) {}
}

/// Memory that a layer works with, at most as much as any layer of its network asks for.
public struct LayerNeeds: Sendable {
    /// Floats that one call uses.
    var workspace = 0
    /// Floats of each column of a pass that one call uses besides.
    var columnWorkspace = 0
    /// Doubles that are kept of each pass.
    var saved = 0
    /// Floats that are kept of each column of a pass, in memory of the layer's own.
    var kept = 0
    /// Features of an input that the gradient of the weights transposes, and rows of that gradient.
    var transposedInputs = 0, gradientRows = 0
    /// Rows of the gradient of a convolution's weights, pixels that it transposes, and rows of that of its bias.
    var convolutionRows = 0, convolutionPixels = 0, biasRows = 0
    /// Numbers that are summed over the batch at once.
    public internal(set) var statistics = 0

    mutating func include(_ other: LayerNeeds) {
        workspace = max(workspace, other.workspace)
        columnWorkspace = max(columnWorkspace, other.columnWorkspace)
        saved = max(saved, other.saved)
        transposedInputs = max(transposedInputs, other.transposedInputs)
        gradientRows = max(gradientRows, other.gradientRows)
        convolutionRows = max(convolutionRows, other.convolutionRows)
        convolutionPixels = max(convolutionPixels, other.convolutionPixels)
        biasRows = max(biasRows, other.biasRows)
        statistics = max(statistics, other.statistics)
    }
}

/// What is a layer's, though not kept in it.
public struct LayerMemory {
    let parameters: UnsafePointer<Float>
    /// Running statistics.
    let buffers: UnsafeMutablePointer<Float>
    /// Numbers that this pass keeps from forward to backward, [slots, savedStride] from the first pass on.
    let saved: UnsafeMutablePointer<Double>
    let savedStride: Int
    /// The same of each column: [slots, kept, stride] from this pass on.
    let kept: Matrix
    let workspace: UnsafeMutablePointer<Float>
}

extension LayerMemory {
    /// Of a layer by itself.
    public init(parameters: UnsafePointer<Float>, needs: LayerNeeds, columns: Int, arena: Arena) {
        self.init(
            parameters: parameters, buffers: arena.floats(0), saved: arena.doubles(needs.saved), savedStride: 0,
            kept: arena.matrix(features: needs.kept, stride: columns),
            workspace: arena.floats(needs.workspace + needs.columnWorkspace * columns))
    }
}

/// One pass of some rows of the batch through a network.
public struct Pass {
    public let kernels: Kernels
    /// Columns to compute, a multiple of the kernels' `columnMultiple`; those past the batch's rows hold anything finite.
    public let columns: Int
    public let kind: PassKind
    public let seed: UInt64
    /// From 0.
    public let step: Int
    /// The global row of the batch in the first column.
    public let firstRow: Int
    /// Whether dropout is active.
    public let isTraining: Bool
    /// What products call between blocks of their work.
    public let interlude: Interlude
    /// Sums over the whole batch, for layers that normalise by them.
    public let statistics: BatchStatistics?
    /// The columns of each of this rank's logical shards; nil where all columns are one.
    public let shardColumns: [Range<Int>]?
    /// The class of each column, for layers that ask for it.
    public let labels: UnsafePointer<UInt8>?

    public init(
        kernels: Kernels, columns: Int, kind: PassKind, seed: UInt64, step: Int, firstRow: Int, isTraining: Bool = true,
        interlude: Interlude = .none, statistics: BatchStatistics? = nil, shardColumns: [Range<Int>]? = nil,
        labels: UnsafePointer<UInt8>? = nil
    ) {
        self.kernels = kernels
        self.columns = columns
        self.kind = kind
        self.seed = seed
        self.step = step
        self.firstRow = firstRow
        self.isTraining = isTraining
        self.interlude = interlude
        self.statistics = statistics
        self.shardColumns = shardColumns
        self.labels = labels
    }
}
