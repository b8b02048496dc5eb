/// One type of layer: its name and fields in a model file, and the layer that they describe. It lies beside its layer, and
/// `LayerSpecification.types` lists it, or `LayerSpecification.withTypes` where a program has a layer of its own.
public protocol LayerDescription: Equatable, Sendable {
    /// The type's name in a model file.
    var type: String { get }
    /// All fields but the type, in the order in which they are read.
    var fields: [LayerField<Self>] { get }
    /// Whether it is linear or a convolution, whose product can include the rectifiers around it.
    var isAffine: Bool { get }
    /// Slope for negative values, of a rectifier, which the layer before it can include.
    var rectifierSlope: Float? { get }
    /// The numbers of classes that it tells apart, if it is told the class of a row.
    var classes: Set<Int> { get }
    /// Whether a row's output depends on the other rows of its logical shard.
    var comparesRows: Bool { get }

    /// Appends the layer to a chain.
    /// - Throws: `ShapeError` where it does not take what the layers so far give.
    func append(to chain: inout ChainBuilder) throws

    /// Appends what the layer computes once it is trained.
    func addOperations(to graph: inout OperationGraph)
}

extension LayerDescription {
    public var fields: [LayerField<Self>] { [] }
    public var isAffine: Bool { false }
    public var rectifierSlope: Float? { nil }
    public var classes: Set<Int> { [] }
    public var comparesRows: Bool { false }

    func isEqual(to other: any LayerDescription) -> Bool { other as? Self == self }

    /// A layer of this type as a model file describes it.
    func decoded(from source: LayerSource) throws -> any LayerDescription {
        let fields = fields
        let unknown = source.container.allKeys.map(\.stringValue).first { name in
            name != "type" && !fields.contains { $0.name == name }
        }
        if let unknown { throw source.error("unknown field \"\(unknown)\" of a layer of type \(type)") }
        var result = self
        for field in fields { try field.decode(&result, source) }
        return result
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: AnyKey.self)
        try container.encode(type, forKey: AnyKey("type"))
        for field in fields { try field.encode(self, &container) }
    }
}

/// A layer's object in a model file.
struct LayerSource {
    let container: KeyedDecodingContainer<AnyKey>
    let type: String

    func error(_ reason: String) -> DecodingError {
        .dataCorrupted(DecodingError.Context(codingPath: container.codingPath, debugDescription: reason))
    }
}

/// A field of a layer in a model file: its name, and how its value is read and written.
public struct LayerField<Layer> {
    let name: String
    let decode: (inout Layer, LayerSource) throws -> Void
    let encode: (Layer, inout KeyedEncodingContainer<AnyKey>) throws -> Void

    /// A whole number in a range, which may depend on the fields before it.
    public static func integer(
        _ name: String, _ path: WritableKeyPath<Layer, Int>, _ range: ClosedRange<Int>
    ) -> LayerField {
        integer(name, path) { _ in range }
    }

    /// - Parameter preset: the value if the file has no such field; this value is not written. If nil, the field is required.
    public static func integer(
        _ name: String, _ path: WritableKeyPath<Layer, Int>, default preset: Int? = nil,
        _ range: @escaping (Layer) -> ClosedRange<Int>
    ) -> LayerField {
        let key = AnyKey(name)
        return LayerField(name: name) { layer, source in
            if let preset, !source.container.contains(key) {
                layer[keyPath: path] = preset
                return
            }
            let value = try source.container.decode(Int.self, forKey: key)
            let range = range(layer)
            guard range.contains(value) else {
                throw source.error(
                    "a layer of type \(source.type) with \(name) \(value); it must be \(range.lowerBound) … \(range.upperBound)")
            }
            layer[keyPath: path] = value
        } encode: { layer, container in
            let value = layer[keyPath: path]
            if value != preset { try container.encode(value, forKey: key) }
        }
    }

    /// A number.
    /// - Parameter problem: what is wrong with it, if anything is.
    public static func number(
        _ name: String, _ path: WritableKeyPath<Layer, Double>, problem: @escaping (Double) -> String?
    ) -> LayerField {
        let key = AnyKey(name)
        return LayerField(name: name) { layer, source in
            let value = try source.container.decode(Double.self, forKey: key)
            if let problem = problem(value) { throw source.error(problem) }
            layer[keyPath: path] = value
        } encode: { layer, container in
            try container.encode(layer[keyPath: path], forKey: key)
        }
    }

    /// A yes or no that need not be there.
    public static func flag(_ name: String, _ path: WritableKeyPath<Layer, Bool>, default value: Bool) -> LayerField {
        let key = AnyKey(name)
        return LayerField(name: name) { layer, source in
            layer[keyPath: path] = try source.container.decodeIfPresent(Bool.self, forKey: key) ?? value
        } encode: { layer, container in
            try container.encode(layer[keyPath: path], forKey: key)
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
