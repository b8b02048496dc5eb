/// Sums over all rows of the global batch, the same on every rank: rows of a shard in order, shards by the balanced
/// binary tree, in double precision.
public final class BatchStatistics {
    /// Adds the numbers of all shards: `shards` holds those of this rank's, [shards, count].
    public typealias Sum = (
        _ shards: UnsafePointer<Double>, _ count: Int, _ totals: UnsafeMutablePointer<Double>
    ) throws -> Void

    /// B, the rows of the batch over all ranks.
    let batch: Int
    /// Two numbers of each column.
    let rows: UnsafeMutablePointer<Double>
    /// The sums of the last `sum`.
    let totals: UnsafeMutablePointer<Double>
    private let shardRows: [Range<Int>]
    private let columns: Int
    private let shards: UnsafeMutablePointer<Double>
    private let sum: Sum

    /// - Parameters:
    ///   - shardRows: the columns of each of this rank's shards.
    ///   - columns: columns of a pass.
    public init(
        batch: Int, shardRows: [Range<Int>], columns: Int, needs: LayerNeeds, arena: Arena, sum: @escaping Sum
    ) {
        self.batch = batch
        self.shardRows = shardRows
        self.columns = columns
        self.sum = sum
        rows = arena.doubles(2 * columns)
        shards = arena.doubles(shardRows.count * needs.statistics)
        totals = arena.doubles(needs.statistics)
    }

    /// Adds `rows` up over each shard, as pair number `pair` of `count`.
    func add(pair: Int, of count: Int) {
        for (shard, columns) in shardRows.enumerated() {
            var (first, second) = (0.0, 0.0)
            for column in columns {
                first += rows[column]
                second += rows[self.columns + column]
            }
            shards[2 * (shard * count + pair)] = first
            shards[2 * (shard * count + pair) + 1] = second
        }
    }

    /// totals[2 i ..< 2 i + 2] = pair i over the whole batch.
    func sumPairs(_ count: Int) throws { try sum(shards, 2 * count, totals) }
}
