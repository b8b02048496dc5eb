import ArgumentParser
import GAN

struct Report: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write the HTML page of a run, or one page that compares several runs.",
        usage: "gan-dist report <run> ... [<options>]",
        discussion: "Training writes a run's page at every --sample-interval. It is one file that needs no network: curves, "
            + "images over time, a generator to try out, the configuration, and commands to go on with. For several runs it holds "
            + "a table, and all curves in one plot.")

    @Argument(
        help: ArgumentHelp("Runs: their folders, their numbers, or latest; or a folder of runs, such as runs/.", valueName: "run"))
    var runs: [String]
    @Option(parsing: .unconditional, help: ArgumentHelp("Folder of the runs, for numbers and latest.", valueName: "folder"))
    var outdir = "runs"
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "File to write. (default: report.html in the given folder; in the current folder if several are given)",
            valueName: "file.html"))
    var out: String?

    func run() throws { try StandardOutput.printResult(try writeReport(of: runs, under: outdir, to: out)) }
}
