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

    /// The whole on rank 0, nothing on others; every rank calls it.
    func gather(_ world: World) throws -> [Float] {
        guard rank == 0 else {
            try world.send(UnsafeRawBufferPointer(start: own, count: 4 * elements(of: rank).count), to: 0, tag: .state)
            return []
        }
        var whole = [Float](repeating: 0, count: plan.count)
        try whole.withUnsafeMutableBytes { target in
            target.copyMemory(from: UnsafeRawBufferPointer(start: own, count: 4 * elements(of: 0).count))
            for other in 1..<max(1, layout.ranks) {
                let range = elements(of: other)
                try world.receive(
                    UnsafeMutableRawBufferPointer(rebasing: target[4 * range.lowerBound..<4 * range.upperBound]), from: other,
                    tag: .state)
            }
        }
        return whole
    }

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
