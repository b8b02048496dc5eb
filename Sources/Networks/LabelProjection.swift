import Kernels

/// `{"type": "projection", "classes": 10}`
public struct ProjectionDescription: LayerDescription {
    public var count = 2

    public let type = "projection"
    public var classes: Set<Int> { [count] }
    public var fields: [LayerField<Self>] { [.integer("classes", \.count, 2...256)] }

    public func append(to chain: inout ChainBuilder) throws {
        guard chain.shape.isInOrder, chain.shape.features == 1 + count else {
            throw chain.misfit("projection of \(count) classes")
        }
        chain.append(LabelProjection(classes: count), output: Shape(channels: 1))
    }

    public func addOperations(to graph: inout OperationGraph) {
        graph.setFlat(true)
        let x = graph.value
        let score = graph.add("Gather", [x, graph.constant([0])], ["axis": .integer(1)])
        let place = graph.add("Add", [graph.add("Unsqueeze", [graph.classes(), graph.constant([1])]), graph.scalar(1)])
        let scoreOfClass = graph.add("GatherElements", [x, place], ["axis": .integer(1)])
        graph.take(graph.add("Add", [score, scoreOfClass]), Shape(channels: 1))
    }
}

extension LayerSpecification {
    /// x₀ + x_{1 + c}, c the class of the row: the last layer of a discriminator by projection.
    public static func projection(classes: Int) -> LayerSpecification { LayerSpecification(ProjectionDescription(count: classes)) }
}

/// y = x₀ + x_{1 + c}, c the row's class. After a linear layer of 1 + classes outputs this is a discriminator that judges by
/// projection (Miyato and Koyama 2018): (w + e_c)ᵀ φ + b₀ + b_c, e_c the embedding of the class and φ the linear layer's input.
final class LabelProjection: Layer {
    var isPiecewiseLinear: Bool { true }
    let inputs: Int
    var outputs: Int { 1 }

    init(classes: Int) { inputs = 1 + classes }

    func forward(_ x: Matrix, _ y: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        for column in 0..<pass.columns {
            y.base[column] = x.base[column] + x.base[(1 + pass.label(column)) * x.stride + column]
        }
    }

    func tangent(_ dx: Matrix, _ dy: Matrix, y: Matrix, _ memory: LayerMemory, _ pass: Pass) { forward(dx, dy, memory, pass) }

    func inputGradient(_ dy: Matrix, _ dx: Matrix, x: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        for feature in 0..<inputs {
            let row = dx.base + feature * dx.stride
            for column in 0..<pass.columns {
                row[column] = feature == 0 || feature == 1 + pass.label(column) ? dy.base[column] : 0
            }
        }
    }
}
