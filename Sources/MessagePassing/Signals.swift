import Synchronization
import Glibc

/// The signals that a scheduler or a user sends to a run. A handler only notes the signal; the ranks agree on a step and
/// act together.
public enum Signals {
    private static let pending = Atomic<Int>(0)

    /// What a rank has been asked to do, as bits that are combined over the ranks.
    public static let checkpointAndStop = 1  // SIGUSR1
    public static let checkpoint = 2  // SIGUSR2
    public static let terminate = 4  // SIGTERM
    public static let interrupt = 8  // SIGINT

    /// Starts noting signals instead of dying of them.
    public static func install() {
        _ = pending.load(ordering: .relaxed)
        handle(SIGUSR1) { _ in Signals.note(Signals.checkpointAndStop) }
        handle(SIGUSR2) { _ in Signals.note(Signals.checkpoint) }
        handle(SIGTERM) { _ in Signals.note(Signals.terminate) }
        handle(SIGINT) { _ in Signals.note(Signals.interrupt) }
    }

    /// Lets signals do what they do by default again; called before any error exit, since MPI_Abort sends SIGTERM.
    public static func remove() {
        for number in [SIGUSR1, SIGUSR2, SIGTERM, SIGINT] { signal(number, SIG_DFL) }
    }

    /// The requests noted since the last call.
    public static func take() -> Int { pending.exchange(0, ordering: .relaxed) }

    /// How a run ends that a noted SIGTERM or SIGINT stops, if one was noted.
    static var pendingEnd: ExitCode? { end(of: pending.load(ordering: .relaxed)) }

    /// How a run ends that these requests stop, if they do.
    public static func end(of requests: Int) -> ExitCode? {
        requests & checkpointAndStop != 0 ? .stopped
            : requests & terminate != 0 ? .terminated
            : requests & interrupt != 0 ? .interrupted : nil
    }

    private static func note(_ bit: Int) { pending.bitwiseOr(bit, ordering: .relaxed) }

    private static func handle(_ number: Int32, _ handler: @escaping @convention(c) (Int32) -> Void) {
        var action = sigaction()
        action.__sigaction_handler.sa_handler = handler
        action.sa_flags = SA_RESTART
        sigaction(number, &action, nil)
    }
}
