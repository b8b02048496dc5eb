import Kernels
import Networks

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
    private let sums: BatchSums
    private let arena = Arena()

    static let kinds: [PassKind] = [.real, .fake]
    static let seed: UInt64 = 0x0123_4567_89ab_cdef
    static let step = 6

    /// - Parameter shards: this rank's, of `shardCount`.
    init(
        _ specifications: [LayerSpecification], inputs: Int, batch: Int, shards: Range<Int>, of shardCount: Int, kernels: Kernels
    ) throws {
        self.specifications = specifications
        self.kernels = kernels
        self.batch = batch
        self.shardCount = shardCount
        plan = try NetworkPlan(specifications, input: Shape(channels: inputs))
        func first(_ shard: Int) -> Int { batch * shard / shardCount }
        rows = first(shards.lowerBound)..<first(shards.upperBound)
        columns = rows.count.paddedToVectors
        shardColumns = shards.map { first($0) - first(shards.lowerBound)..<first($0 + 1) - first(shards.lowerBound) }
        var random = SplitMix64(7)
        var values = [Float](repeating: 0, count: plan.layout.count)
        for tensor in plan.layout.tensors { for i in tensor.range { values[i] = random.unit() * 2 * tensor.bound } }
        parameters = values
        let buffer = arena.floats(plan.layout.count)
        buffer.update(from: values, count: values.count)
        network = Network(name: "discriminator", plan: plan, stride: columns, slots: 2, parameters: buffer, arena: arena)

        trees = NetworkRig.forest(shards)
        gradients = trees.map { [arena, plan] _ in arena.floats(plan.layout.count) }
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
            kernels: kernels, slots: 2, columns: columns, shards: shardSums, ownsFirstShard: shards.lowerBound == 0,
            outputs: gradients, needs: plan.needs, arena: arena)
        inputErrors = [0, 1].map { [arena, columns] _ in arena.matrix(features: inputs, stride: columns) }
        // Columns past the rows hold anything finite; here, something that would show.
        for slot in 0..<2 {
            fill(network.input.slot(slot), past: 1e6) { row, feature in NetworkRig.value(1 + slot, row, feature) }
        }
    }

    /// A value in [−1, 1) that belongs to a row of the batch, whatever rank owns it.
    static func value(_ kind: Int, _ row: Int, _ feature: Int) -> Float {
        var random = SplitMix64(UInt64(kind) << 48 | UInt64(row) << 24 | UInt64(feature))
        return random.unit()
    }

    private func fill(_ matrix: Matrix, past: Float, _ value: (Int, Int) -> Float) {
        for feature in 0..<matrix.features {
            for column in 0..<columns {
                matrix.base[feature * matrix.stride + column] =
                    column < rows.count ? value(rows.lowerBound + column, feature) : past
            }
        }
    }

    func pass(_ kind: PassKind, isTraining: Bool = true) -> Pass {
        Pass(
            kernels: kernels, columns: columns, kind: kind, seed: NetworkRig.seed, step: NetworkRig.step,
            firstRow: rows.lowerBound, isTraining: isTraining, shardColumns: shardColumns)
    }

    /// Both passes forward and backward, then the weight gradients.
    func run() throws {
        for (slot, kind) in NetworkRig.kinds.enumerated() {
            try network.forward(pass(kind), slot: slot)
            fill(network.outputError.slot(slot), past: 3) { row, feature in NetworkRig.value(3 + slot, row, feature) }
            try network.backward(pass(kind), slot: slot, inputError: inputErrors[slot])
        }
        network.weightGradients(sums) { _ in }
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

/// The kernels of every instruction set that this machine has.
let tables = InstructionSet.available.compactMap(Kernels.select)

extension Tensor {
    /// Of uniform initial values; of others one that makes them ±1.
    var bound: Float {
        if case .uniform(let bound) = initial { return bound }
        return 0.5
    }
}
