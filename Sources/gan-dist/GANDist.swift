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
        abstract: "Trains generative adversarial networks (GANs) on CPUs, on MNIST or on images of your own, data-parallel over "
            + "MPI. A run gives the same bytes at any number of ranks.",
        usage: "gan-dist [<command>] [<options>]",
        discussion: """
            EXAMPLES:
              gan-dist --preset cdcgan                train on the data in the folder data
              mpirun -np 8 gan-dist --preset cdcgan   the same on 8 ranks
              gan-dist --data ~/flowers               train on images of your own
              gan-dist --preset cdcgan --help         options and their values in cdcgan
              gan-dist sample --checkpoint latest --out samples.png

            DATA: In the source folder, launch/fetch-mnist downloads MNIST into the folder data. launch/train builds gan-dist, \
            downloads MNIST and trains on all cores.

            \(exitCodes)

            SHELL COMPLETION (bash; also zsh, fish):
              gan-dist --generate-completion-script bash \\
                > ~/.local/share/bash-completion/completions/gan-dist
            """,
        version: Version.current,
        subcommands: [
            Train.self, Sample.self, Translate.self, Evaluate.self, Classify.self, Export.self, ListRuns.self, Report.self,
            Animate.self, Hash.self, Info.self, Bench.self,
        ],
        defaultSubcommand: Train.self)

    /// A paragraph of the help.
    static let exitCodes = """
        EXIT CODES: 0 success; 64 wrong usage; 65 bad data; 66 missing input; 70 an internal error, or numbers that are not \
        finite; 74 a file cannot be read or written; 75 training was stopped, and --resume latest goes on; 128 + n ended by \
        signal n.
        """

    static func main() {
        let launch = Launch()
        let command: any ParsableCommand
        do {
            command = try parse(launch)
        } catch {
            // Help and version are for one rank to print, and so is a usage error, which ends all ranks together.
            let failure = error as? Failure
            let code = failure?.code.rawValue ?? exitCode(for: error).rawValue
            let text = failure?.description ?? fullMessage(for: error)
            if code != 0, launch.ranks > 1 { launch.refuse(text) }
            if let failure { launch.end(failure) }
            guard launch.environmentRank == 0 else { Foundation.exit(code) }
            if code != 0 {
                StandardOutput.printMessage(text)
                Foundation.exit(code)
            }
            launch.finish { try StandardOutput.printResult(text) }
        }
        if let train = command as? Train {
            launch.finish {
                try launch.run(watchdog: train.machine.watchdog) { try train.run(on: $0, command: launch.command) }
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
        if let word = arguments.first, word != "help" { try requireCommand(word) }
        if arguments.first == "help", let topic = arguments.dropFirst().first { try requireCommand(topic) }
        // The help shows the values of a preset.
        if !Set(arguments).isDisjoint(with: ["--help", "-h"]), let preset = HelpedPreset.name { _ = try Preset.named(preset) }
        return try parseAsRoot(expandResume(arguments))
    }

    /// Refuses a word in the place of a command that is none.
    private static func requireCommand(_ word: String) throws {
        let known = configuration.subcommands.map { $0._commandName }
        guard known.contains(word) || word.hasPrefix("-") else {
            let meant = suggestion(for: word, among: known)
            let list = meant.isEmpty ? "; known are \(known.joined(separator: ", "))" : meant
            throw Failure(.usage, "there is no command \"\(word)\"\(list)")
        }
    }

    /// `--resume` without a value is `--resume latest`.
    private static func expandResume(_ arguments: [String]) -> [String] {
        arguments.indices.flatMap { index -> [String] in
            let isBare = index + 1 == arguments.count || arguments[index + 1].hasPrefix("--")
            return arguments[index] == "--resume" && isBare ? ["--resume", "latest"] : [arguments[index]]
        }
    }
}
