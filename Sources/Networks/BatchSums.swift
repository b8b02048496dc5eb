import Kernels

/// How gradients are summed over this rank's rows, or over those of its host: the shards and the forest they form.
public final class BatchSums {
    public let kernels: Kernels
    /// Passes whose rows are summed, at most as many as there were at first.
    public var passes: Int {
        didSet { precondition((1...mostPasses).contains(passes), "\(passes) passes, room for \(mostPasses)") }
    }
    private let mostPasses: Int
    /// Those of them that a bias is part of, and the columns of each.
    let biasPasses: Int
    public let columns: Int
    let shards: UnsafeMutableBufferPointer<ShardSum>
    /// One gradient buffer for each maximal aligned subtree.
    let outputs: UnsafeMutableBufferPointer<UnsafeMutablePointer<Float>>
    /// [inputs / 64, passes · columns, 64]
    let transposed: UnsafeMutablePointer<Float>
    let scratch: UnsafeMutablePointer<Float>
    /// [passes, channels, columns]: a convolution's output gradients summed over the pixels.
    let pixelSums: UnsafeMutablePointer<Float>
    let ones: UnsafeMutablePointer<Float>
    /// Whether this rank owns shard 0. It alone adds sums that are over the whole batch already.
    let ownsFirstShard: Bool
    /// The host's rows, where its ranks sum them together.
    let shared: SharedRows?
    /// dy of the host's rows in the newest sum of weights.
    private var lastShared: Matrix?
    /// Where bf16 lays out its pairs.
    let workspace: UnsafeMutablePointer<Float>?
    /// What sums call between blocks of their work.
    public var interlude = Interlude.none

    public init(
        kernels: Kernels, passes: Int, biasPasses: Int? = nil, columns: Int, shards: [ShardSum], ownsFirstShard: Bool,
        outputs: [UnsafeMutablePointer<Float>], shared: SharedRows? = nil, needs: LayerNeeds, arena: Arena
    ) {
        self.shared = shared
        self.ownsFirstShard = ownsFirstShard
        self.kernels = kernels
        self.passes = passes
        mostPasses = passes
        self.biasPasses = biasPasses ?? passes
        self.columns = columns
        self.shards = .allocate(capacity: shards.count)
        _ = self.shards.initialize(from: shards)
        self.outputs = .allocate(capacity: outputs.count)
        _ = self.outputs.initialize(from: outputs)
        transposed = arena.floats(shared == nil ? passes * columns * ((needs.transposedInputs + 63) & ~63) : 0)
        scratch = arena.floats(
            max(
                32 * 6 * 4 * 16,
                ConvolutionGradient.scratchCount(
                    rows: needs.convolutionRows, pixels: needs.convolutionPixels, shards: shards)))
        pixelSums = arena.floats(passes * needs.biasRows * columns)
        ones = arena.floats(16)
        ones.update(repeating: 1, count: 16)
        workspace = kernels.precision == .fp32
            ? nil
            : arena.floats(WeightGradient.workspaceCount(rows: needs.gradientRows, passes: passes, shards: shards))
    }

    deinit {
        shards.deallocate()
        outputs.deallocate()
    }

    /// The gradient of weights [outputs, inputs], of which dy [passes, outputs, stride] is the output gradient and
    /// x [passes, inputs, stride] the input: Σ dy xᵗ.
    /// - Parameter passStride: floats from a pass of dy to the next, if others lie between.
    func weightGradient(_ dy: Matrix, passStride: Int? = nil, x: Matrix, offset: Int) {
        let passStride = passStride ?? dy.slotStride
        guard let shared else {
            transpose(x, columns: columns, to: transposed, columns)
            return add(dy, passStride, transposed, columns, rows: 0..<dy.features, inputs: x.features, offset: offset)
        }
        let place = shared.next(outputs: dy.features, inputs: x.features, slots: passes)
        if shared.isLayingOut {
            for slot in 0..<passes {
                kernels.copyColumns(
                    dy.base + slot * passStride, dy.stride, dy.features, shared.rows.count,
                    place.dy.slot(slot).base + shared.rows.lowerBound, shared.columns)
            }
            transpose(x, columns: shared.rows.count, to: place.transposed + 64 * shared.rows.lowerBound, shared.columns)
        } else {
            lastShared = place.dy
            add(
                place.dy, dy.features * shared.columns, place.transposed, shared.columns,
                rows: shared.part(ofRows: dy.features, length: x.features, offset: offset), inputs: x.features, offset: offset)
        }
    }

    /// xᵗ in panels of 64 inputs, the rows of all passes one behind the other: [inputs / 64, passes · stride, 64].
    private func transpose(_ x: Matrix, columns: Int, to target: UnsafeMutablePointer<Float>, _ stride: Int) {
        for slot in 0..<passes {
            for start in Swift.stride(from: 0, to: x.features, by: 64) {
                kernels.transpose(
                    x.slot(slot).base + start * x.stride, x.stride, min(64, x.features - start), columns,
                    target + (start * passes + 64 * slot) * stride, 64)
            }
        }
    }

    /// Some rows of Σ dy xᵗ, xᵗ as `transpose` lays it out.
    private func add(
        _ dy: Matrix, _ passStride: Int, _ transposed: UnsafePointer<Float>, _ columns: Int, rows: Range<Int>, inputs: Int,
        offset: Int
    ) {
        guard let shards = shards.baseAddress, let outputs = outputs.baseAddress, !rows.isEmpty else { return }
        var gradient = WeightGradient(
            a: dy.base + rows.lowerBound * dy.stride, a_pass: passStride, a_row: dy.stride, b: transposed,
            b_panel: 64 * passes * columns, b_pass: 64 * columns, b_row: 64, outputs: outputs,
            output_offset: offset + rows.lowerBound * inputs, c_row: inputs, rows: rows.count, columns: inputs, passes: passes,
            shards: shards, shard_count: self.shards.count, scratch: scratch, workspace: workspace, interlude: interlude)
        kernels.weightGradient(&gradient)
    }

    /// The gradients of parameters of which each row of the batch has one: Σ over the rows. `LayerNeeds.rowSums(of:)` says
    /// that a layer calls it.
    /// - Parameters:
    ///   - count: parameters, which lie one behind the other from `offset` on.
    ///   - rowGradients: writes those of one parameter, `columns` floats, of the pass in a slot.
    public func addRowGradients(
        count: Int, offset: Int, _ rowGradients: (_ slot: Int, _ parameter: Int, _ target: UnsafeMutablePointer<Float>) -> Void
    ) {
        for slot in 0..<biasPasses {
            for parameter in 0..<count { rowGradients(slot, parameter, pixelSums + (slot * count + parameter) * columns) }
        }
        biasGradient(Matrix(pixelSums, features: count, stride: columns), offset: offset)
    }

    /// The gradient of a bias, of which dy [passes, outputs, stride] is the output gradient: the weight of an input that is
    /// always 1. Where rows are shared, the layer's weights come before it.
    func biasGradient(_ dy: Matrix, offset: Int) {
        guard let shards = shards.baseAddress, let outputs = outputs.baseAddress, shared?.isLayingOut != true else { return }
        let rows = shared?.part(ofBias: dy.features) ?? 0..<dy.features
        let dy = lastShared ?? dy
        guard !rows.isEmpty else { return }
        var gradient = WeightGradient(
            a: dy.base + rows.lowerBound * dy.stride, a_pass: dy.slotStride, a_row: dy.stride, b: ones, b_panel: 0, b_pass: 0,
            b_row: 0, outputs: outputs, output_offset: offset + rows.lowerBound, c_row: 1, rows: rows.count, columns: 1,
            passes: biasPasses, shards: shards, shard_count: self.shards.count, scratch: scratch, workspace: workspace,
            interlude: interlude)
        kernels.biasGradient(&gradient)
    }
}
