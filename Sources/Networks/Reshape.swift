import Kernels

/// The features of an image, or an image of other sides, in PyTorch's order (`nn.Flatten`, `nn.Unflatten`): a feature keeps
/// its number c · H · W + h · W + w, of which its place in memory is (h · W + w) · C + c.
final class Reshape: Layer {
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

/// Nearest-neighbour enlargement by a whole factor (`nn.Upsample`): y[f h + i, f w + j] = x[h, w].
final class Upsample: Layer {
    private let shape: Shape
    private let factor: Int
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

/// Channels and sides of an image; plain features are channels of one pixel.
public struct Shape: Equatable, Sendable, CustomStringConvertible {
    public var channels, height, width: Int

    public init(channels: Int, height: Int = 1, width: Int = 1) {
        self.channels = channels
        self.height = height
        self.width = width
    }

    public var pixels: Int { height * width }
    public var features: Int { channels * pixels }
    public var description: String { pixels == 1 ? "\(channels) features" : "\(channels) × \(height) × \(width)" }

    /// Where the feature of PyTorch's number lies.
    public func place(_ feature: Int) -> Int { feature % pixels * channels + feature / pixels }
    /// Whether features lie in PyTorch's order.
    public var isInOrder: Bool { channels == 1 || pixels == 1 }
}
