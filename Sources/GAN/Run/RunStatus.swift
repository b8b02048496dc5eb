import Formats
import Foundation
import Kernels
import MessagePassing

/// What a run is doing, for programs that look after many: `status.json`, rewritten atomically at every log line and at
/// the end. A run that was killed still says that it is running; its time of change, and the lock, then tell otherwise.
struct RunStatus: Encodable {
    enum State: String, Encodable { case running, finished, stopped, failed }

    var state = State.running
    /// Steps done, of so many.
    var step: Int
    let steps: Int
    /// When this process started, and when it wrote this (RFC 3339); `ended` is absent while it runs.
    let started = Date().rfc3339
    var updated = ""
    var ended: String?
    /// Why it stopped or failed.
    var message: String?
    var exitCode: Int32?
    /// Where rank 0 runs.
    let host = hostName()
    let process = getpid()
    let ranks: Int
    let hosts: Int
    let cpu = RunStatus.cpuName()
    let instructionSet: String
    let version = Version.current
    /// Absent where one process runs without it.
    let mpi: String?

    private enum CodingKeys: String, CodingKey {
        case state, step, steps, started, updated, ended, message
        case exitCode = "exit_code"
        case host, process, ranks, hosts, cpu
        case instructionSet = "instruction_set"
        case version, mpi
    }

    init(step: Int, of steps: Int, communicator: any Communicator, kernels: Kernels) {
        self.step = step
        self.steps = steps
        ranks = communicator.size
        hosts = communicator.hosts.count
        instructionSet = kernels.instructionSet.rawValue
        mpi = ranks > 1 ? MPICommunicator.libraryVersion : nil
    }

    /// Notes the end of the run.
    mutating func end(_ state: State, code: ExitCode?, message: String?) {
        self.state = state
        self.message = message
        exitCode = code?.rawValue ?? 0
        ended = Date().rfc3339
    }

    /// Notes a failure that ends the run.
    mutating func end(by failure: Failure) {
        let message = failure.description.isEmpty ? message : failure.description
        end(failure.code == .stopped ? .stopped : .failed, code: failure.code, message: message)
    }

    mutating func write(in run: RunDirectory) throws {
        updated = Date().rfc3339
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let text = try encoder.encode(self) + Data("\n".utf8)
        try withFiles { try AtomicFile.write(path: "\(run.path)/status.json", bytes: Array(text), isDurable: false) }
    }

    private static func cpuName() -> String {
        let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix("model name") }
        return line?.split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown"
    }
}
