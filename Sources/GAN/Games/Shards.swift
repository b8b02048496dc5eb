import Kernels
import MessagePassing

// What a step asks of the shards' layout and tree.

extension ShardLayout {
    /// The most shards that a rank owns.
    var largestShardCount: Int { (shards + ranks - 1) / ranks }

    func rank(of shard: Int) -> Int { (0..<ranks).first { shards(of: $0).contains(shard) } ?? 0 }
}

extension World {
    /// Sums over all logical shards by the balanced binary tree, on every rank.
    /// - Parameter own: the numbers of each of this rank's shards.
    func sum(_ own: [[Double]], _ layout: ShardLayout) throws -> [Double] {
        let all = try gather(own.flatMap(\.self))
        let count = all.count / layout.shards
        func tree(_ shards: Range<Int>, _ number: Int) -> Double {
            if shards.count == 1 { return all[shards.lowerBound * count + number] }
            let middle = (shards.lowerBound + shards.upperBound) / 2
            return tree(shards.lowerBound..<middle, number) + tree(middle..<shards.upperBound, number)
        }
        return (0..<count).map { tree(0..<layout.shards, $0) }
    }
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

extension Int {
    /// The least power of two that is not less.
    var nextPowerOfTwo: Int { self <= 1 ? 1 : 1 << (Int.bitWidth - (self - 1).leadingZeroBitCount) }
}
