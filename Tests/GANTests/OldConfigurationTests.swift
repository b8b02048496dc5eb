import Foundation
import MessagePassing
import Networks
import Testing

@testable import GAN

/// What configurations of version 0.1.0 mean, which lack fields that came later.
@Suite(.timeLimit(.minutes(15))) struct OldConfigurationTests {
    private static let golden = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "../Golden")

    private func read(_ object: [String: Any], preset: String? = nil) throws -> Configuration {
        try Configuration(json: JSONSerialization.data(withJSONObject: object), preset: preset, path: "model.json")
    }

    /// All fields of a preset, as 0.1.0 wrote them.
    private func oldFields(_ preset: String) throws -> [String: Any] {
        var object = try #require(
            try JSONSerialization.jsonObject(with: Data(mnistPreset(preset).json().utf8)) as? [String: Any])
        for (_, field) in Configuration.declared where field.presence != .always { object[field.key] = nil }
        return object
    }

    /// A whole configuration without a later field means what it meant; a few fields take the rest from the preset of today.
    @Test func absentFieldsMeanWhatTheyMeant() throws {
        #expect(try mnistPreset("dcgan28").averageRamp)
        #expect(try !read(oldFields("dcgan28")).averageRamp)
        #expect(try !read(["preset": "dcgan28", "lr": 1e-3, "version": "0.1.0"]).averageRamp)
        #expect(try read(["preset": "dcgan28", "lr": 1e-3]).averageRamp)
        #expect(try read(oldFields("dcgan28").merging(["ema_ramp": true]) { $1 }).averageRamp)
        // Without one of the fields that 0.1.0 wrote it is not whole.
        var short = try oldFields("dcgan28")
        short["beta2"] = nil
        #expect(try read(short).averageRamp)
        // What a preset is today does not come into an old configuration, and the rest is as it is in the file.
        var expected = try mnistPreset("lsgan")
        expected.averageRamp = false
        (expected.learningRateFlat, expected.learningRateDecay) = (.never, .never)
        #expect(try read(oldFields("lsgan")) == expected)
        #expect(try !read(oldFields("lsgan"), preset: "lsgan").averageRamp)
    }

    /// Fields of later versions are written where they say something, and mean their default elsewhere.
    @Test func laterFieldsAreWrittenWhereTheySaySomething() throws {
        func object(_ json: Data) throws -> [String: Any] {
            try #require(try JSONSerialization.jsonObject(with: json) as? [String: Any])
        }
        func keys(_ configuration: Configuration) throws -> Set<String> { Set(try object(Data(configuration.json().utf8)).keys) }
        let golden = Set(try object(Data(contentsOf: Self.golden.appending(path: "cgan-0.1.0.json"))).keys)
        var configuration = try mnistPreset("mlp")
        #expect(try keys(configuration).subtracting(golden).isSubset(of: ["ema_ramp"]))
        let before = try keys(configuration)
        (configuration.r1, configuration.r2) = (0.5, 2)
        #expect(try keys(configuration).subtracting(before) == ["r1", "r2"])
        #expect(try read(object(Data(configuration.json().utf8))) == configuration)
        #expect(try configuration.differences(from: mnistPreset("mlp")) == ["r1", "r2"])
    }

    /// What training_options.json of a new run says is read as it is.
    @Test(arguments: Preset.names) func newFilesAreWhole(name: String) throws {
        let configuration = try mnistPreset(name)
        let text = try configuration.json(pretty: false, adding: ["version": "0.2.0"])
        #expect(try Configuration(json: Data(text.utf8), preset: nil, path: "") == configuration)
    }

    /// `cgan` of 0.1.0: biases before normalisation, a discriminator that sees the class beside the pixels, and no average.
    @Test func cganOfOld() throws {
        let path = Self.golden.appending(path: "cgan-0.1.0.json")
        let old = try Configuration(json: Data(contentsOf: path), preset: nil, path: path.path)
        let new = try mnistPreset("cgan")
        #expect(old.generator[1] == .linear(inputs: 110, outputs: 256))
        #expect(new.generator[1] == .linear(inputs: 110, outputs: 256, hasBias: false))
        #expect(old.discriminator[1] == .label(classes: 10))
        #expect(
            try Set(old.differences(from: new)) == [
                "generator", "discriminator", "ema", "ema_ramp", "instance_noise", "label_smoothing", "lr_flat", "lr_decay",
            ])
        let counts = try [old, new].map { try $0.networkPlans().generator.layout.parameterCount }
        #expect(counts[0] - counts[1] == 2 * 256)
    }

    /// A checkpoint of 0.1.0, of preset dcgan28 with small networks and an average, after three steps. 0.1.0 went on to this
    /// state of step seven.
    @Test(arguments: [nil, [3], [2, 1]] as [[Int]?]) func oldCheckpointGoesOnToItsBytes(hosts: [Int]?) throws {
        let folder = try TemporaryFolder()
        let data = try folder.writeImages(30)
        let path = Self.golden.appending(path: "checkpoint-0.1.0.safetensors").path
        for preset in [nil, "dcgan28"] {
            var request = ConfigurationRequest()
            request.preset = preset
            try request.readOptions(["steps": 7])
            let run = try trainedRun(
                request, data: data, outdir: folder.file("runs-\(preset ?? "")"), hosts: hosts, resume: .named(path))
            let state = try Checkpoint(path: "\(run.path)/\(Checkpoint.name(step: 7))").hash(state: true)
            #expect(state == "111fc0d05878dda85fe671a61066ebc1521e5c3b012ea68d7817fd84462c7437")
        }
    }

    /// A short model file goes on with the checkpoint of its preset: what neither it nor a flag says is the checkpoint's.
    @Test func shortFileGoesOn() throws {
        let old = try read(oldFields("dcgan28"))
        var request = modelFile(Data(#"{"preset": "dcgan28", "lr": 0.002}"#.utf8))
        #expect(try request.resumed(from: old) == old)
        #expect(try request.fresh().averageRamp)
        try request.readOptions(["ema_ramp": true])
        #expect(try request.resumed(from: old).differences(from: old) == ["ema_ramp"])
        // Another preset is another configuration.
        let other = modelFile(Data(#"{"preset": "lsgan", "lr": 0.002}"#.utf8))
        #expect(try other.resumed(from: old).differences(from: old).contains("loss"))
        // A whole one says everything, and no learning rate of a network's own.
        var changed = old
        changed.generatorLearningRate = 0.1
        let whole = modelFile(try JSONSerialization.data(withJSONObject: oldFields("dcgan28")))
        #expect(try whole.resumed(from: changed) == old)
    }
}
