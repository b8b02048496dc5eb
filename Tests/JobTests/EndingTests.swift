import Foundation
import Testing

extension Jobs {
    /// How runs end, what they leave, and who may write them.
    @Suite struct EndingTests {
        private static let endless = ["--preset", "mlp", "--steps", "100000", "--checkpoint-interval", "3"]

        // MARK: One writer

        @Test("A second run on a folder that is being written: 75 at once, naming the writer, and nothing is changed", arguments: [1, 3])
        func secondWriter(ranks: Int) throws {
            let runs = try Runs()
            let job = try runs.start(ranks: ranks, Self.endless)
            let writer = try job.ranks(ranks)[0].pid
            try runs.waitForStep(8, of: job)
            for which in ["latest", "auto", try #require(runs.checkpoints().last)] {
                let outcome = try runs.start(ranks: 2, Self.endless + ["--resume", which]).wait()
                expectRefusal(outcome, 75, [runs.newest, "process \(writer)", "since 20"])
                #expect(outcome.output == "")
            }
            let step = try #require(runs.steps().last)
            try runs.waitForStep(step + 5, of: job)
            #expect(try runs.status()["process"] as? Int == Int(writer))
            // A writer that was killed holds nothing.
            for rank in try job.ranks(ranks) { kill(rank.pid, SIGKILL) }
            _ = try job.wait()
            #expect(try runs.status()["state"] as? String == "running", "nobody was there to say otherwise")
            let last = try #require(runs.checkpoints().last.flatMap(checkpointStep))
            try runs.succeed(ranks: 2, "--preset", "mlp", "--steps", "\(last + 3)", "--resume", "latest")
            #expect(runs.names.count == 1)
        }

        @Test("What killed writers left is removed by the next one, and nothing else is")
        func leftovers() throws {
            let runs = try Runs()
            try runs.succeed("--preset", "mlp", "--steps", "3")
            let litter = ["checkpoint-000000004.safetensors.partial-0123456789abcdef", "fakes-000004.png.partial-fedcba9876543210",
                          "translations-000004.png.partial-0123456789abcdef", "report.html.partial-0123456789abcdef"]
            let others = ["my.partial-notes", "more.png.partial-0123456789abcdef"]  // the second of a `gan-dist sample`
            for name in litter + others + ["notes.txt", ".dat.nosync1a2b.Xy3zAb"] { try write("x".utf8, to: "\(runs.newest)/\(name)") }
            try runs.succeed("--preset", "mlp", "--steps", "4", "--resume", "latest")
            let names = try FileManager.default.contentsOfDirectory(atPath: runs.newest)
            #expect(names.filter { $0.contains("partial") || $0.contains("nosync") }.sorted() == others.sorted())
            #expect(names.contains("notes.txt"))
        }

        // MARK: Status and last words

        @Test("status.json and the log tell how a run ended", arguments: [1, 3])
        func finished(ranks: Int) throws {
            let runs = try Runs()
            let outcome = try runs.train(ranks: ranks, "--preset", "mlp", "--steps", "6")
            #expect(outcome.code == 0, "\(outcome)")
            let status = try runs.status()
            #expect(status["state"] as? String == "finished")
            #expect(status["step"] as? Int == 6 && status["steps"] as? Int == 6)
            #expect(status["exit_code"] as? Int == 0)
            #expect(status["ranks"] as? Int == ranks && status["hosts"] as? Int == 1)
            for key in ["started", "updated", "ended"] {
                #expect((status[key] as? String)?.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/) != nil, "\(key): \(status)")
            }
            for key in ["host", "cpu", "instruction_set", "version"] { #expect((status[key] as? String)?.isEmpty == false, "\(status)") }
            #expect((status["mpi"] as? String != nil) == (ranks > 1))
            #expect(outcome.output.contains("Finished: 6 steps in "))
            #expect(outcome.output.contains("\(runs.newest)/fakes-000006.png"))
            // The command that the last line holds works.
            let command = try #require(outcome.output.firstMatch(of: /Draw more: (.*)\n$/)).1
            let folder = try Scratch.makeFolder()
            #expect(try Job.run(["sh", "-c", "cd \(folder) && \(command)"]).code == 0)
            #expect(FileManager.default.fileExists(atPath: "\(folder)/more.png"))
            let lines = try runs.stats()
            #expect(lines.allSatisfy { ($0["time"] as? String)?.hasSuffix("Z") == true })
        }

        @Test("A run that fails says so in status.json")
        func failed() throws {
            let runs = try Runs()
            #expect(try runs.train(ranks: 2, "--preset", "mlp", "--steps", "20", "--lr", "1e30").code == 70)
            let status = try runs.status()
            #expect(status["state"] as? String == "failed")
            #expect(status["exit_code"] as? Int == 70)
            #expect((status["message"] as? String)?.contains("not finite") == true)
        }

        @Test("A stopped run says how to go on, and seconds go on with it", arguments: [nil, "launch/train -np 1"])
        func goOn(command: String?) throws {
            let runs = try Runs()
            let job = try Job(
                [Program.path] + runs.arguments(Self.endless + ["--resume", "auto", "--seed=3"]),
                environment: Job.environment(command.map { ["GAN_DIST_COMMAND": $0] } ?? [:]))
            try runs.waitForStep(20, of: job)
            kill(job.pid, SIGTERM)
            let outcome = try job.wait()
            let told = String(try #require(outcome.output.firstMatch(of: /go on with: (.*)\n$/)).1)
            #expect(told.hasPrefix((command ?? Program.path) + " --"), "\(told)")
            #expect(told.hasSuffix("--seed=3 --resume latest"), "\(told)")
            let before = try #require(runs.stats().last)
            let step = try #require(before["step"] as? Int)
            let words = told.replacingOccurrences(of: command ?? Program.path, with: Program.path)
            #expect(try Job.run(["sh", "-c", "\(words) --steps \(step + 2)"]).code == 0)
            #expect(try runs.steps() == Array(1...step + 2))
            let seconds = try runs.stats().compactMap { $0["seconds"] as? Double }
            #expect(seconds == seconds.sorted(), "\(seconds)")
        }

        @Test("The first line after a resume tells as much as that of the undisturbed run, warnings' memory included")
        func watchGoesOn() throws {
            let options = ["--batch-size", "8", "--log-interval", "6e", "--hash-interval", "0", "--lr-generator", "1e-7"]
            let (whole, parts) = (try Runs(), try Runs())
            let undisturbed = try whole.start(options + ["--steps", "1332"]).wait()
            #expect(undisturbed.code == 0)
            #expect(try parts.start(options + ["--steps", "700", "--checkpoint-interval", "100"]).wait().code == 0)
            // The last step has a line of its own, which the undisturbed run lacks.
            try FileManager.default.removeItem(atPath: #require(parts.checkpoints().last))
            let resumed = try parts.start(ranks: 2, options + ["--steps", "1332", "--resume", "latest"]).wait()
            #expect(resumed.code == 0, "\(resumed)")
            func probes(_ runs: Runs) throws -> [[Double?]] {
                try runs.stats().filter { ($0["step"] as? Int ?? 0) % 222 == 0 }.map { line in
                    ["spread_fake", "distance_fake", "probe_change"].map { line[$0] as? Double }
                }
            }
            #expect(try probes(parts) == probes(whole))
            func warnings(_ runs: Runs) throws -> [String] {
                try readText("\(runs.newest)/log.txt").split(separator: "\n").filter { $0.hasPrefix("Warning") }.map(String.init)
            }
            // What the first life said past the checkpoint is said again.
            #expect(try Set(warnings(parts)) == Set(warnings(whole)))
            #expect(try warnings(whole).count == 2)
        }
    }

    /// Surroundings in which no file, reader or descriptor can be relied on.
    @Suite struct SurroundingsTests {
        private static let short = ["--preset", "mlp", "--steps", "20"]

        private func shell(_ script: String, _ arguments: [String], limit: Double = 60) throws -> Job.Outcome {
            try Job.run(["bash", "-c", script, Program.path] + arguments, limit: limit)
        }

        @Test("Started with closed descriptors, files hold what they should", arguments: [">&-", "2>&-", "<&- >&- 2>&-"])
        func closed(redirections: String) throws {
            let runs = try Runs()
            let outcome = try shell("\"$0\" \"$@\" \(redirections)", runs.arguments(Self.short))
            #expect(outcome.code == 0, "\(outcome)")
            let log = try readText("\(runs.newest)/log.txt").split(separator: "\n")
            #expect(log.filter { $0.hasPrefix("Epoch") }.count == 20)
            #expect(log.filter { $0.hasPrefix("Run: ") }.count == 1)
            #expect(try runs.steps() == Array(1...20), "and nothing else is in stats.jsonl")
        }

        @Test("A reader that goes away costs the output and nothing else", arguments: [1, 2])
        func closedReader(ranks: Int) throws {
            let runs = try Runs()
            let launcher = ranks > 1 ? "mpirun -np \(ranks) " : ""
            let outcome = try shell(
                "set -o pipefail; \(launcher)\"$0\" \"$@\" 2>&1 | head -n 1; echo ${PIPESTATUS[0]}", runs.arguments(Self.short))
            // mpirun itself may die of its own output.
            if ranks == 1 { #expect(outcome.output.hasSuffix("\n0\n"), "\(outcome)") }
            if ranks == 1 { #expect(try runs.steps() == Array(1...20)) }
            let hungUp = try Runs()
            let options = ["--preset", "mlp", "--steps", "100000", "--checkpoint-interval", "0"]
            let job = try Job(["bash", "-c", "\"$0\" \"$@\" | head -n 1", Program.path] + hungUp.arguments(options))
            try hungUp.waitForStep(10, of: job)
            let trainer = try #require(SystemProcess.descendants(of: job.pid).first { $0.isTrainer })
            kill(trainer.pid, SIGINT)
            _ = try job.wait()
            #expect(hungUp.checkpoints().count == 1)
        }

        @Test(
            "A result that cannot be written: 74", arguments: ["info", "train --preset mlp --dry-run", "--help", "--version"],
            [">/dev/full", ">&-", "> >(exit)"])
        func lostResult(command: String, redirection: String) throws {
            let outcome = try shell("sleep 0.1; \"$0\" \(command) \(redirection)", [])
            // A pipe whose reader goes away may have taken everything before it does.
            guard !(redirection.contains("exit") && outcome.code == 0) else { return }
            expectRefusal(outcome, 74, ["standard output"])
        }

        @Test("Without /proc the options cannot be known, and nothing is trained", .enabled(if: hasNamespaces))
        func noProc() throws {
            let runs = try Runs()
            let empty = try Scratch.makeFolder()
            let outcome = try Job.run(
                ["unshare", "--mount", "sh", "-c", "mount --bind \(empty) /proc && exec \"$0\" \"$@\"", Program.path]
                    + runs.arguments(Self.short))
            expectRefusal(outcome, 74, ["/proc"])
            #expect(runs.names == [])
        }

        private static let hasNamespaces = (try? Job.run(["unshare", "--mount", "true"]).code) == 0

        @Test("A limit on file sizes: 74, and no unfinished file")
        func fileSize() throws {
            let runs = try Runs()
            let outcome = try shell("ulimit -f 1000; exec \"$0\" \"$@\"", runs.arguments(Self.short))
            expectRefusal(outcome, 74, ["File too large"])
            let names = try FileManager.default.contentsOfDirectory(atPath: runs.newest)
            #expect(!names.contains { $0.contains("partial") }, "\(names)")
        }

        @Test("A path that begins with ~ is one folder")
        func tilde() throws {
            let folder = try Scratch.makeFolder()
            let outcome = try Job.run(
                ["env", "-C", folder, "HOME=\(folder)/home", Program.path] + Runs(outdir: "~/x").arguments(Self.short))
            #expect(outcome.code == 0, "\(outcome)")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["~"])
            #expect(try FileManager.default.contentsOfDirectory(atPath: "\(folder)/~/x/00000-mlp-b64").contains("training_options.json"))
        }

        @Test("A symbolic link in the place of a file of the run is not followed", arguments: ["log.txt", "stats.jsonl", "lock", "status.json"])
        func links(name: String) throws {
            let runs = try Runs()
            try runs.succeed("--preset", "mlp", "--steps", "2")
            let target = try Scratch.makeFolder() + "/target"
            try write("not ours".utf8, to: target)
            try FileManager.default.removeItem(atPath: "\(runs.newest)/\(name)")
            try FileManager.default.createSymbolicLink(atPath: "\(runs.newest)/\(name)", withDestinationPath: target)
            let outcome = try runs.train("--preset", "mlp", "--steps", "4", "--resume", "latest")
            // status.json is made anew, and so is stats.jsonl where lines are dropped; the others are opened.
            #expect(outcome.code == (["status.json", "stats.jsonl"].contains(name) ? 0 : 74), "\(outcome)")
            #expect(try readText(target) == "not ours")
        }
    }

    /// Which checkpoint a run goes on from, and which stay.
    @Suite struct ChoiceTests {
        @Test("What the run wrote and resumed from outlives damaged files with higher numbers")
        func retention() throws {
            let runs = try Runs()
            try runs.succeed("--preset", "mlp", "--steps", "31")
            let cut = "\(runs.newest)/checkpoint-000000099.safetensors"
            try write(readFile(#require(runs.checkpoints().first)).prefix(1_000), to: cut)
            for steps in [62, 70, 120] {
                try runs.succeed("--preset", "mlp", "--steps", "\(steps)", "--keep", "1", "--resume", "latest")
                #expect(runs.checkpoints().compactMap(checkpointStep).contains(steps))
                #expect(FileManager.default.fileExists(atPath: cut), "a file that is not known to be ours stays")
            }
            #expect(runs.checkpoints().compactMap(checkpointStep) == [99, 120])
        }

        @Test("Other data: auto starts afresh and says why, latest takes the older run that matches")
        func otherData() throws {
            let runs = try Runs()
            let other = try SmallData.make(salt: 5)
            try runs.succeed("--preset", "mlp", "--steps", "3")
            let fresh = try runs.train(ranks: 2, "--preset", "mlp", "--steps", "4", "--data", other, "--resume", "auto")
            #expect(fresh.code == 0, "\(fresh)")
            #expect(fresh.output.contains("a fresh start") && fresh.output.contains("SHA-256"), "\(fresh)")
            #expect(runs.names.count == 2)
            let older = try runs.train("--preset", "mlp", "--steps", "5", "--resume", "latest")
            #expect(older.output.contains("Resumed from \(runs.outdir)/00000-mlp-b64/"), "\(older)")
            let newer = try runs.train("--preset", "mlp", "--steps", "6", "--data", other, "--resume", "auto")
            #expect(newer.output.contains("Resumed from \(runs.outdir)/00001-mlp-b64/"), "\(newer)")
        }

        @Test(
            "What is there and cannot be read is no reason to start afresh: 74", .enabled(if: canInject, "strace is missing"),
            arguments: ["EIO", "ESTALE", "EACCES", "EMFILE"], ["outdir", "run", "checkpoint"])
        func unreadable(error: String, what: String) throws {
            let runs = try Runs()
            try runs.succeed("--preset", "mlp", "--steps", "3")
            let checkpoint = try #require(runs.checkpoints().first)
            let path = ["outdir": runs.outdir, "run": runs.newest][what] ?? checkpoint
            for which in ["auto", "latest"] {
                let before = Scratch.snapshot(runs.outdir)
                let outcome = try Job.run(
                    [
                        "strace", "-f", "-o", "/dev/null", "-P", path, "-e", "trace=openat,open", "-e",
                        "inject=openat,open:error=\(error):when=1", Program.path,
                    ] + runs.arguments(["--preset", "mlp", "--steps", "5", "--resume", which]))
                expectRefusal(outcome, 74, [path])
                #expect(Scratch.snapshot(runs.outdir) == before)
            }
        }

        private static let canInject = (try? Job.run(["strace", "-o", "/dev/null", "true"]).code) == 0

        @Test(
            "Words that help",
            arguments: [
                (["--log-interval", "-5"], "--log-interval -5"), (["--outdir", ""], "--outdir"), (["--data", ""], "--data"),
                (["--config", "a.json", "--config", "b.json"], "a.json, b.json"), (["--isa", "-x"], "--isa -x"),
            ] as [([String], String)])
        func words(options: [String], part: String) throws {
            let runs = try Runs()
            let outcome = try Job.run([Program.path] + runs.arguments(["--preset", "mlp", "--steps", "2"]) + options)
            expectRefusal(outcome, 64, [part])
            #expect(!outcome.errors.contains("Error: :"))
            #expect(runs.names == [])
        }

        @Test("--resume FOLDER goes on from the checkpoint in it, and without one is 66; help for a command that there is not: 64")
        func folders() throws {
            let runs = try Runs()
            try runs.succeed("--preset", "mlp", "--steps", "3")
            let outcome = try runs.train("--preset", "mlp", "--steps", "5", "--resume", runs.newest)
            #expect(outcome.code == 0 && outcome.output.contains("Resumed from \(runs.newest)/checkpoint-000000003"), "\(outcome)")
            let empty = try Scratch.makeFolder()
            expectRefusal(try runs.train("--preset", "mlp", "--steps", "5", "--resume", empty), 66, [empty, "without checkpoints"])
            let help = try Program.run("help", "trane")
            #expect(help.code == 64 && help.errors.contains("\"trane\"") && help.errors.contains("train"), "\(help)")
            #expect(try Program.run("help", "train").code == 0)
        }
    }
}
