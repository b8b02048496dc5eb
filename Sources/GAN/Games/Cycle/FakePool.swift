import Kernels
import MessagePassing
import Networks

/// The pool of earlier fakes that a discriminator is shown in place of the newest ones (Shrivastava et al. 2017), in equal parts
/// for the logical shards.
///
/// A shard's part of K pictures is filled first, in the order of the rows. From then on each fake is passed on, or its place is
/// taken by a pooled one whose place it takes: with w the row's word of the step, the fake itself is passed on where w < 2³¹, and
/// else exchanged with number ⌊(w − 2³¹) · K / 2³¹⌋. How full the pool is follows from the step.
final class FakePool {
    /// What a checkpoint holds: [pool size, C, H, W].
    let memory: ShardMemory
    private let slots: UnsafeMutablePointer<Float>
    /// Pictures of a shard's part.
    private let capacity: Int
    /// Where the features of PyTorch's numbers lie.
    private let places: [Int]
    private let stream: UInt32
    private let words: RowWords

    /// Of both domains, as a configuration says.
    static func plans(_ configuration: Configuration) -> [MemoryPlan] {
        guard configuration.poolSize > 0 else { return [] }
        return [("pool_a", configuration.image), ("pool_b", configuration.imageB)].map { name, image in
            MemoryPlan(name: name, shape: [configuration.poolSize, image.channels, image.height, image.width])
        }
    }

    /// - Parameter image: the shape of a fake.
    init(_ plan: MemoryPlan, _ image: Shape, stream: UInt32, layout: ShardLayout, rank: Int, columns: Int, arena: Arena) {
        capacity = plan.shape[0] / layout.shards
        slots = arena.floats(layout.shards(of: rank).count * capacity * image.features)
        memory = ShardMemory(plan, own: slots, layout: layout, rank: rank)
        places = (0..<image.features).map(image.place)
        self.stream = stream
        words = RowWords(columns: columns, arena: arena)
    }

    /// Those of domain A and of B, where there are any.
    static func pair(
        _ configuration: Configuration, layout: ShardLayout, rank: Int, columns: Int, arena: Arena
    ) -> (a: FakePool?, b: FakePool?) {
        let plans = plans(configuration)
        func pool(_ plan: MemoryPlan?, _ image: Shape, _ stream: UInt32) -> FakePool? {
            plan.map { FakePool($0, image, stream: stream, layout: layout, rank: rank, columns: columns, arena: arena) }
        }
        return (
            pool(plans.first, configuration.image, RandomStream.poolA), pool(plans.last, configuration.imageB, RandomStream.poolB)
        )
    }

    /// Puts new fakes into the pool, and pooled ones in the place of some.
    /// - Parameters:
    ///   - fakes: [features, columns], the newest, of this rank's rows.
    ///   - shards: the columns of each of this rank's shards.
    func exchange(_ fakes: Matrix, shards: [Range<Int>], _ pass: Pass) {
        let words = words.draw(stream, pass)
        for (shard, columns) in shards.enumerated() {
            let part = slots + shard * capacity * places.count
            let filled = min(capacity, pass.step * columns.count)
            for (row, column) in columns.enumerated() {
                if filled + row < capacity {
                    store(fakes.base + column, fakes.stride, at: part + (filled + row) * places.count)
                } else if words[column] >= 1 << 31 {
                    let slot = Int((UInt64(words[column] - 1 << 31) * UInt64(capacity)) >> 31)
                    swap(fakes.base + column, fakes.stride, with: part + slot * places.count)
                }
            }
        }
    }

    private func store(_ fake: UnsafePointer<Float>, _ stride: Int, at slot: UnsafeMutablePointer<Float>) {
        for feature in places.indices { slot[feature] = fake[places[feature] * stride] }
    }

    private func swap(_ fake: UnsafeMutablePointer<Float>, _ stride: Int, with slot: UnsafeMutablePointer<Float>) {
        for feature in places.indices {
            let place = places[feature] * stride
            (fake[place], slot[feature]) = (slot[feature], fake[place])
        }
    }
}
