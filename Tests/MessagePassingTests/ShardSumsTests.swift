import Glibc
import MessagePassing
import Testing

/// Sums over shards on ranks that are threads, against the exact balanced tree over the shards' numbers.
@Suite(.timeLimit(.minutes(15))) struct ShardSumsTests {
    static let shards = 8
    static let capacity = 24
    /// Numbers of a shard in each round: never the same twice in a row, so that what is left of a round would show.
    static let counts = [1, 24, 3, 7, 2, 24, 16, 1, 5, 24, 23, 2]

    /// Numbers of very different size, so that every order of addition gives other bits.
    static func number(_ round: Int, _ shard: Int, _ i: Int) -> Double {
        var z = UInt64(round) << 40 | UInt64(shard) << 20 | UInt64(i)
        z = (z &+ 0x9e37_79b9_7f4a_7c15) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        z ^= z >> 31
        return Double(Int64(bitPattern: z)) * Double(sign: .plus, exponent: -Int(z & 31), significand: 1)
    }

    static func sum(_ round: Int, _ shards: Range<Int>, _ i: Int) -> Double {
        if shards.count == 1 { return number(round, shards.lowerBound, i) }
        let middle = (shards.lowerBound + shards.upperBound) / 2
        return sum(round, shards.lowerBound..<middle, i) + sum(round, middle..<shards.upperBound, i)
    }

    /// One rank's sums, with what a test needs around them.
    struct Rig {
        let communicator: CountingCommunicator
        let world: World
        private let layout: ShardLayout
        private let sums: ShardSums

        init(_ communicator: any Communicator) throws {
            self.communicator = CountingCommunicator(communicator)
            world = try World(self.communicator, limit: 50)
            layout = ShardLayout(shards: ShardSumsTests.shards, ranks: communicator.size)
            var space = try SharedSpace(
                communicator,
                byteCount: ShardSums.sharedBytes(
                    capacity: ShardSumsTests.capacity, layout: layout, communicator: communicator))
            sums = ShardSums(world: world, layout: layout, capacity: ShardSumsTests.capacity, space: &space)
        }

        func run(_ round: Int, count: Int, progress: () -> Void = {}) throws -> [Double] {
            let own = layout.shards(of: communicator.rank).flatMap { shard in
                (0..<count).map { ShardSumsTests.number(round, shard, $0) }
            }
            var totals = [Double](repeating: .nan, count: count)
            try totals.withUnsafeMutableBufferPointer { totals in
                guard let base = totals.baseAddress else { return }
                try sums.sum(own, count: count, to: base, during: .other, progress: progress)
            }
            return totals
        }
    }

    @Test(arguments: [
        [1], [2], [3], [4], [5], [8], [1, 1], [2, 1], [2, 2], [4, 4], [3, 5], [1, 1, 1], [2, 1, 1], [1, 1, 1, 1], [3, 1, 4],
        [1, 1, 1, 1, 1, 1, 1, 1],
    ])
    func everyRankGetsTheTree(hosts: [Int]) throws {
        try onRanks(hosts: hosts) { communicator in
            let rig = try Rig(communicator)
            for (round, count) in Self.counts.enumerated() {
                let totals = try rig.run(round, count: count).map(\.bitPattern)
                let exact = (0..<count).map { Self.sum(round, 0..<Self.shards, $0).bitPattern }
                #expect(totals == exact, "rank \(communicator.rank) of \(hosts), round \(round)")
            }
        }
    }

    /// Each rank is late in some rounds: nobody takes what is left of an earlier round, or writes over what another still
    /// reads, and who waits meanwhile is called.
    @Test(arguments: [[2], [3], [8], [1, 1], [2, 2], [3, 1, 4]])
    func ranksArriveUnevenly(hosts: [Int]) throws {
        let ranks = hosts.reduce(0, +)
        let calls = try onRanks(hosts: hosts) { communicator in
            let rig = try Rig(communicator)
            var calls = 0
            for round in 0..<4 * Self.counts.count {
                let count = Self.counts[round % Self.counts.count]
                if round % ranks == communicator.rank { usleep(3_000) }
                let totals = try rig.run(round, count: count) { calls += 1 }.map(\.bitPattern)
                // And some are late to read.
                if (round + 1) % ranks == communicator.rank { usleep(2_000) }
                let exact = (0..<count).map { Self.sum(round, 0..<Self.shards, $0).bitPattern }
                #expect(totals == exact, "rank \(communicator.rank) of \(hosts), round \(round)")
            }
            return calls
        }
        #expect(calls.allSatisfy { $0 > 0 }, "\(calls)")
    }

    /// Other orders give other bits: the comparisons above would notice.
    @Test func ordersDiffer() {
        let tree = (0..<Self.capacity).map { Self.sum(0, 0..<8, $0) }
        let sequential = (0..<Self.capacity).map { i in (0..<8).reduce(0.0) { $0 + Self.number(0, $1, i) } }
        #expect(tree != sequential)
    }

    /// One message from each host's first rank to each other host's, of its host's shards; none within a host.
    @Test(arguments: [[1], [2], [8], [1, 1], [2, 2], [3, 5], [2, 1, 1], [3, 1, 4], [1, 1, 1, 1]])
    func countsOfMessages(hosts: [Int]) throws {
        let sent = try onRanks(hosts: hosts) { communicator in
            let rig = try Rig(communicator)
            let (messages, bytes) = (rig.communicator.messages, rig.communicator.bytes)
            for (round, count) in Self.counts.enumerated() { _ = try rig.run(round, count: count) }
            #expect(rig.communicator.sums == 0)
            return [rig.communicator.messages - messages, rig.communicator.bytes - bytes]
        }
        let layout = ShardLayout(shards: Self.shards, ranks: hosts.reduce(0, +))
        var first = 0
        for size in hosts {
            let shards = layout.shards(of: first..<first + size).count
            let others = hosts.count - 1
            #expect(sent[first] == [others * Self.counts.count, others * shards * 8 * Self.counts.reduce(0, +)], "\(hosts)")
            for rank in first + 1..<first + size { #expect(sent[rank] == [0, 0], "rank \(rank) of \(hosts)") }
            first += size
        }
    }
}
