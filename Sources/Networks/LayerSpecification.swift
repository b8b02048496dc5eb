/// A layer as a model file describes it: `{"type": "linear", "inputs": 64, "outputs": 256}`. The list of a network's
/// layers is numbered as PyTorch's `Sequential` numbers it, activations and dropout included.
///
/// Each type of layer has a description of its own, which lies beside the layer itself.
public struct LayerSpecification: Sendable {
    let layer: any LayerDescription

    /// One of each type that a program has besides those of this library.
    @TaskLocal private static var ownTypes: [any LayerDescription] = []

    /// Runs `body`, in which model files and checkpoints may hold layers of further types. For example, a description of the
    /// type `"prelu"` reads `{"type": "prelu"}`.
    ///
    /// - Parameter types: one of each. A model file's fields take the place of its own.
    /// - Precondition: no two types have the same name, and none has that of a type of this library.
    public static func withTypes<Result>(_ types: [any LayerDescription], _ body: () throws -> Result) rethrows -> Result {
        let names = (LayerSpecification.types + types).map(\.type)
        precondition(Set(names).count == names.count, "layers of the same type: \(names.joined(separator: ", "))")
        return try $ownTypes.withValue(types, operation: body)
    }

    /// One of each type. A model file's fields take the place of its own.
    static let types: [any LayerDescription] = [
        LinearDescription(),
        ConvolutionDescription(isTransposed: false),
        ConvolutionDescription(isTransposed: true),
        BatchNormalizationDescription(),
        LayerNormalizationDescription(),
        InstanceNormalizationDescription(),
        MinibatchDiscriminationDescription(),
        ReshapeDescription(),
        UpsampleDescription(),
        ReflectionPaddingDescription(),
        LabelDescription(),
        ProjectionDescription(),
        ActivationDescription(.relu),
        ActivationDescription(.leakyReLU),
        ActivationDescription(.tanh),
        ActivationDescription(.sigmoid),
        SignDescription(),
        DropoutDescription(),
        ResidualDescription(),
    ]

    public init(_ layer: any LayerDescription) { self.layer = layer }

    /// `LinearDescription` and so on, as the layer's type has it.
    public var description: any LayerDescription { layer }
    /// The type's name in a model file.
    public var name: String { layer.type }
    /// Whether it is linear or a convolution: W x + b.
    public var isAffine: Bool { layer.isAffine }
    /// The numbers of classes that it tells apart, if it is told the class of a row.
    public var classes: Set<Int> { layer.classes }
    /// Whether a row's output depends on the other rows of its logical shard.
    public var comparesRows: Bool { layer.comparesRows }
}

extension LayerSpecification: Equatable {
    public static func == (a: LayerSpecification, b: LayerSpecification) -> Bool { a.layer.isEqual(to: b.layer) }
}

extension LayerSpecification: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: AnyKey.self)
        let source = LayerSource(container: container, type: try container.decode(String.self, forKey: AnyKey("type")))
        let types = LayerSpecification.types + LayerSpecification.ownTypes
        guard let type = types.first(where: { $0.type == source.type }) else {
            let known = types.map(\.type).joined(separator: ", ")
            throw source.error("unknown layer type \"\(source.type)\"; known are \(known)")
        }
        layer = try type.decoded(from: source)
    }

    public func encode(to encoder: any Encoder) throws { try layer.encode(to: encoder) }
}
