import Kernels
import Networks
import Testing

/// A network on one rank that owns some shards of a batch, with random parameters, inputs and output gradients, run
/// forward and backward for the real and the fake rows as a training step does.
struct NetworkRig {
    let specifications: [LayerSpecification]
    let plan: NetworkPlan
    let network: Network
    let kernels: Kernels
    /// Rows of this rank, numbered in the whole batch.
    let rows: Range<Int>
    let columns: Int
    let shardColumns: [Range<Int>]
    /// The shards under each gradient buffer.
    let trees: [Range<Int>]
    let shardCount: Int
    let batch: Int
    let parameters: [Float]
    let gradients: [UnsafeMutablePointer<Float>]
    /// Of slot 0 and slot 1.
    let inputErrors: [Matrix]
    /// The shape of a row's input.
    let input: Shape
    private let sums: BatchSums
    private let statistics: BatchStatistics?
    private let arena = Arena()

    static let kinds: [PassKind] = [.real, .fake]
    static let seed: UInt64 = 0x0123_4567_89ab_cdef
    static let step = 6

    init(
        _ specifications: [LayerSpecification], inputs: Int, batch: Int, shards: Range<Int>, of shardCount: Int, kernels: Kernels
    ) throws {
        try self.init(
            specifications, input: Shape(channels: inputs), batch: batch, shards: shards, of: shardCount, kernels: kernels)
    }

    /// - Parameters:
    ///   - shards: this rank's, of `shardCount`.
    ///   - totals: the sums of a rank that owns all shards, for one that does not and has layers that normalise.
    ///   - host: what this rank, `index` of the host, shares with others; its gradients are then the host's.
    init(
        _ specifications: [LayerSpecification], input: Shape, batch: Int, shards: Range<Int>, of shardCount: Int,
        kernels: Kernels, totals: BatchTotals? = nil, host: HostRig? = nil, index: Int = 0, isSpectral: Bool = false
    ) throws {
        self.specifications = specifications
        self.input = input
        self.kernels = kernels
        self.batch = batch
        self.shardCount = shardCount
        let plan = try NetworkPlan(specifications, input: input, isSpectral: isSpectral)
        self.plan = plan
        func first(_ shard: Int) -> Int { batch * shard / shardCount }
        rows = first(shards.lowerBound)..<first(shards.upperBound)
        columns = rows.count.paddedToVectors
        shardColumns = shards.map { first($0) - first(shards.lowerBound)..<first($0 + 1) - first(shards.lowerBound) }
        var random = SplitMix64(7)
        var values = [Float](repeating: 0, count: plan.layout.count)
        func fill(_ buffer: UnsafeMutablePointer<Float>, _ layout: ParameterLayout) {
            for tensor in layout.tensors {
                tensor.store(random.units(tensor.count).map(tensor.value), in: buffer)
            }
        }
        values.withUnsafeMutableBufferPointer { if let base = $0.baseAddress { fill(base, plan.layout) } }
        parameters = values
        let buffer = arena.floats(plan.layout.count)
        buffer.update(from: values, count: values.count)
        network = Network(name: "discriminator", plan: plan, stride: columns, slots: 2, parameters: buffer, arena: arena)
        fill(network.buffers, plan.bufferLayout)
        network.parametersChanged()

        trees = NetworkRig.forest(host?.shards ?? shards)
        gradients = host?.gradients ?? trees.map { [arena] _ in arena.floats(plan.layout.count) }
        var shardSums: [ShardSum] = []
        for (number, tree) in trees.enumerated() {
            for shard in tree {
                // After its rows a shard is added to its elder siblings.
                shardSums.append(
                    ShardSum(
                        count: Int32(first(shard + 1) - first(shard)),
                        merges: Int32((shard - tree.lowerBound + 1).trailingZeroBitCount),
                        output: shard == tree.upperBound - 1 ? Int32(number) : -1))
            }
        }
        sums = BatchSums(
            kernels: kernels, passes: 2, columns: columns, shards: shardSums, ownsFirstShard: shards.lowerBound == 0,
            outputs: gradients, shared: host?.sharedRows(rows, plan, index: index), needs: plan.needs, arena: arena)
        statistics = plan.needs.statistics == 0
            ? nil
            : BatchStatistics(
                batch: batch, shardRows: shards.map { [rows] in first($0) - rows.lowerBound..<first($0 + 1) - rows.lowerBound },
                columns: columns, needs: plan.needs, arena: arena, sum: BatchTotals.sum(shards: shards, of: shardCount, totals))
        inputErrors = [0, 1].map { [arena, columns] _ in arena.matrix(features: input.features, stride: columns) }
        // Columns past the rows hold anything finite; here, something that would show.
        for slot in 0..<2 {
            self.fill(network.input.slot(slot), input, past: 1e6) { row, feature in NetworkRig.value(1 + slot, row, feature) }
        }
    }

    /// A value in [−1, 1) that belongs to a row of the batch, whatever rank owns it.
    static func value(_ kind: Int, _ row: Int, _ feature: Int) -> Float {
        var random = SplitMix64(UInt64(kind) << 48 | UInt64(row) << 24 | UInt64(feature))
        return random.unit()
    }

    /// Features are told as PyTorch numbers them: [C, H, W].
    private func fill(_ matrix: Matrix, _ shape: Shape, past: Float, _ value: (Int, Int) -> Float) {
        for feature in 0..<matrix.features {
            for column in 0..<columns {
                matrix.base[NetworkRig.place(feature, shape) * matrix.stride + column] =
                    column < rows.count ? value(rows.lowerBound + column, feature) : past
            }
        }
    }

    /// [rows, C, H, W] of this rank.
    func values(_ matrix: Matrix, _ shape: Shape) -> [Float] {
        (0..<rows.count).flatMap { column in
            (0..<matrix.features).map { matrix.base[NetworkRig.place($0, shape) * matrix.stride + column] }
        }
    }

    /// Where the feature of PyTorch's number lies in memory, which is [H, W, C].
    private static func place(_ feature: Int, _ shape: Shape) -> Int {
        let (channel, pixel) = feature.quotientAndRemainder(dividingBy: shape.height * shape.width)
        return pixel * shape.channels + channel
    }

    func pass(_ kind: PassKind, isTraining: Bool = true) -> Pass {
        Pass(
            kernels: kernels, columns: columns, kind: kind, seed: NetworkRig.seed, step: NetworkRig.step,
            firstRow: rows.lowerBound, isTraining: isTraining, statistics: statistics, shardColumns: shardColumns)
    }

    /// Both passes forward and backward, then the weight gradients.
    func run() throws {
        for slot in 0..<2 { try forwardAndBackward(slot) }
        try weightGradients()
    }

    func forwardAndBackward(_ slot: Int) throws {
        let pass = pass(NetworkRig.kinds[slot])
        try network.forward(pass, slot: slot)
        fill(network.outputGradient.slot(slot), plan.output, past: 3) { row, feature in NetworkRig.value(3 + slot, row, feature) }
        try network.backward(pass, slot: slot, inputGradient: inputErrors[slot])
    }

    func weightGradients(meet: () throws -> Void = {}) throws {
        try network.weightGradients(sums, statistics: statistics, meet: meet) { _ in }
    }

    /// The mask of a dropout layer for one row, from the Philox words that the documentation names.
    static func mask(layer: Int, features: Int, probability: Double, kind: PassKind, row: Int) -> [Double] {
        let key: SIMD2<UInt32> = [UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32)]
        let stream = 256 * (1 + kind.rawValue) + UInt32(layer)
        let threshold = UInt32(min(((1 - probability) * 0x1p32).rounded(), 0x1p32 - 1))
        return (0..<features).map { feature in
            let words = Reference.philox(counter: [UInt32(feature / 4), UInt32(row), UInt32(step), stream], key: key)
            return words[feature % 4] < threshold ? Double(Float(1 / (1 - probability))) : 0
        }
    }

    /// The maximal aligned subtrees that cover the shards.
    static func forest(_ shards: Range<Int>) -> [Range<Int>] {
        var trees: [Range<Int>] = []
        var start = shards.lowerBound
        while start < shards.upperBound {
            var size = 1
            while start % (2 * size) == 0 && start + 2 * size <= shards.upperBound { size *= 2 }
            trees.append(start..<start + size)
            start += size
        }
        return trees
    }
}

/// What ranks that share rows have in common: the shards of all of them, the gradients, and where rows are laid out.
final class HostRig {
    let shards: Range<Int>
    let gradients: [UnsafeMutablePointer<Float>]
    private let ranks: Int
    private let rows: Range<Int>
    private let space: UnsafeMutablePointer<Float>
    private let capacity: Int
    private let arena = Arena()

    init(_ plan: NetworkPlan, shards: Range<Int>, of shardCount: Int, batch: Int, ranks: Int) {
        self.shards = shards
        self.ranks = ranks
        rows = batch * shards.lowerBound / shardCount..<batch * shards.upperBound / shardCount
        gradients = NetworkRig.forest(shards).map { [arena] _ in arena.floats(plan.layout.count) }
        capacity = SharedRows.floats(of: plan.needs, slots: 2, rows: rows.count)
        space = arena.floats(capacity)
    }

    func sharedRows(_ own: Range<Int>, _ plan: NetworkPlan, index: Int) -> SharedRows {
        let blocks = plan.layout.count / 16
        return SharedRows(
            rows: own.lowerBound - rows.lowerBound..<own.upperBound - rows.lowerBound, of: rows.count,
            elements: blocks * index / ranks * 16..<blocks * (index + 1) / ranks * 16, space: space, capacity: capacity)
    }
}

/// The kernels of every instruction set that this machine has.
let tables = InstructionSet.available.compactMap(Kernels.select)

/// What a layer that normalises sums over the batch, in the order of the sums: a rank that owns all shards keeps it, and
/// one that owns some is given the others' from there.
final class BatchTotals {
    /// [shards, count] of each sum.
    private var rounds: [[Double]] = []

    static func sum(shards: Range<Int>, of shardCount: Int, _ totals: BatchTotals?) -> BatchStatistics.Sum {
        let isWhole = shards.count == shardCount
        let totals = totals ?? BatchTotals()
        var round = 0
        return { own, count, sums in
            let own = (0..<shards.count * count).map { own[$0] }
            if isWhole { totals.rounds.append(own) }
            let all = totals.rounds[round]
            let expected = all[shards.lowerBound * count..<shards.upperBound * count]
            if !zip(own, expected).allSatisfy({ $0.bitPattern == $1.bitPattern }) {
                Issue.record("sum \(round) of the shards \(shards) is not that of a rank which owns all")
            }
            round += 1
            func tree(_ shards: Range<Int>, _ i: Int) -> Double {
                if shards.count == 1 { return all[shards.lowerBound * count + i] }
                let middle = (shards.lowerBound + shards.upperBound) / 2
                return tree(shards.lowerBound..<middle, i) + tree(middle..<shards.upperBound, i)
            }
            for i in 0..<count { sums[i] = tree(0..<shardCount, i) }
        }
    }
}

extension Tensor {
    /// Of uniform initial values; of others one that makes them ±1.
    var bound: Float {
        if case .uniform(let bound) = initial { return bound }
        return 0.5
    }

    /// A test's value from one in [−1, 1): of the size of initial values, or around them where those are constant.
    fileprivate func value(_ unit: Float) -> Float {
        switch initial {
        case .uniform(let bound): unit * 2 * bound
        case .constant(let constant): constant + unit / 2
        }
    }
}
