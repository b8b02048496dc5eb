import MessagePassing
import Testing

/// Reductions over ranks that are threads, against the exact balanced tree over the shards' gradients.
@Suite(.timeLimit(.minutes(15))) struct ReducerTests {
    /// Fewer blocks of 16 than eight ranks, so that some own no element, and as many as leave uneven segments.
    static let counts = [80, 16 * 21]
    static let rounds = 3

    /// The gradient of a shard: numbers of very different size, so that every order of addition gives other bits.
    static func gradient(_ round: Int, _ shard: Int, _ element: Int) -> Float {
        var z = UInt64(round) << 40 | UInt64(shard) << 20 | UInt64(element)
        z = (z &+ 0x9e37_79b9_7f4a_7c15) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        z ^= z >> 31
        return Float(Int32(truncatingIfNeeded: z)) * Float(sign: .plus, exponent: -Int(z >> 60), significand: 1)
    }

    /// The exact tree: what a reader of the design would add up by hand.
    static func sum(_ round: Int, _ shards: Range<Int>, _ element: Int) -> Float {
        if shards.count == 1 { return gradient(round, shards.lowerBound, element) }
        let middle = (shards.lowerBound + shards.upperBound) / 2
        return sum(round, shards.lowerBound..<middle, element) + sum(round, middle..<shards.upperBound, element)
    }

    /// Plain loops for `Reducer.TreeSum`.
    static func treeSum(
        _ leaves: UnsafePointer<UnsafePointer<Float>>, _ merges: UnsafePointer<Int32>, _ leafCount: Int, _ offset: Int,
        _ out: UnsafeMutablePointer<Float>, _ count: Int, _ scratch: UnsafeMutablePointer<Float>
    ) -> Bool {
        var isFinite = true
        for i in 0..<count {
            var kept: [Float] = []
            for leaf in 0..<leafCount {
                var sum = leaves[leaf][offset + i]
                for _ in 0..<merges[leaf] { sum += kept.removeLast() }
                kept.append(sum)
            }
            out[i] = kept[0]
            if kept.count != 1 || !out[i].isFinite { isFinite = false }
        }
        return isFinite
    }

    /// A reducer of one rank with what a test needs around it.
    struct Rig {
        let communicator: any Communicator
        let world: World
        let layout: ShardLayout
        let reducer: Reducer
        let count: Int
        let buckets: [Int]
        let sharesGradients: Bool
        static let recordSize = 3

        init(
            _ communicator: any Communicator, shards: Int, count: Int, buckets: [Int] = [0],
            sharesGradients: Bool = false, algorithm: Reducer.Algorithm = .tree, keepsSums: Bool = true, beside other: Rig? = nil
        ) throws {
            self.sharesGradients = sharesGradients
            self.communicator = communicator
            self.count = count
            self.buckets = buckets
            world = try other?.world ?? World(communicator, limit: 50)
            layout = ShardLayout(shards: shards, ranks: communicator.size)
            var space = try SharedSpace(
                communicator,
                byteCount: Reducer.sharedBytes(
                    count: count, recordSize: Rig.recordSize, sharesGradients: sharesGradients, layout: layout,
                    communicator: communicator))
            let segment = Reducer.segment(of: communicator.rank, size: communicator.size, count: count)
            reducer = Reducer(
                world: world, number: other == nil ? 0 : 1, layout: layout, count: count, buckets: buckets,
                recordSize: Rig.recordSize,
                sharesGradients: sharesGradients, algorithm: algorithm, space: &space, treeSum: ReducerTests.treeSum
            ) { sums, parameters, elements in
                precondition(segment.contains(elements.lowerBound) && elements.upperBound <= segment.upperBound)
                for i in 0..<elements.count { parameters[i] += sums[i] / 3 }
            }
            reducer.keepsSums = keepsSums
        }

        /// Fills gradients and record bucket by bucket, reduces, and adds a third of the sums to the parameters.
        func step(_ round: Int, poison: (rank: Int, element: Int, value: Float)? = nil) throws -> Bool {
            let ranks = communicator.localRanks
            let own = ShardLayout.subtrees(sharesGradients ? layout.shards(of: ranks) : layout.shards(of: communicator.rank))
            // A part of the gradients, whichever it is.
            let part = sharesGradients
                ? Reducer.segment(of: communicator.rank - ranks.lowerBound, size: ranks.count, count: count) : 0..<count
            // Whatever is read before it is published shows.
            for buffer in reducer.gradients { for element in part { buffer[element] = .nan } }
            if sharesGradients { try reducer.meet(during: .other) }
            for i in 0..<Rig.recordSize {
                reducer.records[communicator.rank * Rig.recordSize + i] = Rig.record(round, communicator.rank, i)
            }
            for (start, end) in zip(buckets, buckets.dropFirst() + [count]).reversed() {
                for (buffer, shards) in zip(reducer.gradients, own) {
                    for element in (start..<end).clamped(to: part) { buffer[element] = ReducerTests.sum(round, shards, element) }
                }
                if let poison, poison.rank == communicator.rank, (start..<end).contains(poison.element) {
                    reducer.gradients[reducer.gradients.count - 1][poison.element] = poison.value
                }
                try reducer.publish(downTo: start)
                for _ in 0..<3 { reducer.progress(during: .other) }
            }
            return try reducer.finish()
        }

        static func record(_ round: Int, _ rank: Int, _ field: Int) -> Double { Double(round * 10_000 + rank * 10 + field) + 0.1 }
    }

    static func expectedParameters(shards: Int, count: Int, rounds: Int) -> [Float] {
        (0..<count).map { element in
            (0..<rounds).reduce(Float(0)) { $0 + sum($1, 0..<shards, element) / 3 }
        }
    }

    /// Several rounds: parameters everywhere, and records, after each.
    private func check(
        shards: Int, hosts: [Int], count: Int, buckets: [Int] = [0], sharesGradients: Bool = false, keepsSums: Bool = true
    ) throws {
        let expected = (0...Self.rounds).map { Self.expectedParameters(shards: shards, count: count, rounds: $0) }
        try onRanks(hosts: hosts) { communicator in
            let rig = try Rig(
                communicator, shards: shards, count: count, buckets: buckets, sharesGradients: sharesGradients,
                keepsSums: keepsSums)
            for round in 0..<Self.rounds {
                let isFinite = try rig.step(round)
                #expect(isFinite)
                let parameters = (0..<count).map { rig.reducer.parameters[$0].bitPattern }
                #expect(parameters == expected[round + 1].map(\.bitPattern), "rank \(communicator.rank) of \(hosts), round \(round)")
                let records = (0..<communicator.size * Rig.recordSize).map { rig.reducer.records[$0] }
                let all = (0..<communicator.size).flatMap { rank in (0..<Rig.recordSize).map { Rig.record(round, rank, $0) } }
                #expect(records == all, "rank \(communicator.rank) of \(hosts)")
                let reduced = rig.reducer.segment.map { Self.sum(round, 0..<shards, $0) }
                if keepsSums { #expect((0..<reduced.count).map { rig.reducer.reduced[$0] } == reduced) }
                // A record may be filled anew only when all ranks have read it.
                try rig.world.agree {}
            }
        }
    }

    @Test(arguments: 1...8) func anyNumberOfRanksGivesTheTree(ranks: Int) throws {
        for count in Self.counts { try check(shards: 8, hosts: [ranks], count: count) }
    }

    @Test(arguments: [
        [1, 1], [2, 2], [1, 3], [3, 1], [3, 5], [2, 1, 1], [1, 1, 1], [4, 4], [7, 1], [1, 2, 3], [2, 2, 2, 2],
        [1, 1, 1, 1, 1, 1, 1, 1],
    ])
    func anySplitIntoHostsGivesTheTree(hosts: [Int]) throws {
        for count in Self.counts { try check(shards: 8, hosts: hosts, count: count) }
    }

    /// Each rank of a host writes a part of one set of gradients.
    @Test(arguments: [
        [1], [2], [5], [8], [1, 1], [2, 2], [1, 3], [3, 5], [2, 1, 1], [7, 1], [1, 2, 3], [2, 2, 2, 2],
    ])
    func sharedGradientsGiveTheTree(hosts: [Int]) throws {
        for count in Self.counts {
            try check(shards: 8, hosts: hosts, count: count, sharesGradients: true)
            try check(shards: 8, hosts: hosts, count: count, buckets: [0, 16, 64], sharesGradients: true)
        }
        try check(shards: 8, hosts: hosts, count: 16 * 2_201, sharesGradients: true, keepsSums: false)
    }

    /// Buckets that cut segments, one as small as an element's block.
    @Test(arguments: [[2], [5], [1, 1], [2, 2], [3, 5], [2, 1, 1], [1, 1, 1, 1, 1, 1, 1, 1]])
    func bucketsGiveTheTree(hosts: [Int]) throws {
        try check(shards: 8, hosts: hosts, count: 80, buckets: [0, 16, 64])
        try check(shards: 8, hosts: hosts, count: 16 * 21, buckets: [0, 208, 224, 240])
    }

    /// Two reductions under way at once, whose parts ranks send in orders of their own.
    @Test(arguments: [[1], [2], [1, 1], [2, 2], [1, 3], [3, 5], [2, 1, 1], [1, 1, 1, 1]])
    func twoAtOnceGiveTheirTrees(hosts: [Int]) throws {
        let (counts, buckets) = ([80, 16 * 21], [[0, 16, 64], [0, 208, 224]])
        try onRanks(hosts: hosts) { communicator in
            let first = try Rig(communicator, shards: 8, count: counts[0], buckets: buckets[0])
            let second = try Rig(communicator, shards: 8, count: counts[1], buckets: buckets[1], beside: first)
            let rigs = [first, second]
            let own = ShardLayout.subtrees(first.layout.shards(of: communicator.rank))
            for round in 0..<Self.rounds {
                for rig in rigs {
                    for (buffer, shards) in zip(rig.reducer.gradients, own) {
                        for element in 0..<rig.count { buffer[element] = Self.sum(round, shards, element) }
                    }
                    for i in 0..<Rig.recordSize { rig.reducer.records[communicator.rank * Rig.recordSize + i] = 0 }
                }
                // All begin the first one first. Which goes on first is each rank's own choice.
                for (rig, buckets) in zip(rigs, buckets) { try rig.reducer.publish(downTo: buckets[buckets.count - 1]) }
                let order = communicator.rank % 2 == 0 ? [0, 1] : [1, 0]
                for number in order {
                    for bucket in buckets[number].dropLast().reversed() {
                        try rigs[number].reducer.publish(downTo: bucket)
                        for rig in rigs { rig.reducer.progress(during: .other) }
                    }
                }
                for rig in rigs { #expect(try rig.reducer.finish()) }
                for rig in rigs {
                    let expected = Self.expectedParameters(shards: 8, count: rig.count, rounds: round + 1)
                    let isRight = (0..<rig.count).allSatisfy { rig.reducer.parameters[$0].bitPattern == expected[$0].bitPattern }
                    #expect(isRight, "rank \(communicator.rank) of \(hosts), round \(round), \(rig.count) elements")
                }
                try first.world.agree {}
            }
        }
    }

    /// Segments of several stretches.
    @Test(arguments: [[1], [2], [1, 1]], [false, true])
    func longSegmentsGiveTheTree(hosts: [Int], keepsSums: Bool) throws {
        try check(shards: 8, hosts: hosts, count: 16 * 2_201, keepsSums: keepsSums)
    }

    @Test(arguments: [
        (16, [1]), (16, [11]), (16, [16]), (16, [5, 6]), (16, [3, 1, 4, 2]), (32, [7]), (32, [32]), (32, [13, 6]),
        (1, [1]), (2, [1, 1]), (4, [3]), (4, [1, 2]),
    ])
    func otherNumbersOfShards(shards: Int, hosts: [Int]) throws {
        try check(shards: shards, hosts: hosts, count: 80)
    }

    /// Different numbers of shards and orders give other bits: the comparisons above would notice.
    @Test func ordersDiffer() {
        let tree = (0..<80).map { Self.sum(0, 0..<8, $0) }
        let sequential = (0..<80).map { element in (0..<8).reduce(Float(0)) { $0 + Self.gradient(0, $1, element) } }
        #expect(tree != sequential)
    }

    /// One value that is not finite: every rank hears of it, no parameter becomes such a value, and the next round is as ever.
    @Test(arguments: [[1], [3], [8], [1, 1], [2, 2], [1, 3], [2, 1, 1]], [Float.nan, -.infinity])
    func everyRankHearsOfANonFiniteValue(hosts: [Int], value: Float) throws {
        let count = 80
        try onRanks(hosts: hosts) { communicator in
            let rig = try Rig(communicator, shards: 8, count: count)
            for poisoned in 0..<communicator.size {
                for element in [0, count - 1] {
                    let before = rig.reducer.segment.map { rig.reducer.parameters[$0] }
                    try rig.world.agree {}
                    let isFinite = try rig.step(0, poison: (poisoned, element, value))
                    #expect(!isFinite, "rank \(communicator.rank) of \(hosts), poison of rank \(poisoned)")
                    if rig.reducer.segment.contains(element) {
                        #expect(rig.reducer.segment.map { rig.reducer.parameters[$0] } == before)
                    }
                    let areFinite = (0..<count).allSatisfy { rig.reducer.parameters[$0].isFinite }
                    #expect(areFinite)
                    try rig.world.agree {}
                    let isFiniteAgain = try rig.step(1)
                    #expect(isFiniteAgain)
                    try rig.world.agree {}
                }
            }
        }
    }

    /// A value that is not finite in the last of several stretches: those before it are updated, it and its like are not.
    @Test(arguments: [[1], [2], [1, 1]]) func aNonFiniteValueEndsTheUpdate(hosts: [Int]) throws {
        let count = 16 * 2_201
        try onRanks(hosts: hosts) { communicator in
            let rig = try Rig(communicator, shards: 8, count: count, keepsSums: false)
            let isFinite = try rig.step(0, poison: (communicator.size - 1, count - 1, .nan))
            #expect(!isFinite, "rank \(communicator.rank) of \(hosts)")
            let updated = Self.expectedParameters(shards: 8, count: count, rounds: 1)
            let parameters = (0..<count).map { rig.reducer.parameters[$0] }
            #expect(parameters[0] == updated[0])
            let areUntouched = parameters[(count - 16)...].allSatisfy { $0 == 0 }
            #expect(areUntouched)
            let areFinite = parameters.allSatisfy { $0.isFinite }
            #expect(areFinite)
            try rig.world.agree {}
        }
    }

    /// The library's sum is right too, to rounding.
    @Test(arguments: [[1], [3], [8], [2, 2], [3, 5]]) func librarySumIsRight(hosts: [Int]) throws {
        let count = 80
        try onRanks(hosts: hosts) { communicator in
            let rig = try Rig(communicator, shards: 8, count: count, algorithm: .mpi)
            for round in 0..<Self.rounds {
                let isFinite = try rig.step(round)
                #expect(isFinite)
                for i in rig.reducer.segment {
                    let shards = (0..<8).map { Double(Self.gradient(round, $0, i)) }
                    let found = Double(rig.reducer.reduced[i - rig.reducer.segment.lowerBound])
                    #expect(abs(found - shards.reduce(0, +)) <= 1e-6 * shards.reduce(0) { $0 + abs($1) })
                }
                let records = (0..<communicator.size).map { rig.reducer.records[$0 * Rig.recordSize] }
                #expect(records == (0..<communicator.size).map { Rig.record(round, $0, 0) })
                try rig.world.agree {}
            }
        }
    }

    /// Within a host nothing is sent. Between hosts each bucket of a segment's sums goes once to its owner and the segment's
    /// parameters once back, for each other host, and the leaders exchange records.
    @Test(arguments: [[1], [2], [5], [8], [1, 1], [2, 2], [1, 3], [3, 5], [2, 1, 1], [1, 1, 1, 1]])
    func countsOfMessages(hosts: [Int]) throws {
        let messages = try onRanks(hosts: hosts) { communicator in
            let counting = CountingCommunicator(communicator)
            let rig = try Rig(counting, shards: 8, count: 80)
            let before = counting.messages
            for round in 0..<Self.rounds { _ = try rig.step(round) }
            #expect(counting.sums == 0)
            return counting.messages - before
        }
        let (ranks, others) = (hosts.reduce(0, +), hosts.count - 1)
        let layout = ShardLayout(shards: 8, ranks: ranks)
        var first = 0
        var sums = 0
        for size in hosts {
            // One message for each maximal subtree of a host, to everyone elsewhere who owns anything.
            let host = first..<first + size
            let owners = (0..<ranks).filter { !host.contains($0) && !Reducer.segment(of: $0, size: ranks, count: 80).isEmpty }
            sums += ShardLayout.subtrees(layout.shards(of: host)).count * owners.count
            first += size
        }
        #expect(messages.reduce(0, +) == Self.rounds * (sums + ranks * others + hosts.count * others))
        if hosts.count == 1 { #expect(messages.allSatisfy { $0 == 0 }) }
    }

    @Test func countsOfMessagesOfBuckets() throws {
        let messages = try onRanks(hosts: [1, 1]) { communicator in
            let counting = CountingCommunicator(communicator)
            // Segments 0 ..< 32 and 32 ..< 80: one bucket begins in the first, and two in the second.
            let rig = try Rig(counting, shards: 8, count: 80, buckets: [0, 16, 32, 48])
            let before = counting.messages
            for round in 0..<Self.rounds { _ = try rig.step(round) }
            return counting.messages - before
        }
        #expect(messages == [4 * Self.rounds, 4 * Self.rounds])
    }

    @Test func libraryIsAskedOnceARound() throws {
        try onRanks(hosts: [3]) { communicator in
            let counting = CountingCommunicator(communicator)
            let rig = try Rig(counting, shards: 8, count: 80, algorithm: .mpi)
            let before = counting.messages
            for round in 0..<Self.rounds { _ = try rig.step(round) }
            #expect(counting.sums == Self.rounds && counting.messages == before)
        }
    }
}
