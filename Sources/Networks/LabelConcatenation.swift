import Kernels

/// `{"type": "label", "classes": 10}`
public struct LabelDescription: LayerDescription {
    public var count = 2

    public let type = "label"
    public var classes: Set<Int> { [count] }
    public var fields: [LayerField<Self>] { [.integer("classes", \.count, 2...256)] }

    public func append(to chain: inout ChainBuilder) throws {
        let shape = chain.shape
        let result = Shape(channels: shape.channels + count, height: shape.height, width: shape.width)
        try chain.check(result, "label of \(count) classes")
        chain.append(LabelConcatenation(shape, classes: count), output: result)
    }

    public func addOperations(to graph: inout OperationGraph) {
        let shape = graph.shape
        graph.setFlat(shape.pixels == 1)
        var label = graph.add(
            "OneHot", [graph.classes(), graph.scalar(count), graph.constant([Float(0), 1])], ["axis": .integer(1)])
        if !graph.isFlat {
            label = graph.add("Reshape", [label, graph.constant([0, count, 1, 1])])
            label = graph.add("Expand", [label, graph.constant([1, 1, shape.height, shape.width])])
        }
        graph.apply(
            "Concat", [label], ["axis": .integer(1)],
            giving: Shape(channels: shape.channels + count, height: shape.height, width: shape.width))
    }
}

extension LayerSpecification {
    /// Appends the class of the row, a one among zeros, to the features or to each pixel's channels.
    public static func label(classes: Int) -> LayerSpecification { LayerSpecification(LabelDescription(count: classes)) }
}

/// Appends the class of each row to its features, or to the channels of every pixel: y = [x; e], e_c = 1 for c the row's
/// class and 0 otherwise (Mirza and Osindero 2014). The columns of the next layer's weights that meet e are the classes'
/// embedding. The appended part has no gradient.
final class LabelConcatenation: Layer {
    private let shape: Shape
    private let classes: Int
    var isPiecewiseLinear: Bool { true }
    var inputs: Int { shape.features }
    var outputs: Int { shape.pixels * (shape.channels + classes) }

    init(_ shape: Shape, classes: Int) {
        self.shape = shape
        self.classes = classes
    }

    func forward(_ x: Matrix, _ y: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        move(x, y, pass) { channel, row in
            for column in 0..<pass.columns { row[column] = pass.label(column) == channel ? 1 : 0 }
        }
    }

    func tangent(_ dx: Matrix, _ dy: Matrix, y: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        move(dx, dy, pass) { _, row in row.update(repeating: 0, count: pass.columns) }
    }

    func inputGradient(_ dy: Matrix, _ dx: Matrix, x: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        for pixel in 0..<shape.pixels {
            copy(
                part(dy, pixel, channels: shape.channels + classes), part(dx, pixel, channels: shape.channels),
                features: shape.channels, columns: pass.columns)
        }
    }

    private func move(
        _ x: Matrix, _ y: Matrix, _ pass: Pass, fill: (_ channel: Int, _ row: UnsafeMutablePointer<Float>) -> Void
    ) {
        for pixel in 0..<shape.pixels {
            let target = part(y, pixel, channels: shape.channels + classes)
            copy(part(x, pixel, channels: shape.channels), target, features: shape.channels, columns: pass.columns)
            for channel in 0..<classes { fill(channel, target.base + (shape.channels + channel) * y.stride) }
        }
    }

    private func part(_ matrix: Matrix, _ pixel: Int, channels: Int) -> Matrix {
        Matrix(matrix.base + pixel * channels * matrix.stride, features: channels, stride: matrix.stride)
    }
}
