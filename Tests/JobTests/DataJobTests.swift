import Foundation
import Testing

/// What `--data` may name, and what is said of it.
extension Jobs {
    @Suite struct DataJobTests {
        private func refuse(
            _ data: String, _ code: Int32 = 66, preset: String = "mlp", ranks: Int = 1, says: [String]
        ) throws {
            let runs = try Runs()
            expectRefusal(try runs.train(ranks: ranks, "--preset", preset, "--data", data, "--steps", "2"), code, says)
            #expect(runs.names == [], "nothing is written")
        }

        @Test("A folder of other things: 66, with what lies there", arguments: [1, 3])
        func otherThings(ranks: Int) throws {
            let folder = try Scratch.makeFolder()
            try refuse(folder, ranks: ranks, says: ["gan-dist reads IDX files, folders of PNG", "the folder holds nothing;", "launch/fetch-mnist"])
            for number in 0..<50 { try write([], to: "\(folder)/\(number).txt") }
            for name in ["cats", "dogs"] {
                try FileManager.default.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: false)
            }
            let before = Scratch.snapshot(folder)
            try refuse(folder, ranks: ranks, says: [folder, "holds 50 .txt files and 2 folders;", "launch/fetch-mnist", "--data"])
            #expect(Scratch.snapshot(folder) == before)
        }

        @Test("A path that leads nowhere: 66, with the nearest folder")
        func misspelt() throws {
            let folder = try Scratch.makeFolder()
            try refuse("\(folder)/minst/raw", says: ["there is no such folder, the nearest is \(folder);"])
            try refuse("no-such-folder", says: ["there is no such folder in the current one;"])
        }

        @Test("A file in the place of the folder: 66")
        func fileAsFolder() throws {
            let data = try SmallData.make()
            let path = "\(data)/train-images-idx3-ubyte"
            try refuse(path, says: ["\(path) is a file; expected is a folder"])
        }

        @Test("Names that are nearly right are told")
        func nearMisses() throws {
            let data = try SmallData.make()
            let images = "\(data)/train-images-idx3-ubyte"
            try FileManager.default.moveItem(atPath: images, toPath: "\(data)/TRAIN-IMAGES-IDX3-UBYTE")
            try write([], to: images + ".gz.part")
            try FileManager.default.createSymbolicLink(atPath: images + ".gz", withDestinationPath: "nowhere")
            try FileManager.default.createDirectory(atPath: "\(data)/t10k-images-idx3-ubyte", withIntermediateDirectories: false)
            try refuse(
                data,
                says: [
                    "near it are TRAIN-IMAGES-IDX3-UBYTE, t10k-images-idx3-ubyte (a folder), ",
                    "train-images-idx3-ubyte.gz (a symbolic link that leads nowhere), train-images-idx3-ubyte.gz.part;",
                ])
        }

        @Test("Labels of another part are told")
        func otherLabels() throws {
            let data = try SmallData.make()
            try FileManager.default.moveItem(
                atPath: "\(data)/train-labels-idx1-ubyte", toPath: "\(data)/t10k-labels-idx1-ubyte")
            try refuse(data, preset: "cgan", says: ["no train-labels-idx1-ubyte", "near it are t10k-labels-idx1-ubyte;", "launch/fetch-mnist"])
        }

        @Test("Data further below: the option that finds them; in another tree they are found")
        func elsewhere() throws {
            let data = try SmallData.make()
            let folder = try Scratch.makeFolder()
            try FileManager.default.createDirectory(atPath: "\(folder)/FashionMNIST", withIntermediateDirectories: false)
            try FileManager.default.copyItem(atPath: data, toPath: "\(folder)/FashionMNIST/raw")
            let runs = try Runs()
            try runs.succeed("--data", folder, "--steps", "2")
            #expect(runs.names == ["00000-mlp-fashion-b64"])
            expectRefusal(
                try runs.train("--data", folder, "--dataset", "kmnist", "--steps", "2"), 66,
                ["KMNIST/raw", "it holds FashionMNIST/raw: use --dataset fashion"])
            try FileManager.default.moveItem(atPath: "\(folder)/FashionMNIST", toPath: "\(folder)/digits")
            try refuse(folder, says: ["they are in \(folder)/digits/raw: use --data \(folder)/digits/raw;"])
            try Runs().succeed("--data", "\(folder)/digits/raw", "--steps", "2")
        }

        @Test("The plain name with gzip inside, and the other usual name, train like the rest")
        func names() throws {
            let data = try SmallData.make()
            for (kind, dimensions) in [("images", 3), ("labels", 1)] {
                let path = "\(data)/train-\(kind)-idx\(dimensions)-ubyte"
                #expect(try Job.run(["gzip", path]).code == 0)
                try FileManager.default.moveItem(atPath: path + ".gz", toPath: "\(data)/train-\(kind).idx\(dimensions)-ubyte")
            }
            let hashes = try [data, SmallData.shared.get()].map { data in
                let runs = try Runs()
                try runs.succeed("--data", data, "--steps", "2")
                return try runs.hashes()
            }
            #expect(hashes[0].count == 2 && hashes[0] == hashes[1])
        }

        @Test("Labels of other images: 65 where they are used, and trained without where not", arguments: [299, 301, 6000])
        func otherCount(labels: Int) throws {
            let data = try SmallData.make(labels: labels)
            let runs = try Runs()
            let outcome = try runs.train(ranks: 2, "--preset", "cgan", "--data", data, "--steps", "2")
            let count = labels == 6000 ? "6,000" : "\(labels)"
            expectRefusal(
                outcome, 65, ["\(data)/train-labels-idx1-ubyte holds \(count) labels, \(data)/train-images-idx3-ubyte 300 images"])
            #expect(runs.names == [])
            let unused = try runs.train(ranks: 2, "--data", data, "--steps", "2")
            let warnings = unused.output.split(separator: "\n").filter { $0.hasPrefix("Warning: \(data)/train-labels") }
            #expect(unused.code == 0 && warnings.count == 1, "\(unused)")
            #expect(warnings.allSatisfy { $0.contains("holds \(count) labels") })
        }

        @Test("What may not be read is no missing data: 74 with the reason", .enabled(if: Unprivileged.isPossible))
        func permission() throws {
            let data = try SmallData.make()
            let images = "\(data)/train-images-idx3-ubyte"
            for path in [data, images] {
                let mode = try #require(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int)
                #expect(chmod(path, 0) == 0)
                defer { chmod(path, mode_t(mode)) }
                let outcome = try Job.run(Unprivileged.prefix + [Program.path] + Runs().arguments(["--data", data, "--steps", "2"]))
                expectRefusal(outcome, 74, [data, "train-images-idx3-ubyte: ", "Permission denied"])
                #expect(!outcome.errors.contains("fetch-mnist"))
            }
        }

        /// Noise, which gzip cannot make smaller: three million images are then within what the file could hold.
        @Test("A gzip header that claims a thousand times more costs no memory", arguments: [1, 3])
        func claims(ranks: Int) throws {
            let data = try SmallData.make()
            var state: UInt64 = 1
            let noise = (0..<3_000 * 784).map { _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return UInt8(truncatingIfNeeded: state >> 56)
            }
            let claimed = 3_000_000
            try write(SmallData.header(3, [claimed, 28, 28]) + noise, to: "\(data)/train-images-idx3-ubyte")
            try write(SmallData.labels(count: claimed), to: "\(data)/train-labels-idx1-ubyte")
            #expect(try Job.run(["gzip", "\(data)/train-images-idx3-ubyte"]).code == 0)
            let outcome = try Runs().train(ranks: ranks, "--data", data, "--steps", "2")
            expectRefusal(outcome, 65, ["expected \(claimed) items of 784 bytes, the data end after 3000"])
            #expect(outcome.peakKilobytes * 1024 < claimed * 784 / 3 / ranks, "\(outcome.peakKilobytes) kB")
        }

        @Test(
            "A file system that cannot synchronise is used as it is", .enabled(if: Strace.works),
            arguments: ["EOPNOTSUPP", "EINVAL", "ENOSYS", "ENOTTY"])
        func unsupported(error: String) throws {
            let runs = try Runs()
            let outcome = try Job.run(Strace.injecting("fsync:error=\(error)") + [Program.path] + runs.arguments(["--steps", "2"]))
            #expect(outcome.code == 0, "\(outcome)")
            #expect(runs.checkpoints().count == 1)
        }

        @Test(
            "A disk that fails is an error", .enabled(if: Strace.works),
            arguments: ["fsync:error=EIO", "fsync:error=ENOSPC", "fsync:error=EIO:when=2", "rename:error=EIO"])
        func broken(fault: String) throws {
            let runs = try Runs()
            let outcome = try Job.run(Strace.injecting(fault) + [Program.path] + runs.arguments(["--steps", "2"]))
            #expect(outcome.code == 74, "\(outcome)")
            #expect(try FileManager.default.subpathsOfDirectory(atPath: runs.outdir).allSatisfy { !$0.contains("partial") })
        }

        private static let checkpoint = Result {
            let runs = try Runs()
            try runs.succeed("--steps", "2")
            return try #require(runs.checkpoints().last)
        }

        @Test(
            "Where pictures cannot go: words that help, and nothing is drawn",
            arguments: [
                ("missing/x.png", 74, "--out missing/x.png: cannot be created: the folder missing does not exist; make it first"),
                ("a/b/x.npy", 74, "the folder a/b does not exist"), ("folder.png", 74, "--out folder.png: this is a folder"),
                ("file/x.png", 74, "file is not a folder"), ("", 64, "--out \"\": the name of a file is expected"),
                (".png", 64, "--out .png: the name of a file is expected"), ("a/.npy", 64, "the name of a file is expected"),
                ("file/", 74, "file is not a folder"), ("file/x/", 74, "--out"),
            ] as [(String, Int32, String)])
        func output(out: String, code: Int32, says: String) throws {
            let folder = try Scratch.makeFolder()
            try FileManager.default.createDirectory(atPath: "\(folder)/folder.png", withIntermediateDirectories: false)
            try write([], to: "\(folder)/file")
            let outcome = try Job.run(
                ["env", "-C", folder, Program.path, "sample", "--checkpoint", Self.checkpoint.get(), "--out", out])
            expectRefusal(outcome, code, [says])
            #expect(!outcome.errors.contains("partial"))
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["file", "folder.png"])
        }

        @Test("A folder that may be written and not read takes files", .enabled(if: Unprivileged.isPossible))
        func writableFolder() throws {
            let folder = try Scratch.makeFolder()
            #expect(chmod(folder, 0o333) == 0)
            defer { chmod(folder, 0o777) }
            let outcome = try Job.run(
                Unprivileged.prefix
                    + [Program.path, "sample", "--checkpoint", Self.checkpoint.get(), "--out", "\(folder)/x.png"])
            #expect(outcome.code == 0, "\(outcome)")
            #expect(FileManager.default.fileExists(atPath: "\(folder)/x.png"))
        }

        @Test("A trace that has no folder: 74 with the option and the folder")
        func trace() throws {
            let runs = try Runs()
            expectRefusal(
                try runs.train("--steps", "2", "--trace", "missing/trace.json"), 74,
                ["--trace missing/trace.json: cannot be created: the folder missing does not exist; make it first"])
            #expect(runs.names == [])
        }

        @Test(
            "A grid that no program would open is refused before it is drawn",
            arguments: [["--count", "300000"], ["--grid", "1000x1000"]])
        func grids(options: [String]) throws {
            let out = "\(try Scratch.makeFolder())/x.png"
            let outcome = try Job.run([Program.path, "sample", "--checkpoint", Self.checkpoint.get(), "--out", out] + options)
            expectRefusal(outcome, 64, ["--out \(out)", "pixels", ".npy"])
            #expect(!FileManager.default.fileExists(atPath: out))
        }
    }
}

/// A user whom permissions bind.
enum Unprivileged {
    /// Before a command: root becomes nobody.
    static let prefix = getuid() == 0 ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] : []

    static let isPossible = (try? Job.run(prefix + [Program.path, "--version"]).code) == 0
}

/// Faults in system calls, where processes may be traced.
enum Strace {
    static func injecting(_ fault: String) -> [String] {
        let call = fault.prefix { $0 != ":" }
        return ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=\(call)", "-e", "inject=\(fault)"]
    }

    static let works = (try? Job.run(injecting("fsync:error=EIO") + ["true"]).code) == 0
}
