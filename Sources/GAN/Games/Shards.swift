import Kernels
import MessagePassing

// What a step asks of the shards' layout and tree.

extension ShardLayout {
    /// The most shards that a rank owns.
    var largestShardCount: Int { (shards + ranks - 1) / ranks }

    func rank(of shard: Int) -> Int { (0..<ranks).first { shards(of: $0).contains(shard) } ?? 0 }
}

extension TreePlan {
    /// What a weight gradient does with the rows of each shard; `rows` are its columns within a pass, one after the other.
    func sums(_ rows: [Range<Int>]) -> [ShardSum] {
        zip(steps, rows).map { step, rows in
            ShardSum(
                count: Int32(rows.count), merges: Int32(step.merges), output: Int32(step.output ?? -1))
        }
    }
}
