import Kernels

/// B of a weight gradient, whose columns lie in panels of 64, from a matrix of rows: [columns / 64, rows, 64], no longer
/// than a kernel may read.
func inPanels(_ matrix: Memory<Float>, rows: Int, columns: Int, row: Int) -> Memory<Float> {
    let last = (columns - 1) / 64
    let panels = Memory<Float>(count: 64 * (last * rows + rows - 1) + roundedUp(columns - 64 * last))
    for r in 0..<rows {
        for n in 0..<columns { panels[64 * (n / 64 * rows + r) + n % 64] = matrix[r * row + n] }
    }
    return panels
}

/// The shards of a weight gradient over part of a batch, and the trees that they form.
struct ShardPlan {
    var sums: [ShardSum] = []
    /// The shards under each output, maximal and aligned.
    var trees: [Range<Int>] = []

    /// - Parameter shards: those of this rank, among `shardCount` of them, a power of two. Shard v has the rows
    ///   b_v … b_{v+1} − 1 of the batch, b_v = ⌊batch · v / shardCount⌋, counted from the rank's first.
    init(shards: Range<Int>, of shardCount: Int, batch: Int) {
        func firstRow(_ shard: Int) -> Int { batch * shard / shardCount }
        trees = Self.forest(shards)
        for (number, tree) in trees.enumerated() {
            for shard in tree {
                sums.append(
                    ShardSum(
                        count: Int32(firstRow(shard + 1) - firstRow(shard)),
                        merges: Int32((shard - tree.lowerBound + 1).trailingZeroBitCount),
                        output: shard == tree.upperBound - 1 ? Int32(number) : -1))
            }
        }
    }

    /// The maximal aligned subtrees that cover the shards: 2 ..< 5 is {2, 3} and {4}.
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

    /// How many subtrees before it each of these trees is added to when they are summed in order.
    static func merges(_ trees: [Range<Int>]) -> [Int32] {
        var kept: [Int] = []
        return trees.map { tree in
            var size = tree.count
            var merges: Int32 = 0
            while kept.last == size {
                size += kept.removeLast()
                merges += 1
            }
            kept.append(size)
            return merges
        }
    }
}
