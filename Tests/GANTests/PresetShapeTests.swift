import Foundation
import MessagePassing
import Networks
import Testing

@testable import GAN

/// Presets for images of other shapes and other classes than MNIST's.
@Suite struct PresetShapeTests {
    private func data(_ channels: Int, _ height: Int, _ width: Int, classes: Int? = 26) -> DataFormat {
        DataFormat(name: "letters", channels: channels, size: ImageSize(height: height, width: width), classes: classes)
    }

    private func request(_ preset: String, _ options: [String: any FieldValue] = [:]) throws -> ConfigurationRequest {
        var request = ConfigurationRequest()
        request.preset = preset
        try request.readOptions(options)
        return request
    }

    static let shapes = [(1, 28, 28), (3, 32, 32), (1, 36, 20), (3, 20, 36), (3, 64, 64)]

    /// Every preset but dcgan builds itself for the shape; all that are told classes are told those of the data.
    @Test(arguments: ganPresets.filter { $0 != "dcgan" }, shapes) func networksFit(name: String, shape: (Int, Int, Int)) throws {
        let (channels, height, width) = shape
        let configuration = try request(name).fresh(for: data(channels, height, width))
        #expect(configuration.image == Shape(channels: channels, height: height, width: width))
        #expect(configuration.dataset == "letters")
        let plans = try configuration.networkPlans()
        #expect(plans.generator.outputs == channels * height * width)
        #expect(plans.discriminator.inputs == channels * height * width)
        #expect(configuration.classes == (name.hasPrefix("c") ? 26 : nil))
    }

    /// As many outputs as there are classes.
    @Test(arguments: shapes) func classifierFits(shape: (Int, Int, Int)) throws {
        let (channels, height, width) = shape
        let configuration = try request("classifier28").fresh(for: data(channels, height, width))
        #expect(try configuration.classifierPlan().inputs == channels * height * width)
        #expect(configuration.classes == 26)
        let error = #expect(throws: Failure.self) {
            try request("classifier28").fresh(for: data(channels, height, width, classes: nil))
        }
        #expect(error?.code == .missingInput && error?.description.contains("needs the classes of images") == true)
    }

    /// Radford's networks: 100 → 512 × 4 × 4 → … → C × 64 × 64.
    @Test(arguments: [1, 3]) func dcganIsRadfords(channels: Int) throws {
        let configuration = try request("dcgan").fresh(for: data(channels, 48, 40))
        #expect(configuration.image == Shape(channels: channels, height: 64, width: 64))
        let generator = try configuration.networkPlans().generator.layout
        #expect(generator.parameterCount == 3_573_632 + 1_024 * channels)
        let error = #expect(throws: Failure.self) { try request("dcgan", ["image_size": "32"]).fresh(for: data(channels, 48, 40)) }
        #expect(error?.code == .usage && error?.description.contains("--image-size 64") == true)
    }

    /// What does not fit names the option that makes it fit.
    @Test func shapesThatDoNotFit() throws {
        let error = #expect(throws: Failure.self) { try request("dcgan28").fresh(for: data(1, 30, 30)) }
        #expect(error?.code == .usage && error?.description.contains("30 × 30 pixels are not multiples of 4") == true)
        #expect(error?.description.contains("--image-size 32") == true)
        #expect(try request("dcgan28", ["image_size": "32"]).fresh(for: data(1, 30, 30)).imageSize == 32)
        #expect(try request("dcgan28", ["channels": 3]).fresh(for: data(1, 28, 28)).channels == 3)
        #expect(throws: Failure.self) { try request("dcgan28").fresh(for: data(1, 132, 132)) }
        let large = #expect(throws: Failure.self) { try request("mlp").fresh(for: data(3, 200, 200)) }
        #expect(large?.code == .usage && large?.description.contains("--image-size 128") == true)
        for (classes, code) in [(nil, ExitCode.missingInput), (1, .usage), (300, .usage)] {
            let error = #expect(throws: Failure.self) { try request("cdcgan").fresh(for: data(1, 28, 28, classes: classes)) }
            #expect(error?.code == code, "\(classes ?? 0)")
        }
    }

    /// The networks of a model file take the place of the preset's, whatever these could do.
    @Test func networksOfTheFile() throws {
        let file = Data(
            #"""
            {"preset": "dcgan28", "latent_dim": 4, "generator": [{"type": "linear", "inputs": 4, "outputs": 30}, {"type": "tanh"}],
             "discriminator": [{"type": "linear", "inputs": 30, "outputs": 1}]}
            """#.utf8)
        let configuration = try modelFile(file).fresh(for: data(1, 6, 5))
        #expect(configuration.imageSize == ImageSize(height: 6, width: 5))
        // Read again it is the same, and its size is a list.
        let text = try configuration.json()
        #expect(text.contains(#""image_size":[6,5]"#))
        #expect(try Configuration(json: Data(text.utf8), preset: nil, path: "copy") == configuration)
        // Of another size than the file says only squares can be made.
        try configuration.validate(for: data(1, 6, 5), at: "letters")
        let error = #expect(throws: Failure.self) { try configuration.validate(for: data(1, 8, 8), at: "letters") }
        #expect(error?.code == .usage && error?.description.contains("image_size 6 × 5") == true)
    }

    /// A file of ten classes is for data of ten or fewer.
    @Test func classesOfTheFile() throws {
        let configuration = try mnistPreset("cgan")
        try configuration.validate(for: data(1, 28, 28, classes: 10), at: "letters")
        try configuration.validate(for: data(1, 28, 28, classes: 8), at: "letters")
        let error = #expect(throws: Failure.self) { try configuration.validate(for: data(1, 28, 28), at: "letters") }
        #expect(error?.code == .badData && error?.description.contains("told 10 classes") == true)
        var mixed = configuration
        mixed.discriminator = try request("cgan").fresh(for: data(1, 28, 28)).discriminator
        #expect(throws: Failure.self) { try mixed.validate() }
    }

    /// Nothing is said of data that a run's bytes do not depend on: MNIST's configuration is what it was.
    @Test(arguments: Preset.names) func mnistIsAsItWas(name: String) throws {
        let object = try #require(
            try JSONSerialization.jsonObject(with: Data(mnistPreset(name).json().utf8)) as? [String: Any])
        #expect(object["image_size"] as? Int == (name == "dcgan" ? 64 : 28))
        #expect(object["dataset"] as? String == "mnist")
        for key in ["channels", "mirror"] { #expect(object[key] == nil) }
    }
}
