import Foundation
import Networks
import Testing

@testable import GAN

/// What a page is made of: thinned numbers, fp16 weights, escaped text. Tests/Launch/test_report.py opens pages in a browser.
@Suite struct ReportTests {
    @Test func textIsEscaped() {
        #expect(ReportPage.escaped("a<b>&\"c'") == "a&lt;b&gt;&amp;&quot;c&#39;")
        // An accent on "<" makes one character of two scalars.
        #expect(ReportPage.escaped("<\u{301}script>") == "&lt;\u{301}script&gt;")
    }

    @Test func jsonEndsNoScriptElement() throws {
        let json = try JSONSerialization.data(withJSONObject: ["name": "</script><!-- <script>"])
        let embedded = ReportPage.embedded(json)
        #expect(!embedded.contains(UInt8(ascii: "<")))
        let object = try JSONSerialization.jsonObject(with: Data(embedded)) as? [String: String]
        #expect(object == ["name": "</script><!-- <script>"])
    }

    @Test(arguments: [(0, 5, [] as [Int]), (3, 5, [0, 1, 2]), (5, 3, [0, 2, 4]), (100, 4, [0, 33, 66, 99]), (9, 1, [8]), (9, 0, [])])
    func listsAreThinned(count: Int, most: Int, kept: [Int]) { #expect(evenly(most, of: Array(0..<count)) == kept) }

    @Test func gridsAreThinnedToTheBudget() {
        let files = (0..<9).map { (name: "\($0)", size: 100) }
        #expect(ReportedPictures.thinned(files, most: 32, budget: 1_000).count == 9)
        #expect(ReportedPictures.thinned(files, most: 32, budget: 350) == ["0", "4", "8"])
        #expect(ReportedPictures.thinned(files, most: 32, budget: 150) == ["8"])
        #expect(ReportedPictures.thinned(files, most: 32, budget: 99) == [])
        #expect(ReportedPictures.step(of: "fakes-init.png") == 0)
        #expect(ReportedPictures.step(of: "translations-000937.png") == 937)
        #expect(ReportedPictures.step(of: "fakes-99999999999999999999.png") == nil)
        #expect(ReportedPictures.step(of: "reals.png") == nil)
    }

    private func line(_ step: Int, _ rest: String = "") -> String {
        "{\"step\": \(step), \"epoch\": 1, \"time\": \"t\", \"loss_d\": \(step).5, \"step_seconds\": 0.5, "
            + "\"waiting_seconds\": [1, 2], \"communication_seconds\": [0.25, 0.5]\(rest)}"
    }

    @Test func damagedLinesAreLeftOut() {
        let lines = [
            line(10), "{\"step\": 2", "[]", "\u{0}\u{1}", line(10), "{\"loss_d\": 1}", "{\"step\": 15, \"loss_d\": null}",
            line(20, ", \"fid\": 3.5"), "{\"step\": 30, \"loss_d\": ",
        ]
        let statistics = ReportedStatistics(Array(lines.joined(separator: "\n").utf8), most: 1_000)
        #expect(statistics.steps == [10, 15, 20])
        #expect(statistics.damaged == 6)
        #expect(statistics.curves["loss_d"] == [10.5, nil, 20.5])
        #expect(statistics.curves["fid"] == [nil, nil, 3.5])
        #expect(statistics.curves.values.allSatisfy { $0.count == statistics.steps.count })
        #expect(ReportedStatistics([], most: 10).steps == [])
    }

    @Test func manyLinesAreThinnedAndMeasuresStay() {
        var lines = (1...5_000).map { line($0) }
        lines[1_233] = line(1_234, ", \"fid\": 7, \"extractor_sha256\": \"e\", \"images\": 50, \"weights_sha256\": \"w\"")
        lines[4_321] = "damaged"
        let statistics = ReportedStatistics(Array(lines.joined(separator: "\n").utf8), most: 100)
        #expect(statistics.steps.count == 101)
        #expect(statistics.steps.first == 1 && statistics.steps.last == 5_000)
        #expect(statistics.lines == 5_000)
        #expect(statistics.curves["fid"]?.compactMap { $0 } == [7])
        #expect(statistics.weights?.step == 1_234 && statistics.weights?.hash == "w")
        #expect(statistics.extractor == "e" && statistics.measured == 50)
        // Each line is of the one step since the line before it, whether that was read or not.
        #expect(statistics.stepSeconds == 0.5 * 101)
        #expect(statistics.ranks == [.init(waiting: 101, communication: 25.25), .init(waiting: 202, communication: 50.5)])
    }

    private func halves(_ values: [Float]) throws -> [UInt16] {
        let layers = [LayerSpecification.linear(inputs: values.count, outputs: 1, hasBias: false)]
        let bytes = try GeneratorWeights(layers, parameters: values.count) { try values.withUnsafeBufferPointer($1) }.halves
        return stride(from: 0, to: bytes.count, by: 2).map { UInt16(bytes[$0]) | UInt16(bytes[$0 + 1]) << 8 }
    }

    /// IEEE 754 binary16, to nearest even.
    @Test func weightsAreRoundedToHalves() throws {
        #expect(try halves([1, -2, 0, -0.0, 65_504]) == [0x3c00, 0xc000, 0, 0x8000, 0x7bff])
        #expect(try halves([1 + 0x1p-11, 1 + 0x3p-11, 1 + 0x1p-11 + 0x1p-20]) == [0x3c00, 0x3c02, 0x3c01])
        #expect(try halves([0x1p-24, 0x1p-25, 0x3p-26, 0x1p-14]) == [1, 0, 1, 0x0400])
        for value in [Float(65_520), -1e9, .infinity, .nan] {
            #expect(throws: GeneratorWeights.Unsuitable.self) { try halves([value]) }
        }
    }

    @Test func batchNormalisationIsFolded() throws {
        let tensors: [String: [Float]] = [
            "main.0.weight": [2], "main.0.bias": [3], "main.0.running_mean": [5], "main.0.running_var": [0.25],
        ]
        let singles = try GeneratorWeights([.batchNormalization(channels: 1)], parameters: 2) { name, body in
            try (tensors[name] ?? []).withUnsafeBufferPointer(body)
        }.singles
        let values = singles.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
        let scale = 2 / (0.25 + 1e-5).squareRoot()
        #expect(values == [Float(scale), Float(3 - 5 * scale)])
    }

    @Test func aLayerThatThePageDoesNotKnowIsNamed() {
        let layers: [LayerSpecification] = [.reflectionPadding(1)]
        #expect { try GeneratorWeights(layers, parameters: 0) { _, _ in } } throws: { error in
            (error as? GeneratorWeights.Unsuitable)?.reason.contains("reflection_pad") == true
        }
    }

    @Test func settingsTellWhatDiffersFromThePreset() throws {
        var configuration = try mnistPreset("dcgan28")
        var notes: [String] = []
        let plain = ReportedSettings(configuration, digest: "d") { notes.append($0) }
        #expect(plain.settings.filter { $0.preset != nil } == [])
        configuration.seed = 7
        let seeded = ReportedSettings(configuration, digest: "d") { notes.append($0) }
        #expect(seeded.settings.filter { $0.preset != nil }.map(\.key) == ["seed"])
        #expect(seeded.identity == plain.identity)
        configuration.learningRate = 1e-4
        configuration.dataset = "flowers"
        let changed = ReportedSettings(configuration, digest: "d") { notes.append($0) }
        let rate = changed.settings.first { $0.key == "lr" }
        #expect(rate?.value == "0.0001" && rate?.preset == "0.002")
        #expect(changed.identity != plain.identity)
        #expect(ReportedSettings(configuration, digest: "e") { notes.append($0) }.identity != changed.identity)
        #expect(notes == [])
    }

    @Test(arguments: ["cyclegan28", "classifier28", "cgan", "wgan-gp", "mlp"])
    func everyPresetIsComparedWithItself(name: String) throws {
        var notes: [String] = []
        let settings = ReportedSettings(try mnistPreset(name), digest: "") { notes.append($0) }
        #expect(settings.settings.filter { $0.preset != nil } == [])
        #expect(notes == [])
    }

    @Test func aRunHasItsPage() throws {
        let folder = try TemporaryFolder()
        let data = try folder.writeImages(40)
        let run = try trainedRun(smallModel(["steps": 10, "sample_interval": 4]), data: data, outdir: folder.file("runs"))
        let page = String(decoding: try run.bytes("report.html"), as: UTF8.self)
        #expect(page.contains("id=\"halves\""))
        #expect(page.contains("\"state\":\"finished\""))
        #expect(page.contains("fakes-000008.png"))
        #expect(try writeReport(of: [run.path], to: nil) == "\(run.path)/report.html")
        #expect(try writeReport(of: [folder.file("runs")], to: nil) == "\(folder.file("runs"))/report.html")
        #expect(throws: (any Error).self) { try writeReport(of: [folder.file("nothing")], to: nil) }
        #expect(throws: (any Error).self) { try writeReport(of: [data], to: nil) }
        for out in ["\(run.path)/stats.jsonl", "", ".html"] { expectUsage("ends in .html") { _ = try writeReport(of: [run.path], to: out) } }
        #expect(try run.stats().count > 0)
    }

    /// Each thing is told, and no command names a checkpoint that cannot be read.
    @Test func damageIsTold() throws {
        let folder = try TemporaryFolder()
        let run = try trainedRun(
            smallModel(["steps": 4, "checkpoint_interval": 2]), data: folder.writeImages(40), outdir: folder.file("runs"))
        var told: [String] = []
        _ = try writeReport(of: [run.path], to: nil) { told.append($0) }
        #expect(told == [])
        let checkpoint = "\(run.path)/\(Checkpoint.name(step: 4))"
        try Data("nothing".utf8).write(to: URL(fileURLWithPath: checkpoint))
        _ = try writeReport(of: [run.path], to: nil) { told.append($0) }
        #expect(told.count == 1 && told[0].hasPrefix("Warning: \(run.path): \(checkpoint)"), "\(told)")
        let commands = ReportedRun(RunDirectory(path: run.path), share: PageShare(runs: 1)).commands.map(\.command)
        #expect(commands.contains { $0.contains(Checkpoint.name(step: 2)) })
        #expect(!commands.contains { $0.contains(Checkpoint.name(step: 4)) })
    }

    /// A folder without files, and one whose files are all damaged, have pages that say so.
    @Test func whatIsDamagedIsSaid() throws {
        let folder = try TemporaryFolder()
        let run = folder.file("00000-mlp-b8")
        try FileManager.default.createDirectory(atPath: run, withIntermediateDirectories: true)
        let empty = ReportedRun(RunDirectory(path: run), share: PageShare(runs: 1))
        #expect(empty.missing.count >= 4)
        #expect(empty.generatorNote?.contains("no checkpoint yet") == true)
        _ = try writeReport(of: [run], to: nil)
        let names = [
            "training_options.json", "status.json", "stats.jsonl", "fakes-000001.png", "checkpoint-000000001.safetensors",
        ]
        for name in names + ["log.txt"] {
            try Data("{\"\u{fffd}".utf8).write(to: URL(fileURLWithPath: "\(run)/\(name)"))
        }
        let damaged = ReportedRun(RunDirectory(path: run), share: PageShare(runs: 1))
        for name in names {
            #expect(damaged.missing.contains { $0.contains(name) }, "\(name): \(damaged.missing)")
        }
        _ = try writeReport(of: [run], to: nil)
    }
}
