import Formats
import Foundation
import MessagePassing
import Networks

/// A generator as a page draws with it: its layers as a model file has them, and what else a picture of a number depends on.
struct ReportedGenerator: Encodable {
    /// Of its checkpoint.
    let step: Int
    let file: String
    /// Whether it is the moving average.
    let isAverage: Bool
    let parameters: Int
    let latent: Int
    /// The key of its noise: the seed's low and high word.
    let seed: [UInt32]
    let classes: Int?
    let channels, height, width: Int
    /// Whether products round their factors to bf16, as training did.
    let roundsFactors: Bool
    let layers: [LayerSpecification]

    /// Beyond, a page holds none: it would be larger than one likes to send.
    static let mostParameters = 1_800_000
}

/// The weights of a generator for a page, in the order of its layers, little-endian.
///
/// Weights of linear layers and convolutions are fp16, rounded to nearest even, in PyTorch's order. What there is one of for
/// each channel stays fp32: biases; of batch normalisation, with its running statistics, the two numbers a = γ / √(σ² + ε)
/// and b = β − a μ of y = a x + b; of layer normalisation γ and β.
struct GeneratorWeights {
    private(set) var halves: [UInt8] = []
    private(set) var singles: [UInt8] = []

    /// Why a page cannot draw with a generator.
    struct Unsuitable: Error { let reason: String }

    /// Hands on the numbers of a tensor, in one piece or several, by its name behind the player's.
    typealias Reader = (_ name: String, _ body: (UnsafeBufferPointer<Float>) throws -> Void) throws -> Void

    /// - Throws: `Unsuitable`, and what `read` throws.
    init(_ layers: [LayerSpecification], parameters: Int, read: Reader) throws {
        // Arrays that grow are in memory twice.
        halves.reserveCapacity(2 * parameters)
        try append(layers, path: "main", read)
    }

    private mutating func append(_ layers: [LayerSpecification], path: String, _ read: Reader) throws {
        for (number, layer) in layers.enumerated() {
            let name = "\(path).\(number)"
            switch layer.description {
            case let linear as LinearDescription: try appendProduct(name, hasBias: linear.hasBias, read)
            case let convolution as ConvolutionDescription: try appendProduct(name, hasBias: convolution.hasBias, read)
            case is BatchNormalizationDescription:
                let (gamma, beta) = (try Self.all("\(name).weight", read), try Self.all("\(name).bias", read))
                let (mean, variance) = (try Self.all("\(name).running_mean", read), try Self.all("\(name).running_var", read))
                let scale = zip(gamma, variance).map { Double($0) / (Double($1) + 1e-5).squareRoot() }
                appendSingles(scale.map { Float($0) })
                appendSingles(beta.indices.map { Float(Double(beta[$0]) - scale[$0] * Double(mean[$0])) })
            case is LayerNormalizationDescription:
                appendSingles(try Self.all("\(name).weight", read))
                appendSingles(try Self.all("\(name).bias", read))
            case let residual as ResidualDescription: try append(residual.layers, path: "\(name).conv_block", read)
            case is ReshapeDescription, is LabelDescription, is ActivationDescription, is UpsampleDescription,
                is DropoutDescription:
                break
            default: throw Unsuitable(reason: "it has a layer of type \(layer.name), with which this page does not draw")
            }
        }
    }

    private mutating func appendProduct(_ name: String, hasBias: Bool, _ read: Reader) throws {
        try read("\(name).weight") { values in
            for value in values {
                let half = Float16(value)
                guard half.isFinite else { throw Unsuitable(reason: "a weight of \(value) is more than fp16 holds") }
                halves.append(UInt8(truncatingIfNeeded: half.bitPattern))
                halves.append(UInt8(truncatingIfNeeded: half.bitPattern >> 8))
            }
        }
        if hasBias { appendSingles(try Self.all("\(name).bias", read)) }
    }

    private static func all(_ name: String, _ read: Reader) throws -> [Float] {
        var values: [Float] = []
        try read(name) { values += $0 }
        return values
    }

    private mutating func appendSingles(_ values: [Float]) {
        for value in values { withUnsafeBytes(of: value.bitPattern.littleEndian) { singles += $0 } }
    }
}

extension ReportedGenerator {
    /// The generator of a checkpoint and its weights.
    /// - Throws: `GeneratorWeights.Unsuitable` where a page cannot draw with it; what reading throws.
    static func load(_ checkpoint: Checkpoint) throws -> (ReportedGenerator, GeneratorWeights) {
        let configuration = checkpoint.configuration
        let isAverage = configuration.averageDecay > 0
        let count = try parameters(of: configuration)
        let weights = try GeneratorWeights(configuration.generator, parameters: count) { name, body in
            let isBuffer = name.hasSuffix("running_mean") || name.hasSuffix("running_var")
            let full = "\(isAverage && !isBuffer ? "ema." : "")generator.\(name)"
            try withFiles { try checkpoint.file.forEachPiece(of: full, body) }
        }
        let image = configuration.image
        let generator = ReportedGenerator(
            step: checkpoint.step, file: (checkpoint.path as NSString).lastPathComponent, isAverage: isAverage,
            parameters: count, latent: configuration.latentDimension,
            seed: [UInt32(truncatingIfNeeded: configuration.seed), UInt32(truncatingIfNeeded: configuration.seed >> 32)],
            classes: configuration.classes, channels: image.channels, height: image.height, width: image.width,
            roundsFactors: configuration.precision == .bf16, layers: configuration.generator)
        return (generator, weights)
    }

    static func parameters(of configuration: Configuration) throws -> Int {
        try configuration.networkPlans().generator.layout.parameterCount
    }
}
