import Foundation
import MessagePassing
import Testing

@testable import GAN

@Suite struct ConfigurationTests {
    private func read(_ json: String, preset: String? = nil) throws -> Configuration {
        try Configuration(json: Data(json.utf8), preset: preset, path: "model.json")
    }

    // MARK: Schedules

    /// Halved at each multiple of the half-life, and a normal number however long the training.
    @Test func learningRateHalfLife() throws {
        var configuration = try mnistPreset("mlp")
        func scales(_ steps: [Int]) -> [Double] {
            steps.map { configuration.learningRateScale(step: $0, stepsPerEpoch: 10) }
        }
        #expect(scales([0, 1 << 40]) == [1, 1])
        configuration.learningRateHalfLife = .steps(3)
        #expect(scales([0, 2, 3, 5, 6, 9]) == [1, 1, 0.5, 0.5, 0.25, 0.125])
        #expect(scales([1 << 40])[0].isNormal)
        configuration.learningRateHalfLife = .epochs(2)
        #expect(scales([19, 20, 39, 40]) == [1, 0.5, 0.5, 0.25])
    }

    /// As they are at first, then evenly to 0, which they keep.
    @Test func learningRateDecay() throws {
        var configuration = try mnistPreset("mlp")
        func scales(_ steps: [Int]) -> [Double] {
            steps.map { configuration.learningRateScale(step: $0, stepsPerEpoch: 10) }
        }
        configuration.learningRateDecay = .steps(4)
        #expect(scales([0, 1, 2, 3, 4, 5, 1 << 40]) == [1, 0.75, 0.5, 0.25, 0, 0, 0])
        configuration.learningRateFlat = .steps(3)
        #expect(scales([0, 2, 3, 4, 6, 7, 8]) == [1, 1, 1, 0.75, 0.25, 0, 0])
        (configuration.learningRateFlat, configuration.learningRateDecay) = (.epochs(2), .epochs(1))
        #expect(scales([19, 20, 25, 30, 99]) == [1, 1, 0.5, 0, 0])
        // The length of the training does not matter.
        configuration.epochs = 1_000
        #expect(scales([25, 30]) == [0.5, 0])
    }

    // MARK: Model files

    /// What is written is what is read, in both forms, with what `training_options.json` holds besides.
    @Test(arguments: Preset.names) func survivesTheFile(name: String) throws {
        var configuration = try mnistPreset(name)
        configuration.steps = 17
        configuration.seed = .max
        configuration.learningRate = 0.1 + 0.2
        for text in [
            try configuration.json(),
            try configuration.json(pretty: true, adding: ["version": "9.9", "data_sha256": "00", "images": 60_000]),
        ] {
            #expect(try read(text) == configuration)
        }
    }

    /// What is written is byte by byte what `JSONSerialization` makes of it: keys that sort otherwise would change checkpoints.
    @Test(arguments: Preset.names) func isWrittenAsJSONSerializationDoes(name: String) throws {
        var configuration = try mnistPreset(name)
        configuration.seed = .max
        (configuration.learningRate, configuration.epsilon) = (0.1 + 0.2, 1e-8)
        let facts: [String: JSONValue] = [
            "version": "9.9", "data_sha256": "00", "images": 60_000, "data_path": "a/\"ö\"\n😀", "class_names": .list(["T-shirt/top", ""]),
            "init_sha256": "", "init_from": "", "data_b_sha256": "", "images_b": 1, "data_b_path": "",
        ]
        let plain: JSONSerialization.WritingOptions = [.sortedKeys, .withoutEscapingSlashes]
        for (text, options) in [
            (try configuration.json(), plain), (try configuration.json(pretty: true, adding: facts), plain.union(.prettyPrinted)),
        ] {
            let object = try JSONSerialization.jsonObject(with: Data(text.utf8))
            let expected = try JSONSerialization.data(withJSONObject: object, options: options)
            #expect(text == String(decoding: expected, as: UTF8.self))
        }
    }

    @Test(arguments: [0, 1, 951_782_399.9, 951_782_400, 1_764_349_460.5, 4_102_444_800]) func timesAreThoseOfRFC3339(seconds: Double) {
        let date = Date(timeIntervalSince1970: seconds)
        #expect(date.rfc3339 == date.formatted(.iso8601))
    }

    /// A longer run than its schedule learns nothing at its end, which is said with what would change that.
    @Test func learningRatesThatEndTooEarly() throws {
        var configuration = try mnistPreset("mlp")
        func warning() -> String? { configuration.warningOfLearningRates(images: 64_000) }
        #expect(warning() == nil)
        (configuration.learningRateFlat, configuration.learningRateDecay) = (.epochs(5), .epochs(10))
        configuration.epochs = 15
        #expect(warning() == nil)
        configuration.epochs = 30
        #expect(warning()?.hasPrefix("the learning rates reach 0 after 15,000 of 30,000 steps") == true)
        #expect(warning()?.contains("--lr-flat 10e --lr-decay 20e") == true)
        configuration.steps = 15_300
        #expect(warning()?.contains("--lr-flat 5100 --lr-decay 10200") == true)
        configuration.steps = 300
        #expect(warning() == nil)
    }

    /// The file's fields come before the preset's; the preset is that of the option, of the file, or the default.
    @Test func presetThenFile() throws {
        #expect(try read("{}") == mnistPreset(Preset.standard))
        #expect(try read(#"{"preset": "mlp-wide"}"#) == mnistPreset("mlp-wide"))
        #expect(try read("{}", preset: "mlp-reuse") == mnistPreset("mlp-reuse"))
        let both = try read(#"{"preset": "mlp-wide", "batch_size": 32, "log_interval": "2e"}"#, preset: "mlp-dropout")
        #expect(both.preset == "mlp-dropout")
        #expect(both.generator == (try mnistPreset("mlp-dropout").generator))
        #expect((both.batchSize, both.logInterval) == (32, .epochs(2)))
    }

    /// Flags come last.
    @Test func flagsComeBeforeTheFile() throws {
        var request = modelFile(Data(#"{"preset": "mlp", "batch_size": 32, "lr": 0.001, "latent_dim": 64}"#.utf8))
        try request.readOptions(["batch_size": 128, "latent_dim": 20])
        let configuration = try request.fresh()
        #expect((configuration.batchSize, configuration.learningRate) == (128, 0.001))
        #expect(configuration.latentDimension == 20)
        #expect(configuration.generator[0] == .linear(inputs: 20, outputs: 256))
        #expect(try ConfigurationRequest().fresh() == mnistPreset(Preset.standard))
    }

    /// A field's option reads what its JSON holds, and changes nothing else.
    @Test func eachOptionSetsItsField() throws {
        let values: [String: (option: any FieldValue, expected: String)] = [
            "dataset": ("fashion", "\"fashion\""),
            "image_size": ("64", "64"), "channels": (3, "3"), "mirror": (true, "true"),
            "epochs": (3, "3"), "steps": (17, "17"), "batch_size": (128, "128"),
            "lr": (0.1 + 0.2, "0.30000000000000004"), "lr_generator": (1e-3, "0.001"), "lr_discriminator": (4.0, "4"),
            "lr_half_life": ("2e", "\"2e\""), "lr_flat": ("3", "\"3\""), "lr_decay": ("4e", "\"4e\""),
            "optimizer": ("sgd", "\"sgd\""), "beta1": (0.25, "0.25"), "beta2": (0.5, "0.5"),
            "latent_dim": (5, "5"), "loss": ("mse", "\"mse\""), "critic_steps": (2, "2"), "gradient_penalty": (10.0, "10"),
            "r1": (10.0, "10"), "r2": (0.5, "0.5"), "penalty_interval": (16, "16"),
            "weight_clip": (0.01, "0.01"), "spectral_norm": (true, "true"), "label_smoothing": (0.1, "0.1"),
            "label_flip": (0.2, "0.2"), "instance_noise": (0.3, "0.3"), "instance_noise_decay": ("400", "\"400\""),
            "instance_noise_mixed": (true, "true"),
            "ema": (0.999, "0.999"), "ema_ramp": (true, "true"), "precision": ("bf16", "\"bf16\""),
            "seed": (UInt64.max, "18446744073709551615"), "shards": (16, "16"), "log_interval": ("7", "\"7\""),
            "sample_interval": ("0", "\"0\""), "checkpoint_interval": ("9e", "\"9e\""), "hash_interval": ("8", "\"8\""),
            "keep": (1, "1"), "keep_every": ("1000", "\"1000\""), "evaluate_interval": ("2e", "\"2e\""), "evaluate_images": (100, "100"),
            "keep_best": ("fid", "\"fid\""), "domain_b": ("mnist:edges", "\"mnist:edges\""), "channels_b": (3, "3"),
            "cycle_weight": (5.0, "5"), "cycle_weight_b": (0.0, "0"), "identity_weight": (0.5, "0.5"), "pool_size": (16, "16"),
        ]
        #expect(Set(values.keys) == Set(Configuration.declared.map(\.field).filter { $0.flag != nil }.map(\.key)))
        let preset = try mnistPreset("mlp").fields()
        for (key, (option, expected)) in values {
            var changed = try Settings(options: [key: option]).configuration(over: mnistPreset("mlp")).fields()
            #expect(changed[key] == expected)
            changed[key] = preset[key]
            #expect(changed == preset, "\(key)")
        }
    }

    /// Each option is called as its field, and says what it is for in one line.
    @Test func fieldsHaveNamesOfTheirOwn() {
        let fields = Configuration.declared.map(\.field)
        #expect(Set(fields.map(\.key)).count == fields.count)
        for field in fields {
            #expect(field.flag.map { $0 == "--" + field.key.replacing("_", with: "-") } ?? true)
            #expect(field.help.hasSuffix(".") && !field.help.contains("\n"))
            #expect(field.key == field.key.lowercased())
        }
    }

    /// A number of epochs takes the place of one of steps; both together stay.
    @Test func epochsTakeThePlaceOfSteps() throws {
        var request = modelFile(Data(#"{"preset": "mlp", "steps": 17}"#.utf8))
        #expect(try request.fresh().steps == 17)
        try request.readOptions(["epochs": 3])
        #expect(try request.fresh().steps == nil)
        try request.readOptions(["epochs": 3, "steps": 5])
        #expect(try request.fresh().steps == 5)
    }

    /// In the words of the command line.
    @Test(arguments: [
        (["loss": "huber"], "--loss huber: known are bce, mse, hinge, wasserstein, relativistic"),
        (["dataset": "cifar"], "--dataset cifar: known are mnist, fashion, kmnist, emnist-byclass, emnist-bymerge, emnist-balanced, emnist-letters, "
            + "emnist-digits, emnist-mnist; other data need no name"),
        (["log_interval": "4x"], "--log-interval 4x: an interval is a number of steps (400) or epochs (4e)"),
        (["lr": Double.nan], "--lr nan: the learning rate must be a positive number"),
        (["lr_generator": -Double.infinity], "--lr-generator -inf: must be a positive number"),
        (["weight_clip": -1.0], "--weight-clip -1.0: must be a number from 0, which is none"),
        (["latent_dim": Int.min], "--latent-dim -9223372036854775808: must be 1 … 65,536"),
        (["steps": 0], "--steps 0: must be at least 1"),
    ] as [([String: any FieldValue], String)])
    func refusesOptions(options: [String: any FieldValue], text: String) throws {
        let error = #expect(throws: Failure.self) {
            var request = ConfigurationRequest()
            try request.readOptions(options)
            _ = try request.fresh()
        }
        #expect(error?.code == .usage)
        #expect(error?.description == text)
    }

    /// null is no value: the preset's stays.
    @Test func nullIsTheDefault() throws {
        #expect(try read(#"{"steps": null, "lr": null, "generator": null, "preset": null}"#) == mnistPreset(Preset.standard))
    }

    @Test(arguments: [
        ("", "model.json: not JSON"),
        ("{", "model.json: not JSON"),
        ("{\"lr\": 1,}x", "model.json: not JSON"),
        ("\u{0}", "model.json: not JSON"),
        ("[]", "model.json: a JSON object is expected"),
        ("3", "model.json: a JSON object is expected"),
        (#""mlp""#, "model.json: a JSON object is expected"),
        (#"{"learning_rate": 1}"#, "model.json: unknown field \"learning_rate\"; known are batch_size, beta1, "),
        (#"{"batchSize": 1, "Lr": 2}"#, "model.json: unknown field \"Lr\""),
        (#"{"preset": "mpl"}"#, "unknown preset \"mpl\"; known are dcgan28"),
        (#"{"batch_size": "64"}"#, "model.json: field batch_size: a whole number is expected, not \"64\""),
        (#"{"batch_size": 64.5}"#, "model.json: field batch_size: "),
        (#"{"batch_size": 1e30}"#, "model.json: field batch_size: "),
        (#"{"seed": -1}"#, "model.json: field seed: "),
        (#"{"seed": 18446744073709551616}"#, "model.json: field seed: "),
        (#"{"lr": 1e999}"#, "model.json: "),
        (#"{"discriminator": [{"type": "linear", "inputs": 784.5, "outputs": 1}]}"#, "model.json: field discriminator"),
        (#"{"lr": "fast"}"#, "model.json: field lr: a number is expected"),
        (#"{"lr": true}"#, "model.json: field lr: a number is expected, not true"),
        (#"{"dataset": 3}"#, "model.json: field dataset: text in quotes is expected, not 3"),
        (#"{"image_size": [3]}"#, "model.json: field image_size: a number of pixels (64), or [height, width], is expected, not a list"),
        (#"{"image_size": "big"}"#, "model.json: field image_size: a number of pixels (64), or [height, width], is expected, not \"big\""),
        (#"{"channels": "1"}"#, "model.json: field channels: a whole number is expected, not \"1\""),
        (#"{"loss": "huber"}"#, "model.json: field loss: bce, mse, hinge, wasserstein or relativistic is expected, not \"huber\""),
        (#"{"precision": "fp16"}"#, "model.json: field precision: fp32 or bf16 is expected, not \"fp16\""),
        (#"{"generator_step": 3}"#, "model.json: field generator_step: fresh or reuse is expected, not 3"),
        (#"{"spectral_norm": 1}"#, "model.json: field spectral_norm: true or false is expected, not 1"),
        (#"{"ema_ramp": "yes"}"#, "model.json: field ema_ramp: true or false is expected, not \"yes\""),
        (#"{"log_interval": 1.5}"#, "model.json: field log_interval: an interval of steps (400) or epochs (\"4e\") is expected, not 1.5"),
        (#"{"generator": [3]}"#, "model.json: field generator.[0]: an object is expected, not 3"),
        (#"{"generator": [null]}"#, "model.json: field generator.[0]: an object is expected, not null"),
        (#"{"generator": [{"type": []}]}"#, "model.json: field generator.[0].type: text in quotes is expected, not a list"),
        (#"{"generator": [{"type": "linear", "inputs": 1, "outputs": 1, "bias": 2}]}"#,
            "model.json: field generator.[0].bias: true or false is expected, not 2"),
        (#"{"log_interval": "often"}"#, "model.json: field log_interval: \"often\" is not an interval"),
        (#"{"generator": {}}"#, "model.json: field generator: a list is expected, not an object"),
        (#"{"generator": [{"type": "linear", "inputs": 64, "outputs": 784}, {"type": "swish"}]}"#,
            "model.json: field generator.[1]: unknown layer type \"swish\"; known are linear, conv2d, "),
        (#"{"discriminator": [{"type": "linear", "inputs": 784}]}"#, "model.json: field discriminator.[0]: \"outputs\" is missing"),
        (#"{"discriminator": [{"type": "linear", "inputs": 784, "outputs": "1"}]}"#,
            "model.json: field discriminator.[0].outputs: a whole number is expected, not \"1\""),
        (#"{"discriminator": [{"type": "dropout", "probability": 1}]}"#, "model.json: field discriminator.[0]: a dropout probability"),
        (#"{"discriminator": [{"type": "conv2d", "inputs": 1, "outputs": 1, "stride": 2, "padding": 1}]}"#,
            "model.json: field discriminator.[0]: \"kernel\" is missing"),
        (#"{"discriminator": [{"type": "upsample", "factor": 0}]}"#, "model.json: field discriminator.[0]: a layer of type upsample"),
        (#"{"critic_steps": 1.5}"#, "model.json: field critic_steps: "),
        (#"{"gradient_penalty": "strong"}"#, "model.json: field gradient_penalty: a number is expected"),
        (#"{"weight_clip": []}"#, "model.json: field weight_clip: a number is expected"),
        (#"{"label_smoothing": "one-sided"}"#, "model.json: field label_smoothing: a number is expected"),
        (#"{"label_flip": {}}"#, "model.json: field label_flip: a number is expected"),
        (#"{"instance_noise": "0.1"}"#, "model.json: field instance_noise: a number is expected"),
        (#"{"instance_noise_decay": "soon"}"#, "model.json: field instance_noise_decay: \"soon\" is not an interval"),
        (#"{"ema": "0.999"}"#, "model.json: field ema: a number is expected"),
        (#"{"optimizer": "adagrad"}"#, "model.json: field optimizer: adam, rmsprop or sgd is expected, not \"adagrad\""),
        (#"{"lr_generator": "fast"}"#, "model.json: field lr_generator: a number is expected"),
        (#"{"preset": 7}"#, "model.json: field preset: "),
    ])
    func refusesAndNamesTheField(json: String, text: String) {
        expectUsage(text) { _ = try read(json) }
        // In the words of the file, not in Swift's.
        let message = (#expect(throws: Failure.self) { try read(json) })?.description ?? ""
        for name in ["Swift", "Int", "Double", "Bool", "String", "Array", "Dictionary", "Any", "decode", "initialize"] {
            #expect(!message.contains(name), "\(message)")
        }
    }

    @Test func deepNestingDoesNotOverflow() {
        for json in [String(repeating: "[", count: 200_000), #"{"generator": "# + String(repeating: #"{"a":"#, count: 100_000)] {
            #expect(throws: Failure.self) { _ = try read(json) }
        }
    }

    /// The layer that takes the noise takes as much of it as there is, also where it is a convolution.
    @Test func latentDimensionIsThatOfTheFirstLayer() throws {
        var configuration = try mnistPreset("dcgan")
        configuration.setLatentDimension(20)
        try configuration.validate()
        #expect(try configuration.networkPlans().generator.layout.tensors[0].shape == [20, 512, 4, 4])
    }

    // MARK: Length

    @Test func stepsAndEpochs() throws {
        var configuration = try mnistPreset("mlp")
        #expect(configuration.stepsPerEpoch(images: 60_000) == 937)
        #expect(configuration.totalSteps(images: 60_000) == 937 * 20)
        configuration.epochs = 3
        #expect(configuration.totalSteps(images: 64) == 3)
        #expect(configuration.totalSteps(images: 127) == 3)
        configuration.steps = 400
        #expect(configuration.totalSteps(images: 60_000) == 400)
    }

    // MARK: Differences

    /// Length, intervals and what is kept do not count; everything else does.
    @Test func differencesAreThoseOfTheBytes() throws {
        let preset = try mnistPreset("mlp")
        var other = preset
        other.epochs = 7
        other.steps = 3
        other.logInterval = .steps(1)
        other.sampleInterval = .never
        other.checkpointInterval = .epochs(9)
        other.hashInterval = .steps(5)
        other.keep = 1
        other.preset = "mlp-wide"
        #expect(try other.differences(from: preset) == [])
        other.seed = 1
        other.beta2 = 0.99
        other.generator[1] = .tanh
        other.imageSize = 64
        #expect(try other.differences(from: preset) == ["image_size", "beta2", "generator", "seed"])
        #expect(try mnistPreset("mlp-wide").differences(from: preset) == ["latent_dim", "generator", "discriminator"])
    }
}
