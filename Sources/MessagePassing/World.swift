import Glibc
import Synchronization

/// How a rank waits: it spins shortly, then yields its core, and in the end asks who is missing.
///
/// Every wait of a run goes through here, so that a rank that waits always answers, and one that does not answer is the
/// one that hangs. What waiting ranks ask and answer is the `Watchdog`'s.
public final class World {
    public let communicator: any Communicator
    /// Seconds that a wait may last; 0 is for ever.
    public let limit: Double
    /// Where this rank's time goes.
    public let stopwatch: Stopwatch
    /// Host name and process of each rank, for messages.
    public private(set) var places: [String] = []
    /// What to tell a user whose ranks are more than the cores that they may use; nil where each has one.
    public private(set) var crowding: String?
    /// Where to say that storage is slow. Standard error, unless another place is given; must not block.
    public var warn: (String) -> Void = warnOnStandardError

    /// The names of the players whose gradients are computed and reduced, in the order of their numbers, for messages.
    public var players: [String] {
        get { watchdog.players }
        set { watchdog.players = newValue }
    }

    let watchdog: Watchdog
    /// What this rank's thread for files is doing, if anything.
    var errand: String?
    private var spins = 20
    private var firstStep: Int?
    private var isUnderWay = false

    /// - Parameter limit: the watchdog's seconds, 0 for none.
    public init(_ communicator: any Communicator, limit: Double, stopwatch: Stopwatch = Stopwatch()) throws {
        self.communicator = communicator
        self.stopwatch = stopwatch
        self.limit = limit
        let here = Place.here
        watchdog = try Watchdog(communicator, limit: limit, place: here)
        let all = try allGather(here.bytes).map { Place(bytes: $0) }
        watchdog.places = all
        places = all.map(\.description)
        crowding = communicator.size == 1 ? nil : MessagePassing.crowding(hosts: communicator.hosts, places: all)
        // With more ranks than cores a spinning rank keeps the one that it waits for from running.
        let cores = CoreSet.union(all[communicator.localRanks].map(\.cores)).count
        spins = communicator.localRanks.count <= cores ? 2_000 : 20
    }

    /// Notes what this rank does from here on, for others to see.
    public func note(step: Int, phase: Phase) {
        watchdog.note(step: step, phase: phase)
        if isUnderWay { return }
        if let firstStep, step > firstStep {
            isUnderWay = true
            communicator.noteProgress()
        } else if firstStep == nil {
            firstStep = step
        }
    }

    /// Waits until `condition` holds.
    /// - Throws: `Failure` with code 75 if the watchdog's limit passes, a rank or the launcher is gone, or with that of a signal
    ///   that ends the wait.
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
            if try watchdog.look(waited: now - start, warn: warn) {
                start = monotonicSeconds()
                lastLook = start
            }
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

    /// Tells the other ranks of this host that this one is about to end the run, and says why.
    ///
    /// - Returns: whether it may speak. Where another rank of this host has said so before, it ends in silence.
    @discardableResult
    public func announceEnd() -> Bool { watchdog.announceEnd() }
}

/// What a rank is doing, as its watchdog's report says it.
public struct Phase: Equatable, Sendable {
    /// Below 16.
    let rawValue: Int

    public static let starting = Phase(rawValue: 0)
    public static let checkpoint = Phase(rawValue: 1)
    public static let pictures = Phase(rawValue: 2)

    /// Computing the gradients of a player, by its number in `World.players`.
    public static func computing(_ player: Int) -> Phase { Phase(rawValue: 3 + 2 * player) }
    /// Reducing the gradients of a player.
    public static func reducing(_ player: Int) -> Phase { Phase(rawValue: 4 + 2 * player) }
    /// The most players that have numbers.
    public static let mostPlayers = 6

    func description(players: [String]) -> String {
        switch rawValue {
        case 0: return "starting"
        case 1: return "writing a checkpoint"
        case 2: return "drawing samples"
        default:
            let player = (rawValue - 3) / 2
            let name = players.indices.contains(player) ? "the \(players[player])'s" : "a network's"
            return "\(rawValue % 2 == 1 ? "computing" : "reducing") \(name) gradients"
        }
    }
}

/// Seconds of a clock that never jumps.
public func monotonicSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}
