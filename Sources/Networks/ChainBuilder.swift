/// Makes a chain of layers of their descriptions, one after the other, and tells each of them what is around it.
struct ChainBuilder {
    let role: NetworkRole
    /// Whether the weights of all affine layers are divided by their largest singular value.
    let isSpectral: Bool
    /// What the layers so far give.
    private(set) var shape: Shape
    /// The number of the layer that is next.
    private(set) var index = 0
    private(set) var layers: [any Layer] = []
    /// The number of each layer.
    private(set) var numbers: [Int] = []
    /// The fewest values that a layer normalises by for each row of the batch, if one does.
    private(set) var normalizedPixels: Int?
    private let specifications: [LayerSpecification]

    init(_ specifications: [LayerSpecification], input: Shape, role: NetworkRole, isSpectral: Bool) throws {
        self.specifications = specifications
        self.role = role
        self.isSpectral = isSpectral
        shape = input
        while index < specifications.count { try specifications[index].layer.append(to: &self) }
    }

    /// What the names of the next layer's tensors begin with, as PyTorch names them.
    var name: String { "main.\(index)" }

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
    mutating func append(_ layer: any Layer, output: Shape, includesRectifier: Bool = false) {
        layers.append(layer)
        numbers.append(index)
        shape = output
        index += includesRectifier && rectifierSlope != nil ? 2 : 1
    }

    /// Notes that a layer normalises by so many values of each row.
    mutating func noteNormalization(of pixels: Int) { normalizedPixels = min(normalizedPixels ?? pixels, pixels) }

    /// A few layers that enlarge would ask for more memory than there is, and for sizes that no number holds.
    /// - Parameter layer: what the next layer is, for a message.
    func check(_ result: Shape, _ layer: String) throws {
        guard max(result.height, result.width) <= 1_024, result.features <= 1 << 24 else {
            throw error(
                layer, "gives \(result); the sides of an image must be at most 1,024 and its features at most 16,777,216")
        }
    }

    /// The next layer does not take the shape.
    func misfit(_ layer: String) -> ShapeError {
        let before = index == 0 ? "the network's input" : "layer \(index - 1), \(specifications[index - 1].name),"
        return error(layer, "does not take what \(before) gives: \(shape)")
    }

    func error(_ layer: String, _ problem: String) -> ShapeError {
        ShapeError(description: "layer \(index), \(layer), \(problem)")
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
