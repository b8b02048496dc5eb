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

    /// - Parameter read: the numbers of a tensor, by its name behind the player's.
    /// - Throws: `Unsuitable`, and what `read` throws.
    init(_ layers: [LayerSpecification], read: (_ name: String) throws -> [Float]) throws {
        try append(layers, path: "main", read)
    }

    private mutating func append(_ layers: [LayerSpecification], path: String, _ read: (String) throws -> [Float]) throws {
        for (number, layer) in layers.enumerated() {
            let name = "\(path).\(number)"
            switch layer.description {
            case let linear as LinearDescription: try appendProduct(name, hasBias: linear.hasBias, read)
            case let convolution as ConvolutionDescription: try appendProduct(name, hasBias: convolution.hasBias, read)
            case is BatchNormalizationDescription:
                let (gamma, beta) = (try read("\(name).weight"), try read("\(name).bias"))
                let (mean, variance) = (try read("\(name).running_mean"), try read("\(name).running_var"))
                let scale = zip(gamma, variance).map { Double($0) / (Double($1) + 1e-5).squareRoot() }
                appendSingles(scale.map { Float($0) })
                appendSingles(beta.indices.map { Float(Double(beta[$0]) - scale[$0] * Double(mean[$0])) })
            case is LayerNormalizationDescription:
                appendSingles(try read("\(name).weight"))
                appendSingles(try read("\(name).bias"))
            case let residual as ResidualDescription: try append(residual.layers, path: "\(name).conv_block", read)
            case is ReshapeDescription, is LabelDescription, is ActivationDescription, is UpsampleDescription,
                is DropoutDescription:
                break
            default: throw Unsuitable(reason: "it has a layer of type \(layer.name), with which this page does not draw")
            }
        }
    }

    private mutating func appendProduct(_ name: String, hasBias: Bool, _ read: (String) throws -> [Float]) throws {
        for value in try read("\(name).weight") {
            let half = Float16(value)
            guard half.isFinite else { throw Unsuitable(reason: "a weight of \(value) is more than fp16 holds") }
            halves.append(UInt8(truncatingIfNeeded: half.bitPattern))
            halves.append(UInt8(truncatingIfNeeded: half.bitPattern >> 8))
        }
        if hasBias { appendSingles(try read("\(name).bias")) }
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
        let weights = try GeneratorWeights(configuration.generator) { name in
            let isBuffer = name.hasSuffix("running_mean") || name.hasSuffix("running_var")
            let full = "\(isAverage && !isBuffer ? "ema." : "")generator.\(name)"
            return try checkpoint.floats(full, count: checkpoint.file.tensors[full]?.count ?? 0)
        }
        let image = configuration.image
        let generator = ReportedGenerator(
            step: checkpoint.step, file: (checkpoint.path as NSString).lastPathComponent, isAverage: isAverage,
            parameters: try parameters(of: configuration), latent: configuration.latentDimension,
            seed: [UInt32(truncatingIfNeeded: configuration.seed), UInt32(truncatingIfNeeded: configuration.seed >> 32)],
            classes: configuration.classes, channels: image.channels, height: image.height, width: image.width,
            roundsFactors: configuration.precision == .bf16, layers: configuration.generator)
        return (generator, weights)
    }

    static func parameters(of configuration: Configuration) throws -> Int {
        try configuration.networkPlans().generator.layout.parameterCount
    }
}
