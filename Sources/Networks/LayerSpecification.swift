/// A layer as a model file describes it: `{"type": "linear", "inputs": 64, "outputs": 256}`. The list of a network's
/// layers is numbered as PyTorch's `Sequential` numbers it, activations and dropout included.
public enum LayerSpecification: Equatable, Sendable {
    /// y = W x + b, weights [outputs, inputs].
    case linear(inputs: Int, outputs: Int)
    /// max(x, 0)
    case relu
    /// x where x > 0, slope · x elsewhere
    case leakyReLU(slope: Double)
    case tanh
    case sigmoid
    /// Inverted dropout: in training each feature is 0 with this probability and scaled by 1 / (1 − p) otherwise.
    case dropout(probability: Double)
}

extension LayerSpecification: Codable {
    private enum Key: String, CodingKey, CaseIterable { case type, inputs, outputs, slope, probability }

    private enum Kind: String, CaseIterable {
        case linear, relu, leakyReLU = "leaky_relu", tanh, sigmoid, dropout

        var fields: Set<Key> {
            switch self {
            case .linear: [.inputs, .outputs]
            case .leakyReLU: [.slope]
            case .dropout: [.probability]
            case .relu, .tanh, .sigmoid: []
            }
        }
    }

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
        switch kind {
        case .linear:
            let inputs = try container.decode(Int.self, forKey: AnyKey("inputs"))
            let outputs = try container.decode(Int.self, forKey: AnyKey("outputs"))
            guard (1...65_536).contains(inputs), (1...65_536).contains(outputs) else {
                throw reject("a linear layer of \(inputs) inputs and \(outputs) outputs; both must be 1 … 65,536")
            }
            self = .linear(inputs: inputs, outputs: outputs)
        case .relu: self = .relu
        case .leakyReLU:
            let slope = try container.decode(Double.self, forKey: AnyKey("slope"))
            guard (0...1).contains(slope) else { throw reject("a slope of \(slope); it must be 0 … 1") }
            self = .leakyReLU(slope: slope)
        case .tanh: self = .tanh
        case .sigmoid: self = .sigmoid
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
        func write(_ kind: Kind) throws { try container.encode(kind.rawValue, forKey: .type) }
        switch self {
        case .linear(let inputs, let outputs):
            try write(.linear)
            try container.encode(inputs, forKey: .inputs)
            try container.encode(outputs, forKey: .outputs)
        case .relu: try write(.relu)
        case .leakyReLU(let slope):
            try write(.leakyReLU)
            try container.encode(slope, forKey: .slope)
        case .tanh: try write(.tanh)
        case .sigmoid: try write(.sigmoid)
        case .dropout(let probability):
            try write(.dropout)
            try container.encode(probability, forKey: .probability)
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
