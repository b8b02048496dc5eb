import Foundation
import MessagePassing

/// How this process was started: alone, or by a launcher with others. Of a program the first thing, and around all else:
///
///     let launch = Launch()
///     launch.finish { try launch.run { try train(request, RunOptions(), resume: nil, communicator: $0) } }
public final class Launch {
    /// Processes that a launcher says there are, 1 without one.
    public let ranks: Int
    /// This process's number among them.
    public let environmentRank: Int
    private var communicator: (any Communicator)?

    /// From here on signals are noted, for a training to act on; see `Signals`.
    public init() {
        Signals.install()
        StandardOutput.openMissing()
        let environment = ProcessInfo.processInfo.environment
        func number(_ names: [String]) -> Int? {
            names.lazy.compactMap { environment[$0].flatMap { Int($0) } }.first
        }
        let inSlurmStep = environment["SLURM_STEP_ID"].flatMap { Int($0) } != nil
        ranks = number(["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_SIZE"] + (inSlurmStep ? ["SLURM_NTASKS"] : [])) ?? 1
        environmentRank =
            number(rankVariables + (inSlurmStep ? ["SLURM_PROCID"] : [])) ?? 0
    }

    /// Seconds of waiting where no option is known yet.
    public static let startLimit = 60.0

    /// The words that start this program again, before its options: those of the script that started it, or of the
    /// launcher.
    public var command: String {
        let environment = ProcessInfo.processInfo.environment
        if let words = environment["GAN_DIST_COMMAND"], !words.isEmpty { return words }
        guard ranks > 1 else { return Launch.program }
        return (environment["OMPI_COMM_WORLD_SIZE"] == nil ? "srun --ntasks=\(ranks) " : "mpirun -np \(ranks) ") + Launch.program
    }

    /// What a user types for the program that reads runs: this one, or `gan-dist` where this is a program of the user's own.
    static var program: String {
        let path = CommandLine.arguments.first ?? ""
        return path.split(separator: "/").last?.hasPrefix("gan-dist") == true ? path.quotedForShell : "gan-dist"
    }

    /// Runs `body`, then ends the process: with 0, or with the failure's message and code.
    public func finish(_ body: () throws -> Void) -> Never {
        do {
            try body()
        } catch {
            end(error as? Failure ?? Failure(.internalError, "\(error)"))
        }
        Foundation.exit(0)
    }

    /// Runs `body` with all ranks. MPI is not touched when there is one process.
    ///
    /// - Parameter watchdog: seconds that a call of MPI may take in which all ranks meet; 0 is for ever.
    public func run(watchdog: Double = Launch.startLimit, _ body: (any Communicator) throws -> Void) throws {
        let communicator = try join(watchdog)
        try body(communicator)
        Signals.ignore()
        try communicator.close()
    }

    private func join(_ watchdog: Double = Launch.startLimit) throws -> any Communicator {
        if let communicator { return communicator }
        let joined: any Communicator
        if ranks > 1 {
            let hosts = ProcessInfo.processInfo.environment["GAN_DIST_HOSTS"]
            let mpi = try MPICommunicator(
                pretendedHosts: hosts.map { $0.split(separator: ",").map { Int32($0) ?? -1 } },
                // A value that makes no sense is refused later, by all ranks together.
                limit: watchdog.isFinite && watchdog >= 0 ? watchdog : Launch.startLimit, launchedRank: environmentRank
            ) { [environmentRank] failure in
                Launch.report("rank \(environmentRank): \(failure.description)")
                // MPI itself hangs: only the launcher can end the other ranks.
                _exit(failure.code.rawValue)
            }
            guard mpi.size > 1 else {
                throw Failure(
                    .usage,
                    "the launcher started \(ranks) processes, but MPI sees one: the launcher belongs to another MPI than the one "
                        + "this program is built with. Start it with that MPI's mpirun, or with srun --mpi=pmix")
            }
            joined = mpi
        } else {
            joined = SoloCommunicator()
        }
        communicator = joined
        return joined
    }

    /// Ends a launched job whose command line is wrong, on all ranks together: others may have been given another one.
    public func refuse(_ message: String) -> Never {
        do {
            let communicator = try join()
            let world = try World(communicator, limit: Launch.startLimit)
            try world.agree { throw Failure(.usage, message.replacingOccurrences(of: "Error: ", with: "")) }
            Foundation.exit(ExitCode.usage.rawValue)
        } catch let failure as Failure {
            end(failure)
        } catch {
            end(Failure(.internalError, "\(error)"))
        }
    }

    /// Reports a failure once and ends every rank with its code.
    public func end(_ failure: Failure) -> Never {
        Signals.ignore()
        let code = failure.code.rawValue
        guard let communicator, communicator.size > 1 else {
            // Ranks that never met all fail in the same way.
            if environmentRank == 0 { Launch.report(failure.description) }
            Foundation.exit(code)
        }
        guard failure.isShared else {
            if failure.description.isEmpty { communicator.leave(code) }
            Launch.report("rank \(communicator.rank): \(failure.description)")
            communicator.abort(code)
        }
        if communicator.rank == 0 { Launch.report(failure.description) }
        try? communicator.close()
        Foundation.exit(code)
    }

    /// - Parameter message: empty where the log, or another rank, has said it.
    private static func report(_ message: String) {
        guard !message.isEmpty else { return }
        StandardOutput.printMessage("gan-dist: " + (message.hasPrefix("Error: ") ? message : "Error: \(message)"))
    }
}
