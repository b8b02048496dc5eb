import ArgumentParser
import GAN

struct Report: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write the page of a run, or one page that compares several.",
        discussion: "Training writes it at every sample interval. It is one file, report.html, that needs no network: curves, pictures over "
            + "time, a generator to draw with, the configuration and the commands to go on with. Of several runs it holds a table and "
            + "their curves over each other.")

    @Argument(help: "Runs, by their folders, their numbers, or latest; or a folder that holds some, as in runs/.")
    var runs: [String]
    @Option(parsing: .unconditional, help: "Folder of the runs that have numbers.")
    var outdir = "runs"
    @Option(help: ArgumentHelp("Where to write (default: report.html in the folder).", valueName: "file.html"))
    var out: String?

    func run() throws { try StandardOutput.printResult(try writeReport(of: runs, under: outdir, to: out)) }
}
