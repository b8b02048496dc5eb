import Foundation
import MessagePassing
import Testing

@testable import GAN

/// What the user said turns off what the preset says and what makes no sense beside it.
@Suite struct PrecedenceTests {
    private func request(
        _ preset: String?, file: String? = nil, _ options: [String: any FieldValue]
    ) throws -> ConfigurationRequest {
        var request = ConfigurationRequest()
        request.preset = preset
        if let file { request.modelFile = ("model.json", Data(file.utf8)) }
        try request.readOptions(options)
        return request
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var preset: String
        var options: [String: any FieldValue]
        var notes: [String]
        var expect: @Sendable (Configuration) -> Bool = { _ in true }
        var testDescription: String { "\(preset) \(options.keys.sorted())" }
    }

    static let cases: [Case] = [
        Case(
            preset: "cdcgan", options: ["loss": "hinge"],
            notes: ["--loss hinge has no targets: label_smoothing 0.1 of preset cdcgan is off"]
        ) { $0.loss == .hinge && $0.labelSmoothing == 0 },
        Case(
            preset: "dcgan28", options: ["loss": "wasserstein", "weight_clip": 0.01],
            notes: ["--loss wasserstein has no targets: label_smoothing 0.1 of preset dcgan28 is off"]
        ) { $0.labelSmoothing == 0 && $0.weightClip == 0.01 },
        Case(preset: "dcgan28", options: ["loss": "mse"], notes: []) { $0.labelSmoothing == 0.1 },
        Case(preset: "cdcgan", options: ["loss": "hinge", "label_smoothing": 0.0], notes: []),
        Case(
            preset: "hinge", options: ["weight_clip": 0.5],
            notes: ["--weight-clip 0.5 bounds the discriminator's slope: spectral_norm of preset hinge is off"]
        ) { $0.weightClip == 0.5 && !$0.spectralNorm },
        Case(
            preset: "wgan", options: ["spectral_norm": true],
            notes: ["--spectral-norm bounds the discriminator's slope: weight_clip 0.05 of preset wgan is off"]
        ) { $0.weightClip == 0 && $0.spectralNorm },
        Case(
            preset: "wgan", options: ["lr": 0.0003],
            notes: ["--lr 0.0003 is of both networks: lr_discriminator 0.0002 of preset wgan is off"]
        ) { $0.learningRate == 3e-4 && $0.discriminatorLearningRate == nil },
        Case(preset: "wgan", options: ["lr": 0.0003, "lr_discriminator": 0.0001], notes: []) { $0.discriminatorLearningRate == 1e-4 },
        Case(
            preset: "wgan-gp", options: ["weight_clip": 0.01],
            notes: ["--weight-clip 0.01 bounds the discriminator's slope: gradient_penalty 10 of preset wgan-gp is off"]
        ) { $0.weightClip == 0.01 && $0.gradientPenalty == 0 },
        Case(
            preset: "wgan-gp", options: ["spectral_norm": true],
            notes: ["--spectral-norm bounds the discriminator's slope: gradient_penalty 10 of preset wgan-gp is off"]
        ) { $0.gradientPenalty == 0 && $0.spectralNorm },
        Case(
            preset: "wgan-gp", options: ["r1": 0.5, "r2": 0.5],
            notes: ["--r1 0.5 bounds the discriminator's slope: gradient_penalty 10 of preset wgan-gp is off"]
        ) { ($0.r1, $0.r2) == (0.5, 0.5) && $0.gradientPenalty == 0 },
        Case(preset: "hinge", options: ["gradient_penalty": 0.0], notes: []) { $0.spectralNorm },
        Case(preset: "hinge", options: ["spectral_norm": false, "weight_clip": 0.5], notes: []) { !$0.spectralNorm },
        Case(preset: "hinge", options: ["loss": "bce", "label_smoothing": 0.1], notes: []) { $0.spectralNorm },
        Case(preset: "dcgan28", options: ["ema": 0.0], notes: []) { !$0.averageRamp },
    ]

    @Test(arguments: cases) func presetsGiveWay(test: Case) throws {
        let request = try request(test.preset, test.options)
        let configuration = try request.fresh()
        #expect(test.expect(configuration))
        #expect(try request.notes(from: nil, .mnist) == test.notes)
        // The run that goes on has it already, and there is nothing to say.
        #expect(try request.resumed(from: configuration) == configuration)
        #expect(try request.notes(from: configuration, .mnist) == [])
        var nothing = ConfigurationRequest()
        #expect(try nothing.resumed(from: configuration) == configuration)
        nothing.preset = test.preset
        #expect(try nothing.resumed(from: configuration) == configuration)
    }

    /// What was said twice, or cannot be turned off, is refused in the words of what was said.
    @Test(arguments: [
        ("mlp", ["loss": "hinge", "label_smoothing": 0.1], "--label-smoothing and --label-flip change the targets"),
        ("cdcgan", ["loss": "hinge", "label_smoothing": 0.1], "change the targets of --loss bce and mse; hinge has none"),
        ("hinge", ["label_smoothing": 0.1], "--label-smoothing 0.1: loss hinge of preset hinge has no targets that it could "),
        ("wgan", ["label_flip": 0.1], "--label-flip 0.1: loss wasserstein of preset wgan has no targets"),
        ("wgan-gp", ["spectral_norm": true, "gradient_penalty": 10.0], "--gradient-penalty and --spectral-norm both bound"),
        ("wgan-gp", ["weight_clip": 1.0, "gradient_penalty": 10.0], "--gradient-penalty and --weight-clip both bound"),
        ("wgan", ["gradient_penalty": 10.0], "layer 3 of the discriminator, batch_norm, is not piecewise linear"),
        ("mlp", ["ema_ramp": true], "--ema-ramp changes the generator's moving average, and none is kept"),
        ("dcgan28", ["ema_ramp": true, "ema": 0.0], "--ema-ramp changes the generator's moving average, and none is kept"),
    ] as [(String, [String: any FieldValue], String)])
    func refused(preset: String, options: [String: any FieldValue], text: String) throws {
        let error = #expect(throws: Failure.self) { try request(preset, options).fresh() }
        #expect(error?.code == .usage)
        #expect(error?.description.contains(text) == true, "\(error?.description ?? "")")
    }

    /// A file comes before its preset, and a flag before the file.
    @Test func filesGiveWayToFlags() throws {
        let file = try request(nil, file: #"{"preset": "hinge", "weight_clip": 3}"#, [:])
        #expect(try file.fresh().spectralNorm == false)
        #expect(
            try file.notes(from: nil, .mnist) == [
                "model.json: weight_clip 3 bounds the discriminator's slope: spectral_norm of preset hinge is off"
            ])
        let spectral = #"{"preset": "mlp", "loss": "hinge", "spectral_norm": true}"#
        for (option, words) in [("gradient_penalty", "--gradient-penalty 10"), ("r1", "--r1 10")] {
            let flag = try request(nil, file: spectral, [option: 10.0])
            #expect(try flag.fresh().spectralNorm == false)
            #expect(
                try flag.notes(from: nil, .mnist) == [
                    "\(words) bounds the discriminator's slope: spectral_norm of model.json is off"
                ])
        }
        let text = #"{"preset": "mlp", "label_smoothing": 0.2, "weight_clip": 1}"#
        let flag = try request(nil, file: text, ["loss": "hinge", "spectral_norm": true])
        #expect(
            try flag.notes(from: nil, .mnist) == [
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

    /// There is one schedule of the learning rates, the one that was asked for.
    @Test func schedulesGiveWay() throws {
        let decay = #"{"preset": "mlp", "lr_flat": "5e", "lr_decay": "10e"}"#
        let halved = try request(nil, file: decay, ["lr_half_life": "3e"])
        #expect(
            try halved.notes(from: nil, .mnist) == [
                "--lr-half-life 3e lowers the learning rates: lr_decay 10e of model.json is off"
            ])
        let configuration = try halved.fresh()
        #expect(configuration.learningRateHalfLife == .epochs(3))
        #expect((configuration.learningRateFlat, configuration.learningRateDecay) == (.never, .never))
        let never = try request(nil, file: decay, ["lr_decay": "0"])
        #expect(try never.notes(from: nil, .mnist) == [])
        #expect(try never.fresh() == mnistPreset("mlp"))
        let evenly = try request(nil, file: #"{"preset": "mlp", "lr_half_life": "3e"}"#, ["lr_decay": "10e"])
        #expect(
            try evenly.notes(from: nil, .mnist) == [
                "--lr-decay 10e lowers the learning rates: lr_half_life 3e of model.json is off"
            ])
        #expect(try evenly.fresh().learningRateHalfLife == .never)
        let error = #expect(throws: Failure.self) {
            try request(nil, file: decay, ["lr_decay": "10e", "lr_half_life": "3e"]).fresh()
        }
        #expect(error?.description.contains("--lr-half-life and --lr-decay both lower the learning rates") == true)
    }

    /// Zero-centred penalties on real and on fake images go together.
    @Test func onePenaltyLeavesTheOther() throws {
        let both = try request(nil, file: #"{"preset": "mlp", "r1": 1, "r2": 2}"#, ["r1": 3.0])
        let configuration = try both.fresh()
        #expect((configuration.r1, configuration.r2) == (3, 2))
        #expect(try both.notes(from: nil, .mnist) == [])
    }

    /// A run that goes on does not become another one.
    @Test func resumedRunStaysItself() throws {
        let checkpoint = try mnistPreset("cdcgan")
        let changed = try request("cdcgan", ["loss": "hinge"]).resumed(from: checkpoint)
        #expect(try changed.differences(from: checkpoint) == ["loss", "label_smoothing"])
    }
}
