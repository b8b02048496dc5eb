/// The layers of a specification, with rectifiers fused into the layers before them, and their parameters.
public struct NetworkPlan: Sendable {
    public let input: Shape
    public let output: Shape
    public let layers: [any Layer]
    /// The number in the specification of each layer, as in the names of its tensors.
    public let layerNumbers: [Int]
    public let layout: ParameterLayout
    /// Running statistics.
    public let bufferLayout: ParameterLayout
    public let needs: LayerNeeds
    /// Whether the ranks of a host can sum the gradients of all their rows together; see `SharedRows`.
    public let sharesRows: Bool
    /// Whether every layer makes each column of that column alone, so that passes can be joined; see `Network`.
    public let isColumnwise: Bool
    let isSpectral: Bool
    let offsets: [Int]
    let bufferOffsets: [Int]
    /// Where the parameters of layers begin, ascending; those of small layers belong to the layer before them.
    public let buckets: [Int]
    /// The fewest values that a layer normalises by for each row of the batch, if one does.
    public let normalizedPixels: Int?
    /// Fewer parameters than this are not worth a message of their own.
    private static let smallestBucket = 16_384

    public var inputs: Int { input.features }
    public var outputs: Int { output.features }

    /// - Parameters:
    ///   - input: shape of the network's input.
    ///   - role: keeps the random numbers of a step's two networks apart.
    ///   - isSpectral: whether the weights of all linear and convolutional layers are divided by their largest singular value.
    /// - Throws: `ShapeError` where a layer does not take what the one before it gives.
    public init(
        _ specifications: [LayerSpecification], input: Shape, role: NetworkRole = .discriminator, isSpectral: Bool = false
    ) throws {
        let chain = try ChainBuilder(specifications, input: input, role: role, isSpectral: isSpectral)
        layerNumbers = chain.numbers
        let layers = chain.layers
        guard layers.contains(where: { !$0.tensors.isEmpty }) else {
            throw ShapeError(description: "no layer has parameters; a network needs at least one that has")
        }
        self.input = input
        output = chain.shape
        self.layers = layers
        sharesRows = layers.allSatisfy(\.sumsProductsOnly)
        isColumnwise = layers.allSatisfy(\.isColumnwise)
        var needs = LayerNeeds()
        for layer in layers { needs.include(layer.needs) }
        self.isSpectral = isSpectral
        if isSpectral { needs.include(LayerNeeds(statistics: 2 * layers.count)) }
        self.needs = needs
        normalizedPixels = chain.normalizedPixels
        layout = ParameterLayout(layers.flatMap(\.tensors))
        bufferLayout = ParameterLayout(layers.flatMap(\.buffers))
        let offsets = layout.offsets(layers.map(\.tensors.count))
        self.offsets = offsets
        bufferOffsets = bufferLayout.offsets(layers.map(\.buffers.count))
        var end = layout.count
        buckets = zip(layers, offsets).reversed().compactMap { layer, offset in
            guard !layer.tensors.isEmpty, offset == 0 || end - offset >= NetworkPlan.smallestBucket else { return nil }
            end = offset
            return offset
        }.reversed()
    }
}
