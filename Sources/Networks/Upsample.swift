import Kernels

/// `{"type": "upsample", "factor": 2}`
public struct UpsampleDescription: LayerDescription {
    public var factor = 1

    public let type = "upsample"
    public var fields: [LayerField<Self>] { [.integer("factor", \.factor, 1...16)] }

    public func append(to chain: inout ChainBuilder) throws {
        let shape = chain.shape
        let result = Shape(channels: shape.channels, height: factor * shape.height, width: factor * shape.width)
        try chain.check(result, "upsample by \(factor)")
        chain.append(Upsample(shape, factor: factor), output: result)
    }

    public func addOperations(to graph: inout OperationGraph) {
        graph.setFlat(false)
        let shape = graph.shape
        graph.apply(
            "Resize", ["", graph.constant([1, 1, Float(factor), Float(factor)])],
            ["mode": .text("nearest"), "coordinate_transformation_mode": .text("asymmetric"), "nearest_mode": .text("floor")],
            giving: Shape(channels: shape.channels, height: factor * shape.height, width: factor * shape.width))
    }
}

extension LayerSpecification {
    /// Each pixel becomes factor × factor of them.
    public static func upsample(factor: Int) -> LayerSpecification { LayerSpecification(UpsampleDescription(factor: factor)) }
}

/// Nearest-neighbour enlargement by a whole factor (`nn.Upsample`): y[f h + i, f w + j] = x[h, w].
final class Upsample: Layer {
    private let shape: Shape
    private let factor: Int
    var isPiecewiseLinear: Bool { true }
    var inputs: Int { shape.features }
    var outputs: Int { inputs * factor * factor }

    init(_ shape: Shape, factor: Int) {
        self.shape = shape
        self.factor = factor
    }

    func forward(_ x: Matrix, _ y: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        let size = shape.channels * x.stride
        forEachPixel { source, target, _ in (y.base + target * size).update(from: x.base + source * size, count: size) }
    }

    func tangent(_ dx: Matrix, _ dy: Matrix, y: Matrix, _ memory: LayerMemory, _ pass: Pass) { forward(dx, dy, memory, pass) }

    /// dx[h, w] = Σ dy[f h + i, f w + j], i and then j ascending.
    func inputGradient(_ dy: Matrix, _ dx: Matrix, x: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        let size = shape.channels * dx.stride
        forEachPixel { source, target, isFirst in
            let (sum, term) = (dx.base + source * size, dy.base + target * size)
            if isFirst {
                sum.update(from: term, count: size)
            } else {
                for i in 0..<size { sum[i] += term[i] }
            }
        }
    }

    private func forEachPixel(_ body: (_ source: Int, _ target: Int, _ isFirst: Bool) -> Void) {
        for row in 0..<shape.height * factor {
            for column in 0..<shape.width * factor {
                body(
                    row / factor * shape.width + column / factor, row * shape.width * factor + column,
                    row % factor == 0 && column % factor == 0)
            }
        }
    }
}
