import Foundation
import Testing

extension Jobs {
    /// CycleGANs from the command line: what they write, translate, measure and refuse.
    @Suite struct TranslationTests {
        private static let small = [
            "--preset", "cyclegan28", "--image-size", "16", "--batch-size", "8", "--pool-size", "16", "--evaluate-interval", "0",
        ]
        private static let run = Result {
            let runs = try Runs()
            let job = try runs.start(small + ["--domain-b", "mnist:coloured", "--steps", "3", "--sample-interval", "2"])
            let outcome = try job.wait()
            try #require(outcome.code == 0, "\(outcome)")
            return runs
        }

        private func translate(_ options: String..., out: String) throws -> Job.Outcome {
            let checkpoint = try #require(Self.run.get().checkpoints().last)
            return try Job.run(
                [Program.path, "translate", "--checkpoint", checkpoint, "--out", out] + options, limit: 60)
        }

        /// Width and height of a PNG file.
        private func size(_ path: String) throws -> [Int] {
            let png = try readFile(path)
            return [16, 20].map { png[$0..<$0 + 4].reduce(0) { $0 << 8 | Int($1) } }
        }

        @Test("A run writes the first pictures of both domains, and grids of six rows")
        func files() throws {
            let run = try Self.run.get().newest
            let names = Set(try FileManager.default.contentsOfDirectory(atPath: run))
            #expect(names.isSuperset(of: [
                "reals-a.png", "reals-b.png", "translations-init.png", "translations-000002.png", "translations-000003.png",
            ]))
            #expect(try size("\(run)/translations-000002.png") == [10 * 18 + 2, 6 * 18 + 2])
            let options = try readText("\(run)/training_options.json")
            #expect(options.contains("\"domain_b\" : \"mnist:coloured\"") && options.contains("\"data_b_sha256\""))
        }

        @Test("A CycleGAN has the same bytes on any ranks and hosts, and one that is resumed")
        func sameness() throws {
            let expected = try Self.run.get().hashes()
            #expect(expected.count == 3)
            for (ranks, hosts) in [(3, nil), (4, "0,0,1,1")] {
                let runs = try Runs()
                let options = Self.small + ["--domain-b", "mnist:coloured", "--steps"]
                #expect(try runs.start(ranks: ranks, hosts: hosts, options + ["2"]).wait().code == 0)
                #expect(try runs.start(ranks: 2, options + ["3", "--resume", "latest"]).wait().code == 0)
                #expect(try runs.hashes() == expected)
            }
        }

        @Test("translate writes a grid, an array or a folder, and takes the data set for B through the known function")
        func forms() throws {
            let folder = try Scratch.makeFolder()
            let pictures = "\(folder)/a.npy"
            // Pictures of 16 × 16, as domain A has them.
            let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (12, 16, 16), }"
            let padded = header + String(repeating: " ", count: 64 - (10 + header.count + 1) % 64) + "\n"
            var file = Data([0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(padded.count & 255), UInt8(padded.count >> 8)])
            file += Data(padded.utf8) + Data((0..<12 * 256).map { UInt8(truncatingIfNeeded: $0 * 7) })
            try file.write(to: URL(fileURLWithPath: pictures))
            for (out, options) in [("x.png", []), ("x.npy", []), ("few.npy", ["--count", "3"]), ("x/", [])] as [(String, [String])] {
                let checkpoint = try #require(Self.run.get().checkpoints().last)
                let outcome = try Job.run(
                    [Program.path, "translate", "--checkpoint", checkpoint, "--to", "b", "--data", pictures, "--out", "\(folder)/\(out)"]
                        + options)
                #expect(outcome.code == 0, "\(outcome)")
            }
            // Two rows of ten pictures above two of their translations, the second with two.
            #expect(try size("\(folder)/x.png") == [10 * 18 + 2, 4 * 18 + 2])
            let (all, few) = (try readFile("\(folder)/x.npy"), try readFile("\(folder)/few.npy"))
            #expect(String(decoding: all.prefix(128), as: UTF8.self).contains("(12, 3, 16, 16)"))
            #expect(all.suffix(12 * 3 * 256 * 4).prefix(3 * 3 * 256 * 4) == few.suffix(3 * 3 * 256 * 4))
            #expect(try FileManager.default.contentsOfDirectory(atPath: "\(folder)/x").count == 12)
        }

        @Test("Pictures of another shape than the domain's, and what makes no sense, are refused with the reason")
        func refusals() throws {
            let folder = try Scratch.makeFolder()
            let data = try SmallData.shared.get()
            expectRefusal(try translate("--to", "c", "--data", data, out: "\(folder)/x.png"), 64, ["--to c", "a or b"])
            expectRefusal(
                try translate("--to", "b", "--data", data, out: "\(folder)/x.png"), 65, ["28 × 28", "domain A are 16 × 16", "grey"])
            expectRefusal(try translate("--to", "b", "--data", "/nonexistent", out: "\(folder)/x.png"), 66, ["/nonexistent"])
            expectRefusal(try translate("--to", "b", "--data", data, "--count", "0", out: "\(folder)/x.png"), 64, ["--count 0"])
            expectRefusal(try translate("--to", "b", "--data", data, out: "\(folder)/x.gif"), 64, [".png"])
            let checkpoint = try #require(Self.run.get().checkpoints().last)
            expectRefusal(
                try Program.run("sample", "--checkpoint", checkpoint, "--out", "\(folder)/x.png"), 65, ["gan-dist translate"])
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [])
        }

        @Test(
            "Domains that are none",
            arguments: [
                (["--preset", "cyclegan28"], 64, "give --data-a and --data-b"),
                (["--preset", "cyclegan28", "--domain-b", "mnist:blurred"], 64, "inverse, thick, edges, coloured"),
                (["--preset", "cyclegan28", "--domain-b", "cifar:inverse"], 64, "inverse, thick, edges, coloured"),
                (["--preset", "cyclegan28", "--domain-b", "mnist:inverse", "--dataset", "fashion"], 64, "name two data sets"),
                (["--preset", "cyclegan28", "--domain-b", "mnist:inverse", "--batch-size", "200"], 65, "fewer than a batch of 200"),
                (["--preset", "cyclegan28", "--domain-b", "mnist:inverse", "--latent-dim", "5"], 64, "no such setting"),
                (["--preset", "cyclegan28", "--domain-b", "mnist:coloured", "--identity-weight", "5"], 64, "--identity-weight 5"),
                (["--preset", "dcgan28", "--domain-b", "mnist:inverse"], 64, "no such setting"),
            ] as [([String], Int32, String)])
        func badDomains(options: [String], code: Int32, text: String) throws {
            let runs = try Runs()
            expectRefusal(try runs.start(ranks: 2, options + ["--steps", "1"]).wait(), code, [text])
            #expect(runs.names == [])
        }

        @Test("Two folders of data, and one without the other")
        func folders() throws {
            let (outdir, data) = (try Scratch.makeFolder(), try SmallData.shared.get())
            func train(_ more: String...) throws -> Job.Outcome {
                try Job.run([Program.path, "train"] + Self.small + ["--outdir", "\(outdir)/runs", "--steps", "1"] + more, limit: 60)
            }
            expectRefusal(try train("--data-a", data), 64, ["--data-a", "without --data-b"])
            expectRefusal(try train("--data-b", data), 64, ["--data-b", "without --data-a"])
            expectRefusal(try train("--data", data, "--data-a", data, "--data-b", data), 64, ["one set of data, or two domains"])
            expectRefusal(try train("--data-a", data, "--data-b", "/nonexistent"), 66, ["/nonexistent"])
            expectRefusal(
                try Job.run(
                    [Program.path, "train", "--preset", "mlp", "--steps", "1", "--outdir", outdir, "--data-a", data, "--data-b", data]), 64,
                ["one domain"])
            let outcome = try train("--data-a", data, "--data-b", data, "--channels-b", "3")
            #expect(outcome.code == 0, "\(outcome)")
            #expect(outcome.output.contains("B: ") && outcome.output.contains("made colour"), "\(outcome)")
        }
    }
}
