import Formats
import Foundation
import Testing

/// Small pictures with test pictures beside them, and checkpoints that were trained on them.
private enum Judged {
    /// 200 pictures of 8 × 8 and 60 test pictures.
    static let data = Result { try make() }

    static func make(
        training: Int = 200, test: Int = 60, testSalt: Int = 3, classes: Int? = 10, side: Int = 8
    ) throws -> String {
        let folder = try Scratch.makeFolder()
        for (part, count, salt) in [("train", training, 0), ("t10k", test, testSalt)] where count > 0 {
            try write(SmallData.images(count: count, side: side, salt: salt), to: "\(folder)/\(part)-images-idx3-ubyte")
            guard let classes else { continue }
            let labels = SmallData.header(1, [count]) + (0..<count).map { UInt8($0 % classes) }
            try write(labels, to: "\(folder)/\(part)-labels-idx1-ubyte")
        }
        return folder
    }

    static let gan = Result { try checkpoint(["--preset", "mlp", "--steps", "4"], data.get()) }
    static let conditional = Result { try checkpoint(["--preset", "cgan", "--steps", "2"], data.get()) }
    static let classifier = Result { try checkpoint(["--config", model(classes: 10), "--steps", "60"], data.get()) }
    static let ofElevenClasses = Result {
        try checkpoint(["--config", model(classes: 11), "--steps", "5"], elevenClasses.get())
    }
    static let elevenClasses = Result { try make(training: 220, test: 66, classes: 11) }
    /// The first picture of the generator is NaN.
    static let diverged = Result { try poisoned(gan.get(), "generator.main.0.weight") }

    static func model(classes: Int) throws -> String {
        let path = try Scratch.makeFolder() + "/model.json"
        let text = """
            {"preset": "classifier28", "game": "classifier", "image_size": 8, "batch_size": 16, "lr_flat": "0", "lr_decay": "0",
             "evaluate_interval": "0", "classifier": [
             {"type": "linear", "inputs": 64, "outputs": 12}, {"type": "relu"},
             {"type": "linear", "inputs": 12, "outputs": \(classes)}]}
            """
        try write(text.utf8, to: path)
        return path
    }

    private static func checkpoint(_ options: [String], _ data: String) throws -> String {
        let runs = try Runs()
        let common = ["--data", data, "--outdir", runs.outdir, "--sample-interval", "0"]
        let outcome = try Job.run([Program.path, "train"] + common + options)
        try #require(outcome.code == 0, "\(outcome)")
        return try #require(runs.checkpoints().last)
    }

    /// A copy of a checkpoint whose first number of a tensor is NaN, with the SHA-256 that belongs to it.
    private static func poisoned(_ path: String, _ tensor: String) throws -> String {
        var bytes = [UInt8](try readFile(path))
        let length = (0..<8).reduce(0) { $0 | Int(bytes[$1]) << (8 * $1) }
        let text = String(decoding: bytes[8..<8 + length], as: UTF8.self)
        let header = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        let offsets = try #require((header[tensor] as? [String: Any])?["data_offsets"] as? [Int])
        let start = 8 + length + offsets[0]
        bytes.replaceSubrange(start..<start + 4, with: [0, 0, 0xc0, 0x7f])
        let match = try #require(text.firstMatch(of: /"sha256":"([0-9a-f]{64})"/))
        let place = 8 + text.utf8.distance(from: text.startIndex, to: match.1.startIndex)
        bytes.replaceSubrange(place..<place + 64, with: [UInt8](repeating: UInt8(ascii: "0"), count: 64))
        let digest = SHA256Digest()
        bytes.withUnsafeBytes(digest.update)
        bytes.replaceSubrange(place..<place + 64, with: Array(digest.finish().hexadecimal.utf8))
        let copy = try Scratch.makeFolder() + "/poisoned.safetensors"
        try write(bytes, to: copy)
        return copy
    }
}

/// What `evaluate` and `classify` refuse; @names stand for files.
struct MeasureMisuse: CustomTestStringConvertible, Sendable {
    let options: [String]
    let code: Int32
    let says: [String]
    var testDescription: String { options.joined(separator: " ") }

    init(_ options: String..., code: Int32 = 64, says: [String]) { (self.options, self.code, self.says) = (options, code, says) }

    static let all = [
        MeasureMisuse("evaluate", says: ["--checkpoint or --pictures"]),
        MeasureMisuse("evaluate", "--checkpoint", "@gan", "--metrics", "fidd", says: ["\"fidd\"", "fid, kid, precision"]),
        MeasureMisuse("evaluate", "--checkpoint", "@gan", "--images", "61", says: ["61 pictures", "have 60"]),
        MeasureMisuse("evaluate", "--checkpoint", "@gan", "--images", "5", says: ["at least 6"]),
        MeasureMisuse("evaluate", "--checkpoint", "@gan", "--extractor", "@gan", code: 65, says: ["of a GAN", "classifier28"]),
        MeasureMisuse("evaluate", "--checkpoint", "@gan", "--extractor", "/nonexistent", code: 66, says: ["/nonexistent"]),
        MeasureMisuse("evaluate", "--checkpoint", "@classifier", code: 65, says: ["has no generator"]),
        MeasureMisuse(
            "evaluate", "--checkpoint", "@cgan", "--extractor", "@eleven", code: 65, says: ["one of 10 classes", "of 11"]),
        MeasureMisuse("evaluate", "--checkpoint", "@gan", "--data", "@unlabelled", code: 66, says: ["labels", "--extractor FILE"]),
        MeasureMisuse("evaluate", "--pictures", "@odd", "--data", "@odd", says: ["multiples of 4", "--extractor FILE"]),
        MeasureMisuse("evaluate", "--pictures", "@odd", "--extractor", "@classifier", code: 65, says: ["8 × 8", "10 × 10"]),
        MeasureMisuse(
            "evaluate", "--checkpoint", "@diverged", "--extractor", "@classifier", code: 70,
            says: ["picture 0", "nan", "diverged"]),
        MeasureMisuse("sample", "--checkpoint", "@classifier", "--out", "x.png", code: 65, says: ["has no generator"]),
        MeasureMisuse("classify", "--checkpoint", "@gan", code: 65, says: ["of a GAN", "classifier28"]),
        MeasureMisuse(
            "classify", "--checkpoint", "@classifier", "--data", "@elevenClasses", code: 65, says: ["10 classes", "of 11"]),
    ]

    func arguments() throws -> [String] {
        let files = [
            "@gan": Judged.gan, "@cgan": Judged.conditional, "@classifier": Judged.classifier, "@eleven": Judged.ofElevenClasses,
            "@elevenClasses": Judged.elevenClasses, "@diverged": Judged.diverged,
            "@unlabelled": Result { try Judged.make(classes: nil) }, "@odd": Result { try Judged.make(side: 10) },
        ]
        let data = options.contains("--data") || options[0] == "sample" ? [] : ["--data", try Judged.data.get()]
        return try options.map { try files[$0]?.get() ?? $0 } + data
    }
}

extension Jobs {
    /// Measuring pictures: in training, and by `evaluate`.
    @Suite struct MeasureTests {
        private func command(ranks: Int = 1, _ options: [String]) throws -> [String] {
            let data = options.contains("--data") ? [] : ["--data", try Judged.data.get()]
            return (ranks > 1 ? ["mpirun", "-np", "\(ranks)"] : []) + [Program.path, "evaluate", "--json"] + options + data
        }

        private func evaluate(ranks: Int = 1, cache: String, _ options: String...) throws -> Job.Outcome {
            let outcome = try Job.run(command(ranks: ranks, options), environment: Job.environment(["XDG_CACHE_HOME": cache]))
            try #require(outcome.code == 0, "\(outcome)")
            return outcome
        }

        private func names(_ cache: String, _ prefix: String) -> [String] {
            let folder = "\(cache)/gan-dist"
            return ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).filter { $0.hasPrefix(prefix) }.sorted()
                .map { "\(folder)/\($0)" }
        }

        private func extractors(_ cache: String) -> [String] { names(cache, "extractor").filter { $0.hasSuffix(".safetensors") } }

        @Test("What cannot be measured or named is refused", arguments: MeasureMisuse.all)
        func misuse(_ misuse: MeasureMisuse) throws {
            let cache = try Scratch.makeFolder()
            let outcome = try Job.run(
                [Program.path] + misuse.arguments(), environment: Job.environment(["XDG_CACHE_HOME": cache]))
            expectRefusal(outcome, misuse.code, misuse.says)
            #expect(outcome.output == "")
            #expect(extractors(cache) == [], "nothing was trained before")
        }

        @Test(
            "Measures that training cannot take are refused before there is a run",
            arguments: [
                (["--keep-best", "fid"], 64, ["--evaluate-interval 1e"]),
                (["--keep-best", "fidd", "--evaluate-interval", "2"], 64, ["--keep-best fidd", "fid, kid"]),
                (["--evaluate-interval", "2", "--evaluate-images", "61"], 64, ["61 pictures"]),
                (["--evaluate-interval", "2", "--evaluate-images", "5"], 64, ["at least 6"]),
                (["--evaluate-interval", "2", "--extractor", "/nonexistent"], 66, ["/nonexistent"]),
            ] as [([String], Int32, [String])])
        func misuseInTraining(options: [String], code: Int32, says: [String]) throws {
            let runs = try Runs()
            let outcome = try runs.start(["--data", Judged.data.get(), "--steps", "4"] + options).wait()
            expectRefusal(outcome, code, says)
            #expect(runs.names == [])
        }

        @Test("The same extractor and figures on any number of ranks, more than it has shards too")
        func sameOnRanks() throws {
            var found: [(json: String, extractor: Data)] = []
            for ranks in [1, 3, 9] {
                let cache = try Scratch.makeFolder()
                let outcome = try evaluate(ranks: ranks, cache: cache, "--checkpoint", Judged.conditional.get())
                #expect(outcome.output.split(separator: "\n").count == 1, "\(outcome.output)")
                found.append((outcome.output, try readFile(try #require(extractors(cache).first))))
            }
            #expect(found.allSatisfy { $0.json == found[0].json }, "\(found.map(\.json))")
            #expect(found.allSatisfy { $0.extractor == found[0].extractor })
            let figures = try #require(JSONSerialization.jsonObject(with: Data(found[0].json.utf8)) as? [String: Any])
            for key in ["fid", "kid", "precision", "recall", "density", "coverage", "class_kl", "classifier_score", "nearest"] {
                for key in [key, "\(key)_floor", "\(key)_floor_sd"] { #expect(figures[key] is Double, "\(key)") }
            }
            #expect(figures["images"] as? Int == 60)
            let accuracy = try #require(figures["class_accuracy"] as? Double)
            #expect((0...1).contains(accuracy))
        }

        @Test("Pictures that are all alike, or black, are given numbers")
        func collapsed() throws {
            for brightness: UInt8 in [0, 200] {
                let folder = try Scratch.makeFolder()
                let images = SmallData.header(3, [60, 8, 8]) + [UInt8](repeating: brightness, count: 60 * 64)
                try write(images, to: "\(folder)/train-images-idx3-ubyte")
                let outcome = try evaluate(
                    cache: Scratch.makeFolder(), "--pictures", folder, "--extractor", Judged.classifier.get())
                let figures = try #require(JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
                #expect(figures.values.allSatisfy { !($0 is NSNull) }, "\(outcome.output)")
                #expect(figures["recall"] as? Double == 0, "\(outcome.output)")
            }
        }

        @Test("Data that are other than the generator's, or made to fit its pictures: figures, and a note")
        func otherData() throws {
            let data = try PictureData.shared.get()
            let outcome = try evaluate(
                cache: Scratch.makeFolder(), "--checkpoint", Judged.gan.get(), "--data", data, "--extractor",
                Judged.classifier.get(), "--metrics", "fid")
            for note in [
                "Note: the generator was trained on other data than those in \(data)",
                "Note: the pictures in \(data) are made grey, cropped to squares and resized to 8 × 8",
                "was trained on", "Note: 9 pictures are measured",
            ] {
                #expect(outcome.errors.contains(note), "\(outcome.errors)")
            }
            #expect(outcome.output.hasPrefix("{\"fid\": "), "\(outcome.output)")
        }

        @Test("The extractor is trained once, and anew where the file is damaged or its pictures are others")
        func cache() throws {
            let cache = try Scratch.makeFolder()
            let (training, floors) = ("training it first", "Measuring what real pictures")
            func evaluate(data: String? = nil) throws -> (errors: String, json: String) {
                let outcome = try self.evaluate(
                    cache: cache, "--pictures", Judged.data.get(), "--images", "20", "--data", data ?? Judged.data.get())
                return (outcome.errors, outcome.output)
            }
            let first = try evaluate()
            #expect(first.errors.contains(training) && first.errors.contains(floors))
            let second = try evaluate()
            #expect(second.errors == "" && second.json == first.json)

            let path = try #require(extractors(cache).first)
            let good = [UInt8](try readFile(path))
            var bad = good
            bad[bad.count / 2] ^= 1
            try write(bad, to: path)
            try write("{".utf8, to: try #require(names(cache, "floors").first))
            let third = try evaluate()
            #expect(third.errors.contains(training) && third.errors.contains(floors) && third.json == first.json)
            #expect([UInt8](try readFile(path)) == good)

            let otherTest = try evaluate(data: Judged.make(testSalt: 90))
            #expect(!otherTest.errors.contains(training) && otherTest.errors.contains(floors))
            let noTest = try evaluate(data: Judged.make(test: 0))
            #expect(noTest.errors.contains(training) && noTest.errors.contains(floors))
            #expect(extractors(cache).count == 2)
        }

        @Test("A cache that cannot be written: a temporary folder, which is said, or 74")
        func unwritableCache() throws {
            let folder = try Scratch.makeFolder()
            try write([], to: "\(folder)/file")
            let options = try ["--pictures", Judged.data.get(), "--images", "20", "--extractor", Judged.classifier.get()]
            let outcome = try Job.run(
                command(options), environment: Job.environment(["XDG_CACHE_HOME": "\(folder)/file", "TMPDIR": folder]))
            #expect(outcome.code == 0, "\(outcome)")
            #expect(outcome.errors.contains("Note: \(folder)/file/gan-dist"), "\(outcome.errors)")
            #expect(try FileManager.default.contentsOfDirectory(atPath: "\(folder)/gan-dist-\(geteuid())").count == 1)
            let refused = try Job.run(
                command(options), environment: Job.environment(["XDG_CACHE_HOME": "\(folder)/file", "TMPDIR": "\(folder)/file"]))
            expectRefusal(refused, 74, ["\(folder)/file/gan-dist", "XDG_CACHE_HOME"])
        }

        @Test("Of two processes that need the same extractor one trains it")
        func twoAtOnce() throws {
            let cache = try Scratch.makeFolder()
            let jobs = try (0..<2).map { _ in
                try Job(
                    command(["--pictures", Judged.data.get(), "--images", "20"]),
                    environment: Job.environment(["XDG_CACHE_HOME": cache]))
            }
            let outcomes = try jobs.map { try $0.wait() }
            #expect(outcomes.allSatisfy { $0.code == 0 && $0.output == outcomes[0].output }, "\(outcomes)")
            #expect(outcomes.count { $0.errors.contains("training it first") } == 1, "\(outcomes)")
            #expect(outcomes.count { $0.errors.contains("Another process is training") } == 1, "\(outcomes)")
        }

        @Test(
            "A signal while the extractor is being trained, or a kill: nothing half-written, and the next one begins anew",
            arguments: [(SIGINT, 130), (SIGTERM, 143), (SIGUSR1, 75), (SIGKILL, 137)] as [(Int32, Int32)])
        func signalInExtractor(signal: Int32, code: Int32) throws {
            let cache = try Scratch.makeFolder()
            let options = try ["--pictures", Judged.data.get(), "--images", "20"]
            let job = try Job(command(options), environment: Job.environment(["XDG_CACHE_HOME": cache]))
            try job.poll("lock") { names(cache, "extractor").isEmpty ? nil : true }
            kill(job.pid, signal)
            let outcome = try job.wait(limit: 10)
            #expect(outcome.code == code && outcome.output == "", "\(outcome)")
            #expect(outcome.messages.count == (signal == SIGKILL ? 0 : 1), "\(outcome)")
            #expect(extractors(cache) == [])
            let next = try evaluate(cache: cache, options[0], options[1], options[2], options[3])
            #expect(next.errors.contains("training it first") && extractors(cache).count == 1)
        }

        @Test("A signal while pictures are being measured", arguments: [(SIGINT, 130), (SIGUSR1, 75)] as [(Int32, Int32)])
        func signalInMeasures(signal: Int32, code: Int32) throws {
            let data = try Judged.make(training: 12_000, test: 6_000)
            let job = try Job(
                command(["--pictures", data, "--data", data, "--extractor", Judged.classifier.get()]),
                environment: Job.environment(["XDG_CACHE_HOME": Scratch.makeFolder()]))
            try job.poll("handler") { SystemProcess(pid: job.pid).catches(signal) ? true : nil }
            usleep(50_000)
            kill(job.pid, signal)
            let outcome = try job.wait(limit: 20)
            expectRefusal(outcome, code, ["stopped while pictures were being measured"])
            #expect(outcome.output == "")
        }

        @Test("A run that is resumed measures what the undisturbed one does, and keeps the same best checkpoint")
        func keepBestOverResume() throws {
            let extractor = try Judged.classifier.get()
            func train(_ runs: Runs, ranks: Int = 1, steps: Int, _ more: String...) throws {
                let options = try [
                    "--data", Judged.data.get(), "--evaluate-interval", "2", "--keep-best", "fid", "--extractor", extractor,
                    "--checkpoint-interval", "4", "--steps", "\(steps)", "--quiet",
                ]
                let outcome = try runs.start(ranks: ranks, options + more).wait()
                try #require(outcome.code == 0, "\(outcome)")
                #expect(outcome.output + outcome.errors == "")
            }
            let (whole, parts) = (try Runs(), try Runs())
            try train(whole, steps: 12)
            try train(parts, ranks: 3, steps: 4)
            try train(parts, ranks: 2, steps: 12, "--resume")
            func figures(_ runs: Runs) throws -> [[Double]] {
                try runs.stats().filter { $0["fid"] != nil }.map { line in
                    ["step", "fid", "kid", "recall", "nearest", "fid_floor"].compactMap { line[$0] as? Double }
                }
            }
            #expect(try figures(whole).count == 6)
            #expect(try figures(whole) == figures(parts))
            #expect(parts.names.count == 1)
            let bests = [whole, parts].map { "\($0.newest)/best-fid.safetensors" }
            #expect(try checkpointHash(bests[0], state: true) == checkpointHash(bests[1], state: true))
            let told = [whole, parts].map { runs in
                (try? readText("\(runs.newest)/log.txt"))?.split(separator: "\n").last { $0.hasPrefix("The best fid") }
            }
            #expect(told[0] != nil && told[0] == told[1])
        }

        @Test("A run that begins in a new folder keeps a best checkpoint of its own")
        func keepBestInNewFolder() throws {
            let options = try [
                "--data", Judged.data.get(), "--evaluate-interval", "1", "--keep-best", "precision", "--extractor",
                Judged.classifier.get(),
            ]
            let (runs, others) = (try Runs(), try Runs())
            try #require(runs.start(options + ["--steps", "2"]).wait().code == 0)
            let copy = try Scratch.makeFolder() + "/copy.safetensors"
            try FileManager.default.copyItem(atPath: try #require(runs.checkpoints().last), toPath: copy)
            let outcome = try others.start(options + ["--steps", "3", "--resume", copy]).wait()
            #expect(outcome.code == 0, "\(outcome)")
            #expect(outcome.output.contains("was that of step 3: best-precision.safetensors"), "\(outcome.output)")
            #expect(FileManager.default.fileExists(atPath: "\(others.newest)/best-precision.safetensors"))
        }
    }
}
