/// A layer as a model file describes it: `{"type": "linear", "inputs": 64, "outputs": 256}`. The list of a network's
/// layers is numbered as PyTorch's `Sequential` numbers it, activations and dropout included.
public enum LayerSpecification: Equatable, Sendable {
    /// y = W x + b, weights [outputs, inputs]; without a bias y = W x.
    case linear(inputs: Int, outputs: Int, hasBias: Bool = true)
    /// y = W ∗ x + b over the pixels of an image, or its transpose.
    case convolution(Convolution)
    /// Over the channels of an image, or over features; statistics are those of the global batch.
    case batchNormalization(channels: Int)
    /// Over all features of a row, with a scale and a shift for each channel of an image, or each feature.
    case layerNormalization(channels: Int)
    /// Appends to the features how near, for each of so many kernels, those of the other rows of the logical shard are.
    case minibatchDiscrimination(inputs: Int, kernels: Int, dimensions: Int)
    /// Features become an image, or the other way round, in PyTorch's order.
    case reshape(channels: Int, height: Int, width: Int)
    /// Each pixel becomes factor × factor of them.
    case upsample(factor: Int)
    /// Appends the class of the row, a one among zeros, to the features or to each pixel's channels.
    case label(classes: Int)
    /// x₀ + x_{1 + c}, c the class of the row: the last layer of a discriminator by projection.
    case projection(classes: Int)
    /// max(x, 0)
    case relu
    /// x where x > 0, slope · x elsewhere
    case leakyReLU(slope: Double)
    case tanh
    case sigmoid
    /// 1 where x ≥ 0, −1 elsewhere: before the other layers of a generator, whose noise is then a code of bits.
    case sign
    /// Inverted dropout: in training each feature is 0 with this probability and scaled by 1 / (1 − p) otherwise.
    case dropout(probability: Double)

    /// `nn.Conv2d` or `nn.ConvTranspose2d` with a square kernel.
    public struct Convolution: Equatable, Sendable {
        public var isTransposed: Bool
        public var inputs, outputs, kernel, stride, padding: Int
        public var hasBias: Bool

        public init(
            isTransposed: Bool = false, inputs: Int, outputs: Int, kernel: Int, stride: Int = 1, padding: Int = 0,
            hasBias: Bool = true
        ) {
            self.isTransposed = isTransposed
            self.inputs = inputs
            self.outputs = outputs
            self.kernel = kernel
            self.stride = stride
            self.padding = padding
            self.hasBias = hasBias
        }
    }
}

extension LayerSpecification: Codable {
    private enum Key: String, CodingKey, CaseIterable {
        case type, inputs, outputs, kernel, stride, padding, bias, channels, height, width, factor, classes, slope, probability
        case kernels, dimensions
    }

    private enum Kind: String, CaseIterable {
        case linear, conv2d, convTranspose2d = "conv_transpose2d", batchNorm = "batch_norm", layerNorm = "layer_norm"
        case minibatchDiscrimination = "minibatch_discrimination", reshape, upsample, label, projection
        case relu, leakyReLU = "leaky_relu", tanh, sigmoid, sign, dropout

        var fields: Set<Key> {
            switch self {
            case .linear: [.inputs, .outputs, .bias]
            case .conv2d, .convTranspose2d: [.inputs, .outputs, .kernel, .stride, .padding, .bias]
            case .batchNorm, .layerNorm: [.channels]
            case .minibatchDiscrimination: [.inputs, .kernels, .dimensions]
            case .reshape: [.channels, .height, .width]
            case .upsample: [.factor]
            case .label, .projection: [.classes]
            case .leakyReLU: [.slope]
            case .dropout: [.probability]
            case .relu, .tanh, .sigmoid, .sign: []
            }
        }
    }

    private var kind: Kind {
        switch self {
        case .linear: .linear
        case .convolution(let convolution): convolution.isTransposed ? .convTranspose2d : .conv2d
        case .batchNormalization: .batchNorm
        case .layerNormalization: .layerNorm
        case .minibatchDiscrimination: .minibatchDiscrimination
        case .reshape: .reshape
        case .upsample: .upsample
        case .label: .label
        case .projection: .projection
        case .relu: .relu
        case .leakyReLU: .leakyReLU
        case .tanh: .tanh
        case .sigmoid: .sigmoid
        case .sign: .sign
        case .dropout: .dropout
        }
    }

    /// The type's name in a model file.
    public var name: String { kind.rawValue }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: AnyKey.self)
        let name = try container.decode(String.self, forKey: AnyKey("type"))
        func reject(_ reason: String) -> DecodingError {
            .dataCorrupted(DecodingError.Context(codingPath: decoder.codingPath, debugDescription: reason))
        }
        guard let kind = Kind(rawValue: name) else {
            let known = Kind.allCases.map(\.rawValue).joined(separator: ", ")
            throw reject("unknown layer type \"\(name)\"; known are \(known)")
        }
        let expected = Set(kind.fields.map(\.rawValue)).union(["type"])
        if let unknown = container.allKeys.first(where: { !expected.contains($0.stringValue) }) {
            throw reject("unknown field \"\(unknown.stringValue)\" of a layer of type \(name)")
        }
        /// A whole number in a range.
        func number(_ key: Key, _ range: ClosedRange<Int>) throws -> Int {
            let value = try container.decode(Int.self, forKey: AnyKey(key.rawValue))
            guard range.contains(value) else {
                throw reject("a layer of type \(name) with \(key.rawValue) \(value); it must be \(range.lowerBound) … \(range.upperBound)")
            }
            return value
        }
        /// Without the word there is one.
        func bias() throws -> Bool { try container.decodeIfPresent(Bool.self, forKey: AnyKey(Key.bias.rawValue)) ?? true }
        switch kind {
        case .linear:
            self = .linear(
                inputs: try number(.inputs, 1...65_536), outputs: try number(.outputs, 1...65_536), hasBias: try bias())
        case .conv2d, .convTranspose2d:
            self = .convolution(
                Convolution(
                    isTransposed: kind == .convTranspose2d, inputs: try number(.inputs, 1...8_192),
                    outputs: try number(.outputs, 1...8_192), kernel: try number(.kernel, 1...32),
                    stride: try number(.stride, 1...32), padding: try number(.padding, 0...32),
                    hasBias: try bias()))
        case .batchNorm: self = .batchNormalization(channels: try number(.channels, 1...65_536))
        case .layerNorm: self = .layerNormalization(channels: try number(.channels, 1...65_536))
        case .minibatchDiscrimination:
            let kernels = try number(.kernels, 1...65_536)
            self = .minibatchDiscrimination(
                inputs: try number(.inputs, 1...65_536), kernels: kernels,
                dimensions: try number(.dimensions, 1...65_536 / kernels))
        case .reshape:
            self = .reshape(
                channels: try number(.channels, 1...65_536), height: try number(.height, 1...1_024),
                width: try number(.width, 1...1_024))
        case .upsample: self = .upsample(factor: try number(.factor, 1...16))
        case .label: self = .label(classes: try number(.classes, 2...256))
        case .projection: self = .projection(classes: try number(.classes, 2...256))
        case .relu: self = .relu
        case .leakyReLU:
            let slope = try container.decode(Double.self, forKey: AnyKey("slope"))
            guard (0...1).contains(slope) else { throw reject("a slope of \(slope); it must be 0 … 1") }
            self = .leakyReLU(slope: slope)
        case .tanh: self = .tanh
        case .sigmoid: self = .sigmoid
        case .sign: self = .sign
        case .dropout:
            let probability = try container.decode(Double.self, forKey: AnyKey("probability"))
            guard probability >= 0, probability < 1 else {
                throw reject("a dropout probability of \(probability); it must be at least 0 and less than 1")
            }
            self = .dropout(probability: probability)
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(kind.rawValue, forKey: .type)
        switch self {
        case .linear(let inputs, let outputs, let hasBias):
            try container.encode(inputs, forKey: .inputs)
            try container.encode(outputs, forKey: .outputs)
            try container.encode(hasBias, forKey: .bias)
        case .convolution(let convolution):
            try container.encode(convolution.inputs, forKey: .inputs)
            try container.encode(convolution.outputs, forKey: .outputs)
            try container.encode(convolution.kernel, forKey: .kernel)
            try container.encode(convolution.stride, forKey: .stride)
            try container.encode(convolution.padding, forKey: .padding)
            try container.encode(convolution.hasBias, forKey: .bias)
        case .batchNormalization(let channels), .layerNormalization(let channels):
            try container.encode(channels, forKey: .channels)
        case .minibatchDiscrimination(let inputs, let kernels, let dimensions):
            try container.encode(inputs, forKey: .inputs)
            try container.encode(kernels, forKey: .kernels)
            try container.encode(dimensions, forKey: .dimensions)
        case .reshape(let channels, let height, let width):
            try container.encode(channels, forKey: .channels)
            try container.encode(height, forKey: .height)
            try container.encode(width, forKey: .width)
        case .upsample(let factor): try container.encode(factor, forKey: .factor)
        case .label(let classes), .projection(let classes): try container.encode(classes, forKey: .classes)
        case .leakyReLU(let slope): try container.encode(slope, forKey: .slope)
        case .dropout(let probability): try container.encode(probability, forKey: .probability)
        case .relu, .tanh, .sigmoid, .sign: break
        }
    }
}

/// A coding key of any name, to find fields that nobody knows.
public struct AnyKey: CodingKey {
    public let stringValue: String
    public var intValue: Int? { nil }
    public init(_ name: String) { stringValue = name }
    public init?(stringValue: String) { self.init(stringValue) }
    public init?(intValue: Int) { nil }
}
