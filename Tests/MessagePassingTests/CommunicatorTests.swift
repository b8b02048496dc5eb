import MessagePassing
import Testing

/// What every communicator promises. The same tests run on one rank alone and on many in one process.
@Suite(.timeLimit(.minutes(15))) struct CommunicatorTests {
    enum Kind: Sendable, CustomTestStringConvertible {
        case solo
        case threads([Int])

        var testDescription: String {
            switch self {
            case .solo: "one rank alone"
            case .threads(let hosts): "threads on hosts of \(hosts)"
            }
        }

        /// Runs `body` as every rank.
        func run(_ body: @escaping @Sendable (any Communicator) throws -> Void) throws {
            switch self {
            case .solo: try body(SoloCommunicator())
            case .threads(let hosts): try onRanks(hosts: hosts) { try body($0) }
            }
        }
    }

    static let kinds: [Kind] = [
        .solo, .threads([1]), .threads([2]), .threads([4]), .threads([1, 1]), .threads([2, 1, 1]), .threads([3, 5]),
    ]

    @Test(arguments: kinds) func ranksOfAHostAreConsecutive(kind: Kind) throws {
        try kind.run { communicator in
            #expect((0..<communicator.size).contains(communicator.rank))
            #expect(communicator.hosts.first?.lowerBound == 0)
            #expect(zip(communicator.hosts, communicator.hosts.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
            #expect(communicator.hosts.reduce(0) { $0 + $1.count } == communicator.size)
            #expect(communicator.localRanks.contains(communicator.rank))
            #expect(communicator.localRanks == communicator.hosts[communicator.host])
            #expect(communicator.isHostLeader == (communicator.rank == communicator.localRanks.lowerBound))
        }
    }

    /// Every rank sends to every other, several messages under way at once, empty ones too.
    @Test(arguments: kinds) func messagesOfATagArriveInOrder(kind: Kind) throws {
        try kind.run { communicator in
            let world = try World(communicator, limit: 30)
            let others = (0..<communicator.size).filter { $0 != communicator.rank }
            for other in others {
                for number in 0..<3 {
                    for tag in [MessagePassing.Tag.data, .state] {
                        let message = CommunicatorTests.message(communicator.rank, other, number, tag)
                        try message.withUnsafeBytes { try world.send($0, to: other, tag: tag) }
                    }
                }
            }
            // The later tag first: a tag does not wait for another.
            for other in others.reversed() {
                for tag in [MessagePassing.Tag.state, .data] {
                    for number in 0..<3 {
                        let expected = CommunicatorTests.message(other, communicator.rank, number, tag)
                        var found = [UInt8](repeating: 0xff, count: expected.count)
                        try found.withUnsafeMutableBytes { try world.receive($0, from: other, tag: tag) }
                        #expect(found == expected)
                    }
                }
            }
        }
    }

    private static func message(_ from: Int, _ to: Int, _ number: Int, _ tag: MessagePassing.Tag) -> [UInt8] {
        Array(repeating: UInt8(64 * number + 8 * from + to) ^ UInt8(tag.rawValue), count: 1_000 * number)
    }

    @Test(arguments: kinds) func pendingSenderIsWhoSent(kind: Kind) throws {
        try kind.run { communicator in
            let world = try World(communicator, limit: 30)
            #expect(try communicator.pendingSender(tag: .data) == nil)
            try world.agree {}
            let last = communicator.size - 1
            var byte: UInt8 = 7
            if last > 0, communicator.rank == last {
                try withUnsafeBytes(of: byte) { try world.send($0, to: 0, tag: .data) }
            } else if last > 0, communicator.rank == 0 {
                try world.wait { try communicator.pendingSender(tag: .data) != nil }
                #expect(try communicator.pendingSender(tag: .data) == last)
                #expect(try communicator.pendingSender(tag: .state) == nil)
                byte = 0
                try withUnsafeMutableBytes(of: &byte) { try world.receive($0, from: last, tag: .data) }
                #expect(byte == 7)
                #expect(try communicator.pendingSender(tag: .data) == nil)
            }
            try world.agree {}
        }
    }

    @Test(arguments: kinds) func sumsAreOverAllRanks(kind: Kind) throws {
        try kind.run { communicator in
            let world = try World(communicator, limit: 30)
            for round in 1...3 {
                var values = (0..<40).map { Float($0 * round + communicator.rank) }
                try values.withUnsafeMutableBufferPointer { try world.wait(for: communicator.startSum($0)) }
                let ranks = communicator.size * (communicator.size - 1) / 2
                #expect(values == (0..<40).map { Float($0 * round * communicator.size + ranks) })
            }
        }
    }

    @Test(arguments: kinds) func sharedMemoryIsThatOfTheHost(kind: Kind) throws {
        try kind.run { communicator in
            let world = try World(communicator, limit: 30)
            for size in [64, 5_000, 1 << 22] {
                let memory = try communicator.allocateShared(byteCount: size)
                let words = memory.bindMemory(to: Int.self, capacity: size / 8)
                #expect(UInt(bitPattern: memory) % 64 == 0)
                let isZero = (0..<size / 8).allSatisfy { words[$0] == 0 }
                #expect(isZero)
                // Nobody writes before all have looked.
                try world.agree {}
                let place = communicator.rank - communicator.localRanks.lowerBound
                words[place] = 100 + communicator.rank
                try world.agree {}
                #expect((0..<communicator.localRanks.count).map { words[$0] } == communicator.localRanks.map { 100 + $0 })
                #expect((communicator.localRanks.count..<8).allSatisfy { words[$0] == 0 })
            }
            try communicator.close()
        }
    }

    @Test(arguments: kinds) func sharedSpaceGivesTheSamePartsToAll(kind: Kind) throws {
        try kind.run { communicator in
            let world = try World(communicator, limit: 30)
            var space = try SharedSpace(communicator, byteCount: 64 + 128)
            let bytes = space.take(3, of: UInt8.self)
            let words = space.take(16, of: Int.self)
            #expect(UInt(bitPattern: words) % 64 == 0)
            if communicator.isHostLeader { (bytes[2], words[15]) = (9, communicator.host) }
            try world.agree {}
            #expect(bytes[2] == 9 && words[15] == communicator.host)
        }
    }
}
