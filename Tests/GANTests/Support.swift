import Formats
import Foundation
@testable import GAN
import MessagePassing
import Networks
import Testing

/// A folder of one test, removed with all it holds.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("gan-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { "\(path)/\(name)" }

    /// Writes an IDX data set of `count` images to a new folder, and returns its path. Pixel p of image i is
    /// (37 i + 11 p + i p mod 251) mod 256, as in pytorch_step.py: the first pixel tells the image.
    func writeImages(
        _ count: Int, to name: String = "data", pixel: (Int, Int) -> Int = { image, pixel in 37 * image + 11 * pixel + image * pixel % 251 }
    ) throws -> String {
        try FileManager.default.createDirectory(atPath: file(name), withIntermediateDirectories: true)
        func bigEndian(_ values: [Int]) -> [UInt8] { values.flatMap { value in [24, 16, 8, 0].map { UInt8(value >> $0 & 0xff) } } }
        var pixels = bigEndian([0x803, count, 28, 28])
        for i in 0..<count { for p in 0..<784 { pixels.append(UInt8(pixel(i, p) % 256)) } }
        try Data(pixels).write(to: URL(fileURLWithPath: "\(file(name))/train-images-idx3-ubyte"))
        let labels = bigEndian([0x801, count]) + (0..<count).map { UInt8($0 % 10) }
        try Data(labels).write(to: URL(fileURLWithPath: "\(file(name))/train-labels-idx1-ubyte"))
        return file(name)
    }
}

/// The number of the image that a row of `writeImages` is, from its first pixel in [−1, 1].
func imageNumber(firstPixel: Float) -> Int {
    let byte = Int(((firstPixel + 1) * 127.5).rounded())
    return (0..<256).first { 37 * $0 % 256 == byte } ?? -1
}

/// A model file of two small networks for images of this side, with these fields besides or instead.
func smallModel(_ fields: [String: Any] = [:], side: Int = 28) throws -> ConfigurationRequest {
    let pixels = side * side
    var object: [String: Any] = [
        "preset": "mlp", "image_size": side, "batch_size": 8, "shards": 4, "latent_dim": 6, "seed": 81_985_529_216_486_895, "steps": 2,
        "log_interval": 1, "hash_interval": 1,
        "generator": [
            ["type": "linear", "inputs": 6, "outputs": 10], ["type": "relu"], ["type": "linear", "inputs": 10, "outputs": pixels],
            ["type": "tanh"],
        ],
        "discriminator": [
            ["type": "linear", "inputs": pixels, "outputs": 8], ["type": "leaky_relu", "slope": 0.2],
            ["type": "dropout", "probability": 0.3], ["type": "linear", "inputs": 8, "outputs": 1],
        ],
    ]
    for (name, value) in fields { object[name] = value }
    return modelFile(try JSONSerialization.data(withJSONObject: object))
}

/// A model file of two small convolutional networks with batch normalisation, two layers of it in the generator and one in
/// the discriminator, for images of 8 × 8, with these fields besides or instead.
func smallImageModel(_ fields: [String: Any] = [:]) throws -> ConfigurationRequest {
    func convolution(_ type: String, _ inputs: Int, _ outputs: Int, kernel: Int = 4, stride: Int = 2, padding: Int = 1) -> [String: Any] {
        [
            "type": type, "inputs": inputs, "outputs": outputs, "kernel": kernel, "stride": stride, "padding": padding,
            "bias": false,
        ]
    }
    let leaky: [String: Any] = ["type": "leaky_relu", "slope": 0.2]
    let generator: [[String: Any]] = [
        convolution("conv_transpose2d", 6, 8, kernel: 2, stride: 1, padding: 0), ["type": "batch_norm", "channels": 8],
        ["type": "relu"], convolution("conv_transpose2d", 8, 5), ["type": "batch_norm", "channels": 5], leaky,
        convolution("conv_transpose2d", 5, 1), ["type": "tanh"],
    ]
    let discriminator: [[String: Any]] = [
        convolution("conv2d", 1, 6), leaky, convolution("conv2d", 6, 10), ["type": "batch_norm", "channels": 10], leaky,
        convolution("conv2d", 10, 1, kernel: 2, stride: 1, padding: 0),
    ]
    var model: [String: Any] = ["batch_size": 10, "shards": 8, "generator": generator, "discriminator": discriminator]
    for (name, value) in fields { model[name] = value }
    return try smallModel(model, side: 8)
}

func modelFile(_ json: Data) -> ConfigurationRequest {
    var request = ConfigurationRequest()
    request.modelFile = ("model.json", json)
    return request
}

// What tests ask of MNIST's form.

/// A preset's configuration for MNIST.
func mnistPreset(_ name: String) throws -> Configuration { try Preset.named(name).configuration(for: .usual) }

extension Configuration {
    /// A small CycleGAN of 8 × 8 pixels, from grey pictures to others.
    mutating func setDomains(channelsB: Int) {
        imageSize = ImageSize(side: 8)
        self.channelsB = channelsB
        func layer(_ inputs: Int, _ outputs: Int, _ kernel: Int, _ stride: Int, _ padding: Int) -> LayerSpecification {
            LayerSpecification.convolution(.init(inputs: inputs, outputs: outputs, kernel: kernel, stride: stride, padding: padding))
        }
        func generator(_ inputs: Int, _ outputs: Int) -> [LayerSpecification] {
            let block: [LayerSpecification] = [.reflectionPadding(1), layer(4, 4, 3, 1, 0), .instanceNormalization(channels: 4)]
            let first: [LayerSpecification] = [.reflectionPadding(1), layer(inputs, 4, 3, 1, 0), .instanceNormalization(channels: 4)]
            return first + [.relu, .residual(block), layer(4, outputs, 3, 1, 1), .tanh]
        }
        func discriminator(_ inputs: Int) -> [LayerSpecification] {
            [layer(inputs, 4, 4, 2, 1), .leakyReLU(slope: 0.2), layer(4, 1, 3, 1, 1)]
        }
        (generatorAB, generatorBA) = (generator(channels, channelsB), generator(channelsB, channels))
        (discriminatorA, discriminatorB) = (discriminator(channels), discriminator(channelsB))
    }
}

/// The presets of GANs.
let ganPresets = Preset.names.filter { (try? mnistPreset($0))?.game == .gan }

extension ImageSize: ExpressibleByIntegerLiteral {
    public init(integerLiteral side: Int) { self.init(side: side) }
}

extension ConfigurationRequest {
    func fresh() throws -> Configuration { try fresh(for: .usual) }
}

extension Dataset {
    convenience init(
        _ configuration: Configuration, folder: String, layout: ShardLayout, world: World, needsLabels: Bool = false
    ) throws {
        let source = try DataSource(path: folder, wanted: nil, preferred: nil, world: world)
        try self.init(configuration, source, layout: layout, world: world, needsLabels: needsLabels)
    }
}

/// Expects a usage error whose message says this.
func expectUsage(_ text: String, sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Void) {
    let error = #expect(throws: Failure.self, sourceLocation: sourceLocation) { try body() }
    #expect(error?.code == .usage, sourceLocation: sourceLocation)
    #expect(error?.description.contains(text) == true, "\(error?.description ?? "")", sourceLocation: sourceLocation)
}

/// A finished run.
struct TrainedRun {
    let path: String

    func dump(_ step: Int) throws -> SafetensorsFile {
        try SafetensorsFile(path: "\(path)/dump/step-\(String(format: "%06d", step)).safetensors")
    }

    func lines(_ name: String) throws -> [String] {
        try String(contentsOfFile: "\(path)/\(name)", encoding: .utf8).split(separator: "\n").map(String.init)
    }

    /// The objects of `stats.jsonl`.
    func stats() throws -> [[String: Any]] {
        try lines("stats.jsonl").map {
            try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
        }
    }

    func bytes(_ name: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: "\(path)/\(name)"))) }

    var names: [String] { get throws { try FileManager.default.contentsOfDirectory(atPath: path).sorted() } }
}

extension SafetensorsFile {
    func floats(_ name: String) throws -> [Float] {
        var values = [Float](repeating: .nan, count: try #require(tensors[name], "no tensor \(name)").count)
        try values.withUnsafeMutableBufferPointer { try readFloats(name, into: $0) }
        return values
    }
}

/// Trains on pretended hosts of these sizes, or on one rank alone, and returns the newest run under `outdir`.
@discardableResult
func trainedRun(
    _ request: ConfigurationRequest, data: String, outdir: String, hosts: [Int]? = nil, dumpSteps: Int = 0,
    resume: ResumeRequest? = nil, options: RunOptions = RunOptions()
) throws -> TrainedRun {
    var options = options
    options.dataFolder = data
    options.outdir = outdir
    options.dumpSteps = dumpSteps
    options.watchdog = 50
    options.isQuiet = true
    if let hosts {
        // Not inside a closure's capture list: it is the same for all ranks.
        let options = options
        try onRanks(hosts: hosts) { try train(request, options, resume: resume, communicator: $0) }
    } else {
        try train(request, options, resume: resume, communicator: SoloCommunicator())
    }
    let newest = try FileManager.default.contentsOfDirectory(atPath: outdir).sorted().last
    return TrainedRun(path: "\(outdir)/\(try #require(newest))")
}
