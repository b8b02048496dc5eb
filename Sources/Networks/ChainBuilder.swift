/// Makes a chain of layers of their descriptions, one after the other, and tells each of them what is around it.
public struct ChainBuilder {
    let role: NetworkRole
    /// Whether the weights of all affine layers are divided by their largest singular value.
    let isSpectral: Bool
    /// What the layers so far give.
    public private(set) var shape: Shape
    /// The number of the layer that is next.
    private(set) var index = 0
    private(set) var layers: [any Layer] = []
    /// The number of each layer.
    private(set) var numbers: [Int] = []
    /// The fewest values that a layer normalises by for each row of the batch, if one does.
    private(set) var normalizedPixels: Int?
    private let specifications: [LayerSpecification]
    /// The path of the block that the chain is in, and of the chain: none for a network's own.
    private let block: (outer: String, path: String)?
    /// Layers so far that are in blocks.
    private var innerLayers: Int

    init(_ specifications: [LayerSpecification], input: Shape, role: NetworkRole, isSpectral: Bool) throws {
        try self.init(specifications, input: input, role: role, isSpectral: isSpectral, block: nil, innerLayers: 0)
    }

    private init(
        _ specifications: [LayerSpecification], input: Shape, role: NetworkRole, isSpectral: Bool,
        block: (outer: String, path: String)?, innerLayers: Int
    ) throws {
        self.specifications = specifications
        self.role = role
        self.isSpectral = isSpectral
        self.block = block
        self.innerLayers = innerLayers
        shape = input
        while index < specifications.count { try specifications[index].layer.append(to: &self) }
    }

    /// The chain of layers inside the next layer, beginning with what the layers so far give.
    /// - Parameter attribute: the name that a module of PyTorch's has for the chain.
    mutating func inner(_ layers: [LayerSpecification], attribute: String) throws -> ChainBuilder {
        let chain = try ChainBuilder(
            layers, input: shape, role: role, isSpectral: isSpectral, block: (path, "\(path).\(attribute)"),
            innerLayers: innerLayers)
        innerLayers = chain.innerLayers
        guard innerLayers < (1 << 16) - 1 else {
            throw error("a block", "brings the layers in blocks to \(innerLayers); at most 65,534 are possible")
        }
        if let pixels = chain.normalizedPixels { noteNormalization(of: pixels) }
        return chain
    }

    /// The number of the next layer, behind those of the layers that it is in, as in the names of tensors.
    var path: String { path(of: index) }
    /// What the names of the next layer's tensors begin with, as PyTorch names them.
    public var name: String { "main.\(path)" }
    /// Whether the next layer is the network's first.
    var isFirst: Bool { block == nil && index == 0 }
    /// The next layer's number in random streams: its own, or in a block (1 + the layers in blocks before it) · 2¹⁶.
    var randomNumber: Int { block == nil ? index : (1 + innerLayers) << 16 }

    private func path(of index: Int) -> String { (block.map { "\($0.path)." } ?? "") + "\(index)" }

    /// Slope of the rectifier after the next layer, if one follows.
    var rectifierSlope: Float? { rectifierSlope(at: index + 1) }

    /// The rectifiers around the next layer, an affine one, that its products include.
    var fusion: RectifierFusion {
        RectifierFusion(
            slope: rectifierSlope,
            // A spectrally normalised layer wants to see the gradient before the rectifier's derivative is in it.
            inputSlope: !isSpectral && isAffine(at: index - 2) ? rectifierSlope(at: index - 1) : nil,
            isFusedWithNext: !isSpectral && rectifierSlope != nil && isAffine(at: index + 2))
    }

    /// - Parameter includesRectifier: whether the layer is also the rectifier that follows it, if one does.
    public mutating func append(_ layer: any Layer, output: Shape, includesRectifier: Bool = false) {
        layers.append(layer)
        numbers.append(index)
        if block != nil { innerLayers += 1 }
        shape = output
        index += includesRectifier && rectifierSlope != nil ? 2 : 1
    }

    /// Notes that a layer normalises by so many values of each row.
    mutating func noteNormalization(of pixels: Int) { normalizedPixels = min(normalizedPixels ?? pixels, pixels) }

    /// Refuses shapes so large that a few enlarging layers would ask for more memory than there is, or overflow an Int.
    /// - Parameter layer: what the next layer is, for a message.
    func check(_ result: Shape, _ layer: String) throws {
        guard max(result.height, result.width) <= 1_024, result.features <= 1 << 24 else {
            throw error(
                layer, "gives \(result); the sides of an image must be at most 1,024 and its features at most 16,777,216")
        }
    }

    /// The next layer does not take the shape.
    public func misfit(_ layer: String) -> ShapeError {
        let input = block.map { "the input of layer \($0.outer)" } ?? "the network's input"
        let before = index == 0 ? input : "layer \(path(of: index - 1)), \(specifications[index - 1].name),"
        return error(layer, "does not take what \(before) gives: \(shape)")
    }

    /// The next layer cannot be made.
    /// - Parameters:
    ///   - layer: what it is, `linear of 64`.
    ///   - problem: how the sentence goes on.
    public func error(_ layer: String, _ problem: String) -> ShapeError {
        ShapeError(description: "layer \(path), \(layer), \(problem)")
    }

    private func isAffine(at index: Int) -> Bool { specifications.indices.contains(index) && specifications[index].isAffine }

    private func rectifierSlope(at index: Int) -> Float? {
        specifications.indices.contains(index) ? specifications[index].layer.rectifierSlope : nil
    }
}

/// Layers that do not fit together.
public struct ShapeError: Error, CustomStringConvertible, Sendable {
    public let description: String
}
