import Foundation
import MessagePassing
import Testing

@testable import GAN

/// What the user said turns off what the preset says and what makes no sense beside it.
@Suite struct PrecedenceTests {
    private func request(_ preset: String?, file: String? = nil, _ flags: [String: Double]) -> ConfigurationRequest {
        var request = ConfigurationRequest()
        request.preset = preset
        if let file { request.modelFile = ("model.json", Data(file.utf8)) }
        request.flags = Set(flags.keys.map { String($0.prefix { $0 != ":" }) })
        request.override = { configuration in
            for (name, value) in flags {
                switch name {
                case "gradient_penalty": configuration.gradientPenalty = value
                case "weight_clip": configuration.weightClip = value
                case "spectral_norm": configuration.spectralNorm = value != 0
                case "label_smoothing": configuration.labelSmoothing = value
                case "label_flip": configuration.labelFlip = value
                case "ema": configuration.averageDecay = value
                case "ema_ramp": configuration.averageRamp = value != 0
                default: configuration.loss = Loss(rawValue: String(name.drop { $0 != ":" }.dropFirst())) ?? .bce
                }
            }
        }
        return request
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var preset: String
        var flags: [String: Double]
        var notes: [String]
        var expect: @Sendable (Configuration) -> Bool = { _ in true }
        var testDescription: String { "\(preset) \(flags.keys.sorted())" }
    }

    static let cases: [Case] = [
        Case(
            preset: "cdcgan", flags: ["loss:hinge": 1],
            notes: ["--loss hinge has no targets: label_smoothing 0.1 of preset cdcgan is off"]
        ) { $0.loss == .hinge && $0.labelSmoothing == 0 },
        Case(
            preset: "dcgan28", flags: ["loss:wasserstein": 1, "weight_clip": 0.01],
            notes: ["--loss wasserstein has no targets: label_smoothing 0.1 of preset dcgan28 is off"]
        ) { $0.labelSmoothing == 0 && $0.weightClip == 0.01 },
        Case(preset: "dcgan28", flags: ["loss:mse": 1], notes: []) { $0.labelSmoothing == 0.1 },
        Case(preset: "cdcgan", flags: ["loss:hinge": 1, "label_smoothing": 0], notes: []),
        Case(
            preset: "hinge", flags: ["gradient_penalty": 10],
            notes: ["--gradient-penalty 10 bounds the discriminator's slope: spectral_norm of preset hinge is off"]
        ) { $0.gradientPenalty == 10 && !$0.spectralNorm },
        Case(
            preset: "hinge", flags: ["weight_clip": 0.5],
            notes: ["--weight-clip 0.5 bounds the discriminator's slope: spectral_norm of preset hinge is off"]
        ) { $0.weightClip == 0.5 && !$0.spectralNorm },
        Case(
            preset: "wgan", flags: ["spectral_norm": 1],
            notes: ["--spectral-norm bounds the discriminator's slope: weight_clip 0.01 of preset wgan is off"]
        ) { $0.weightClip == 0 && $0.spectralNorm },
        Case(
            preset: "wgan-gp", flags: ["weight_clip": 0.01],
            notes: ["--weight-clip 0.01 bounds the discriminator's slope: gradient_penalty 10 of preset wgan-gp is off"]
        ) { $0.weightClip == 0.01 && $0.gradientPenalty == 0 },
        Case(preset: "hinge", flags: ["gradient_penalty": 0], notes: []) { $0.spectralNorm },
        Case(preset: "hinge", flags: ["spectral_norm": 0, "gradient_penalty": 10], notes: []),
        Case(preset: "hinge", flags: ["loss:bce": 1, "label_smoothing": 0.1], notes: []) { $0.spectralNorm },
        Case(preset: "dcgan28", flags: ["ema": 0], notes: []) { !$0.averageRamp },
    ]

    @Test(arguments: cases) func presetsGiveWay(test: Case) throws {
        let request = request(test.preset, test.flags)
        let configuration = try request.fresh()
        #expect(test.expect(configuration))
        #expect(try request.notes(from: nil) == test.notes)
        // The run that goes on has it already, and there is nothing to say.
        #expect(try request.resumed(from: configuration) == configuration)
        #expect(try request.notes(from: configuration) == [])
        var nothing = ConfigurationRequest()
        #expect(try nothing.resumed(from: configuration) == configuration)
        nothing.preset = test.preset
        #expect(try nothing.resumed(from: configuration) == configuration)
    }

    /// What was said twice, or cannot be turned off, is refused in the words of what was said.
    @Test(arguments: [
        ("mlp", ["loss:hinge": 1, "label_smoothing": 0.1], "--label-smoothing and --label-flip change the targets"),
        ("cdcgan", ["loss:hinge": 1, "label_smoothing": 0.1], "change the targets of --loss bce and mse; hinge has none"),
        ("hinge", ["label_smoothing": 0.1], "--label-smoothing 0.1: loss hinge of preset hinge has no targets that it could "),
        ("wgan", ["label_flip": 0.1], "--label-flip 0.1: loss wasserstein of preset wgan has no targets"),
        ("hinge", ["spectral_norm": 1, "gradient_penalty": 10], "--gradient-penalty and --spectral-norm both bound"),
        ("hinge", ["weight_clip": 1, "gradient_penalty": 10], "--gradient-penalty and --weight-clip both bound"),
        ("wgan", ["gradient_penalty": 10], "layer 3 of the discriminator, batch_norm, is not piecewise linear"),
        ("mlp", ["ema_ramp": 1], "--ema-ramp changes the generator's moving average, and none is kept"),
        ("dcgan28", ["ema_ramp": 1, "ema": 0], "--ema-ramp changes the generator's moving average, and none is kept"),
    ] as [(String, [String: Double], String)])
    func refused(preset: String, flags: [String: Double], text: String) throws {
        let error = #expect(throws: Failure.self) { try request(preset, flags).fresh() }
        #expect(error?.code == .usage)
        #expect(error?.description.contains(text) == true, "\(error?.description ?? "")")
    }

    /// A file comes before its preset, and a flag before the file.
    @Test func filesGiveWayToFlags() throws {
        let file = request(nil, file: #"{"preset": "hinge", "gradient_penalty": 3}"#, [:])
        #expect(try file.fresh().spectralNorm == false)
        #expect(
            try file.notes(from: nil) == [
                "model.json: gradient_penalty 3 bounds the discriminator's slope: spectral_norm of preset hinge is off"
            ])
        let text = #"{"preset": "mlp", "label_smoothing": 0.2, "weight_clip": 1}"#
        let flag = request(nil, file: text, ["loss:hinge": 1, "spectral_norm": 1])
        #expect(
            try flag.notes(from: nil) == [
                "--loss hinge has no targets: label_smoothing 0.2 of model.json is off",
                "--spectral-norm bounds the discriminator's slope: weight_clip 1 of model.json is off",
            ])
        for (text, part) in [
            (#"{"preset": "mlp", "loss": "hinge", "label_smoothing": 0.2}"#, "model.json: --label-smoothing and "),
            (#"{"preset": "hinge", "label_smoothing": 0.2}"#, "model.json: label_smoothing 0.2: loss hinge of "),
            (#"{"preset": "mlp", "gradient_penalty": 1, "weight_clip": 1}"#, "model.json: --gradient-penalty and "),
        ] {
            let error = #expect(throws: Failure.self) { try request(nil, file: text, [:]).fresh() }
            #expect(error?.code == .usage && error?.description.hasPrefix(part) == true, "\(error?.description ?? "")")
        }
        let error = #expect(throws: Failure.self) {
            try request(nil, file: #"{"preset": "mlp", "loss": "hinge"}"#, ["label_smoothing": 0.2]).fresh()
        }
        #expect(error?.description.hasPrefix("--label-smoothing 0.2: loss hinge of model.json has no targets") == true)
    }

    /// A run that goes on does not become another one.
    @Test func resumedRunStaysItself() throws {
        let checkpoint = try Preset.named("cdcgan")
        let changed = try request("cdcgan", ["loss:hinge": 1]).resumed(from: checkpoint)
        #expect(try changed.differences(from: checkpoint) == ["loss", "label_smoothing"])
    }
}
