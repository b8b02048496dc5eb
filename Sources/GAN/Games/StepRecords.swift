import MessagePassing
import Networks

/// What a step computes of each of this rank's rows, to be told as a mean over the batch: a loss or a score.
struct RowSum {
    let key: String
    let rows: UnsafePointer<Float>
}

/// Means over the batch of what a step has computed of each row, by their keys.
///
/// Within a shard rows are added in order, in double precision; shards are added by the balanced binary tree.
struct BatchMeans {
    private let keys: [String]
    private let values: [Double]

    /// - Parameters:
    ///   - batch: the rows of all shards.
    ///   - shard: the address of a shard's sums, one for each key.
    init(_ keys: [String], shards: Int, batch: Int, shard: (Int) -> UnsafePointer<Double>) {
        func tree(_ range: Range<Int>, _ field: Int) -> Double {
            if range.count == 1 { return shard(range.lowerBound)[field] }
            let middle = (range.lowerBound + range.upperBound) / 2
            return tree(range.lowerBound..<middle, field) + tree(middle..<range.upperBound, field)
        }
        self.keys = keys
        values = keys.indices.map { tree(0..<shards, $0) / Double(batch) }
    }

    /// The mean of that key; nil where the game has no such key.
    subscript(key: String) -> Double? { keys.firstIndex(of: key).map { values[$0] } }
}

/// What each rank hands to all others in every step, with the gradients of one player: what signals ask of it, how long it
/// has waited and communicated, and the sums of its shards.
final class StepRecords {
    private static let header = 3

    /// What signals ask of this rank, as of the next record.
    var requests = 0
    /// What signals have asked of any rank in the steps that are settled.
    private var settledRequests = 0
    private let rowSums: [RowSum]
    private let carrier: Reducer
    private let context: StepContext

    /// Doubles of a rank's record.
    static func size(_ rowSums: Int, _ layout: ShardLayout) -> Int { header + rowSums * layout.largestShardCount }

    init(_ rowSums: [RowSum], carrier: Reducer, context: StepContext) {
        self.rowSums = rowSums
        self.carrier = carrier
        self.context = context
    }

    private func record(of rank: Int) -> UnsafeMutablePointer<Double> {
        carrier.records + rank * StepRecords.size(rowSums.count, context.layout)
    }

    /// Writes this rank's record of the step, before the gradients that carry it are published.
    func write() {
        let record = record(of: context.world.communicator.rank)
        record[0] = Double(requests)
        record[1] = context.world.stopwatch.seconds(.waiting)
        record[2] = context.world.stopwatch.seconds(.communication)
        requests = 0
        for (shard, columns) in context.shardColumns.enumerated() {
            let sums = record + StepRecords.header + rowSums.count * shard
            for field in rowSums.indices {
                var total = 0.0
                for column in columns { total += Double(rowSums[field].rows[column]) }
                sums[field] = total
            }
        }
    }

    /// To be called when all ranks' records are here.
    func settle() {
        for rank in 0..<context.layout.ranks { settledRequests |= Int(record(of: rank)[0]) }
    }

    /// What signals have asked of any rank in the steps that are settled, once.
    func takeRequests() -> Int {
        defer { settledRequests = 0 }
        return settledRequests
    }

    /// Of the last step that is settled.
    var means: BatchMeans {
        let layout = context.layout
        return BatchMeans(rowSums.map(\.key), shards: layout.shards, batch: context.configuration.batchSize) { shard in
            let rank = layout.rank(of: shard)
            let index = shard - layout.shards(of: rank).lowerBound
            return UnsafePointer(record(of: rank) + StepRecords.header + rowSums.count * index)
        }
    }

    /// Seconds since the start that each rank has waited for others, and has spent in reductions with all of them there.
    var exchangeSeconds: [(waiting: Double, communication: Double)] {
        (0..<context.layout.ranks).map { (record(of: $0)[1], record(of: $0)[2]) }
    }
}
