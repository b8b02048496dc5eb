import Foundation
import Testing

/// Options that make no sense, and what the trainer says of them.
struct Misuse: CustomTestStringConvertible, Sendable {
    let options: [String]
    let says: [String]
    var code: Int32 = 64
    var testDescription: String { options.joined(separator: " ") }

    init(_ options: String..., says: [String], code: Int32 = 64) {
        self.options = options
        self.says = says
        self.code = code
    }

    static let all = [
        Misuse("--batch-size", "7", says: ["--batch-size 7", "8 logical shards"]),
        Misuse("--batch-size", "0", says: ["--batch-size 0"]),
        Misuse("--batch-size", "-64", says: ["--batch-size"]),
        Misuse("--batch-size", "many", says: ["many"]),
        Misuse("--shards", "6", says: ["--shards 6", "power of two"]),
        Misuse("--shards", "0", says: ["--shards 0", "power of two"]),
        Misuse("--shards", "1", says: ["3 ranks", "1 logical shard", "--shards 4"]),
        Misuse("--lr", "-0.1", says: ["--lr"]),
        Misuse("--lr=-0.1", says: ["--lr -0.1", "positive"]),
        Misuse("--lr", "0", says: ["--lr 0", "positive"]),
        Misuse("--lr", "nan", says: ["--lr nan", "positive"]),
        Misuse("--lr", "inf", says: ["--lr inf", "positive"]),
        Misuse("--beta1", "1", says: ["--beta1 1", "less than 1"]),
        Misuse("--beta2", "nan", says: ["--beta2 nan"]),
        Misuse("--r1", "-1", says: ["--r1 -1", "from 0"]),
        Misuse("--penalty-interval", "0", says: ["--penalty-interval 0"]),
        Misuse("--epochs", "0", says: ["--epochs 0"]),
        Misuse("--steps", "0", says: ["--steps 0"]),
        Misuse("--latent-dim", "0", says: ["--latent-dim 0"]),
        Misuse("--keep", "0", says: ["--keep 0"]),
        Misuse("--preset", "mlq", says: ["\"mlq\"", "mlp", "mlp-dropout", "mlp-wide", "mlp-reuse"]),
        Misuse("--loss", "huber", says: ["--loss huber", "bce", "mse", "hinge", "wasserstein", "relativistic"]),
        Misuse("--dataset", "cifar", says: ["--dataset cifar", "mnist", "fashion"]),
        Misuse("--precision", "fp16", says: ["--precision fp16", "fp32", "bf16"]),
        Misuse("--isa", "sse", says: ["--isa sse", "portable"]),
        Misuse("--isa", "neon", says: ["--isa neon", "available"]),
        Misuse("--reduction", "ring", says: ["--reduction ring", "tree", "mpi"]),
        Misuse("--log-interval", "4x", says: ["--log-interval 4x"]),
        Misuse("--checkpoint-interval", "-1", says: ["--checkpoint-interval"]),
        Misuse("--watchdog", "nan", says: ["--watchdog nan"]),
        Misuse("--learning-rate", "1", says: ["--learning-rate"]),
        Misuse("surplus", says: ["surplus"]),
        Misuse("--config", "/nonexistent.json", says: ["/nonexistent.json"], code: 66),
    ]

    /// Model files, and what is wrong with them.
    static let modelFiles: [(text: String, says: [String])] = [
        ("{\"preset\": \"mlp\", \"learning_rate\": 1}", ["unknown field \"learning_rate\"", "known are"]),
        ("{\"preset\": \"mlq\"}", ["\"mlq\"", "mlp-wide"]),
        ("{\"preset\": \"mlp\", \"batch_size\": \"many\"}", ["batch_size"]),
        ("{\"preset\": \"mlp\", \"lr\": -1}", ["-1", "positive"]),
        ("{\"preset\": \"mlp\", ", ["not JSON"]),
        ("[1]", ["JSON object"]),
        ("{\"preset\": \"mlp\", \"discriminator\": []}", ["discriminator"]),
        (
            "{\"preset\": \"mlp\", \"generator\": [{\"type\": \"linear\", \"inputs\": 64, \"outputs\": 783}]}",
            ["generator", "783"]
        ),
    ]
}

extension Jobs {
    @Suite struct UsageTests {
        @Test("Options that make no sense end every rank with 64 and one message", arguments: Misuse.all)
        func misuse(_ misuse: Misuse) throws {
            let runs = try Runs()
            let outcome = try runs.trainEachToItsEnd(ranks: 3, misuse.options)
            expectRefusal(outcome, misuse.code, misuse.says)
            #expect(runs.names == [], "nothing is written")
        }

        @Test("The same on one process without mpirun", arguments: Misuse.all.filter { !$0.says.contains("3 ranks") })
        func alone(_ misuse: Misuse) throws {
            let runs = try Runs()
            let outcome = try Job.run([Program.path] + runs.arguments(misuse.options))
            #expect(outcome.code == misuse.code, "\(outcome)")
            for part in misuse.says { #expect(outcome.errors.contains(part), "\(outcome)") }
            #expect(runs.names == [])
        }

        @Test("Model files that make no sense", arguments: Misuse.modelFiles.indices)
        func modelFile(_ index: Int) throws {
            let runs = try Runs()
            let path = try Scratch.makeFolder() + "/model.json"
            try write(Misuse.modelFiles[index].text.utf8, to: path)
            // The file names the preset here.
            let outcome = try Job.run(
                [
                    Program.path, "train", "--config", path, "--data", SmallData.shared.get(), "--outdir", runs.outdir, "--steps",
                    "2",
                ])
            expectRefusal(outcome, 64, [path] + Misuse.modelFiles[index].says)
            #expect(runs.names == [])
        }

        @Test("More ranks than shards: 64, with the command that fits")
        func moreRanksThanShards() throws {
            let runs = try Runs()
            let outcome = try runs.train(ranks: 9, "--preset", "mlp", "--steps", "2")
            expectRefusal(
                outcome, 64, ["9 ranks", "8 logical shards", "mpirun -np 8", "mpirun -np 9", "--shards 16"])
            #expect(runs.names == [])
            // The command that the message holds works.
            try runs.succeed(ranks: 9, "--preset", "mlp", "--steps", "2", "--shards", "16")
        }

        @Test("An option that only one rank has, and does not know: all end with 64")
        func misuseOnOneRank() throws {
            let runs = try Runs()
            let outcome = try runs.start(each: [["--preset", "mlp"], ["--preset", "mlp", "--nonsense"]]).wait()
            expectRefusal(outcome, 64, ["--nonsense"])
            #expect(runs.names == [])
        }

        @Test(
            "A process whose launcher speaks another MPI: 64, with the reason", arguments: ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"])
        func foreignLauncher(variable: String) throws {
            let runs = try Runs()
            let outcome = try Job.run(
                [Program.path] + runs.arguments(["--preset", "mlp", "--steps", "2"]),
                environment: Job.environment([variable: "4"]))
            expectRefusal(outcome, 64, ["4 processes", "another MPI", "mpirun"])
            #expect(runs.names == [])
        }

        @Test("Inside a Slurm step SLURM_NTASKS counts, outside of one it does not")
        func slurm() throws {
            let runs = try Runs()
            let arguments = try [Program.path] + runs.arguments(["--preset", "mlp", "--steps", "2"])
            let inside = try Job.run(arguments, environment: Job.environment(["SLURM_NTASKS": "4", "SLURM_STEP_ID": "0"]))
            expectRefusal(inside, 64, ["4 processes", "another MPI"])
            // A batch script, or a shell that salloc opened.
            let outside = try Job.run(arguments, environment: Job.environment(["SLURM_NTASKS": "4"]))
            #expect(outside.code == 0, "\(outside)")
        }

        @Test(
            "A configuration that differs on one rank: refused, naming rank and field",
            arguments: [["--lr", "0.1"], ["--seed", "7"], ["--batch-size", "32"]])
        func differentConfiguration(options: [String]) throws {
            let runs = try Runs()
            let common = ["--preset", "mlp", "--steps", "2"]
            let outcome = try runs.start(each: [common, common + options, common]).wait()
            expectRefusal(outcome, 64, ["configuration", "rank 1", "rank 0"])
            let field = ["--lr": "lr", "--seed": "seed", "--batch-size": "batch_size"][options[0]] ?? ""
            #expect(outcome.errors.contains(field))
            #expect(runs.names == [])
        }

        @Test("Paths, --isa and --quiet may differ between ranks")
        func localOptions() throws {
            let runs = try Runs()
            let copy = try SmallData.make()
            let common = ["--preset", "mlp", "--steps", "2"]
            let outcome = try runs.start(each: [common, common + ["--isa", "avx2", "--data", copy, "--quiet"]], hosts: "0,1")
                .wait()
            #expect(outcome.code == 0, "\(outcome)")
        }

        @Test("A program that differs on one rank: refused, naming the rank")
        func differentProgram() throws {
            let runs = try Runs()
            let other = try Scratch.makeFolder() + "/gan-dist"
            try FileManager.default.copyItem(atPath: Program.path, toPath: other)
            let handle = try #require(FileHandle(forWritingAtPath: other))
            try handle.seekToEnd()
            try handle.write(contentsOf: Data([0]))
            try handle.close()
            let arguments = ["--preset", "mlp", "--steps", "2"]
            let outcome = try runs.start(each: [arguments, arguments, arguments], programs: [Program.path, Program.path, other])
                .wait()
            expectRefusal(outcome, 64, ["program", "rank 2"])
            #expect(runs.names == [])
        }

        @Test("Ranks of which one resumes and another starts afresh: all end")
        func differentResume() throws {
            let runs = try Runs()
            try runs.succeed("--preset", "mlp", "--steps", "2")
            let before = Scratch.snapshot(runs.outdir)
            let common = ["--preset", "mlp", "--steps", "4"]
            for each in [[common, common + ["--resume", "latest"]], [common + ["--resume", "latest"], common]] {
                let outcome = try runs.start(each: each).wait(limit: 15)
                expectRefusal(outcome, 64, ["rank 1"])
                #expect(Scratch.snapshot(runs.outdir) == before)
            }
        }
    }
}
