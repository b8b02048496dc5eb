import MessagePassing
import Networks

// What each rank hands to all others in every step, with the sums of the generator's gradients.

extension TrainingStep {
    /// Losses and scores of the last step, over the whole batch.
    var statistics: StepStatistics {
        StepStatistics(shards: layout.shards, batch: configuration.batchSize) { shard in
            let rank = layout.rank(of: shard)
            let index = shard - layout.shards(of: rank).lowerBound
            return UnsafePointer(record(of: rank) + TrainingStep.recordHeader + StepStatistics.size * index)
        }
    }

    /// Seconds since the start that each rank has waited for others, and has spent in reductions with all of them there.
    var exchangeSeconds: [(waiting: Double, communication: Double)] {
        (0..<layout.ranks).map { (record(of: $0)[1], record(of: $0)[2]) }
    }

    /// What each rank hands to all others in every step: its requests, two times, and the sums of its shards.
    static func recordSize(_ layout: ShardLayout) -> Int { recordHeader + StepStatistics.size * layout.largestShardCount }
    private static let recordHeader = 3

    /// The record of a rank, once the step is settled.
    func record(of rank: Int) -> UnsafeMutablePointer<Double> {
        generatorReducer.records + rank * TrainingStep.recordSize(layout)
    }

    /// Writes this rank's record of the step.
    func record(_ requests: Int) {
        let record = record(of: world.communicator.rank)
        record[0] = Double(requests)
        record[1] = world.stopwatch.seconds(.waiting)
        record[2] = world.stopwatch.seconds(.communication)
        for (index, rows) in shardRows.enumerated() {
            let sums = record + TrainingStep.recordHeader + StepStatistics.size * index
            func sum(_ values: UnsafeMutablePointer<Float>) -> Double {
                var total = 0.0
                for row in rows { total += Double(values[row]) }
                return total
            }
            sums[0] = sum(realRows.losses)
            sums[1] = sum(fakeRows.losses)
            sums[2] = sum(generatorRows.losses)
            sums[3] = sum(realRows.scores)
            sums[4] = sum(fakeRows.scores)
            sums[5] = penalty.map { sum($0.losses) } ?? 0
        }
    }
}
