import Foundation
import Testing

extension Jobs {
    /// Runs that begin with given weights, have names, keep checkpoints, and are listed.
    @Suite struct RunTests {
        private static let source = Result {
            let runs = try Runs()
            try runs.succeed("--preset", "mlp", "--steps", "5", "--checkpoint-interval", "2", "--name", "first try")
            return runs
        }

        @Test("--init-from: the same bytes on one rank and on three, from the weights of the file")
        func initialWeights() throws {
            let source = try Self.source.get()
            let options = ["--preset", "mlp", "--seed", "5", "--lr", "0.001", "--steps", "3", "--init-from"]
            let path = try #require(source.checkpoints().last)
            let alone = try Runs()
            let first = try alone.start(options + [path]).wait()
            try #require(first.code == 0, "\(first)")
            #expect(first.output.contains("SHA-256 \(try source.hashes()[4])"), "\(first)")
            let many = try Runs()
            // A run's folder is its newest checkpoint.
            let second = try many.start(ranks: 3, options + [source.newest]).wait()
            try #require(second.code == 0, "\(second)")
            #expect(try alone.hashes().count == 3)
            #expect(try alone.hashes() == many.hashes())
            #expect(try readFile(#require(alone.checkpoints().last)) == readFile(#require(many.checkpoints().last)))
            let drawn = try Runs()
            try drawn.succeed("--preset", "mlp", "--seed", "5", "--lr", "0.001", "--steps", "3")
            #expect(try drawn.hashes() != alone.hashes())
            // It goes on by itself, on other ranks.
            try many.succeed(ranks: 2, "--steps", "5", "--resume", "0")
            try alone.succeed("--steps", "5", "--resume", alone.newest)
            #expect(try many.hashes() == alone.hashes())
        }

        @Test("--init-from of other networks: 65 and one message; with --resume: 64", arguments: [1, 3])
        func initialWeightsThatDoNotFit(ranks: Int) throws {
            let source = try Self.source.get()
            let runs = try Runs()
            let path = try #require(source.checkpoints().last)
            let other = try runs.train(ranks: ranks, "--preset", "mlp-wide", "--steps", "3", "--init-from", path)
            expectRefusal(other, 65, [path, "generator.main.0.weight", "expected F32", "[256, 64]"])
            let both = try runs.train(ranks: ranks, "--preset", "mlp", "--steps", "3", "--init-from", path, "--resume", "latest")
            expectRefusal(both, 64, ["--init-from \(path)", "--resume latest"])
            #expect(runs.names == [])
        }

        @Test("--keep-every spares checkpoints that --keep would remove, and --on-checkpoint is called for each")
        func checkpoints() throws {
            let runs = try Runs()
            let told = try Scratch.makeFolder() + "/told"
            let command = "exec 9>>\(told); sleep 0.05; ls >&9"
            let outcome = try runs.train(
                ranks: 2, "--preset", "mlp", "--steps", "10", "--checkpoint-interval", "1", "--keep", "2", "--keep-every", "4",
                "--on-checkpoint", command)
            try #require(outcome.code == 0, "\(outcome)")
            #expect(runs.checkpoints().compactMap(checkpointStep) == [4, 8, 9, 10])
            let called = try readText(told).split(separator: "\n").map(String.init)
            #expect(called.last == runs.checkpoints().last)
            let leftOut = outcome.output.split(separator: "\n").count { $0.contains("is left out for") }
            // A file that was removed meanwhile is none that ls tells.
            #expect(called.count + leftOut <= 10 && Set(called).count == called.count, "\(called)")
        }

        @Test("A command that fails is a warning, and training goes on")
        func failingCommand() throws {
            let runs = try Runs()
            let outcome = try runs.train("--preset", "mlp", "--steps", "3", "--on-checkpoint", "exit 9;")
            #expect(outcome.code == 0, "\(outcome)")
            #expect(outcome.output.contains("Warning: --on-checkpoint") && outcome.output.contains("with code 9"), "\(outcome)")
        }

        @Test("A signal ends the wait for a command, and the training has ended well all the same", arguments: [SIGINT, SIGTERM, SIGUSR1])
        func waitingCommand(signal: Int32) throws {
            let runs = try Runs()
            let job = try runs.start(["--preset", "mlp", "--steps", "3", "--watchdog", "5", "--on-checkpoint", "exec sleep 500; :"])
            try job.poll("the last checkpoint") { runs.checkpoints().count == 1 ? true : nil }
            usleep(300_000)
            kill(job.pid, signal)
            let outcome = try job.wait()
            #expect(outcome.code == 0, "\(outcome)")
            #expect(outcome.output.contains("Note: --on-checkpoint: the command for ") && outcome.output.contains("Finished: 3 steps"), "\(outcome)")
            #expect(try runs.status()["state"] as? String == "finished")
            let process = try #require(outcome.output.firstMatch(of: /as process ([0-9]+)/)?.1)
            kill(-(try #require(pid_t(process))), SIGKILL)
        }

        @Test("An animation that is interrupted leaves nothing, and says so")
        func interruptedAnimation() throws {
            let runs = try Runs()
            try runs.succeed("--preset", "mlp", "--steps", "3")
            let film = try Scratch.makeFolder() + "/film.gif"
            let job = try Job([
                Program.path, "animate", "latest", "--outdir", runs.outdir, "--walk", "--frames", "10000", "--grid", "8x8", "--out", film,
            ])
            try job.poll("frames") { Scratch.snapshot((film as NSString).deletingLastPathComponent).values.contains { $0.count > 100_000 } ? true : nil }
            kill(job.pid, SIGINT)
            let outcome = try job.wait()
            #expect(outcome.code == 130 && outcome.errors.contains("ended by a signal while writing \(film); nothing was written"), "\(outcome)")
            #expect(Scratch.snapshot((film as NSString).deletingLastPathComponent).isEmpty)
        }

        @Test("A name is for a new run")
        func resumedName() throws {
            let runs = try Runs()
            try runs.succeed("--preset", "mlp", "--steps", "3")
            let outcome = try runs.train("--preset", "mlp", "--steps", "4", "--resume", "0", "--name", "other")
            expectRefusal(outcome, 64, ["--name other", "--resume 0"])
        }

        @Test("runs lists them; a killed one is told from one that runs")
        func list() throws {
            let runs = try Runs()
            try runs.succeed("--preset", "mlp", "--steps", "3", "--name", "good")
            let job = try runs.start(["--preset", "mlp", "--steps", "1000000"])
            try job.poll("a second run") { runs.names.count == 2 ? true : nil }
            try runs.waitForStep(2, of: job)
            let running = try Program.run("runs", runs.outdir)
            #expect(running.output.contains("running") && !running.output.contains("killed"), "\(running)")
            kill(try #require(try job.ranks(1).first).pid, SIGKILL)
            _ = try job.wait()
            let table = try Program.run("runs", runs.outdir).output.split(separator: "\n")
            try #require(table.count == 3, "\(table)")
            #expect(table[1].hasPrefix("00000-good-mlp-b64") && table[1].contains("finished"))
            #expect(table[2].hasPrefix("00001-mlp-b64") && table[2].contains("killed"))
            expectRefusal(try Program.run("runs", "/nonexistent"), 66, ["/nonexistent"])
            expectRefusal(try Program.run("runs", "--sort", "size", runs.outdir), 64, ["--sort size", "fid"])
        }

        @Test("hash, sample and evaluate take a run's number, its folder, or latest, and say which checkpoint it is")
        func namedCheckpoints() throws {
            let runs = try Self.source.get()
            #expect(runs.names == ["00000-first_try-mlp-b64"])
            let path = try #require(runs.checkpoints().last)
            for name in ["0", "00000", "latest", runs.newest] {
                let outcome = try Program.run("hash", "--checkpoint", name, "--outdir", runs.outdir)
                #expect(outcome.output == (try checkpointHash(path)) + "\n", "\(outcome)")
                #expect(outcome.errors == "Checkpoint: \(path) (step 5)\n")
            }
            let out = try Scratch.makeFolder() + "/x.png"
            let sample = try Program.run("sample", "--checkpoint", "latest", "--outdir", runs.outdir, "--count", "2", "--out", out)
            #expect(sample.code == 0 && FileManager.default.fileExists(atPath: out), "\(sample)")
            expectRefusal(try Program.run("hash", "--checkpoint", "3", "--outdir", runs.outdir), 66, ["no run of this number"])
        }
    }
}
