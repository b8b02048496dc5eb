import Kernels

/// `{"type": "reshape", "channels": 64, "height": 7, "width": 7}`
public struct ReshapeDescription: LayerDescription {
    public var channels = 1
    public var height = 1
    public var width = 1

    public let type = "reshape"
    public var fields: [LayerField<Self>] {
        [
            .integer("channels", \.channels, 1...65_536), .integer("height", \.height, 1...1_024),
            .integer("width", \.width, 1...1_024),
        ]
    }

    public func append(to chain: inout ChainBuilder) throws {
        let target = Shape(channels: channels, height: height, width: width)
        guard target.features == chain.shape.features else { throw chain.misfit("reshape to \(target)") }
        chain.append(Reshape(from: chain.shape, to: target), output: target)
    }

    public func addOperations(to graph: inout OperationGraph) {
        graph.reshape(to: Shape(channels: channels, height: height, width: width))
    }
}

extension LayerSpecification {
    /// Features become an image, or the other way round, in PyTorch's order.
    public static func reshape(channels: Int, height: Int, width: Int) -> LayerSpecification {
        LayerSpecification(ReshapeDescription(channels: channels, height: height, width: width))
    }
}

/// The features of an image, or an image of other sides, in PyTorch's order (`nn.Flatten`, `nn.Unflatten`): a feature keeps
/// its number c · H · W + h · W + w, of which its place in memory is (h · W + w) · C + c.
final class Reshape: Layer {
    var isPiecewiseLinear: Bool { true }
    let inputs: Int
    var outputs: Int { inputs }
    private let from, to: Shape

    init(from: Shape, to: Shape) {
        inputs = from.features
        self.from = from
        self.to = to
    }

    func forward(_ x: Matrix, _ y: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        for feature in 0..<inputs { move(x, from.place(feature), y, to.place(feature), pass) }
    }

    func tangent(_ dx: Matrix, _ dy: Matrix, y: Matrix, _ memory: LayerMemory, _ pass: Pass) { forward(dx, dy, memory, pass) }

    func inputGradient(_ dy: Matrix, _ dx: Matrix, x: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        for feature in 0..<inputs { move(dy, to.place(feature), dx, from.place(feature), pass) }
    }

    private func move(_ x: Matrix, _ source: Int, _ y: Matrix, _ target: Int, _ pass: Pass) {
        (y.base + target * y.stride).update(from: x.base + source * x.stride, count: pass.columns)
    }
}
