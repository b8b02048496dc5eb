import Synchronization
import Glibc

/// The signals that a scheduler, a shell or a user sends to a run. A handler only notes the signal; the ranks agree on a
/// step and act together.
public enum Signals {
    private static let pending = Atomic<Int>(0)

    /// What a rank has been asked to do, as bits that are combined over the ranks.
    public static let checkpointAndStop = 1
    public static let checkpoint = 2
    private static let terminate = 4
    private static let interrupt = 8
    private static let hangUp = 16
    private static let timeIsUp = 32

    private static let requests: [(signal: Int32, bit: Int)] = [
        (SIGUSR1, checkpointAndStop), (SIGUSR2, checkpoint), (SIGTERM, terminate), (SIGINT, interrupt), (SIGHUP, hangUp),
        (SIGXCPU, timeIsUp),
    ]

    /// Starts noting signals instead of dying of them: the first thing that a program does. Writing to a closed pipe, or past
    /// a limit on file sizes, fails from then on with EPIPE or EFBIG, for the writer to say.
    public static func install() {
        _ = pending.load(ordering: .relaxed)
        handle(SIGUSR1) { _ in Signals.note(Signals.checkpointAndStop) }
        handle(SIGUSR2) { _ in Signals.note(Signals.checkpoint) }
        handle(SIGTERM) { _ in Signals.note(Signals.terminate) }
        handle(SIGINT) { _ in Signals.note(Signals.interrupt) }
        handle(SIGXCPU) { _ in Signals.note(Signals.timeIsUp) }
        // What nohup ignores stays ignored.
        if !isIgnored(SIGHUP) { handle(SIGHUP) { _ in Signals.note(Signals.hangUp) } }
        signal(SIGPIPE, SIG_IGN)
        signal(SIGXFSZ, SIG_IGN)
    }

    /// Lets signals end the process again, for commands that have nothing to save. Those that came meanwhile do so now.
    public static func restore() {
        for (number, _) in requests where !isIgnored(number) { signal(number, SIG_DFL) }
        let noted = take()
        for (number, bit) in requests where noted & bit != 0 { raise(number) }
    }

    /// Notes signals while `body` runs, which asks for them often (`endIfAsked`), so that it leaves nothing half written.
    public static func noting<Result>(_ body: () throws -> Result) rethrows -> Result {
        install()
        do {
            let result = try body()
            restore()
            return result
        } catch {
            // Whoever throws says why it ends.
            _ = take()
            restore()
            throw error
        }
    }

    /// Ignores signals from here on; called before any exit. MPI_Abort itself sends SIGTERM to the other ranks, and who asks
    /// a run to stop that has just ended must not change its exit code.
    public static func ignore() {
        for (number, _) in requests { signal(number, SIG_IGN) }
    }

    /// The requests noted since the last call.
    public static func take() -> Int { pending.exchange(0, ordering: .relaxed) }

    /// How this rank ends if the ranks cannot agree on a step, if a noted signal asks for its end.
    static var pendingEnd: ExitCode? { end(of: pending.load(ordering: .relaxed)) }

    /// Ends what cannot be saved yet, where a signal asks for the end and does not wait for a checkpoint.
    /// - Parameters:
    ///   - doing: what ends, for the message.
    ///   - result: what is left.
    /// - Throws: a failure with the signal's code.
    public static func endIfAsked(while doing: String, leaving result: String = "nothing was written") throws {
        if let end = pendingEnd, end != .stopped { throw Failure(end, "ended by a signal while \(doing); \(result)") }
    }

    /// Whether a noted signal asks for the end.
    public static var asksForEnd: Bool { pendingEnd != nil }

    /// Whether these requests ask a run to stop.
    public static func asksToStop(_ requests: Int) -> Bool { requests & ~checkpoint != 0 }

    /// The exit code after these requests where no checkpoint could be written, nil where they do not ask for an end.
    public static func end(of requests: Int) -> ExitCode? {
        requests & checkpointAndStop != 0 ? .stopped
            : requests & terminate != 0 ? .terminated
            : requests & interrupt != 0 ? .interrupted
            : requests & hangUp != 0 ? .hungUp
            : requests & timeIsUp != 0 ? .outOfTime : nil
    }

    private static func note(_ bit: Int) { pending.bitwiseOr(bit, ordering: .relaxed) }

    private static func isIgnored(_ number: Int32) -> Bool {
        var action = sigaction()
        sigaction(number, nil, &action)
        // SIG_IGN is a number in the place of an address.
        return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 1
    }

    private static func handle(_ number: Int32, _ handler: @escaping @convention(c) (Int32) -> Void) {
        var action = sigaction()
        action.__sigaction_handler.sa_handler = handler
        action.sa_flags = SA_RESTART
        sigaction(number, &action, nil)
    }
}
