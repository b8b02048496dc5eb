import Foundation
import Testing

extension Jobs {
    @Suite struct ToolsTests {
        private static let run = Result {
            let runs = try Runs()
            try runs.succeed("--preset", "mlp", "--steps", "5", "--checkpoint-interval", "2")
            return runs
        }

        @Test("hash is the weights_sha256 of its step in stats.jsonl")
        func hash() throws {
            let runs = try Self.run.get()
            let hashes = try runs.hashes()
            #expect(Set(hashes).count == 5)
            for path in runs.checkpoints() {
                let step = try #require(checkpointStep(path))
                #expect(try checkpointHash(path) == hashes[step - 1])
                #expect(try checkpointHash(path, state: true) != hashes[step - 1])
            }
            #expect(runs.checkpoints().count == 3)
        }

        /// The float values of an .npy file, and its shape as the header says it.
        private func readNPY(_ path: String) throws -> (shape: String, values: [Float]) {
            let data = try readFile(path)
            #expect(data.prefix(8) == Data([0x93] + Array("NUMPY".utf8) + [1, 0]))
            let length = Int(data[8]) | Int(data[9]) << 8
            #expect((10 + length) % 64 == 0)
            let header = String(decoding: data[10..<10 + length], as: UTF8.self)
            #expect(header.contains("'descr': '<f4'") && header.contains("'fortran_order': False"), "\(header)")
            let shape = try #require(header.firstMatch(of: /'shape': (\([^)]*\))/))
            let body = [UInt8](data[(10 + length)...])
            return (
                String(shape.1),
                stride(from: 0, to: body.count, by: 4).map { i in
                    Float(
                        bitPattern: UInt32(body[i]) | UInt32(body[i + 1]) << 8 | UInt32(body[i + 2]) << 16 | UInt32(body[i + 3])
                            << 24)
                }
            )
        }

        private func sample(_ options: String..., out: String) throws -> String {
            let path = try Scratch.makeFolder() + "/" + out
            let outcome = try Job.run(
                [Program.path, "sample", "--checkpoint", #require(Self.run.get().checkpoints().last), "--out", path] + options)
            try #require(outcome.code == 0, "\(outcome)")
            return path
        }

        @Test("A picture depends on its index alone, whatever the count")
        func sampleArrays() throws {
            let few = try readNPY(sample("--count", "3", out: "few.npy"))
            let many = try readNPY(sample("--count", "70", out: "many.npy"))
            #expect(few.shape == "(3, 1, 28, 28)")
            #expect(many.shape == "(70, 1, 28, 28)")
            #expect(many.values.count == 70 * 784)
            #expect(Array(many.values.prefix(3 * 784)) == few.values)
            #expect(many.values.allSatisfy { abs($0) <= 1 })
            let pictures = Set((0..<70).map { Array(many.values[$0 * 784..<$0 * 784 + 784]) })
            #expect(pictures.count == 70, "each is another one")
            let other = try readNPY(sample("--count", "3", "--seed", "77", out: "other.npy"))
            #expect(other.values != few.values)
            #expect(try readNPY(sample("--count", "3", out: "again.npy")).values == few.values)
        }

        @Test("A grid of pictures", arguments: [(1, 28, 28), (2, 62, 32), (8, 242, 32), (9, 242, 62), (64, 242, 242)])
        func samplePictures(count: Int, width: Int, height: Int) throws {
            let png = try readFile(sample("--count", "\(count)", out: "grid.png"))
            #expect(png.prefix(8) == Data([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]))
            func number(at offset: Int) -> Int { png[offset..<offset + 4].reduce(0) { $0 << 8 | Int($1) } }
            #expect(number(at: 16) == width)
            #expect(number(at: 20) == height)
        }

        @Test("A grid of as many rows and columns as asked for")
        func sampleGrid() throws {
            let png = try readFile(sample("--grid", "2x5", out: "grid.png"))
            let size: [UInt8] = [0, 0, 0, 5 * 30 + 2, 0, 0, 0, 2 * 30 + 2]
            #expect(png[16..<24] == Data(size))
            let values = try readNPY(sample("--grid", "2x5", out: "grid.npy"))
            #expect(values.shape == "(10, 1, 28, 28)")
            #expect(try values.values == readNPY(sample("--count", "10", out: "count.npy")).values)
        }

        @Test("Each row of an interpolation walks from one picture to the next")
        func interpolate() throws {
            let walks = try readNPY(sample("--grid", "3x4", "--interpolate", out: "walks.npy"))
            let pictures = try readNPY(sample("--count", "6", out: "pictures.npy")).values
            #expect(walks.shape == "(12, 1, 28, 28)")
            func picture(_ index: Int, _ values: [Float]) -> [Float] { Array(values[index * 784..<index * 784 + 784]) }
            for row in 0..<3 {
                #expect(picture(4 * row, walks.values) == picture(2 * row, pictures))
                #expect(picture(4 * row + 3, walks.values) == picture(2 * row + 1, pictures))
            }
            #expect(Set((0..<12).map { picture($0, walks.values) }).count == 12)
            #expect(try readFile(sample("--interpolate", out: "walks.png"))[16..<24] == Data([0, 0, 0, 242, 0, 0, 0, 242]))
        }

        @Test("64 pictures of a checkpoint are the grid that the run drew at that step")
        func sameAsRun() throws {
            let runs = try Self.run.get()
            #expect(try readFile(sample(out: "grid.png")) == readFile("\(runs.newest)/fakes-000005.png"))
        }

        @Test(
            "sample with options that make no sense",
            arguments: [
                ["--count", "0", "--out", "x.png"], ["--count", "-3", "--out", "x.png"], ["--out", "x.gif"], ["--count", "3"],
                ["--grid", "8", "--out", "x.png"], ["--grid", "0x8", "--out", "x.png"], ["--grid", "2000x2000", "--out", "x.png"],
                ["--grid", "2x2", "--count", "4", "--out", "x.png"], ["--interpolate", "--count", "4", "--out", "x.png"],
                ["--grid", "4x1", "--interpolate", "--out", "x.png"],
            ])
        func sampleMisuse(options: [String]) throws {
            let folder = try Scratch.makeFolder()
            let path = try #require(Self.run.get().checkpoints().last)
            let outcome = try Job.run(["env", "-C", folder, Program.path, "sample", "--checkpoint", path] + options)
            #expect(outcome.code == 64, "\(outcome)")
            #expect(Scratch.snapshot(folder).isEmpty)
        }

        @Test("sample where nothing can be written: 74", arguments: ["png", "npy"])
        func sampleUnwritable(suffix: String) throws {
            let path = try #require(Self.run.get().checkpoints().last)
            let outcome = try Program.run("sample", "--checkpoint", path, "--out", "/nonexistent/x.\(suffix)")
            expectRefusal(outcome, 74, ["/nonexistent/x.\(suffix)"])
        }

        @Test("info tells version, instruction sets and shards, and is alike under mpirun")
        func info() throws {
            let alone = try Program.run("info")
            #expect(alone.code == 0)
            for part in [
                "gan-dist 0.", "Open MPI", "avx512", "avx2", "neon", "portable: available", "run on emulated Arm only: the same bytes", "8 logical shards",
            ] {
                #expect(alone.output.contains(part), "\(part) in \(alone.output)")
            }
            let layout = try Program.run("info", "--ranks", "3")
            #expect(layout.output.contains("rank 0: shards 0 … 1"), "\(layout.output)")
            #expect(layout.output.contains("rank 2: shards 5 … 7"), "\(layout.output)")
            for arguments in [["--ranks", "9"], ["--ranks", "0"], ["--shards", "6"]] {
                #expect(try Job.run([Program.path, "info"] + arguments).code == 64)
            }
            let launched = try Job.run(["mpirun", "-np", "2", Program.path, "info"])
            #expect(launched.code == 0, "\(launched)")
            #expect(launched.output == alone.output)
        }

        @Test("--help and --version end with 0 for the program and each command, once under mpirun too")
        func help() throws {
            for command in [[]] + Self.commands.map({ [$0] }) {
                let help = try Self.help(command)
                #expect(help.contains("USAGE: gan-dist"), "\(command): \(help)")
                #expect(help.split(separator: "\n").allSatisfy { $0.count <= 80 }, "\(command): \(help)")
            }
            let whole = try Self.help([])
            for part in ["EXIT CODES", "SHELL COMPLETION", "launch/fetch-mnist"] + Self.commands {
                #expect(whole.contains(part), "\(part) in \(whole)")
            }
            let version = try Program.run("--version")
            #expect(version.code == 0)
            #expect(version.output.wholeMatch(of: /\d+\.\d+\.\d+\n/) != nil, "\(version)")
            let launched = try Job.run(["mpirun", "-np", "3", Program.path, "--version"])
            #expect(launched.code == 0, "\(launched)")
            #expect(launched.output == version.output)
        }

        private static let commands = [
            "train", "sample", "translate", "evaluate", "classify", "export", "runs", "report", "animate", "hash", "info", "bench",
        ]

        /// What the help of a command says in a terminal of 80 columns.
        private static func help(_ words: [String]) throws -> String {
            let outcome = try Job.run([Program.path] + words + ["--help"], environment: Job.environment(["COLUMNS": "80"]))
            #expect(outcome.code == 0, "\(outcome)")
            return outcome.output
        }

        @Test("The help of train shows the values of the preset that is named beside it, in groups")
        func helpOfPresets() throws {
            let standard = try Self.help(["train"])
            let titles = [
                "START", "DATA", "LENGTH AND UPDATES", "LOSS AND REGULARIZATION", "CYCLEGAN: TRANSLATION BETWEEN TWO DOMAINS", "EVALUATION",
                "WHAT IS WRITTEN WHEN", "MPI AND CPU", "OPTIONS",
            ]
            let found = standard.split(separator: "\n").filter { $0.first != " " && $0.last == ":" }.map { String($0.dropLast()) }
            #expect(found == ["EXAMPLES"] + titles)
            #expect(standard.contains("(dcgan28: 15)") && standard.contains("(not for dcgan28)"), "\(standard)")
            let wgan = try Self.help(["train", "--preset", "wgan"])
            #expect(wgan.contains("(wgan: wasserstein)") && wgan.contains("(wgan: 0.05)") && !wgan.contains("(dcgan28:"), "\(wgan)")
            #expect(try Self.help(["--preset=wgan"]) == wgan)
            for preset in ["cyclegan28", "cyclegan"] {
                let help = try Self.help(["--preset", preset])
                #expect(help.contains("(\(preset): 10)") && help.contains("(not for \(preset))"), "\(help)")
            }
            for words in [["--preset", "wgann"], ["train", "--preset=wgann"]] {
                expectRefusal(try Job.run([Program.path] + words + ["--help"]), 64, ["unknown preset \"wgann\"", "did you mean wgan?"])
            }
        }

        @Test(
            "Misspelt words: 64, and what was probably meant",
            arguments: [
                ("sampel --checkpoint 0", "there is no command \"sampel\"; did you mean sample?"), ("tran", "did you mean train?"),
                ("help evaluat", "did you mean evaluate?"), ("nonsense", "known are train, sample"),
                ("--evaluate-interval 1e --dry-run --keep-best fdi", "did you mean fid?"), ("runs --sort FID", "did you mean fid?"),
                ("export --checkpoint x --out y --format ONNX", "did you mean onnx?"), ("--isa avx3 --dry-run", "did you mean avx2?"),
                ("--isa atuo --dry-run", "did you mean auto?"), ("--reduction tre --dry-run", "did you mean tree?"),
                ("sample --checkpoint x --out y.png --seed -1", "'-1' is invalid for '--seed"),
            ])
        func misspelt(line: String, words: String) throws {
            let outcome = try Job.run([Program.path] + line.split(separator: " ").map(String.init))
            #expect(outcome.code == 64 && outcome.errors.contains(words), "\(outcome)")
        }

        @Test(
            "--dry-run prints a model file and ends, without data or a run directory",
            arguments: ["mlp", "mlp-dropout", "mlp-wide", "mlp-reuse"], [1, 2])
        func dryRun(preset: String, ranks: Int) throws {
            let runs = try Runs()
            let outcome = try runs.train(ranks: ranks, "--preset", preset, "--data", "/nonexistent", "--dry-run", "--lr", "0.01")
            #expect(outcome.code == 0, "\(outcome)")
            let object = try #require(JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
            #expect(object["preset"] as? String == preset)
            #expect(object["lr"] as? Double == 0.01)
            #expect(object["batch_size"] as? Int == (preset == "mlp-reuse" ? 100 : 64))
            #expect(runs.names == [])
        }

        @Test("One process needs neither mpirun nor ssh in PATH")
        func noLauncher() throws {
            let runs = try Runs()
            let arguments = try [Program.path] + runs.arguments(["--preset", "mlp", "--steps", "2"])
            let outcome = try Job.run(arguments, environment: ["PATH": "/nonexistent"])
            #expect(outcome.code == 0, "\(outcome)")
            #expect(try runs.hashes() == Array(Self.run.get().hashes().prefix(2)))
        }

        @Test("gan-dist alone is gan-dist train")
        func defaultCommand() throws {
            let runs = try Runs()
            let outcome = try Job.run([Program.path] + runs.arguments(["--preset", "mlp", "--steps", "2"]).dropFirst())
            #expect(outcome.code == 0, "\(outcome)")
            #expect(runs.names == ["00000-mlp-b64"])
        }

        @Test("--quiet prints nothing and logs all the same")
        func quiet() throws {
            let runs = try Runs()
            let outcome = try runs.train(ranks: 2, "--preset", "mlp", "--steps", "2", "--quiet")
            #expect(outcome.code == 0)
            #expect(outcome.output == "")
            #expect(outcome.errors == "")
            #expect(try readText("\(runs.newest)/log.txt").contains("Step [2/4]"))
        }

        @Test("bench prints figures", arguments: [false, true])
        func bench(asJSON: Bool) throws {
            let outcome = try Job.run(
                [Program.path, "bench", "--preset", "mlp", "--seconds", "0.2", "--ranks", "2"] + (asJSON ? ["--json"] : []))
            #expect(outcome.code == 0, "\(outcome)")
            if asJSON {
                let figures = try #require(JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
                let fraction = try #require(figures["fraction_of_peak"] as? Double)
                #expect((0.01..<1).contains(fraction))
                let parts = try #require(figures["step_seconds"] as? [String: Double])
                let step = try 1 / #require(figures["steps_per_second"] as? Double)
                #expect(parts.values.allSatisfy { $0 > 0 } && parts.count == 7, "\(parts)")
                #expect((0.5..<2).contains(parts.values.reduce(0, +) / step), "the parts are the step: \(parts), \(step) s")
                #expect((figures["kernels"] as? [[String: Any]])?.isEmpty == false)
                let shardsCost = try #require(figures["shards_cost"] as? Double)
                #expect(shardsCost > -1)
                let memory = try #require(figures["memory_bytes"] as? Int)
                #expect((1 << 23..<1 << 31).contains(memory), "\(memory) bytes")
                let ranks = try #require(figures["ranks"] as? [String: Double])
                #expect(ranks["count"] == 2)
                let shares = ["waiting_seconds", "exposed_seconds", "hidden_seconds"].compactMap { ranks[$0] }
                #expect(shares.count == 3 && shares.allSatisfy { $0 >= 0 }, "\(ranks)")
                #expect((figures["bandwidths"] as? [[String: Any]])?.isEmpty == false)
            } else {
                #expect(outcome.output.contains("peak") && outcome.output.contains("memory of one rank"), "\(outcome.output)")
            }
        }
    }
}
