import Foundation
import Testing

extension Jobs {
    @Suite struct ResumeTests {
        /// Presets, and an uninterrupted run of each to compare with. An epoch is 4 or 3 steps.
        private static let references: [String: Result<Runs, any Error>] = Dictionary(
            uniqueKeysWithValues: ["mlp", "mlp-dropout", "mlp-wide", "mlp-reuse"].map { preset in
                (
                    preset,
                    Result { () throws -> Runs in
                        let runs = try Runs()
                        try runs.succeed("--preset", preset, "--steps", "14", "--checkpoint-interval", "3")
                        return runs
                    }
                )
            })

        private func reference(_ preset: String) throws -> Runs { try #require(Self.references[preset]).get() }

        /// Expects a run to hold the bytes of the uninterrupted one.
        private func expectSame(_ runs: Runs, as preset: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
            let reference = try reference(preset)
            #expect(try runs.steps() == Array(1...14), "each step once", sourceLocation: sourceLocation)
            #expect(try runs.hashes() == reference.hashes(), sourceLocation: sourceLocation)
            #expect(
                try readFile(#require(runs.checkpoints().last)) == readFile(#require(reference.checkpoints().last)),
                "the last checkpoint, moments included", sourceLocation: sourceLocation)
        }

        @Test(
            "Killed in mid-epoch and resumed with other ranks: the bytes of the uninterrupted run",
            arguments: zip(["mlp", "mlp-dropout", "mlp-wide", "mlp-reuse"], [(3, 8), (5, 2), (1, 4), (4, 1)]))
        func killed(preset: String, ranks: (before: Int, after: Int)) throws {
            let runs = try Runs()
            let interval = ["--preset", preset, "--checkpoint-interval", "3"]
            for attempt in 1...4 {
                let job = try runs.start(ranks: ranks.before, interval + ["--steps", "100000"])
                let processes = try job.ranks(ranks.before)
                // In mid-epoch, and past the first checkpoint.
                try runs.waitForStep(Int.random(in: 4...8), of: job)
                kill(try #require(processes.randomElement()).pid, SIGKILL)
                _ = try job.wait()
                // A kill that came too late is tried again.
                if let step = runs.checkpoints().last.flatMap(checkpointStep), step < 12 { break }
                try #require(attempt < 4)
                try FileManager.default.removeItem(atPath: runs.newest)
            }
            let outcome = try runs.start(ranks: ranks.after, interval + ["--steps", "14", "--resume", "latest"]).wait()
            try #require(outcome.code == 0, "\(outcome)")
            #expect(outcome.output.contains("Resumed from \(runs.newest)/checkpoint-"))
            #expect(runs.names.count == 1, "it goes on in its run directory")
            try expectSame(runs, as: preset)
        }

        @Test("Interrupted again and again, by ranks on pretended hosts, on every instruction set")
        func often() throws {
            let runs = try Runs()
            let interval = ["--preset", "mlp", "--checkpoint-interval", "3"]
            for (steps, ranks, hosts, isa) in [
                (2, 5, "0,0,1,1,1", "avx2"), (6, 1, nil, "auto"), (9, 4, "0,1,0,1", "auto"), (14, 8, nil, "avx2"),
            ] as [(Int, Int, String?, String)] {
                let resume = steps > 2 ? ["--resume"] : []
                let outcome = try runs.start(
                    ranks: ranks, hosts: hosts, interval + ["--isa", isa, "--steps", "\(steps)"] + resume
                ).wait()
                try #require(outcome.code == 0, "\(outcome)")
            }
            try expectSame(runs, as: "mlp")
        }

        @Test("Lines of stats.jsonl past the checkpoint are dropped, those before it stay")
        func lines() throws {
            let runs = try Runs()
            try runs.succeed("--preset", "mlp", "--steps", "9", "--checkpoint-interval", "3")
            let before = try readText("\(runs.newest)/stats.jsonl").split(separator: "\n")
            try FileManager.default.removeItem(atPath: #require(runs.checkpoints().last))
            // A kill may leave half a line.
            try write((before.joined(separator: "\n") + "\n{\"step\": 10, \"epo").utf8, to: "\(runs.newest)/stats.jsonl")
            try runs.succeed(ranks: 2, "--preset", "mlp", "--steps", "14", "--checkpoint-interval", "3", "--resume", "latest")
            let after = try readText("\(runs.newest)/stats.jsonl").split(separator: "\n")
            #expect(after.prefix(6) == before.prefix(6))
            try expectSame(runs, as: "mlp")
        }

        @Test("auto without a checkpoint starts afresh and says so; with one it resumes")
        func auto() throws {
            let runs = try Runs()
            let first = try runs.train(
                ranks: 2, "--preset", "mlp", "--steps", "5", "--checkpoint-interval", "3", "--resume", "auto")
            #expect(first.code == 0, "\(first)")
            #expect(first.output.contains("fresh start"))
            let second = try runs.train(
                ranks: 3, "--preset", "mlp", "--steps", "14", "--checkpoint-interval", "3", "--resume", "auto")
            #expect(second.code == 0, "\(second)")
            #expect(second.output.contains("Resumed from"))
            #expect(!second.output.contains("fresh start"))
            try expectSame(runs, as: "mlp")
        }

        @Test("latest without a checkpoint: 66", arguments: [1, 3])
        func none(ranks: Int) throws {
            let runs = try Runs()
            let outcome = try runs.train(ranks: ranks, "--preset", "mlp", "--steps", "2", "--resume", "latest")
            expectRefusal(outcome, 66, ["no checkpoint", runs.outdir, "--resume auto"])
            #expect(runs.names == [])
        }

        @Test(
            "An option that would change the bytes: 64, naming it",
            arguments: [
                ["--lr", "0.1"], ["--batch-size", "32"], ["--seed", "1"], ["--loss", "mse"], ["--shards", "16"],
                ["--beta1", "0.5"], ["--latent-dim", "32"],
            ])
        func changed(options: [String]) throws {
            let runs = try Runs()
            try runs.succeed("--preset", "mlp", "--steps", "2")
            let before = Scratch.snapshot(runs.outdir)
            for which in ["latest", try #require(runs.checkpoints().first)] {
                let outcome = try runs.train(
                    ranks: 2, "--preset", "mlp", "--steps", "4", "--resume", which, options[0], options[1])
                let field = options[0].dropFirst(2).replacingOccurrences(of: "-", with: "_")
                expectRefusal(outcome, 64, ["another \(field)"])
            }
            #expect(Scratch.snapshot(runs.outdir) == before)
        }

        @Test("Length, intervals, --isa, --keep and --watchdog may change; V comes from the checkpoint")
        func unchanged() throws {
            let runs = try Runs()
            try runs.succeed(ranks: 3, "--preset", "mlp", "--steps", "5", "--shards", "4", "--seed", "11")
            // Neither --shards nor --seed is said again.
            try runs.succeed(
                ranks: 2, "--preset", "mlp", "--steps", "9", "--resume", "latest", "--isa", "avx2", "--keep", "1",
                "--checkpoint-interval", "2", "--watchdog", "30")
            let whole = try Runs()
            try whole.succeed("--preset", "mlp", "--steps", "9", "--shards", "4", "--seed", "11", "--checkpoint-interval", "0")
            #expect(try runs.hashes() == whole.hashes())
            #expect(runs.checkpoints().compactMap(checkpointStep) == [9])
            #expect(try checkpointHash(runs.checkpoints()[0], state: true) == checkpointHash(whole.checkpoints()[0], state: true))
        }

        @Test("A damaged newest checkpoint is skipped with a warning")
        func damagedNewest() throws {
            let runs = try Runs()
            try runs.succeed("--preset", "mlp", "--steps", "8", "--checkpoint-interval", "3")
            let newest = try #require(runs.checkpoints().last)
            var data = try readFile(newest)
            data[data.count / 2] ^= 1
            try write(data, to: newest)
            let outcome = try runs.train(
                ranks: 3, "--preset", "mlp", "--steps", "14", "--checkpoint-interval", "3", "--resume", "latest")
            #expect(outcome.code == 0, "\(outcome)")
            let warnings =
                outcome.output.split(separator: "\n").filter { $0.contains("Warning") }
                + outcome.errors.split(separator: "\n").filter { $0.contains("Warning") }
            #expect(warnings.count == 1, "\(outcome)")
            #expect(warnings.first?.contains(newest) == true, "\(outcome)")
            #expect(outcome.output.contains("Resumed from \(runs.newest)/checkpoint-000000006.safetensors"), "\(outcome)")
            try expectSame(runs, as: "mlp")
        }

        @Test("latest looks at the newest run that matches")
        func newestMatching() throws {
            let runs = try Runs()
            try runs.succeed("--preset", "mlp", "--steps", "5", "--checkpoint-interval", "3")
            try runs.succeed("--preset", "mlp-reuse", "--steps", "2")
            try runs.succeed("--preset", "mlp", "--steps", "2", "--seed", "9")
            let outcome = try runs.train(
                ranks: 2, "--preset", "mlp", "--seed", "0", "--steps", "14", "--checkpoint-interval", "3", "--resume", "latest")
            #expect(outcome.code == 0, "\(outcome)")
            #expect(outcome.output.contains("Resumed from \(runs.outdir)/00000-mlp-b64/checkpoint-000000005"), "\(outcome)")
            #expect(runs.names.count == 3)
            #expect(try runs.hashes(of: "\(runs.outdir)/00000-mlp-b64") == reference("mlp").hashes())
        }

        @Test("A file in a run directory goes on there, another starts a new run")
        func file() throws {
            let runs = try Runs()
            try runs.succeed("--preset", "mlp", "--steps", "6", "--checkpoint-interval", "3")
            let path = try #require(runs.checkpoints().first)
            let elsewhere = try Scratch.makeFolder() + "/copy.safetensors"
            try FileManager.default.copyItem(atPath: path, toPath: elsewhere)

            try runs.succeed(ranks: 2, "--preset", "mlp", "--steps", "14", "--checkpoint-interval", "3", "--resume", path)
            #expect(runs.names == ["00000-mlp-b64"])
            try expectSame(runs, as: "mlp")

            let first = Scratch.snapshot(runs.newest)
            try runs.succeed("--preset", "mlp", "--steps", "14", "--checkpoint-interval", "3", "--resume", elsewhere)
            #expect(runs.names == ["00000-mlp-b64", "00001-mlp-b64"])
            #expect(Scratch.snapshot("\(runs.outdir)/00000-mlp-b64") == first)
            #expect(try runs.hashes() == Array(reference("mlp").hashes().dropFirst(3)))
        }

        @Test("A run that is done resumes to nothing, and nothing is lost")
        func done() throws {
            let runs = try Runs()
            try runs.succeed("--preset", "mlp", "--steps", "5")
            let stats = try runs.hashes()
            let checkpoint = try readFile(#require(runs.checkpoints().last))
            let outcome = try runs.train(ranks: 2, "--preset", "mlp", "--steps", "5", "--resume", "latest")
            #expect(outcome.code == 0, "\(outcome)")
            #expect(try runs.hashes() == stats)
            #expect(try readFile(#require(runs.checkpoints().last)) == checkpoint)
        }
    }
}
