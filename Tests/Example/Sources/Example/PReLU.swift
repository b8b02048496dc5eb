import Networks

/// `{"type": "prelu"}`: `nn.PReLU`, a rectifier with a learned slope a for the negative values of each feature.
struct PReLUDescription: LayerDescription {
    let type = "prelu"

    func append(to chain: inout ChainBuilder) throws {
        guard chain.shape.pixels == 1 else { throw chain.misfit("prelu") }
        chain.append(PReLU(name: chain.name, features: chain.shape.features), output: chain.shape)
    }
    func addOperations(to graph: inout OperationGraph) { graph.apply("PRelu", [graph.tensor("weight")]) }
}

/// y = x where x > 0, a x elsewhere; dx = dy or a dy; da = Σ dy x over the rows of the batch where x ≤ 0.
final class PReLU: Layer {
    let inputs: Int, tensors: [Tensor]
    var outputs: Int { inputs }
    var needs: LayerNeeds { .rowSums(of: inputs) }

    init(name: String, features: Int) { (inputs, tensors) = (features, [Tensor("\(name).weight", [features], .constant(0.25))]) }

    func forward(_ x: Matrix, _ y: Matrix, _ memory: LayerMemory, _ pass: Pass) { scale(x, by: x, y, memory, pass) }
    func inputGradient(_ dy: Matrix, _ dx: Matrix, x: Matrix, _ memory: LayerMemory, _ pass: Pass) { scale(dy, by: x, dx, memory, pass) }
    private func scale(_ from: Matrix, by x: Matrix, _ to: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        for feature in 0..<inputs {
            let (x, from, to) = (x.row(feature), from.row(feature), to.row(feature))
            for column in 0..<pass.columns { to[column] = x[column] > 0 ? from[column] : memory.parameters[feature] * from[column] }
        }
    }
    func weightGradient(_ dy: Matrix, x: Matrix, offset: Int, _ memory: LayerMemory, _ sums: BatchSums) {
        sums.addRowGradients(count: inputs, offset: offset) { slot, feature, gradients in
            let (x, dy) = (x.slot(slot).row(feature), dy.slot(slot).row(feature))
            for column in 0..<sums.columns { gradients[column] = x[column] > 0 ? 0 : dy[column] * x[column] }
        }
    }
}
