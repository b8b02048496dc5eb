import Synchronization
import Glibc

/// How a rank waits: it spins shortly, then yields its core, and in the end asks who is missing.
///
/// Every wait of a run goes through here, so that a rank that waits always answers, and one that does not answer is the
/// one that hangs. After `limit` seconds without progress a waiting rank sends a report to all others; a rank that
/// receives one while it waits sends its own. Ranks from which none comes within a second are named.
public final class Patience {
    public let communicator: any Communicator
    /// Seconds that a wait may last; 0 is for ever.
    public let limit: Double
    /// Where this rank's time goes.
    public let stopwatch: Stopwatch
    /// Host name and process of each rank, for messages.
    public private(set) var places: [String] = []

    private let board: UnsafeMutablePointer<Atomic<Int>>
    private let spins: Int
    private var reports: [Int: Report] = [:]
    private var answered: Set<Int> = []
    private var hasReported = false

    /// What a rank was last seen doing.
    private struct Report { var step = 0, phase = 0 }

    /// - Parameter limit: the watchdog's seconds, 0 for none.
    public init(_ communicator: any Communicator, limit: Double, stopwatch: Stopwatch = Stopwatch()) throws {
        self.communicator = communicator
        self.stopwatch = stopwatch
        self.limit = limit
        // With more ranks than cores a spinning rank keeps the one that it waits for from running.
        spins = communicator.neighbours.count <= sysconf(Int32(_SC_NPROCESSORS_ONLN)) ? 2_000 : 20
        let slots = 16 * communicator.size
        board = try communicator.allocateShared(byteCount: slots * 8).bindMemory(to: Atomic<Int>.self, capacity: slots)
        places = ["\(hostName()), process \(getpid())"]
        places = try allGather(Array(places[0].utf8)).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Notes what this rank does from here on, for others to see.
    public func note(step: Int, phase: Phase) {
        board[16 * communicator.rank].store(step * 16 + phase.rawValue, ordering: .relaxed)
    }

    /// Waits until `condition` holds.
    /// - Throws: `Failure` with code 75 if the watchdog's limit passes or a signal ends the wait.
    public func wait(until condition: () throws -> Bool) throws {
        if try condition() { return }
        var start = monotonicSeconds()
        var lastLook = start
        var turns = 0
        while try !condition() {
            turns += 1
            if turns < spins { continue }
            sched_yield()
            guard turns % 64 == 0, communicator.size > 1 else { continue }
            let now = monotonicSeconds()
            // A rank that was itself stopped, and goes on, has not waited all that time.
            if limit > 0, now - lastLook > limit / 2 { start = now }
            lastLook = now
            try lookAround(elapsed: now - start)
        }
    }

    public func wait(for request: Request) throws {
        try wait { try communicator.isComplete(request) }
    }

    public func send(_ bytes: UnsafeRawBufferPointer, to rank: Int, tag: Tag) throws {
        try wait(for: communicator.startSend(bytes, to: rank, tag: tag))
    }

    public func receive(_ bytes: UnsafeMutableRawBufferPointer, from rank: Int, tag: Tag) throws {
        try wait(for: communicator.startReceive(bytes, from: rank, tag: tag))
    }

    // MARK: The watchdog

    private func lookAround(elapsed: Double) throws {
        if elapsed > 0.3, let end = Signals.pendingEnd, end != .stopped {
            // Where a rank of this host ended the run, the signal is that of the abort, and all has been said.
            let speaks = communicator.rank == 0 && !isEnding
            throw Failure(
                end, speaks ? "ended by a signal while waiting for other ranks; no checkpoint was written" : "")
        }
        guard limit > 0 else { return }
        while let sender = try communicator.pendingSender(tag: .watchdog) { try readReports(from: sender) }
        if elapsed > limit { try findMissing() }
    }

    private func findMissing() throws {
        try report()
        let deadline = monotonicSeconds() + 1
        while monotonicSeconds() < deadline {
            if let sender = try communicator.pendingSender(tag: .watchdog) {
                try readReports(from: sender)
            } else {
                usleep(1_000)
            }
        }
        // The lowest rank that is awake speaks and ends the others.
        guard communicator.rank > answered.min() ?? 0 else { throw Failure(.stopped, verdict()) }
        let patience = monotonicSeconds() + 5
        while monotonicSeconds() < patience { usleep(100_000) }
        throw Failure(.stopped, "")
    }

    /// Tells the other ranks of this host that this one is about to end the run, and says why.
    public func announceEnd() { board[8].store(1, ordering: .releasing) }

    private var isEnding: Bool { board[8].load(ordering: .acquiring) != 0 }

    private func verdict() -> String {
        let own = seen(communicator.rank)
        let missing = (0..<communicator.size).filter { !answered.contains($0) }
        func describe(_ rank: Int) -> String {
            let last = communicator.neighbours.contains(rank) ? seen(rank) : reports[rank]
            let doing = last.map { ", last seen in step \($0.step) \(Phase(rawValue: $0.phase)?.description ?? "starting")," }
            return "rank \(rank) (\(places[rank]))\(doing ?? "")"
        }
        let rest = "in step \(own.step) \(Phase(rawValue: own.phase)?.description ?? "starting")"
        let advice = "Look at that host, then resume with --resume latest; --watchdog SECONDS sets the limit."
        if missing.isEmpty {
            return "no progress for \(Int(limit)) s: every rank waits for another, \(rest). \(advice)"
        }
        return "no progress for \(Int(limit)) s: \(missing.map(describe).joined(separator: "; ")) does not answer; "
            + "the other ranks wait \(rest). \(advice)"
    }

    private func seen(_ rank: Int) -> Report {
        let value = board[16 * rank].load(ordering: .relaxed)
        return Report(step: value / 16, phase: value % 16)
    }

    /// Sends what this rank sees of the ranks of its host to everyone, once.
    private func report() throws {
        guard !hasReported else { return }
        hasReported = true
        answered.insert(communicator.rank)
        var message = [Int64](repeating: -1, count: communicator.size)
        for rank in communicator.neighbours {
            message[rank] = Int64(board[16 * rank].load(ordering: .relaxed))
        }
        let copy = UnsafeMutableBufferPointer<Int64>.allocate(capacity: message.count)
        _ = copy.initialize(from: message)
        for other in 0..<communicator.size where other != communicator.rank {
            // Never waited for: the receiver may be the one that hangs. The memory stays for the same reason.
            _ = try communicator.startSend(UnsafeRawBufferPointer(copy), to: other, tag: .watchdog)
        }
    }

    private func readReports(from sender: Int) throws {
        var message = [Int64](repeating: -1, count: communicator.size)
        try message.withUnsafeMutableBytes { bytes in
            let request = try communicator.startReceive(bytes, from: sender, tag: .watchdog)
            while try !communicator.isComplete(request) {}
        }
        answered.insert(sender)
        for (rank, value) in message.enumerated() where value >= 0 {
            reports[rank] = Report(step: Int(value) / 16, phase: Int(value) % 16)
        }
        try report()
    }
}

/// What a rank is doing, as its watchdog's report says it.
public enum Phase: Int, Sendable, CustomStringConvertible {
    case starting, discriminator, discriminatorReduction, generator, generatorReduction, checkpoint, pictures

    public var description: String {
        switch self {
        case .starting: "starting"
        case .discriminator: "computing the discriminator's gradients"
        case .discriminatorReduction: "reducing the discriminator's gradients"
        case .generator: "computing the generator's gradients"
        case .generatorReduction: "reducing the generator's gradients"
        case .checkpoint: "writing a checkpoint"
        case .pictures: "drawing samples"
        }
    }
}

/// Seconds of a clock that never jumps.
public func monotonicSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

/// What this host calls itself.
public func hostName() -> String {
    var name = [CChar](repeating: 0, count: 256)
    gethostname(&name, 255)
    return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
