import Kernels

/// `{"type": "minibatch_discrimination", "inputs": 64, "kernels": 16, "dimensions": 5}`
public struct MinibatchDiscriminationDescription: LayerDescription {
    public var inputs = 1
    public var kernels = 1
    public var dimensions = 1

    public let type = "minibatch_discrimination"
    public let comparesRows = true
    public var fields: [LayerField<Self>] {
        [
            .integer("kernels", \.kernels, 1...65_536), .integer("inputs", \.inputs, 1...65_536),
            .integer("dimensions", \.dimensions) { 1...65_536 / $0.kernels },
        ]
    }

    public func append(to chain: inout ChainBuilder) throws {
        guard chain.shape.isInOrder, inputs == chain.shape.features else {
            throw chain.misfit("minibatch_discrimination of \(inputs)")
        }
        chain.append(
            MinibatchDiscrimination(name: chain.name, inputs: inputs, kernels: kernels, dimensions: dimensions),
            output: Shape(channels: inputs + kernels))
    }

    public func addOperations(to graph: inout OperationGraph) {
        graph.setFlat(true)
        let x = graph.value
        let weight = graph.tensor("weight")
        let m = graph.add("Reshape", [
            graph.add("Gemm", [x, weight], ["transB": .integer(1)]), graph.constant([0, kernels, dimensions]),
        ])
        let others = graph.add("Unsqueeze", [m, graph.constant([0])])
        let own = graph.add("Unsqueeze", [m, graph.constant([1])])
        let differences = graph.add("Abs", [graph.add("Sub", [own, others])])
        let distances = graph.add("ReduceSum", [differences, graph.constant([3])], ["keepdims": .integer(0)])
        let similarities = graph.add("Exp", [graph.add("Neg", [distances])])
        let sums = graph.add("ReduceSum", [similarities, graph.constant([1])], ["keepdims": .integer(0)])
        // Without the row itself.
        let o = graph.add("Sub", [sums, graph.scalar(Float(1))])
        graph.take(graph.add("Concat", [x, o], ["axis": .integer(1)]), Shape(channels: inputs + kernels))
    }
}

extension LayerSpecification {
    /// Appends to the features how near, for each of so many kernels, those of the other rows of the logical shard are.
    public static func minibatchDiscrimination(inputs: Int, kernels: Int, dimensions: Int) -> LayerSpecification {
        LayerSpecification(MinibatchDiscriminationDescription(inputs: inputs, kernels: kernels, dimensions: dimensions))
    }
}

/// Minibatch discrimination (Salimans et al. 2016): tells each row how near others are, so that a discriminator sees when a
/// generator's pictures are all alike. With M = T f, as [kernels, dimensions] of each row,
///
/// o_b(i) = Σ_{j ≠ i} exp(−d_b(i, j)), d_b(i, j) = Σ_c |M_bc(i) − M_bc(j)|, y = [f; o].
///
/// f is [inputs, rows], y [inputs + kernels, rows], T PyTorch's [kernels · dimensions, inputs] of a linear layer without a bias,
/// uniform in ±1/√inputs at first. A row is compared with the other rows of its shard in the same pass; real and fake rows
/// never mix. A rank holds whole shards, so that the result does not depend on the ranks, and no row is sent. Backwards
///
/// dM_bc(i) = −Σ_j (do_b(i) + do_b(j)) exp(−d_b(i, j)) sign(M_bc(i) − M_bc(j)), df = dy_f + Tᵗ dM, dT = Σ dM fᵗ,
///
/// the last sum over rows, and shards by the tree. Backward keeps f, M and dM.
final class MinibatchDiscrimination: Layer {
    let inputs: Int
    let kernels: Int
    let dimensions: Int
    let tensors: [Tensor]
    var outputs: Int { inputs + kernels }
    var sumsProductsOnly: Bool { true }
    var products: Int { inputs * features }
    var needs: LayerNeeds {
        LayerNeeds(
            workspace: GEMM.workspaceCount, columnWorkspace: 16, kept: 2 * features,
            transposedInputs: inputs, gradientRows: features,
            sharedRows: SharedRows.floats(outputs: features, inputs: inputs))
    }

    /// Rows of T and features of M.
    private var features: Int { kernels * dimensions }

    init(name: String, inputs: Int, kernels: Int, dimensions: Int) {
        self.inputs = inputs
        self.kernels = kernels
        self.dimensions = dimensions
        tensors = [Tensor("\(name).weight", [kernels * dimensions, inputs], .uniform(1 / Float(inputs).squareRoot()))]
    }

    func forward(_ x: Matrix, _ y: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        copy(x, y, features: inputs, columns: pass.columns)
        let (m, _) = parts(memory.kept)
        var product = GEMM(
            a: memory.parameters, a_row: inputs, a_depth: 1, b: x.base, b_depth: x.stride, c: m.base, c_row: m.stride,
            rows: features, columns: pass.columns, depth: inputs, bias: nil, gate: nil, gate_row: 0, rectifies: 0, slope: 1,
            workspace: memory.workspace, interlude: pass.interlude)
        pass.kernels.gemm(&product)                                                                  // M = T f
        forEachKernel(pass) { kernel, columns in
            pass.kernels.similarities(
                m.base + kernel * dimensions * m.stride + columns.lowerBound, dimensions, columns.count, m.stride,
                y.base + (inputs + kernel) * y.stride + columns.lowerBound)                             // o
        }
    }

    func preactivationGradient(_ dy: Matrix, x: Matrix, y: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        let (m, dm) = parts(memory.kept)
        let scratch = memory.workspace + GEMM.workspaceCount
        forEachKernel(pass) { kernel, columns in
            let first = kernel * dimensions * m.stride + columns.lowerBound
            pass.kernels.similaritiesBackward(
                m.base + first, dy.base + (inputs + kernel) * dy.stride + columns.lowerBound, dimensions, columns.count,
                m.stride, scratch, dm.base + first)                                                     // dM
        }
    }

    func inputGradient(_ dy: Matrix, _ dx: Matrix, x: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        let (_, dm) = parts(memory.kept)
        var product = GEMM(
            a: memory.parameters, a_row: 1, a_depth: inputs, b: dm.base, b_depth: dm.stride, c: dx.base, c_row: dx.stride,
            rows: inputs, columns: pass.columns, depth: features, bias: nil, gate: nil, gate_row: 0, rectifies: 0, slope: 1,
            workspace: memory.workspace, interlude: pass.interlude)
        pass.kernels.gemm(&product)                                                                  // Tᵗ dM
        for feature in 0..<inputs {
            pass.kernels.addScaled(dx.base + feature * dx.stride, dy.base + feature * dy.stride, 1, pass.columns)
        }
    }

    func weightGradient(_ dy: Matrix, x: Matrix, offset: Int, _ memory: LayerMemory, _ sums: BatchSums) {
        let (_, dm) = parts(memory.kept)
        sums.weightGradient(dm, passStride: memory.kept.slotStride, x: x, offset: offset)
    }

    /// M and dM of a pass.
    private func parts(_ kept: Matrix) -> (m: Matrix, dm: Matrix) {
        (
            Matrix(kept.base, features: features, stride: kept.stride),
            Matrix(kept.base + features * kept.stride, features: features, stride: kept.stride)
        )
    }

    private func forEachKernel(_ pass: Pass, _ body: (_ kernel: Int, _ columns: Range<Int>) -> Void) {
        func visit(_ columns: Range<Int>) { for kernel in 0..<kernels { body(kernel, columns) } }
        guard let shards = pass.shardColumns else { return visit(0..<pass.columns) }
        for columns in shards { visit(columns) }
    }
}
