import Foundation

/// Watches calls of MPI that return only when all ranks have made them. Inside such a call nothing of `World` runs, so
/// that a rank which never comes would leave the others hanging without a word.
struct CallWatch: Sendable {
    /// Seconds that a call may last; 0 is for ever.
    let limit: Double
    /// This rank, by the launcher's numbers.
    let rank: Int
    let launcher = Launcher()
    /// Reports the failure and ends the process; called on a thread of its own while the call still blocks.
    let end: @Sendable (Failure) -> Never

    /// Makes the call. The lowest rank that waits speaks first; by the next one's turn the launcher has ended them all.
    func watch<Result>(_ call: String, _ body: () throws -> Result) rethrows -> Result {
        guard limit > 0 else { return try body() }
        let hasReturned = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            let world = limit + 3 * Double(min(rank, 5))
            var left = world
            while true {
                let start = monotonicSeconds()
                guard hasReturned.wait(timeout: .now() + max(0.001, min(left, 0.1))) == .timedOut else { return }
                let passed = monotonicSeconds() - start
                // A rank that was itself stopped meanwhile has no verdict on the others.
                left = passed > 1 ? limit : left - passed
                if launcher.isGone { end(Failure(.stopped, "\(launcher.description) is gone in \(call)")) }
                guard left <= 0 else { continue }
                // MPI talks through the launcher: one that is stopped answers when it goes on.
                guard launcher.isStopped else { break }
                if rank == 0 {
                    warnOnStandardError("\(launcher.description) is stopped; \(call) waits until it goes on")
                }
                left = world
            }
            end(verdict(call))
        }
        defer { hasReturned.signal() }
        return try body()
    }

    private func verdict(_ call: String) -> Failure {
        let siblings = Sibling.all(of: launcher)
        let stopped = siblings.filter(\.isStopped).map { "rank \($0.rank) (process \($0.process))" }
        let gone = Sibling.expected().subtracting(siblings.map(\.rank)).sorted().map { "rank \($0)" }
        var faults: [String] = []
        if !stopped.isEmpty { faults.append("\(stopped.joined(separator: ", ")) is stopped") }
        if !gone.isEmpty { faults.append("\(gone.joined(separator: ", ")), which belongs to this host, is gone") }
        let who = faults.isEmpty ? "a rank or its host does not answer" : faults.joined(separator: "; ")
        return Failure(
            .stopped,
            "no progress for \(Int(limit)) s in \(call): \(who). Look at the hosts, then start again, with --resume latest "
                + "if there is a checkpoint; --watchdog SECONDS sets the limit.")
    }
}

/// A rank that the same launcher started on this host.
private struct Sibling {
    let rank: Int
    let process: pid_t
    let isStopped: Bool

    static func all(of launcher: Launcher) -> [Sibling] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { name -> Sibling? in
            // "pid (command) state parent ...", where the command may hold anything.
            let fields = read("/proc/\(name)/stat").split(separator: ")").last?.split(separator: " ") ?? []
            guard let process = pid_t(name), fields.count > 1, fields[0] != "Z", pid_t(fields[1]) == launcher.process else {
                return nil
            }
            let variables = read("/proc/\(name)/environ").split(separator: "\0")
            return rankVariables.lazy.compactMap { variable in
                variables.first { $0.hasPrefix(variable + "=") }.flatMap { Int($0.dropFirst(variable.count + 1)) }
            }.first.map { Sibling(rank: $0, process: process, isStopped: fields[0] == "T") }
        }.sorted { $0.rank < $1.rank }
    }

    /// The ranks that Slurm started on this host; mpirun says nothing of the kind, and ends the others where one dies.
    static func expected() -> Set<Int> {
        let environment = ProcessInfo.processInfo.environment
        guard environment["OMPI_COMM_WORLD_RANK"] == nil else { return [] }
        return Set((environment["SLURM_GTIDS"] ?? "").split(separator: ",").compactMap { Int($0) })
    }

    private static func read(_ path: String) -> String {
        String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
    }
}

/// Variables in which launchers tell a process its rank.
public let rankVariables = ["OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK"]
