/// Which rank owns which logical shards, and how the shards' gradients are added: by the balanced binary tree over all
/// V shards, whatever the number of ranks.
public struct ShardLayout: Sendable, Equatable {
    /// V, a power of two.
    public let shards: Int
    /// R ≤ V.
    public let ranks: Int

    /// - Precondition: shards is a power of two and 1 ≤ ranks ≤ shards.
    public init(shards: Int, ranks: Int) {
        precondition(shards > 0 && shards & (shards - 1) == 0, "\(shards) shards are not a power of two")
        precondition(ranks >= 1 && ranks <= shards, "\(ranks) ranks for \(shards) shards")
        self.shards = shards
        self.ranks = ranks
    }

    /// The shards of rank r: [V·r/R, V·(r+1)/R).
    public func shards(of rank: Int) -> Range<Int> { shards * rank / ranks..<shards * (rank + 1) / ranks }

    /// The shards of consecutive ranks.
    public func shards(of ranks: Range<Int>) -> Range<Int> {
        shards(of: ranks.lowerBound).lowerBound..<shards(of: ranks.upperBound - 1).upperBound
    }

    /// The rows of every batch of B that a shard supplies: ⌊B·v/V⌋ … ⌊B·(v+1)/V⌋ − 1.
    public func rows(of shard: Int, batch: Int) -> Range<Int> {
        batch * shard / shards..<batch * (shard + 1) / shards
    }

    /// The rows of consecutive shards.
    public func rows(of shards: Range<Int>, batch: Int) -> Range<Int> {
        batch * shards.lowerBound / self.shards..<batch * shards.upperBound / self.shards
    }

    /// The images that a shard owns of N: ⌊N·b_v/B⌋ … ⌊N·b_{v+1}/B⌋ − 1, in proportion to its rows.
    public func images(of shard: Int, batch: Int, images: Int) -> Range<Int> {
        let rows = rows(of: shard, batch: batch)
        return images * rows.lowerBound / batch..<images * rows.upperBound / batch
    }

    /// The maximal aligned subtrees that cover consecutive shards: 2 ..< 5 is {2, 3} and {4}. At most 2·log₂V.
    public static func subtrees(_ shards: Range<Int>) -> [Range<Int>] {
        var subtrees: [Range<Int>] = []
        var start = shards.lowerBound
        while start < shards.upperBound {
            var size = 1
            while start % (2 * size) == 0 && start + 2 * size <= shards.upperBound { size *= 2 }
            subtrees.append(start..<start + size)
            start += size
        }
        return subtrees
    }

    /// The order in which the subtrees of consecutive ranks are added up to the subtrees of all their shards.
    /// - Parameter sharesGradients: whether the ranks have one set of subtrees, and not each its own.
    public func sum(of ranks: Range<Int>, sharesGradients: Bool = false) -> TreePlan {
        let leaves = ranks.sources(sharesGradients).flatMap { ShardLayout.subtrees(shards(of: $0)) }
        return TreePlan(leaves: leaves, total: shards(of: ranks))
    }
}
