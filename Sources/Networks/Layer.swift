import Kernels

/// A layer as a forward and backward pair. Activations are feature-major, [features, stride]. Nothing that a layer needs is kept in it: parameters, activations and random keys are arguments.
public protocol Layer: AnyObject, Sendable {
    var inputs: Int { get }
    var outputs: Int { get }
    /// Tensors in PyTorch's order and layout, names without the network's.
    var tensors: [Tensor] { get }
    /// Whether the output may take the place of the input, given the layer that made the input.
    func worksInPlace(after previous: any Layer) -> Bool

    /// x [inputs, stride] → y [outputs, stride]; `parameters` are this layer's, `workspace` is a product's.
    func forward(
        _ x: Matrix, _ y: Matrix, parameters: UnsafePointer<Float>, workspace: UnsafeMutablePointer<Float>, _ pass: Pass)
    /// dy [outputs, stride] becomes the gradient before this layer's nonlinearity, y [outputs, stride] being its output.
    func errorSignal(_ dy: Matrix, y: Matrix, _ pass: Pass)
    /// After `errorSignal`: dx [inputs, stride] from dy [outputs, stride]. x is this layer's input.
    /// Elementwise layers work in place, dx = dy.
    func inputGradient(
        _ dy: Matrix, _ dx: Matrix, x: Matrix, parameters: UnsafePointer<Float>, workspace: UnsafeMutablePointer<Float>,
        _ pass: Pass)
    /// After `errorSignal` of every pass: the sums over the batch of this layer's gradients, one buffer for each tree of the
    /// forest. dy is [slots, outputs, stride], x [slots, inputs, stride].
    func weightGradient(_ dy: Matrix, x: Matrix, offset: Int, _ sums: BatchSums)
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

    public init(
        kernels: Kernels, columns: Int, kind: PassKind, seed: UInt64, step: Int, firstRow: Int, isTraining: Bool = true,
        interlude: Interlude = .none
    ) {
        self.kernels = kernels
        self.columns = columns
        self.kind = kind
        self.seed = seed
        self.step = step
        self.firstRow = firstRow
        self.isTraining = isTraining
        self.interlude = interlude
    }
}

/// How gradients are summed over this rank's rows: its shards and the forest they form.
public final class BatchSums {
    let kernels: Kernels
    /// Passes whose rows are summed, and the columns of each.
    let slots: Int
    let columns: Int
    let shards: UnsafeMutableBufferPointer<ShardSum>
    /// One gradient buffer for each maximal aligned subtree.
    let outputs: UnsafeMutableBufferPointer<UnsafeMutablePointer<Float>>
    /// [inputs / 64, slots · columns, 64]
    let transposed: UnsafeMutablePointer<Float>
    let scratch: UnsafeMutablePointer<Float>
    let ones: UnsafeMutablePointer<Float>
    /// Where bf16 lays out its pairs.
    let workspace: UnsafeMutablePointer<Float>?
    /// What sums call between blocks of their work.
    public var interlude = Interlude.none

    /// - Parameters:
    ///   - largestInput: the most inputs of a layer.
    ///   - largestOutput: the most outputs of a layer.
    public init(
        kernels: Kernels, slots: Int, columns: Int, shards: [ShardSum], outputs: [UnsafeMutablePointer<Float>],
        largestInput: Int, largestOutput: Int, arena: Arena
    ) {
        self.kernels = kernels
        self.slots = slots
        self.columns = columns
        self.shards = .allocate(capacity: shards.count)
        _ = self.shards.initialize(from: shards)
        self.outputs = .allocate(capacity: outputs.count)
        _ = self.outputs.initialize(from: outputs)
        transposed = arena.floats(slots * columns * ((largestInput + 63) & ~63))
        scratch = arena.floats(32 * 6 * 4 * 16)
        ones = arena.floats(16)
        ones.update(repeating: 1, count: 16)
        workspace = kernels.precision == .fp32
            ? nil
            : arena.floats(WeightGradient.workspaceCount(rows: largestOutput, passes: slots, shards: shards))
    }

    deinit {
        shards.deallocate()
        outputs.deallocate()
    }
}
