import Foundation
import Formats
import Kernels
import MessagePassing
import Networks
import Testing

@testable import GAN

/// CycleGANs: their domains, the pool, whole runs, and what is refused.
@Suite(.timeLimit(.minutes(15))) struct CycleTests {
    // MARK: Domains

    @Test func knownFunctions() {
        let picture: [UInt8] = [
            0, 0, 0, 0,
            0, 9, 0, 0,
            0, 0, 0, 5,
        ]
        func apply(_ function: KnownDomain.Function) -> [UInt8] {
            function.apply(picture, height: 3, width: 4, number: 0, isTraining: true)
        }
        #expect(apply(.inverse) == picture.map { 255 - $0 })
        let thick: [UInt8] = [
            9, 9, 9, 0,
            9, 9, 9, 5,
            9, 9, 9, 5,
        ]
        #expect(apply(.thick) == thick)
        // Every window holds a 0.
        #expect(apply(.edges) == thick)
        #expect(KnownDomain.Function.edges.apply([7, 7, 7, 7], height: 2, width: 2, number: 0, isTraining: true) == [0, 0, 0, 0])
    }

    /// White shows one field of colour, black the other; both go smoothly, and those of other pictures are others.
    @Test func colours() {
        func coloured(_ value: UInt8, _ number: Int, isTraining: Bool = true) -> [UInt8] {
            KnownDomain.Function.coloured.apply(
                [UInt8](repeating: value, count: 25), height: 5, width: 5, number: number, isTraining: isTraining)
        }
        let (back, front, middle) = (coloured(0, 3), coloured(255, 3), coloured(128, 3))
        #expect(back.count == 75 && back != front)
        for i in 0..<75 {
            let (low, high) = (Double(back[i]), Double(front[i]))
            let expected = low + (high - low) * 128 / 255
            #expect(abs(Double(middle[i]) - expected) <= 1)
        }
        // The middle of a row is half of its ends.
        for channel in 0..<3 {
            for row in 0..<5 {
                let ends = (Int(back[15 * row + channel]) + Int(back[15 * row + 12 + channel])) / 2
                #expect(abs(Int(back[15 * row + 6 + channel]) - ends) <= 1)
            }
        }
        #expect(coloured(0, 3) == back)
        #expect(Set([back, coloured(0, 4), coloured(0, 3, isTraining: false)]).count == 3)
    }

    @Test func halvesShareNoPicture() throws {
        let folder = try TemporaryFolder()
        let source = try DataSource(path: folder.writeImages(41))
        let domain = try #require(KnownDomain("mnist:inverse"))
        let (a, b) = try source.halves(domain)
        #expect((a.count, b.count) == (20, 21))
        #expect((a.format.channels, a.format.secondChannels, b.format.name) == (1, 1, "mnist-inverse"))
        guard case .images(let first) = a.files, case .images(let second) = b.files else {
            Issue.record("images are read one by one")
            return
        }
        #expect((first.number(of: 19), second.number(of: 0), second.number(of: 20)) == (19, 20, 40))
        #expect(KnownDomain("mnist") == nil && KnownDomain("mnist:blurred") == nil && KnownDomain("letters:inverse") == nil)
    }

    // MARK: The pool

    /// Against a plain model: filled in the order of the rows, and then each fake passed on or exchanged.
    @Test func poolExchangesAsItSays() throws {
        let (image, rows) = (Shape(channels: 3, height: 1, width: 2), 4)
        let layout = ShardLayout(shards: 2, ranks: 1)
        let arena = Arena()
        let plan = MemoryPlan(name: "pool_b", shape: [6, 3, 1, 2])
        let pool = FakePool(plan, image, stream: RandomStream.poolB, layout: layout, rank: 0, columns: 16, arena: arena)
        let fakes = arena.matrix(features: 6, stride: 16)
        var model: [[Float]] = [[], []]
        var exchanges = 0
        for step in 0..<20 {
            let pass = Pass(kernels: .fastest, columns: 16, kind: .fake, seed: 5, step: step, firstRow: 0)
            for feature in 0..<6 { for column in 0..<16 { fakes.base[feature * 16 + column] = Float(100 * step + 10 * column + feature) } }
            let words = RowWords(columns: 16, arena: arena).draw(RandomStream.poolB, pass)
            let drawn = (0..<rows).map { words[$0] }
            pool.exchange(fakes, shards: [0..<2, 2..<4], pass)
            for row in 0..<rows {
                var expected = Float(100 * step + 10 * row)
                let shard = row / 2
                if model[shard].count < 3 {
                    model[shard].append(expected)
                } else if drawn[row] >= 1 << 31 {
                    let slot = Int(((UInt64(drawn[row]) - 1 << 31) * 3) >> 31)
                    swap(&expected, &model[shard][slot])
                    exchanges += 1
                }
                for feature in 0..<6 { #expect(fakes.base[feature * 16 + row] == expected + Float(feature)) }
            }
        }
        #expect((20...60).contains(exchanges))
    }

    // MARK: Runs

    private func model(_ fields: [String: Any] = [:]) throws -> ConfigurationRequest {
        var configuration = try mnistPreset("cyclegan28")
        configuration.setDomains(channelsB: 3)
        (configuration.batchSize, configuration.shards, configuration.poolSize) = (8, 4, 12)
        configuration.evaluateInterval = .never
        let text = try configuration.json()
        var object = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        object["domain_b"] = "mnist:coloured"
        object["steps"] = 5
        return modelFile(try JSONSerialization.data(withJSONObject: object.merging(fields) { $1 }))
    }

    /// The same bytes, pool included, on any ranks, and where a run was stopped before its pool was full.
    @Test(arguments: [[2], [3], [4], [1, 1], [2, 1], [1, 3]]) func bytesDoNotDependOnTheRanks(hosts: [Int]) throws {
        let folder = try TemporaryFolder()
        let data = try folder.writeImages(37)
        let alone = try trainedRun(try model(), data: data, outdir: folder.file("alone"))
        let many = try trainedRun(try model(), data: data, outdir: folder.file("many"), hosts: hosts)
        let name = Checkpoint.name(step: 5)
        #expect(try alone.bytes(name) == many.bytes(name))
        _ = try trainedRun(try model(["steps": 1]), data: data, outdir: folder.file("parts"), hosts: hosts)
        _ = try trainedRun(try model(["steps": 3]), data: data, outdir: folder.file("parts"), resume: .latest)
        let resumed = try trainedRun(try model(), data: data, outdir: folder.file("parts"), hosts: hosts, resume: .latest)
        let hashes = try [alone, resumed].map { try Checkpoint(path: "\($0.path)/\(name)").hash(state: true) }
        #expect(hashes[0] == hashes[1])
        let checkpoint = try SafetensorsFile(path: "\(alone.path)/\(name)")
        #expect(checkpoint.tensors["pool_b"]?.shape == [12, 3, 8, 8])
        #expect(try Set(checkpoint.floats("pool_a")).count > 100)
        let stats = try #require(try alone.stats().last)
        for key in ["loss_d_a", "loss_d_b", "loss_g_ab", "loss_g_ba", "cycle_a", "cycle_b"] {
            #expect((stats[key] as? Double)?.isFinite == true, "\(key)")
        }
        // The domains' shapes differ.
        #expect(stats["identity_a"] == nil)
        #expect(try alone.names.contains("translations-000005.png"))
    }

    /// An epoch is the longer domain's, and the other goes on from its beginning.
    @Test func shorterDomainGoesOn() throws {
        let folder = try TemporaryFolder()
        let (short, long) = (try TemporaryFolder(), try TemporaryFolder())
        var options = RunOptions()
        options.secondDataFolder = try long.writeImages(40)
        var fields: [String: Any] = ["epochs": 1, "steps": NSNull(), "domain_b": NSNull()]
        let run = try trainedRun(
            try model(fields), data: short.writeImages(9), outdir: folder.file("runs"), options: options)
        #expect(try run.stats().last?["step"] as? Int == 5)
        // Other data in domain B are other data.
        options.secondDataFolder = try short.writeImages(33, to: "other")
        fields["epochs"] = 2
        let error = #expect(throws: Failure.self) {
            try trainedRun(
                try model(fields), data: short.file("data"), outdir: folder.file("runs"), resume: .latest, options: options)
        }
        #expect(error?.code == .badData, "\(error?.description ?? "")")
    }

    /// Between domains that are alike, generators of one weight soon copy: x ↦ tanh (w x) of black and white pictures.
    @Test func copiesAreTold() throws {
        let folder = try TemporaryFolder()
        let data = try folder.writeImages(16) { image, pixel in (image + pixel / 5) % 2 == 0 ? 0 : 255 }
        func convolution(kernel: Int, stride: Int, bias: Bool) -> [String: Any] {
            ["type": "conv2d", "inputs": 1, "outputs": 1, "kernel": kernel, "stride": stride, "padding": 0, "bias": bias]
        }
        let generator = [convolution(kernel: 1, stride: 1, bias: false), ["type": "tanh"]]
        let discriminator = [convolution(kernel: 4, stride: 4, bias: true)]
        var options = RunOptions()
        options.secondDataFolder = data
        let run = try trainedRun(
            model([
                "domain_b": NSNull(), "channels_b": NSNull(), "generator_ab": generator, "generator_ba": generator,
                "discriminator_a": discriminator, "discriminator_b": discriminator, "lr": 0.02, "lr_flat": 0, "lr_decay": 0,
                "steps": 600, "log_interval": 100, "sample_interval": 0, "batch_size": 8,
            ]), data: data, outdir: folder.file("runs"), options: options)
        let changes = try run.stats().map { ($0["step"] as? Int ?? 0, $0["change_ab"] as? Double ?? .nan) }
        let warnings = try run.lines("log.txt").filter { $0.contains("back the input") }
        #expect(changes.last.map { $0.1 < 0.02 } == true, "\(changes)")
        #expect(warnings.count == 1 && warnings[0].contains("generator_ab and generator_ba give back"), "\(warnings)")
    }

    // MARK: Refusals

    @Test func refused() throws {
        func refusal(_ text: String, _ code: ExitCode = .usage, _ body: () throws -> Void) {
            let error = #expect(throws: Failure.self) { try body() }
            #expect(error?.code == code && error?.description.contains(text) == true, "\(error?.description ?? "")")
        }
        func changed(_ change: (inout Configuration) -> Void) throws {
            var configuration = try mnistPreset("cyclegan28")
            change(&configuration)
            try configuration.validate()
        }
        refusal("--pool-size 12: each of the 8 logical shards") { try changed { $0.poolSize = 12 } }
        refusal("generator_ab gives 1 × 28 × 28; images of 3 × 28 × 28 are needed") { try changed { $0.channelsB = 3 } }
        refusal("none of one can be one of the other") {
            try changed {
                $0.setDomains(channelsB: 3)
                $0.identityWeight = 1
            }
        }
        refusal("discriminator_a gives") { try changed { $0.discriminatorA = $0.generatorAB.dropLast(2) } }
        refusal("take no dropout") { try changed { $0.discriminatorB.insert(.dropout(probability: 0.5), at: 1) } }
        refusal("does not look at one image alone") { try changed { $0.generatorBA.insert(.label(classes: 10), at: 0) } }
        refusal("--lr-flat 1e: how long") { try changed { $0.learningRateDecay = .never; $0.learningRateFlat = .epochs(1) } }
        refusal("translates between two domains; give --data-a and --data-b") {
            _ = try Preset.named("cyclegan28").configuration(for: .mnist)
        }
        for size in [30, 12] {
            refusal("multiples of 4 and at least 16 pixels") {
                _ = try Preset.named("cyclegan").configuration(
                    for: .usual, as: Shape(channels: 1, height: size, width: size))
            }
        }
    }

    @Test(arguments: ["cyclegan28", "cyclegan"], [16, 28, 32, 64]) func presetsFit(name: String, side: Int) throws {
        var data = DataFormat.usual
        (data.channels, data.secondChannels) = (3, 1)
        let preset = try Preset.named(name).configuration(for: data, as: Shape(channels: 3, height: side, width: side))
        try preset.validate()
        let plans = try preset.cyclePlans()
        #expect(plans.map(\.plan.input.channels) == [3, 1, 3, 1])
        #expect(plans[2].plan.output.pixels > 1)
        #expect(try Configuration(json: Data(preset.json().utf8), preset: nil, path: "x") == preset)
    }

    // MARK: Figures

    @Test func exchangedClassesAreTold() {
        func figures(_ confusion: [[Int]]) -> TranslationFigures {
            let none = Evaluation(line: "", values: [])
            return TranslationFigures([
                .init(name: "ab", confusion: confusion, pixelError: 0.25, measures: none),
                .init(name: "ba", confusion: [[5, 0, 0], [0, 5, 0], [0, 0, 5]], pixelError: nil, measures: none),
            ])
        }
        let exchanged = figures([[1, 9, 0], [8, 2, 0], [0, 0, 10]])
        #expect(exchanged.ways[0].accuracy == 13.0 / 30)
        #expect(exchanged.evaluation.warnings.count == 1)
        #expect(exchanged.evaluation.warnings.first?.contains("A → B exchanges classes (0 → 1, 1 → 0)") == true)
        #expect(exchanged.evaluation.values.map(\.key) == ["class_accuracy_ab", "pixel_error_ab", "class_accuracy_ba"])
        #expect(figures([[9, 1, 0], [1, 9, 0], [0, 4, 6]]).evaluation.warnings == [])
        #expect(figures([[0, 0, 9], [0, 0, 9], [0, 0, 9]]).evaluation.warnings == [])
    }
}
