import Kernels

/// `{"type": "sign"}`
public struct SignDescription: LayerDescription {
    public let type = "sign"

    public func append(to chain: inout ChainBuilder) throws {
        guard chain.role == .generator, chain.isFirst else {
            throw chain.error(type, "lets no gradient through; it can only be the first of the generator")
        }
        chain.append(Sign(features: chain.shape.features), output: chain.shape)
    }

    public func addOperations(to graph: inout OperationGraph) {
        let isNegative = graph.add("Less", [graph.value, graph.scalar(Float(0))])
        graph.take(graph.add("Where", [isNegative, graph.scalar(Float(-1)), graph.scalar(Float(1))]))
    }
}

extension LayerSpecification {
    /// 1 where x ≥ 0, −1 elsewhere: before the other layers of a generator, whose noise is then a code of bits.
    public static let sign = LayerSpecification(SignDescription())
}

/// y = 1 where x ≥ 0, −1 elsewhere, with a gradient of zero: what follows sees a code of random bits in place of normal noise.
/// A generator of a code need not put anything between two kinds of images, as a continuous one must.
final class Sign: Layer {
    var isPiecewiseLinear: Bool { true }
    let inputs: Int
    var outputs: Int { inputs }
    var isColumnwise: Bool { true }

    init(features: Int) { inputs = features }

    func forward(_ x: Matrix, _ y: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        for feature in 0..<inputs {
            let (from, to) = (x.base + feature * x.stride, y.base + feature * y.stride)
            for column in 0..<pass.columns { to[column] = from[column] < 0 ? -1 : 1 }
        }
    }

    func tangent(_ dx: Matrix, _ dy: Matrix, y: Matrix, _ memory: LayerMemory, _ pass: Pass) { clear(dy, pass) }

    func inputGradient(_ dy: Matrix, _ dx: Matrix, x: Matrix, _ memory: LayerMemory, _ pass: Pass) { clear(dx, pass) }

    private func clear(_ x: Matrix, _ pass: Pass) {
        for feature in 0..<inputs { (x.base + feature * x.stride).update(repeating: 0, count: pass.columns) }
    }
}
