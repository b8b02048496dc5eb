import Foundation
import MessagePassing

/// A command of the user's that rank 0 runs for each checkpoint when it is complete, while training goes on.
///
/// The shell gets the command with the file as its last argument: `cp --target-directory=/backup`, `sh -c 'ls -l "$1"' sh`.
/// One runs at a time. A checkpoint that comes meanwhile waits for its end; a later one takes its place, since the newest is
/// what counts. Its output goes to standard error.
///
/// The child is spawned, never forked: a copy of a process that MPI uses must not run on. It inherits no file, no signal's
/// handling, none of the launcher's variables, so that it may start a job of its own, and no process group, so that who ends
/// the training does not end it.
final class CheckpointCommand {
    private let command: String
    private let environment: [String: String]
    private var running: (process: pid_t, path: String)?
    private var waiting: String?

    init(_ command: String, environment: [String: String] = ProcessInfo.processInfo.environment) {
        self.command = command
        self.environment = environment.filter { !CheckpointCommand.isLaunchers($0.key) }
    }

    var isRunning: Bool { running != nil }

    /// Runs the command for a file, at once or after the one that runs.
    /// - Returns: warnings.
    func run(for path: String) -> [String] {
        var warnings = look()
        if running == nil { return warnings + start(path) }
        if let waiting { warnings.append("--on-checkpoint: the command still runs, and is left out for \(waiting)") }
        waiting = path
        return warnings
    }

    /// Looks whether the command has ended, and starts the next one.
    /// - Returns: warnings.
    func look() -> [String] {
        guard let (process, path) = running else { return [] }
        var status: Int32 = 0
        var result: pid_t
        repeat { result = waitpid(process, &status, WNOHANG) } while result < 0 && errno == EINTR
        guard result != 0 else { return [] }
        running = nil
        var warnings: [String] = []
        if result < 0 {
            warnings.append("--on-checkpoint: how the command for \(path) ended is unknown: \(String(cString: strerror(errno)))")
        } else if let end = CheckpointCommand.failure(status) {
            warnings.append("--on-checkpoint: the command for \(path) ended \(end); training goes on")
        }
        if let next = waiting.take() { warnings += start(next) }
        return warnings
    }

    /// Waits for the end of the command, and of the one that waits.
    /// - Parameter isWanted: whether to go on waiting.
    /// - Returns: warnings.
    func finish(while isWanted: () -> Bool = { true }) -> [String] {
        var warnings = look()
        while running != nil, isWanted() {
            usleep(10_000)
            warnings += look()
        }
        return warnings
    }

    /// What is left to itself where a run ends early; nil where nothing is.
    var farewell: String? {
        guard let running else { return nil }
        let next = waiting.map { ", and is left out for \($0)" } ?? ""
        return "--on-checkpoint: the command for \(running.path) still runs, as process \(running.process)\(next)"
    }

    /// How a process failed, by what `waitpid` says; nil where it did not.
    private static func failure(_ status: Int32) -> String? {
        let signal = status & 0x7f
        if signal != 0 { return "by signal \(signal)" }
        let code = status >> 8 & 0xff
        return code == 0 ? nil : "with code \(code)"
    }

    private func start(_ path: String) -> [String] {
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO)
        for descriptor in CheckpointCommand.openFiles() { posix_spawn_file_actions_addclose(&actions, descriptor) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))

        let arguments = ["sh", "-c", "\(command) \"$@\"", "sh", path]
        var process: pid_t = 0
        let code = withCStrings(arguments) { arguments in
            withCStrings(environment.map { "\($0)=\($1)" }) { environment in
                posix_spawn(&process, "/bin/sh", &actions, &attributes, arguments, environment)
            }
        }
        guard code == 0 else {
            return ["--on-checkpoint: the command for \(path) cannot be started: \(String(cString: strerror(code)))"]
        }
        running = (process, path)
        return []
    }

    /// All but the standard ones; MPI's own are inherited otherwise.
    private static func openFiles() -> [Int32] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
        return names.compactMap { Int32($0) }.filter { $0 > STDERR_FILENO }
    }

    /// Whether a variable tells a process its place in a job.
    private static func isLaunchers(_ name: String) -> Bool {
        if name.hasPrefix("OMPI_ALLOW_RUN_AS_ROOT") { return false }
        return ["OMPI_", "PMIX_", "PMI_", "PRTE_", "SLURM_STEP", "SLURM_PROCID", "SLURM_LOCALID"].contains { name.hasPrefix($0) }
    }
}

/// Calls `body` with the texts as C has lists of them, which end with a null.
private func withCStrings<Result>(_ texts: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result) -> Result {
    let strings = texts.map { strdup($0) } + [nil]
    defer { for string in strings { free(string) } }
    return strings.withUnsafeBufferPointer { buffer in
        guard let start = buffer.baseAddress else { preconditionFailure("a list with its null is never empty") }
        return body(start)
    }
}
