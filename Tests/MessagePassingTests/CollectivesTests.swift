import MessagePassing
import Testing

@Suite(.timeLimit(.minutes(15))) struct CollectivesTests {
    typealias Kind = CommunicatorTests.Kind

    @Test(arguments: CommunicatorTests.kinds) func broadcastsFromEveryRank(kind: Kind) throws {
        try kind.run { communicator in
            let world = try World(communicator, limit: 30)
            for root in 0..<communicator.size {
                var bytes = [UInt8](repeating: UInt8(communicator.rank), count: 100 * root)
                try bytes.withUnsafeMutableBytes { try world.broadcast($0, from: root) }
                #expect(bytes == Array(repeating: UInt8(root), count: 100 * root))
            }
        }
    }

    /// Messages of different lengths, empty ones among them.
    @Test(arguments: CommunicatorTests.kinds) func gathersByRank(kind: Kind) throws {
        try kind.run { communicator in
            let world = try World(communicator, limit: 30)
            for factor in [0, 1, 3_000] {
                let own = [UInt8](repeating: UInt8(communicator.rank), count: factor * (communicator.rank % 3))
                let all = try world.allGather(own)
                #expect(all == (0..<communicator.size).map { [UInt8](repeating: UInt8($0), count: factor * ($0 % 3)) })
            }
            #expect(world.places.count == communicator.size)
        }
    }

    @Test(arguments: CommunicatorTests.kinds) func agreementHandsBackTheResult(kind: Kind) throws {
        try kind.run { communicator in
            let world = try World(communicator, limit: 30)
            #expect(try world.agree { communicator.rank } == communicator.rank)
        }
    }

    /// Two ranks fail: all throw what the lower one met, shared, and then go on together.
    @Test(arguments: [[4], [2, 2], [3, 5], [1, 1, 1, 1]]) func failureOfOneRankReachesAll(hosts: [Int]) throws {
        try onRanks(hosts: hosts) { communicator in
            let world = try communicator.world()
            let error = #expect(throws: Failure.self) {
                try world.agree {
                    if communicator.rank == 2 { throw Failure(.badData, "Größe ≠ 3") }
                    if communicator.rank == 3 { throw Failure(.missingInput, "later") }
                }
            }
            #expect(error?.description == "rank 2: Größe ≠ 3")
            #expect(error?.code == .badData)
            #expect(error?.isShared == true)
            try world.agree {}
        }
    }

    @Test(arguments: CommunicatorTests.kinds) func failureOfRankZeroIsNotNumbered(kind: Kind) throws {
        try kind.run { communicator in
            let world = try World(communicator, limit: 30)
            let error = #expect(throws: Failure.self) {
                try world.agree { if communicator.rank == 0 { throw Failure(.inputOutput, "disk full") } }
            }
            #expect(error?.description == "disk full")
            #expect(error?.code == .inputOutput)
        }
    }

    /// An error that is no `Failure` must not leave the other ranks waiting either.
    @Test func anyErrorReachesAll() throws {
        struct Surprise: Error {}
        try onRanks(hosts: [2, 1]) { communicator in
            let world = try communicator.world(limit: 5)
            let error = #expect(throws: Failure.self) {
                try world.agree { if communicator.rank == 1 { throw Surprise() } }
            }
            #expect(error?.code == .internalError)
            #expect(error?.isShared == true)
            #expect(error?.description.contains("rank 1: ") == true, "\(error?.description ?? "")")
        }
    }

    @Test func comparisonNamesWhoDiffers() throws {
        try onRanks(hosts: [2, 3]) { communicator in
            let world = try communicator.world()
            try world.compare("seed", "7", .usage)
            let error = #expect(throws: Failure.self) {
                try world.compare("seed", communicator.rank % 3 == 1 ? "8" : "7", .usage)
            }
            let text = error?.description ?? ""
            #expect(text.hasPrefix("the seed of rank 1, 4 differs from that of rank 0: 8, expected 7; "), "\(text)")
            #expect(text.contains("(rank 1 is on \(world.places[1]))"), "\(text)")
            #expect(error?.code == .usage)
            #expect(error?.isShared == true)
        }
    }
}
