import Foundation
import Testing

@testable import MessagePassing

/// Slow storage: the rank that waits for it answers the others, which wait on; it warns, and passes on what came of it.
@Suite(.timeLimit(.minutes(15))) struct StoringTests {
    @Test("Others wait longer than the limit for a rank whose storage is slow", arguments: [[2], [1, 1]])
    func slow(hosts: [Int]) throws {
        let warnings = try onRanks(hosts: hosts, within: 60) { communicator in
            let world = try World(communicator, limit: 1)
            var warnings: [String] = []
            world.warn = { warnings.append($0) }
            try world.agree {}
            if communicator.rank == 0 {
                let result = world.storing("writing a checkpoint") { () -> Int in
                    usleep(5_500_000)
                    return 7
                }
                #expect(result == 7)
            }
            try world.agree {}
            return warnings
        }
        #expect(warnings[0].count >= 2, "once in each limit: \(warnings)")
        for warning in warnings[0] {
            #expect(warning.hasPrefix("rank 0 (") && warning.contains("has been writing a checkpoint for"), "\(warning)")
        }
        #expect(warnings.dropFirst().flatMap { $0 } == [], "one rank speaks")
    }

    @Test("A rank that is lost while another one stores is named all the same")
    func lostMeanwhile() throws {
        let isOver = Flag()
        let results = try outcomes(hosts: [3], within: 60) { communicator in
            let world = try World(communicator, limit: 0.5)
            world.warn = { _ in }
            try world.agree {}
            switch communicator.rank {
            case 0: world.storing("writing a checkpoint") { while !isOver.value { usleep(1_000) } }
            case 2: while !isOver.value { usleep(1_000) }
            default:
                defer { isOver.set() }
                try world.agree {}
            }
        }
        let error = #expect(throws: Failure.self) { try results[1].get() }
        #expect(error?.code == .stopped)
        #expect(error?.description.contains(": rank 2 (") == true, "\(error?.description ?? "")")
        #expect(error?.description.contains("rank 0 (") == false, "\(error?.description ?? "")")
    }

    @Test("What the body throws arrives, and so does what it returns; one call may lie within another")
    func outcome() throws {
        try onRanks(hosts: [2]) { communicator in
            let world = try communicator.world()
            let error = #expect(throws: Failure.self) {
                try world.storing("reading") { throw Failure(.inputOutput, "no disk") }
            }
            #expect(error?.code == .inputOutput && error?.description == "no disk")
            let inner = world.storing("a") { world.storing("b") { "inner" } }
            #expect(inner == "inner")
            try world.agree {}
        }
    }

    @Test("Alone, too, a rank says what it waits for")
    func alone() throws {
        let world = try World(SoloCommunicator(), limit: 0.2)
        var warnings: [String] = []
        world.warn = { warnings.append($0) }
        world.storing("writing the log") { _ = usleep(700_000) }
        #expect(warnings.first?.contains("writing the log") == true, "\(warnings)")
    }
}

private final class Flag: @unchecked Sendable {
    private let lock = NSLock()
    private var isSet = false
    var value: Bool { lock.withLock { isSet } }
    func set() { lock.withLock { isSet = true } }
}
