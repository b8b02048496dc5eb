import Foundation
import MessagePassing
import Testing

/// The watchdog: who does not come is named, soon after the limit, and not one that waits for it.
@Suite(.timeLimit(.minutes(15))) struct WorldTests {
    private struct Ending: Sendable {
        var seconds: Double
        var code: ExitCode?
        var text: String
    }

    /// One rank sleeps until all others have given up; they wait for it in a collective.
    private func endings(hosts: [Int], missing: Int, limit: Double) throws -> [Ending] {
        let done = Counter()
        let ranks = hosts.reduce(0, +)
        return try onRanks(hosts: hosts, within: 30) { communicator in
            let world = try World(communicator, limit: limit)
            world.players = ["generator", "discriminator"]
            world.note(step: 7, phase: communicator.rank == missing ? .computing(1) : .reducing(1))
            try world.agree {}
            let start = monotonicSeconds()
            if communicator.rank == missing {
                while done.value < ranks - 1 { usleep(10_000) }
                return Ending(seconds: 0, text: "")
            }
            defer { done.increment() }
            do {
                try world.agree {}
                return Ending(seconds: monotonicSeconds() - start, text: "")
            } catch let failure as Failure {
                return Ending(seconds: monotonicSeconds() - start, code: failure.code, text: failure.description)
            }
        }
    }

    @Test(arguments: [
        (hosts: [2], missing: 1), (hosts: [2], missing: 0), (hosts: [3], missing: 0), (hosts: [2, 2], missing: 3),
        (hosts: [1, 1], missing: 1),
    ])
    func namesWhoDoesNotCome(hosts: [Int], missing: Int) throws {
        let endings = try endings(hosts: hosts, missing: missing, limit: 1)
        let speaker = missing == 0 ? 1 : 0
        let first = endings[speaker]
        #expect(first.code == .stopped)
        #expect(first.seconds >= 1, "\(first.seconds) s")
        #expect(first.text.hasPrefix("no progress for 1 s: rank \(missing) ("), "\(first.text)")
        #expect(first.text.contains("does not answer; the other ranks wait in step 7 reducing the discriminator's"), "\(first.text)")
        // Another rank of its host saw what it was doing, and told.
        if hosts != [1, 1] {
            #expect(first.text.contains("last seen in step 7 computing the discriminator's gradients"), "\(first.text)")
        }
        for (rank, ending) in endings.enumerated() where rank != missing && rank != speaker {
            // They leave the lowest rank time to speak and to end them; one message is enough.
            #expect(ending.code == .stopped)
            #expect(ending.seconds > first.seconds, "rank \(rank): \(ending.seconds) s")
            #expect(ending.text.isEmpty, "\(ending.text)")
        }
    }

    /// Ranks that wait for each other all answer: none is blamed.
    @Test func blamesNobodyWhereAllWait() throws {
        let results = try outcomes(hosts: [2], within: 30) { communicator in
            let world = try World(communicator, limit: 1)
            world.players = ["generator", "discriminator"]
            world.note(step: 3, phase: .computing(0))
            var byte: UInt8 = 0
            try withUnsafeMutableBytes(of: &byte) { try world.receive($0, from: 1 - communicator.rank, tag: .data) }
        }
        for (rank, result) in results.enumerated() {
            let error = #expect(throws: Failure.self) { try result.get() }
            #expect(error?.code == .stopped)
            let text = error?.description ?? ""
            #expect(
                rank == 0 ? text.contains("every rank waits for another, in step 3 computing the generator's") : text.isEmpty,
                "rank \(rank): \(text)")
        }
    }

    /// A rank that is slow, but comes within the limit, is waited for.
    @Test func waitsForWhoIsSlow() throws {
        let waited = try onRanks(hosts: [2]) { communicator in
            let world = try World(communicator, limit: 20)
            try world.agree {}
            let before = monotonicSeconds()
            if communicator.rank == 1 { usleep(500_000) }
            try world.agree {}
            return monotonicSeconds() - before
        }
        #expect(waited[0] > 0.4 && waited[0] < 10, "\(waited)")
    }

    /// Without a limit nobody gives up.
    @Test func zeroIsForEver() throws {
        try onRanks(hosts: [2]) { communicator in
            let world = try World(communicator, limit: 0)
            if communicator.rank == 1 { usleep(1_500_000) }
            try world.agree {}
        }
    }
}

/// A number that threads raise.
private final class Counter: @unchecked Sendable {
    private let lock = NSLock()
    private var count = 0
    var value: Int { lock.withLock { count } }
    func increment() { lock.withLock { count += 1 } }
}
