import Foundation

/// Watches calls of MPI that return only when all ranks have made them. Inside such a call nothing of `Patience` runs, so
/// that a rank which never comes would leave the others hanging without a word.
struct CallWatch: Sendable {
    /// Seconds that a call may last; 0 is for ever.
    let limit: Double
    /// This rank, by the launcher's numbers.
    let rank: Int
    /// Reports the failure and ends the process; called on a thread of its own while the call still blocks.
    let end: @Sendable (Failure) -> Never

    /// Makes the call. The lowest rank that waits speaks first; by the next one's turn the launcher has ended them all.
    func watch<Result>(_ call: String, _ body: () throws -> Result) rethrows -> Result {
        guard limit > 0 else { return try body() }
        let hasReturned = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            var left = limit + 3 * Double(min(rank, 5))
            while left > 0 {
                let start = monotonicSeconds()
                guard hasReturned.wait(timeout: .now() + min(left, 0.1)) == .timedOut else { return }
                let passed = monotonicSeconds() - start
                // A rank that was itself stopped meanwhile has no verdict on the others.
                left = passed > 1 ? limit : left - passed
            }
            end(verdict(call))
        }
        defer { hasReturned.signal() }
        return try body()
    }

    private func verdict(_ call: String) -> Failure {
        let stopped = CallWatch.stoppedSiblings().map { "rank \($0.rank) (process \($0.pid))" }
        let who = stopped.isEmpty ? "a rank or its host does not answer" : "\(stopped.joined(separator: ", ")) is stopped"
        return Failure(
            .stopped,
            "no progress for \(Int(limit)) s in \(call): \(who). Look at the hosts, then start again, with --resume latest "
                + "if there is a checkpoint; --watchdog SECONDS sets the limit.")
    }

    /// Ranks that the same launcher started on this host and that a signal has stopped.
    private static func stoppedSiblings() -> [(rank: Int, pid: Int)] {
        func read(_ path: String) -> String {
            String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
        }
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { name -> (rank: Int, pid: Int)? in
            // "pid (command) state parent ...", where the command may hold anything.
            let fields = read("/proc/\(name)/stat").split(separator: ")").last?.split(separator: " ") ?? []
            guard let pid = Int(name), fields.count > 1, fields[0] == "T", Int(fields[1]) == Int(getppid()) else { return nil }
            let variables = read("/proc/\(name)/environ").split(separator: "\0")
            return rankVariables.lazy.compactMap { variable in
                variables.first { $0.hasPrefix(variable + "=") }.flatMap { Int($0.dropFirst(variable.count + 1)) }
            }.first.map { ($0, pid) }
        }.sorted { $0.rank < $1.rank }
    }
}

/// Variables in which launchers tell a process its rank.
public let rankVariables = ["OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK"]
