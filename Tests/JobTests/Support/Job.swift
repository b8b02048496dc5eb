import Foundation
import Testing

/// A command with a time limit, in a process group of its own. Its output goes to files, so that nothing ever waits for
/// this process to read.
final class Job {
    /// What came of a command.
    struct Outcome {
        /// The exit code; 128 + the signal's number where one ended it.
        let code: Int32
        let output: String
        let errors: String
        let seconds: Double
        /// The most memory that one of its processes held, in kB.
        var peakKilobytes = 0

        /// The trainer's own errors, without mpirun's remarks.
        var messages: [String] { errors.split(separator: "\n").map(String.init).filter { $0.hasPrefix("gan-dist: ") } }
    }

    /// A job that did not end in time, with what its ranks were doing.
    struct Hang: Error, CustomStringConvertible {
        let description: String
    }

    let pid: pid_t
    private let command: [String]
    private let folder: String
    private let start = monotonic()

    /// Starts `command`, looked up in PATH unless it holds a slash.
    init(_ command: [String], environment: [String: String] = Job.environment) throws {
        self.command = command
        folder = try Scratch.makeFolder()
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, "\(folder)/output", O_WRONLY | O_CREAT, 0o666)
        posix_spawn_file_actions_addopen(&actions, 2, "\(folder)/errors", O_WRONLY | O_CREAT, 0o666)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // Threads that run tests block signals, which a command would inherit.
        var noSignals = sigset_t()
        sigemptyset(&noSignals)
        posix_spawnattr_setsigmask(&attributes, &noSignals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK))

        let arguments = command.map { strdup($0) } + [nil]
        let variables = environment.map { strdup("\($0)=\($1)") } + [nil]
        defer { (arguments + variables).forEach { free($0) } }
        var pid: pid_t = 0
        let code = posix_spawnp(&pid, command[0], &actions, &attributes, arguments, variables)
        guard code == 0 else { throw Hang(description: "\(command[0]) cannot be started: \(String(cString: strerror(code)))") }
        self.pid = pid
    }

    /// Waits for the end.
    /// - Throws: `Hang` after `limit` seconds; everything that descends from the command is then killed.
    func wait(limit: Double = 60) throws -> Outcome {
        var status: Int32 = 0
        var usage = rusage()
        while wait4(pid, &status, WNOHANG, &usage) == 0 {
            if monotonic() - start > limit {
                let report = hangReport(limit)
                stop()
                throw Hang(description: report)
            }
            usleep(2_000)
        }
        let signal = status & 0x7f
        return Outcome(
            code: signal == 0 ? status >> 8 & 0xff : 128 + signal, output: read("output"), errors: read("errors"),
            seconds: monotonic() - start, peakKilobytes: usage.ru_maxrss)
    }

    /// Kills the ranks and the command.
    func stop() {
        for process in SystemProcess.descendants(of: pid) { kill(process.pid, SIGKILL) }
        kill(pid, SIGKILL)
        var status: Int32 = 0
        waitpid(pid, &status, 0)
    }

    /// The trainers, by rank, as soon as there are `count` of them.
    func ranks(_ count: Int) throws -> [SystemProcess] {
        try poll("\(count) ranks") {
            let ranks = SystemProcess.descendants(of: pid).filter(\.isTrainer).sorted { $0.rank < $1.rank }
            return ranks.count == count ? ranks : nil
        }
    }

    /// Waits until `condition` gives a value.
    @discardableResult
    func poll<Value>(_ what: String, limit: Double = 60, _ condition: () throws -> Value?) throws -> Value {
        let start = monotonic()
        while true {
            if let value = try condition() { return value }
            var information = siginfo_t()
            let hasEnded = waitid(P_PID, id_t(pid), &information, WEXITED | WNOHANG | WNOWAIT) == 0 && information.si_signo != 0
            if hasEnded || monotonic() - start > limit {
                let report = hasEnded ? "\(command) ended before: \(read("errors"))" : hangReport(limit)
                if !hasEnded { stop() }
                throw Hang(description: "no \(what): \(report)")
            }
            usleep(2_000)
        }
    }

    private func hangReport(_ limit: Double) -> String {
        let ranks = SystemProcess.descendants(of: pid).filter(\.isTrainer).sorted { $0.rank < $1.rank }
        return "\(command) still runs after \(Int(limit)) s. Ranks: \(ranks.map(\.description).joined(separator: "; ")). "
            + "Output: \(read("output").suffix(500)) Errors: \(read("errors").suffix(1_000))"
    }

    private func read(_ name: String) -> String {
        String(decoding: FileManager.default.contents(atPath: "\(folder)/\(name)") ?? Data(), as: UTF8.self)
    }
}

/// A process as /proc shows it.
struct SystemProcess: CustomStringConvertible {
    let pid: pid_t

    /// A rank's number, 0 for a process that no launcher started.
    var rank: Int {
        read("environ").split(separator: "\0").lazy.filter { $0.hasPrefix("OMPI_COMM_WORLD_RANK=") }
            .compactMap { Int($0.dropFirst("OMPI_COMM_WORLD_RANK=".count)) }.first ?? 0
    }

    var isTrainer: Bool { read("comm").hasPrefix("gan-dist") }

    /// A line of /proc/PID/status in kB: VmHWM is the most memory that the process ever held.
    func kilobytes(_ key: String) -> Int? {
        read("status").split(separator: "\n").first { $0.hasPrefix(key + ":") }?
            .split(whereSeparator: { " \t".contains($0) }).dropFirst().first.flatMap { Int($0) }
    }

    /// Whether the process has a handler for a signal.
    func catches(_ signal: Int32) -> Bool {
        let line = read("status").split(separator: "\n").first { $0.hasPrefix("SigCgt:") }
        let mask = line.flatMap { UInt64($0.dropFirst("SigCgt:".count).trimmingCharacters(in: .whitespaces), radix: 16) } ?? 0
        return mask >> UInt64(signal - 1) & 1 == 1
    }

    /// Stopped, or without CPU time where the others have some: that is the rank that hangs.
    var description: String {
        let fields = read("stat").split(separator: ")").last?.split(separator: " ").map(String.init) ?? []
        guard fields.count > 12 else { return "rank \(rank): process \(pid) has ended" }
        return "rank \(rank): process \(pid), state \(fields[0]), CPU \(fields[11])+\(fields[12]) ticks"
    }

    /// Whether it has ended, or does so within two seconds. What its launcher left behind may never be buried.
    var isGone: Bool {
        for _ in 0..<200 {
            let state = read("stat").split(separator: ")").last?.split(separator: " ").first
            if state == nil || state == "Z" { return true }
            usleep(10_000)
        }
        return false
    }

    static func descendants(of pid: pid_t) -> [SystemProcess] {
        let tasks = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")) ?? []
        let children = tasks.flatMap { task in
            String(decoding: FileManager.default.contents(atPath: "/proc/\(pid)/task/\(task)/children") ?? Data(), as: UTF8.self)
                .split(separator: " ").compactMap { pid_t($0) }
        }
        return [SystemProcess(pid: pid)] + children.flatMap { descendants(of: $0) }
    }

    private func read(_ name: String) -> String {
        String(decoding: FileManager.default.contents(atPath: "/proc/\(pid)/\(name)") ?? Data(), as: UTF8.self)
    }
}

extension Job {
    /// Open MPI as root, with more ranks than cores that yield while they wait, none bound; what launch/test says stays.
    static let environment: [String: String] = {
        let defaults = [
            "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
            "OMPI_MCA_rmaps_base_oversubscribe": "1", "OMPI_MCA_mpi_yield_when_idle": "1",
            "OMPI_MCA_btl_vader_single_copy_mechanism": "none", "OMPI_MCA_hwloc_base_binding_policy": "none",
            "OMPI_MCA_plm": "isolated", "SWIFT_BACKTRACE": "enable=no",
        ]
        return ProcessInfo.processInfo.environment.merging(defaults) { given, _ in given }
    }()

    /// The environment with some variables set.
    static func environment(_ variables: [String: String]) -> [String: String] { environment.merging(variables) { $1 } }

    /// Runs a command to its end.
    static func run(
        _ command: [String], environment: [String: String] = Job.environment, limit: Double = 60
    ) throws -> Outcome {
        try Job(command, environment: environment).wait(limit: limit)
    }
}

func monotonic() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}
