import Kernels

/// `{"type": "reflection_pad", "padding": 3}`: `nn.ReflectionPad2d`.
public struct ReflectionPaddingDescription: LayerDescription {
    public var padding = 1

    public let type = "reflection_pad"
    public var fields: [LayerField<Self>] { [.integer("padding", \.padding, 1...512)] }

    public func append(to chain: inout ChainBuilder) throws {
        let shape = chain.shape
        guard padding < min(shape.height, shape.width) else {
            throw chain.error(
                "reflection_pad of \(padding)",
                "mirrors \(padding) pixels beside each edge, which needs sides of at least \(padding + 1); it is given \(shape)")
        }
        let result = Shape(
            channels: shape.channels, height: shape.height + 2 * padding, width: shape.width + 2 * padding)
        try chain.check(result, "reflection_pad of \(padding)")
        chain.append(ReflectionPadding(shape, padding: padding), output: result)
    }

    public func addOperations(to graph: inout OperationGraph) {
        graph.setFlat(false)
        let shape = graph.shape
        graph.apply(
            "Pad", [graph.constant([0, 0, padding, padding, 0, 0, padding, padding])], ["mode": .text("reflect")],
            giving: Shape(channels: shape.channels, height: shape.height + 2 * padding, width: shape.width + 2 * padding))
    }
}

extension LayerSpecification {
    /// An image with so many pixels more on each side, mirrored at its edges.
    public static func reflectionPadding(_ padding: Int) -> LayerSpecification {
        LayerSpecification(ReflectionPaddingDescription(padding: padding))
    }
}

/// An image mirrored at its edges: y[i, j] = x[m(i − P, H), m(j − P, W)], where m(i, n) is −i for i < 0, 2 (n − 1) − i for i ≥ n
/// and i elsewhere. An edge is not repeated.
final class ReflectionPadding: Layer {
    private let shape: Shape
    private let padding: Int
    private var width: Int { shape.width + 2 * padding }
    var isPiecewiseLinear: Bool { true }
    var inputs: Int { shape.features }
    var outputs: Int { shape.channels * (shape.height + 2 * padding) * width }

    init(_ shape: Shape, padding: Int) {
        self.shape = shape
        self.padding = padding
    }

    func forward(_ x: Matrix, _ y: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        let size = shape.channels * x.stride
        forEachPixel { source, target, _ in (y.base + target * size).update(from: x.base + source * size, count: size) }
    }

    func tangent(_ dx: Matrix, _ dy: Matrix, y: Matrix, _ memory: LayerMemory, _ pass: Pass) { forward(dx, dy, memory, pass) }

    /// dx = Σ dy of a pixel itself, and then of its mirror images in memory order.
    func inputGradient(_ dy: Matrix, _ dx: Matrix, x: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        let size = shape.channels * dx.stride
        forEachPixel { source, target, isMirrored in
            if !isMirrored { (dx.base + source * size).update(from: dy.base + target * size, count: size) }
        }
        forEachPixel { source, target, isMirrored in
            if isMirrored { pass.kernels.addScaled(dx.base + source * size, dy.base + target * size, 1, size) }
        }
    }

    /// Calls `body` for each pixel of y and the pixel of x that it is.
    private func forEachPixel(_ body: (_ source: Int, _ target: Int, _ isMirrored: Bool) -> Void) {
        for i in 0..<shape.height + 2 * padding {
            let row = mirrored(i - padding, shape.height)
            for j in 0..<width {
                let column = mirrored(j - padding, shape.width)
                body(
                    row * shape.width + column, i * width + j, row != i - padding || column != j - padding)
            }
        }
    }

    private func mirrored(_ i: Int, _ count: Int) -> Int { i < 0 ? -i : i < count ? i : 2 * (count - 1) - i }
}
