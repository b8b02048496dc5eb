import Formats
import Foundation
import MessagePassing

/// What the files of a run's folder tell, for a page. Whatever is missing or damaged is left out, and said.
struct ReportedRun: Encodable {
    let name, folder: String
    private(set) var preset: String?
    private(set) var game: String?
    private(set) var seed: String?
    /// `status.json` as text.
    private(set) var status: [String: String] = [:]
    private(set) var missing: [String] = []
    private(set) var warnings: [Warning] = []
    private(set) var statistics = ReportedStatistics()
    private(set) var pictures = ReportedPictures()
    private(set) var settings: ReportedSettings?
    private(set) var classNames: [String] = []
    private(set) var receipt: [Fact] = []
    private(set) var commands: [Command] = []
    private(set) var generator: ReportedGenerator?
    /// Why there is no generator to play with.
    private(set) var generatorNote: String?
    private(set) var weights: GeneratorWeights?
    /// Checkpoints that cannot be read.
    private var damaged: Set<String> = []

    struct Warning: Encodable, Equatable {
        let text: String
        var count = 1
    }
    struct Fact: Encodable { let name, value: String }
    struct Command: Encodable { let purpose, command: String }

    private enum CodingKeys: String, CodingKey {
        case name, folder, preset, game, seed, status, missing, warnings, statistics, pictures, settings, classNames, receipt,
            commands, generator, generatorNote
    }

    /// - Parameters:
    ///   - number: the run's place in the page.
    ///   - share: how much of a page is this run's; one that is alone has all, and a generator.
    init(_ run: RunDirectory, number: Int = 0, share: PageShare) {
        folder = run.path
        name = ((run.path as NSString).standardizingPath as NSString).lastPathComponent
        let options = readOptions(run)
        status = readStatus(run)
        statistics = readStatistics(run, most: share.points)
        let checkpoints = (try? run.checkpoints()) ?? []
        let configuration = options?.configuration
        if let configuration {
            preset = configuration.preset
            game = configuration.game.rawValue
            seed = "\(configuration.seed)"
        }
        var notes: [String] = []
        if let configuration {
            let digest = options?.facts["data_sha256"] as? String ?? ""
            settings = ReportedSettings(configuration, digest: digest) { notes.append($0) }
        }
        if share.isWhole { loadGenerator(checkpoints, configuration) }
        let rest = share.bytes - ((weights?.halves.count ?? 0) + (weights?.singles.count ?? 0))
        pictures = ReportedPictures(of: run, number: number, budget: rest * 3 / 4, most: share.grids) { notes.append($0) }
        if pictures.gridCount == 0, configuration?.game != .classifier { notes.append("there are no pictures yet") }
        missing += notes
        readLog(run)
        classNames = (options?.facts["class_names"] as? [Any] ?? []).prefix(256).map { "\($0)" }
        receipt = makeReceipt(options?.facts ?? [:], checkpoints)
        commands = makeCommands(run, configuration, options?.facts["data_path"] as? String, checkpoints.first { !damaged.contains($0.path) })
    }

    // MARK: Files

    private mutating func readOptions(_ run: RunDirectory) -> (configuration: Configuration?, facts: [String: Any])? {
        do {
            let text = Data(try fileContents("\(run.path)/training_options.json", limit: 1 << 24))
            guard let facts = try JSONSerialization.jsonObject(with: text) as? [String: Any] else {
                missing.append("training_options.json is no JSON object")
                return nil
            }
            do {
                let configuration = try Configuration(json: text, preset: nil, path: "training_options.json")
                try configuration.validate()
                return (configuration, facts)
            } catch {
                missing.append("\(error)")
                return (nil, facts)
            }
        } catch let error as FormatError {
            missing.append(error.kind == .missing ? "training_options.json, the configuration, is not there" : "\(error)")
        } catch {
            missing.append("training_options.json is no JSON")
        }
        return nil
    }

    private mutating func readStatus(_ run: RunDirectory) -> [String: String] {
        guard let text = try? fileContents("\(run.path)/status.json", limit: 1 << 20),
            let object = try? JSONSerialization.jsonObject(with: Data(text)) as? [String: Any]
        else {
            missing.append("status.json, what the run is doing, is not there or damaged")
            return [:]
        }
        return object.mapValues { "\($0)" }
    }

    private mutating func readStatistics(_ run: RunDirectory, most: Int) -> ReportedStatistics {
        guard let text = try? fileContents("\(run.path)/stats.jsonl", limit: 1 << 30) else {
            missing.append("stats.jsonl, the numbers of training, is not there or cannot be read")
            return ReportedStatistics()
        }
        let statistics = ReportedStatistics(text, most: most)
        if statistics.steps.isEmpty { missing.append("stats.jsonl holds no lines yet") }
        if statistics.damaged > 0 {
            missing.append("\(statistics.damaged) lines of stats.jsonl are damaged or repeated, and left out")
        }
        return statistics
    }

    /// The log's warnings and notes, each kind once: they differ in numbers as training goes on.
    private mutating func readLog(_ run: RunDirectory) {
        guard let text = try? fileContents("\(run.path)/log.txt", limit: 1 << 30) else {
            missing.append("log.txt, with the run's warnings, is not there or cannot be read")
            return
        }
        var kinds: [String: Int] = [:]
        let marks = ["Warning: ", "Note: "].map { Array($0.utf8) }
        for line in text.split(separator: UInt8(ascii: "\n")) where marks.contains(where: { line.starts(with: $0) }) {
            let text = String(decoding: line.prefix(1_000), as: UTF8.self)
            let kind = text.filter { !$0.isNumber }
            if let known = kinds[kind] {
                warnings[known] = Warning(text: text, count: warnings[known].count + 1)
            } else if warnings.count < 30 {
                kinds[kind] = warnings.count
                warnings.append(Warning(text: text))
            }
        }
    }

    // MARK: Generator

    private mutating func loadGenerator(_ checkpoints: [(step: Int, path: String)], _ configuration: Configuration?) {
        if let configuration, configuration.game != .gan {
            generatorNote = configuration.game == .classifier
                ? "A classifier draws no pictures." : "A CycleGAN translates pictures; it draws none of noise."
            return
        }
        // One that is too large need not be read.
        if let configuration, let count = try? ReportedGenerator.parameters(of: configuration), isTooLarge(count) { return }
        guard !checkpoints.isEmpty else {
            generatorNote = "There is no checkpoint yet, and so no generator to draw with."
            return
        }
        for (_, path) in checkpoints {
            do {
                let checkpoint = try Checkpoint(path: path)
                try checkpoint.requireGenerator()
                if isTooLarge(try ReportedGenerator.parameters(of: checkpoint.configuration)) { return }
                let (generator, weights) = try ReportedGenerator.load(checkpoint)
                (self.generator, self.weights, generatorNote) = (generator, weights, nil)
                return
            } catch let error as GeneratorWeights.Unsuitable {
                generatorNote = "This page holds no generator to draw with: \(error.reason)."
                return
            } catch {
                generatorNote = "No checkpoint can be read, and so there is no generator to draw with."
                missing.append("\(error)")
                damaged.insert(path)
            }
        }
    }

    private mutating func isTooLarge(_ count: Int) -> Bool {
        guard count > ReportedGenerator.mostParameters else { return false }
        generatorNote = "The generator has \(Double(count).grouped) parameters. A page holds at most "
            + "\(Double(ReportedGenerator.mostParameters).grouped), so that it stays small: draw with gan-dist sample."
        return true
    }

    // MARK: Receipt

    private func makeReceipt(_ facts: [String: Any], _ checkpoints: [(step: Int, path: String)]) -> [Fact] {
        func text(_ key: String) -> String? { facts[key].map { "\($0)" } }
        var receipt: [Fact] = []
        func add(_ name: String, _ value: String?) { if let value { receipt.append(Fact(name: name, value: value)) } }
        add("program", (status["version"] ?? text("version")).map { "gan-dist \($0)" })
        if let weights = statistics.weights {
            add("SHA-256 of the weights after step \(Double(weights.step).grouped)", weights.hash)
        }
        add("newest checkpoint", checkpoints.first.map { ($0.path as NSString).lastPathComponent })
        add("SHA-256 of the data", text("data_sha256"))
        add("images", (facts["images"] as? Int).map { Double($0).grouped })
        add("data", text("data_path"))
        add("SHA-256 of the data, domain B", text("data_b_sha256"))
        add("images, domain B", (facts["images_b"] as? Int).map { Double($0).grouped })
        add("data, domain B", text("data_b_path"))
        add("SHA-256 of the classifier that measured", statistics.extractor)
        add("ranks", status["ranks"])
        add("hosts", status["hosts"].map { "\($0), rank 0 on \(status["host"] ?? "an unknown one")" })
        add("CPU", status["cpu"].map { cpu in cpu + (status["instruction_set"].map { ", kernels \($0)" } ?? "") })
        add("MPI", status["mpi"])
        return receipt
    }

    private func makeCommands(
        _ run: RunDirectory, _ configuration: Configuration?, _ data: String?, _ newest: (step: Int, path: String)?
    ) -> [Command] {
        guard let newest else { return [] }
        let file = newest.path.quotedForShell
        let data = data.map { " --data \($0.quotedForShell)" } ?? ""
        let longer = configuration.map { $0.steps.map { " --steps \(2 * $0)" } ?? " --epochs \(2 * $0.epochs)" } ?? ""
        let isFinished = status["state"] == "finished"
        var commands = [
            Command(
                purpose: isFinished ? "Train for longer" : "Go on training",
                command: "\(Launch.program) --resume \(file)\(configuration?.game == .cyclegan ? "" : data)\(isFinished ? longer : "")")
        ]
        switch configuration?.game {
        case .classifier:
            commands.append(Command(purpose: "Name classes", command: "\(Launch.program) classify --checkpoint \(file)\(data)"))
        case .cyclegan:
            commands.append(
                Command(
                    purpose: "Translate pictures",
                    command: "\(Launch.program) translate --checkpoint \(file) --to b --data pictures/ --out b.png"))
        default:
            commands.append(Command(purpose: "Draw more", command: "\(Launch.program) sample --checkpoint \(file) --out more.png"))
            commands.append(Command(purpose: "Measure", command: "\(Launch.program) evaluate --checkpoint \(file)\(data)"))
        }
        commands.append(Command(purpose: "Check the weights", command: "\(Launch.program) hash --checkpoint \(file)"))
        commands.append(Command(purpose: "Write this page anew", command: "\(Launch.program) report \(run.path.quotedForShell)"))
        return commands
    }
}

/// How much of a page a run may take.
struct PageShare {
    /// Points of a curve, grids, and bytes of pictures and weights before base64.
    let points, grids, bytes: Int
    /// Whether the page is of this run alone.
    let isWhole: Bool

    init(runs: Int) {
        isWhole = runs == 1
        points = isWhole ? 1_000 : max(20, min(1_000, 4_000 / runs))
        grids = isWhole ? ReportedPictures.mostGrids : 1
        // Base64 makes four bytes of three; what is left is for curves and the page itself.
        bytes = isWhole ? 3_900_000 : 3_000_000 / runs
    }
}
