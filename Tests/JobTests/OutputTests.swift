import Foundation
import Testing

extension Jobs {
    @Suite struct OutputTests {
        @Test("An output folder that cannot be made: 74, naming it", arguments: [1, 3])
        func unwritable(ranks: Int) throws {
            let file = try Scratch.makeFolder() + "/file"
            try write("a file, not a folder".utf8, to: file)
            let runs = Runs(outdir: "\(file)/runs")
            let outcome = try runs.train(ranks: ranks, "--preset", "mlp", "--steps", "2")
            expectRefusal(outcome, 74, ["\(file)/runs", "--outdir"])
            #expect(try readText(file) == "a file, not a folder")
        }

        @Test(
            "An output folder that may not be written: 74, naming it",
            .enabled(if: LockedFolder.isPossible, "chattr +i works on no file system here"))
        func immutable() throws {
            let folder = try LockedFolder()
            defer { folder.unlock() }
            let outcome = try Runs(outdir: folder.path).train(ranks: 2, "--preset", "mlp", "--steps", "2")
            expectRefusal(outcome, 74, [folder.path, "--outdir"])
        }

        /// A checkpoint of preset mlp holds 6.6 MB: two fit.
        @Test(
            "A full disk: the run stops with 74, and its last checkpoint stays good",
            .enabled(if: SmallDisk.isPossible, "mounting a small file system needs root"), arguments: [1, 3])
        func fullDisk(ranks: Int) throws {
            let disk = try SmallDisk(kilobytes: 16_384)
            defer { disk.remove() }
            let runs = Runs(outdir: "\(disk.path)/runs")
            let outcome = try runs.train(ranks: ranks, "--preset", "mlp", "--steps", "20", "--checkpoint-interval", "3")
            expectRefusal(outcome, 74, [disk.path, "No space left on device"])
            let checkpoints = runs.checkpoints()
            #expect(checkpoints.compactMap(checkpointStep) == [3, 6])
            let stats = try runs.stats()
            for path in checkpoints {
                let line = try #require(stats.first { $0["step"] as? Int == checkpointStep(path) })
                #expect(try checkpointHash(path) == line["weights_sha256"] as? String)
            }
            let leftovers = try FileManager.default.contentsOfDirectory(atPath: runs.newest).filter { $0.contains("partial") }
            #expect(leftovers == [], "no unfinished file takes up space")

            // With some space again the run goes on, as if nothing had been.
            try FileManager.default.removeItem(atPath: checkpoints[0])
            let resumed = try runs.train("--preset", "mlp", "--steps", "8", "--checkpoint-interval", "0", "--resume", "latest")
            #expect(resumed.code == 0, "\(resumed)")
            let reference = try Runs()
            try reference.succeed("--preset", "mlp", "--steps", "8")
            #expect(try runs.hashes() == reference.hashes())
        }

        @Test(
            "A disk full of lines: 74, naming stats.jsonl or log.txt",
            .enabled(if: SmallDisk.isPossible, "mounting a small file system needs root"))
        func noRoomForLines() throws {
            let disk = try SmallDisk(kilobytes: 256)
            defer { disk.remove() }
            let outcome = try Runs(outdir: "\(disk.path)/runs")
                .train(ranks: 2, "--preset", "mlp", "--steps", "100000", "--checkpoint-interval", "0", "--quiet")
            expectRefusal(outcome, 74, [disk.path, "No space left on device"])
        }

        @Test("Run directories are numbered upward and never shared or written over")
        func numbering() throws {
            let runs = try Runs()
            try runs.succeed("--preset", "mlp", "--steps", "2")
            #expect(runs.names == ["00000-mlp-b64"])
            let first = Scratch.snapshot(runs.newest)
            // Two at once, and one of another recipe.
            let jobs = try (0..<2).map { _ in try runs.start(["--preset", "mlp", "--steps", "2"]) }
            for job in jobs { #expect(try job.wait().code == 0) }
            try runs.succeed("--preset", "mlp-reuse", "--steps", "2")
            #expect(runs.names == ["00000-mlp-b64", "00001-mlp-b64", "00002-mlp-b64", "00003-mlp-reuse-b100"])
            #expect(Scratch.snapshot("\(runs.outdir)/00000-mlp-b64") == first)
        }

        @Test("What a run leaves behind")
        func files() throws {
            let runs = try Runs()
            let outcome = try runs.train(ranks: 3, "--preset", "mlp", "--steps", "6", "--sample-interval", "1e")
            try #require(outcome.code == 0, "\(outcome)")
            let names = try FileManager.default.contentsOfDirectory(atPath: runs.newest).sorted()
            #expect(
                names == [
                    "checkpoint-000000004.safetensors", "checkpoint-000000006.safetensors", "fakes-000004.png",
                    "fakes-000006.png",
                    "fakes-init.png", "lock", "log.txt", "reals.png", "report.html", "stats.jsonl", "status.json",
                    "training_options.json",
                ])
            for name in names where name.hasSuffix(".png") {
                let png = try readFile("\(runs.newest)/\(name)")
                #expect(png.prefix(8) == Data([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]))
                #expect(png[16..<24] == Data([0, 0, 0, 242, 0, 0, 0, 242]), "8 × 8 pictures, two pixels between them")
            }
            #expect(try readText("\(runs.newest)/log.txt") == outcome.output, "log.txt is what rank 0 printed")
            let pattern =
                /Epoch \[2\/2\], Step \[2\/4\], d_loss: \d+\.\d{4}, g_loss: \d+\.\d{4}, D\(x\): \d\.\d\d, D\(G\(z\)\): \d\.\d\d, [\d,]+ images\/s/
            #expect(outcome.output.contains(pattern), "\(outcome.output)")
            let options = try #require(
                JSONSerialization.jsonObject(with: readFile("\(runs.newest)/training_options.json")) as? [String: Any])
            #expect(options["preset"] as? String == "mlp")
            #expect(options["shards"] as? Int == 8)
            #expect(options["images"] as? Int == SmallData.count)
            #expect((options["data_sha256"] as? String)?.count == 64)
            #expect(try runs.steps() == [1, 2, 3, 4, 5, 6])
            let expected: Set = [
                "step", "epoch", "time", "loss_d", "loss_g", "loss_d_real", "loss_d_fake", "d_real", "d_fake", "images_per_second",
                "seconds", "step_seconds", "waiting_seconds", "communication_seconds", "weights_sha256",
            ]
            #expect(try expected.isSubset(of: runs.stats().last.map { Set($0.keys) } ?? []))
        }

        @Test("training_options.json is a model file, with which a run repeats")
        func optionsAsModelFile() throws {
            let runs = try Runs()
            try runs.succeed("--preset", "mlp", "--steps", "2", "--seed", "5", "--loss", "mse")
            let again = try Runs()
            let outcome = try Job.run([
                Program.path, "--config", "\(runs.newest)/training_options.json", "--data", SmallData.shared.get(), "--outdir",
                again.outdir,
            ])
            #expect(outcome.code == 0, "\(outcome)")
            #expect(try again.hashes() == runs.hashes())
        }

        @Test("The newest checkpoints are kept: 5, or --keep")
        func keep() throws {
            let runs = try Runs()
            try runs.succeed("--preset", "mlp", "--steps", "8", "--checkpoint-interval", "1")
            #expect(runs.checkpoints().compactMap(checkpointStep) == [4, 5, 6, 7, 8])
            try runs.succeed("--preset", "mlp", "--steps", "4", "--checkpoint-interval", "1", "--keep", "2")
            #expect(runs.checkpoints().compactMap(checkpointStep) == [3, 4])
        }
    }
}

/// A file system of its own, small enough to fill.
struct SmallDisk {
    let path: String

    init(kilobytes: Int) throws {
        path = try Scratch.makeFolder()
        let outcome = try Job.run(["mount", "-t", "tmpfs", "-o", "size=\(kilobytes)k", "tmpfs", path])
        guard outcome.code == 0 else { throw Job.Hang(description: "mount: \(outcome.errors)") }
    }

    func remove() { _ = try? Job.run(["umount", "-l", path]) }

    static let isPossible: Bool = {
        guard let disk = try? SmallDisk(kilobytes: 256) else { return false }
        disk.remove()
        return true
    }()
}

/// A folder in which not even root, who ignores modes, may write.
struct LockedFolder {
    let path: String

    init() throws {
        path = try Scratch.makeFolder()
        let outcome = try Job.run(["chattr", "+i", path])
        guard outcome.code == 0 else { throw Job.Hang(description: "chattr: \(outcome.errors)") }
    }

    func unlock() { _ = try? Job.run(["chattr", "-i", path]) }

    static let isPossible: Bool = {
        guard let folder = try? LockedFolder() else { return false }
        folder.unlock()
        return true
    }()
}
