import ArgumentParser
import Foundation
import GAN
import Kernels
import MessagePassing

/// The program: reads the command line, joins the other ranks if there are any, and turns every failure into one message
/// and one exit code.
@main
struct GANDist: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gan-dist",
        abstract: "Trains generative adversarial networks on MNIST or pictures of your own, data-parallel over MPI, with "
            + "the same bytes at any number of ranks.",
        version: Version.current,
        subcommands: [
            Train.self, Sample.self, Translate.self, Evaluate.self, Classify.self, Export.self, ListRuns.self, Report.self,
            Animate.self, Hash.self, Info.self, Bench.self,
        ],
        defaultSubcommand: Train.self)

    static func main() {
        let launch = Launch()
        let command: any ParsableCommand
        do {
            command = try parse(launch)
        } catch {
            // Help and version are for one rank to print, and so is a usage error, which ends all ranks together.
            let code = exitCode(for: error).rawValue
            let text = fullMessage(for: error)
            if code != 0, launch.ranks > 1 { launch.refuse(text) }
            guard launch.environmentRank == 0 else { Foundation.exit(code) }
            if code != 0 {
                StandardOutput.printMessage(text)
                Foundation.exit(code)
            }
            launch.finish { try StandardOutput.printResult(text) }
        }
        if let train = command as? Train {
            launch.finish {
                try launch.run(watchdog: train.watchdog) { try train.run(on: $0, command: launch.command) }
            }
        }
        if let evaluate = command as? Evaluate {
            launch.finish { try launch.run { try evaluate.run(on: $0) } }
        }
        Signals.restore()
        guard launch.environmentRank == 0 else { Foundation.exit(0) }
        launch.finish {
            var tool = command
            do {
                try tool.run()
            } catch where !(error is Failure) && exitCode(for: error) == .success {
                // Help is a command of its own.
                try StandardOutput.printResult(fullMessage(for: error))
            }
        }
    }

    /// - Throws: what the argument parser throws, and usage errors that it does not know.
    private static func parse(_ launch: Launch) throws -> any ParsableCommand {
        // The first one is the program's name. Swift reads them from /proc.
        guard !CommandLine.arguments.isEmpty else {
            launch.end(Failure(.inputOutput, "/proc/self/cmdline cannot be read, which holds the options: mount /proc"))
        }
        let arguments = Array(CommandLine.arguments.dropFirst())
        if arguments.first == "help", let topic = arguments.dropFirst().first {
            let known = configuration.subcommands.map { $0._commandName }
            guard known.contains(topic) || topic.hasPrefix("-") else {
                throw ValidationError("there is no command \"\(topic)\"; known are \(known.joined(separator: ", "))")
            }
        }
        return try parseAsRoot(expandResume(arguments))
    }

    /// `--resume` without a value is `--resume latest`.
    private static func expandResume(_ arguments: [String]) -> [String] {
        arguments.indices.flatMap { index -> [String] in
            let isBare = index + 1 == arguments.count || arguments[index + 1].hasPrefix("--")
            return arguments[index] == "--resume" && isBare ? ["--resume", "latest"] : [arguments[index]]
        }
    }
}
