import Glibc
import Synchronization

/// What ranks that wait ask and tell each other, and what they conclude.
///
/// A rank that has waited `limit` seconds asks all others. A rank that waits, or is busy with files, answers at once with what
/// it sees of its host. The lowest rank that is awake names those that do not answer, and the others let it end the job. If
/// the launcher or a rank of this host is gone, nobody need be asked.
final class Watchdog {
    let limit: Double
    let launcher = Launcher()
    /// Names of the players, for messages.
    var players: [String] = []
    /// Where each rank runs.
    var places: [Place] = []
    /// Whether this rank answers for a thread of its own that is busy with files.
    var isStoring = false

    let communicator: any Communicator
    private let board: UnsafeMutablePointer<Atomic<Int>>
    private let here: Place
    private var outgoing: [(request: Request, message: UnsafeMutableBufferPointer<Int64>)] = []
    private var lastVisit = 0.0
    private var isEndingElsewhere = false
    private var endNoticed: Double?
    private var lossNoticed: Double?

    // Of the round of questions under way, or the last one.
    private var round: Int64 = 0
    private(set) var answers: [Int: Report] = [:]
    private var lastHeard: [Int: Double] = [:]
    private var unheard: Set<Int> = []
    private var lastAsked = 0.0

    /// What a rank tells of itself and of the ranks of its host.
    struct Report {
        var isStoring = false
        var isAskedToEnd = false
        /// Step and phase of each rank, as far as the sender sees them.
        var states: [State?]
        var conditions: [Condition]
    }

    struct State {
        var step = 0, phase = 0
    }

    /// What a rank knows of another one.
    enum Condition: Int64 { case unknown, heard, unheard, stopped, gone }

    private enum Kind: Int64 { case question = 1, answer, end }

    init(_ communicator: any Communicator, limit: Double, place: Place) throws {
        self.communicator = communicator
        self.limit = limit
        here = place
        let slots = 16 * communicator.size
        board = try communicator.allocateShared(byteCount: slots * 8).bindMemory(to: Atomic<Int>.self, capacity: slots)
    }

    func note(step: Int, phase: Phase) {
        board[16 * communicator.rank].store(step * 16 + phase.rawValue, ordering: .relaxed)
    }

    /// Marks the run as being ended by this rank, if no other rank has done so, and tells the other hosts.
    private func claimEnd() -> Bool {
        let mine = communicator.rank + 1
        let found = board[8].compareExchange(expected: 0, desired: mine, ordering: .acquiringAndReleasing)
        guard found.exchanged || found.original == mine, !isEndingElsewhere else { return false }
        let others = (0..<communicator.size).filter { !communicator.localRanks.contains($0) }
        if found.exchanged { send(.end, to: others, 0) }
        return true
    }

    /// The same for a failure of this rank's own: hosts behind the first leave those before them time to speak, since what
    /// failed may have failed everywhere.
    func announceEnd() -> Bool {
        let deadline = monotonicSeconds() + Double(min(communicator.host, 3))
        while !isEnding, monotonicSeconds() < deadline {
            if let end = Signals.pendingEnd, end != .stopped { return false }
            try? answer()
            usleep(10_000)
        }
        return claimEnd()
    }

    private var isEnding: Bool { isEndingElsewhere || board[8].load(ordering: .acquiring) != 0 }

    /// A waiting rank looks around.
    ///
    /// - Returns: whether the time that it has waited does not count, since there is a reason for it.
    /// - Throws: where the run is over.
    func look(waited: Double, warn: (String) -> Void) throws -> Bool {
        let now = monotonicSeconds()
        try answer()
        if let end = Signals.pendingEnd, end != .stopped {
            let noticed = endNoticed ?? now
            endNoticed = noticed
            if now - noticed > 0.3, waited > 0.3 { throw ending(end) }
        }
        if now - lastVisit > 0.25 {
            lastVisit = now
            try visit(now)
        }
        return limit > 0 && waited > limit ? try inquire(warn) : false
    }

    // MARK: This host

    /// Looks after the launcher and the ranks of this host.
    private func visit(_ now: Double) throws {
        if launcher.isGone {
            throw silently(
                .stopped, "\(launcher.description) is gone, and with it whoever would end the ranks; resume with --resume latest")
        }
        // Without memory: a step that waits allocates nothing.
        guard places.indices.contains(where: hasEnded) else { return lossNoticed = nil }
        let gone = goneRanks
        let noticed = lossNoticed ?? now
        lossNoticed = noticed
        // A launcher that notices it too ends the ranks, and tells by which signal the lost one ended.
        guard now - noticed > (communicator.hosts.count > 1 ? 10 : 3) else { return }
        throw silently(
            .stopped,
            "\(gone.map(describe).joined(separator: "; ")) is gone: killed, or crashed. Look at that host's messages, then "
                + "resume with --resume latest")
    }

    /// Whether a rank's process is no longer there.
    private func hasEnded(_ rank: Int) -> Bool {
        rank != communicator.rank && places[rank].isVisible(from: here) && kill(places[rank].process, 0) != 0 && errno == ESRCH
    }

    /// Ranks that have ended, as far as their processes can be seen from here.
    private var goneRanks: [Int] { places.indices.filter { condition(of: $0) == .gone } }

    private func condition(of rank: Int) -> Condition {
        if rank != communicator.rank, places.indices.contains(rank), places[rank].isVisible(from: here) {
            switch ProcessState(of: places[rank].process) {
            case .alive: break
            case .stopped: return .stopped
            case .gone: return .gone
            }
        }
        // What is older says nothing about now.
        let now = monotonicSeconds()
        if unheard.contains(rank), now - lastAsked < 5 { return .unheard }
        return lastHeard[rank].map { now - $0 < 3 } ?? false ? .heard : .unknown
    }

    /// The failure that this text is, without a word where another rank of this host ends the run already.
    private func silently(_ code: ExitCode, _ text: String) -> Failure { Failure(code, claimEnd() ? text : "") }

    // MARK: Signals

    /// How a wait ends that a signal ends. Launchers send one to all ranks when one of them is lost, and tell so themselves.
    private func ending(_ end: ExitCode) -> Failure {
        if isEnding || !goneRanks.isEmpty || launcher.isGone {
            // Other hosts do not see it, and ask.
            if communicator.hosts.count > 1 { try? answer(for: 0.5) }
            return Failure(end, "")
        }
        // Mostly the launcher waits a second.
        ask(seconds: 0.3)
        let others = (0..<communicator.size).filter { $0 != communicator.rank }
        let isLost = answers.values.contains { $0.conditions.contains(.gone) }
        let isLowest = !answers.contains { $0.key < communicator.rank && $0.value.isAskedToEnd }
        guard !isLost, isLowest else { return Failure(end, "") }
        let missing = others.filter { answers[$0] == nil }
        let awaited = missing.isEmpty ? "for other ranks" : "for \(missing.map(describe).joined(separator: "; "))"
        return silently(
            end, "ended by a signal while waiting \(awaited), \(describe(seen(communicator.rank))); no checkpoint was written")
    }

    // MARK: Questions

    /// Asks who is there, and says who is not.
    ///
    /// - Returns: true where there is a reason to go on waiting.
    private func inquire(_ warn: (String) -> Void) throws -> Bool {
        if isEnding { throw Failure(.stopped, "") }
        ask(seconds: 1)
        if communicator.hosts.count > 1, communicator.size > 2 {
            // Then the others have asked too, and what they heard tells a host that is gone from a link that is cut.
            try answer(for: 1.5)
            ask(seconds: 1)
        }
        if isLauncherToBlame(warn) { return true }
        if missing.isEmpty, answers.values.contains(where: \.isStoring) { return true }
        let heard = answers.values.flatMap { report in report.conditions.indices.filter { report.conditions[$0] == .heard } }
        // One that answers for its thread for files asks nothing, and has nothing to say.
        let awake = (heard + answers.keys).filter { answers[$0]?.isStoring != true }
        if awake.allSatisfy({ $0 >= communicator.rank }) { throw silently(.stopped, verdict()) }
        // The lowest rank that is awake speaks and ends the others, unless it has a reason to wait, or is lost too, which the
        // next questions show. Meanwhile this one must see whether what it waits for has come.
        return true
    }

    private var missing: [Int] {
        (0..<communicator.size).filter { $0 != communicator.rank && answers[$0] == nil }
    }

    /// A launcher that is stopped takes no output, and a rank that prints waits for it.
    private func isLauncherToBlame(_ warn: (String) -> Void) -> Bool {
        guard launcher.isStopped else { return false }
        if communicator.isHostLeader { warn("\(launcher.description) is stopped; the run waits until it goes on") }
        return true
    }

    /// Asks all others, and collects what comes within some seconds.
    private func ask(seconds: Double) {
        round += 1
        answers = [:]
        send(.question, to: (0..<communicator.size).filter { $0 != communicator.rank }, round)
        let deadline = monotonicSeconds() + seconds
        // A message that fails is one that does not come.
        while monotonicSeconds() < deadline, answers.count < communicator.size - 1 {
            if (try? takeMessage()) != true { usleep(1_000) }
        }
        unheard = Set(missing)
        lastAsked = monotonicSeconds()
    }

    private func answer(for seconds: Double) throws {
        let deadline = monotonicSeconds() + seconds
        while monotonicSeconds() < deadline {
            try answer()
            usleep(1_000)
        }
    }

    /// Answers all questions that have come.
    func answer() throws {
        while try takeMessage() {}
    }

    /// - Returns: whether there was one.
    private func takeMessage() throws -> Bool {
        guard let sender = try communicator.pendingSender(tag: .watchdog) else { return false }
        var message = [Int64](repeating: 0, count: messageCount)
        try message.withUnsafeMutableBytes { bytes in
            let request = try communicator.startReceive(bytes, from: sender, tag: .watchdog)
            while try !communicator.isComplete(request) {}
        }
        lastHeard[sender] = monotonicSeconds()
        unheard.remove(sender)
        switch Kind(rawValue: message[0]) {
        case .question: send(.answer, to: [sender], message[1])
        case .answer where message[1] == round: answers[sender] = report(message)
        case .end: isEndingElsewhere = true
        default: break
        }
        return true
    }

    private var messageCount: Int { 3 + 2 * communicator.size }

    private func report(_ message: [Int64]) -> Report {
        let size = communicator.size
        return Report(
            isStoring: message[2] & 1 != 0, isAskedToEnd: message[2] & 2 != 0,
            states: message[3..<3 + size].map { $0 < 0 ? nil : State(step: Int($0) / 16, phase: Int($0) % 16) },
            conditions: message[(3 + size)...].map { Condition(rawValue: $0) ?? .unknown })
    }

    /// Sends what this rank sees of the ranks of its host.
    private func send(_ kind: Kind, to ranks: [Int], _ round: Int64) {
        // Never waited for: the receiver may be the one that hangs. What has arrived makes room.
        outgoing.removeAll { sent in
            guard (try? communicator.isComplete(sent.request)) == true else { return false }
            sent.message.deallocate()
            return true
        }
        let isAskedToEnd = Signals.pendingEnd.map { $0 != .stopped } ?? false
        var message: [Int64] = [kind.rawValue, round, (isStoring ? 1 : 0) + (isAskedToEnd ? 2 : 0)]
        for rank in 0..<communicator.size {
            message.append(communicator.localRanks.contains(rank) ? Int64(board[16 * rank].load(ordering: .relaxed)) : -1)
        }
        for rank in 0..<communicator.size { message.append(condition(of: rank).rawValue) }
        for rank in ranks {
            let copy = UnsafeMutableBufferPointer<Int64>.allocate(capacity: message.count)
            _ = copy.initialize(from: message)
            if let request = try? communicator.startSend(UnsafeRawBufferPointer(copy), to: rank, tag: .watchdog) {
                outgoing.append((request, copy))
            }
        }
    }

    // MARK: Words

    private func seen(_ rank: Int) -> State {
        let value = board[16 * rank].load(ordering: .relaxed)
        return State(step: value / 16, phase: value % 16)
    }

    private func describe(_ state: State) -> String {
        "in step \(state.step) \(Phase(rawValue: state.phase).description(players: players))"
    }

    private func describe(_ rank: Int) -> String {
        let last = communicator.localRanks.contains(rank) ? seen(rank) : answers.values.lazy.compactMap { $0.states[rank] }.first
        let place = places.indices.contains(rank) ? " (\(places[rank].description))" : ""
        return "rank \(rank)\(place)\(last.map { ", last seen \(describe($0))," } ?? "")"
    }

    private func verdict() -> String {
        let own = describe(seen(communicator.rank))
        let advice = "Look at that host, then resume with --resume latest; --watchdog SECONDS sets the limit."
        let start = "no progress for \(Int(limit)) s: "
        guard !missing.isEmpty else {
            guard let (one, other) = severed else { return start + "every rank waits for another, \(own). \(advice)" }
            return start + "\(describe(one)) and \(describe(other)) do not hear each other: the network between the two hosts "
                + "does not let messages through; the other ranks wait \(own). Look at that network, then resume with "
                + "--resume latest; --watchdog SECONDS sets the limit."
        }
        // Ranks of which the same is to be said, in one breath.
        var sayings: [(fault: String, ranks: [Int])] = []
        for rank in missing {
            let saying = fault(of: rank)
            if let index = sayings.firstIndex(where: { $0.fault == saying }) {
                sayings[index].ranks.append(rank)
            } else {
                sayings.append((saying, [rank]))
            }
        }
        let text = sayings.map { $0.ranks.map(describe).joined(separator: "; ") + " " + $0.fault }.joined(separator: "; ")
        return start + "\(text); the other ranks wait \(own). \(advice)"
    }

    /// Two ranks that answer this one, and not each other.
    private var severed: (Int, Int)? {
        answers.sorted { $0.key < $1.key }.lazy.compactMap { rank, report in
            report.conditions.firstIndex(of: .unheard).map { (rank, $0) }
        }.first
    }

    /// What is wrong with a rank that has not answered.
    private func fault(of rank: Int) -> String {
        let conditions = [condition(of: rank)] + answers.values.map { $0.conditions[rank] }
        if conditions.contains(.gone) { return "does not answer: it is gone, killed or crashed" }
        if conditions.contains(.stopped) { return "does not answer: it is stopped" }
        guard let host = communicator.hosts.first(where: { $0.contains(rank) }), host != communicator.localRanks else {
            return "does not answer"
        }
        if let other = answers.sorted(by: { $0.key < $1.key }).first(where: { $0.value.conditions[rank] == .heard })?.key {
            return "cannot be reached from rank \(communicator.rank) (\(here.host)), but answers rank \(other) "
                + "(\(places[other].host)): the network between the two hosts does not let messages through"
        }
        let isAlone = places[rank].host == here.host || !host.allSatisfy(missing.contains)
        return isAlone ? "does not answer" : "does not answer: nothing does on \(places[rank].host), which is down or cut off"
    }
}
