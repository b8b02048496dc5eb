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
        abstract: "Trains generative adversarial networks on MNIST, data-parallel over MPI, with the same bytes at any "
            + "number of ranks.",
        version: Version.current,
        subcommands: [Train.self, Sample.self, Hash.self, Info.self, Bench.self],
        defaultSubcommand: Train.self)

    static func main() {
        let launch = Launch()
        let command: any ParsableCommand
        do {
            command = try parseAsRoot(Launch.expandResume(Array(CommandLine.arguments.dropFirst())))
        } catch {
            // Help and version are for one rank to print, and so is a usage error, which ends all ranks together.
            let code = exitCode(for: error).rawValue
            if code != 0, launch.ranks > 1 { launch.refuse(fullMessage(for: error)) }
            if launch.environmentRank == 0 { exit(withError: error) }
            Foundation.exit(code)
        }
        do {
            if let train = command as? Train {
                try launch.run(watchdog: train.watchdog) { try train.run(on: $0) }
            } else if launch.environmentRank == 0 {
                var tool = command
                try tool.run()
            }
        } catch let failure as Failure {
            launch.end(failure)
        } catch {
            if command is Train { launch.end(Failure(.internalError, "\(error)")) }
            exit(withError: error)
        }
    }
}
