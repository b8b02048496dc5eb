import Foundation
import Testing

extension Jobs {
    /// Settings that give way to what the user says, and the average of the generator, by the command line.
    @Suite struct PerturbationTests {
        @Test("A preset's setting that gives way is said once, by one rank, and not again where the run goes on")
        func notes() throws {
            let runs = try Runs()
            let note = "Note: --loss hinge has no targets: label_smoothing 0.1 of preset cdcgan is off"
            let options = ["--preset", "cdcgan", "--loss", "hinge", "--batch-size", "8"]
            let outcome = try runs.start(ranks: 3, options + ["--steps", "1"]).wait()
            try #require(outcome.code == 0, "\(outcome)")
            #expect(outcome.output.split(separator: "\n").filter { $0 == note }.count == 1, "\(outcome)")
            let resumed = try runs.start(options + ["--steps", "2", "--resume", "latest"]).wait()
            try #require(resumed.code == 0, "\(resumed)")
            #expect(!resumed.output.contains("has no targets"), "\(resumed)")
            let log = try readText("\(runs.newest)/log.txt").split(separator: "\n")
            #expect(log.filter { $0 == note }.count == 1)
        }

        @Test(
            "What cannot give way: 64, in the words of what was said",
            arguments: [
                (["hinge", "--label-smoothing", "0.1"], "--label-smoothing 0.1: loss hinge of preset hinge has no targets"),
                (["mlp", "--loss", "hinge", "--label-smoothing", "0.1"], "--label-smoothing and --label-flip change the targets"),
                (["dcgan28", "--gradient-penalty", "10"], "layer 3 of the discriminator, batch_norm,"),
                (["wgan-gp", "--spectral-norm", "--gradient-penalty", "10"], "both bound the discriminator's slope"),
                (["mlp", "--ema-ramp"], "add --ema 0.999"),
            ])
        func refusals(options: [String], text: String) throws {
            let runs = try Runs()
            expectRefusal(try runs.start(["--preset"] + options + ["--steps", "1"]).wait(), 64, [text])
            #expect(runs.names == [])
        }

        @Test("sample --raw draws the generator, without it its average; of a checkpoint without one they are the same")
        func raw() throws {
            func pictures(_ checkpoint: String, _ options: String...) throws -> Data {
                let path = try Scratch.makeFolder() + "/x.npy"
                let outcome = try Job.run(
                    [Program.path, "sample", "--checkpoint", checkpoint, "--count", "4", "--out", path] + options)
                try #require(outcome.code == 0, "\(outcome)")
                return try readFile(path)
            }
            let (plain, averaged) = (try Runs(), try Runs())
            try plain.succeed("--steps", "3")
            try averaged.succeed("--steps", "3", "--ema", "0.999", "--ema-ramp")
            let (a, b) = (try #require(plain.checkpoints().last), try #require(averaged.checkpoints().last))
            let generator = try pictures(a)
            #expect(try pictures(a, "--raw") == generator)
            #expect(try pictures(b, "--raw") == generator)
            #expect(try pictures(b) != generator)
        }
    }
}
