import MessagePassing

/// A tensor that a game remembers besides its players, as a configuration says of it: each logical shard has its part of it.
struct MemoryPlan {
    /// Its name in a checkpoint.
    let name: String
    /// The first dimension is cut into the shards' parts, in their order.
    let shape: [Int]

    var count: Int { shape.reduce(1, *) }
}

/// This rank's parts of it.
struct ShardMemory {
    let plan: MemoryPlan
    /// Those of this rank's shards, one behind the other.
    private let own: UnsafeMutablePointer<Float>
    private let layout: ShardLayout
    private let rank: Int

    init(_ plan: MemoryPlan, own: UnsafeMutablePointer<Float>, layout: ShardLayout, rank: Int) {
        precondition(plan.shape[0] % layout.shards == 0, "\(plan.shape[0]) rows of \(plan.name) on \(layout.shards) shards")
        (self.plan, self.own, self.layout, self.rank) = (plan, own, layout, rank)
    }

    private func elements(of rank: Int) -> Range<Int> {
        let (shards, part) = (layout.shards(of: rank), plan.count / layout.shards)
        return shards.lowerBound * part..<shards.upperBound * part
    }

    /// It as each rank holds a part of it.
    var segments: Segments { Segments(own: own, count: plan.count, elements: elements(of:)) }

    /// Takes this rank's parts of the whole.
    func restore(_ whole: [Float]) {
        let range = elements(of: rank)
        whole.withUnsafeBufferPointer { whole in
            guard let base = whole.baseAddress else { return }
            own.update(from: base + range.lowerBound, count: range.count)
        }
    }
}

extension Configuration {
    /// What its game remembers besides the players.
    var memoryPlans: [MemoryPlan] { game == .cyclegan ? FakePool.plans(self) : [] }
}
