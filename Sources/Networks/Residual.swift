import Kernels

/// `{"type": "residual", "layers": [ … ]}`: a block x + f(x), f its layers. Their tensors are named as in a PyTorch module with
/// `self.conv_block = nn.Sequential(…)`.
public struct ResidualDescription: LayerDescription {
    public var layers: [LayerSpecification] = []

    public let type = "residual"
    public var classes: Set<Int> { Set(layers.flatMap(\.classes)) }
    public var comparesRows: Bool { layers.contains(where: \.comparesRows) }
    public var fields: [LayerField<Self>] { [.layers("layers", \.layers)] }

    public func append(to chain: inout ChainBuilder) throws {
        let text = "residual of \(layers.map(\.name).joined(separator: ", "))"
        guard !chain.isSpectral else {
            throw chain.error(
                text, "holds layers that spectral normalisation does not reach; take the block or --spectral-norm away")
        }
        let block = try chain.inner(layers, attribute: "conv_block")
        guard block.shape == chain.shape else {
            throw chain.error(
                text, "adds what its layers give, \(block.shape), to what they are given, \(chain.shape); both must be alike")
        }
        chain.append(Residual(block.layers, features: chain.shape.features), output: chain.shape)
    }

    public func addOperations(to graph: inout OperationGraph) {
        let (x, isFlat) = (graph.value, graph.isFlat)
        graph.append(layers, attribute: "conv_block")
        graph.setFlat(isFlat)
        graph.take(graph.add("Add", [x, graph.value]))
    }
}

extension LayerSpecification {
    /// x + f(x), f these layers.
    public static func residual(_ layers: [LayerSpecification]) -> LayerSpecification {
        LayerSpecification(ResidualDescription(layers: layers))
    }
}

extension LayerField {
    /// A list of layers, at least one.
    fileprivate static func layers(_ name: String, _ path: WritableKeyPath<Layer, [LayerSpecification]>) -> LayerField {
        let key = AnyKey(name)
        return LayerField(name: name) { layer, source in
            guard source.container.codingPath.count(where: { $0.stringValue == name }) < 4 else {
                throw source.error("a layer of type \(source.type) inside four others; at most four are one inside the other")
            }
            let layers = try source.container.decode([LayerSpecification].self, forKey: key)
            guard !layers.isEmpty else {
                throw source.error("a layer of type \(source.type) without \(name); it needs at least one")
            }
            layer[keyPath: path] = layers
        } encode: { layer, container in
            try container.encode(layer[keyPath: path], forKey: key)
        }
    }
}

/// A residual block (He et al. 2016): y = x + f(x), f a chain of layers, and so dx = dy + fᵗ(dy).
///
/// The block's `LayerMemory.kept` holds the outputs of f's layers, their gradients, and what these layers keep themselves. The
/// parameters of f are the block's parameters; their gradients are made last layer first.
final class Residual: Layer {
    /// Where an inner layer's memory begins in the block's.
    private struct Place {
        var parameters = 0, buffers = 0, saved = 0
        /// Features of `LayerMemory.kept`: of the output, the output's gradient, and what the layer keeps.
        var output = 0, gradient = 0, kept = 0
        var keptCount = 0
    }

    let inputs: Int
    let innerLayers: [any Layer]
    let tensors: [Tensor]
    let buffers: [Tensor]
    let needs: LayerNeeds
    private let places: [Place]
    var outputs: Int { inputs }
    var products: Int { innerLayers.reduce(0) { $0 + $1.products } }
    var isPiecewiseLinear: Bool { innerLayers.allSatisfy(\.isPiecewiseLinear) }
    var sumsProductsOnly: Bool { innerLayers.allSatisfy(\.sumsProductsOnly) }
    var isColumnwise: Bool { innerLayers.allSatisfy(\.isColumnwise) }

    init(_ layers: [any Layer], features: Int) {
        inputs = features
        innerLayers = layers
        tensors = layers.flatMap(\.tensors)
        buffers = layers.flatMap(\.buffers)
        let parameterOffsets = ParameterLayout(tensors).offsets(layers.map(\.tensors.count))
        let bufferOffsets = ParameterLayout(buffers).offsets(layers.map(\.buffers.count))
        var needs = LayerNeeds()
        var (saved, kept) = (0, 0)
        func take(_ count: Int, of total: inout Int) -> Int {
            defer { total += count }
            return total
        }
        var places: [Place] = []
        for (index, layer) in layers.enumerated() {
            let own = layer.needs
            needs.include(own)
            let previous = places.last
            let worksInPlace = index > 0 && layer.worksInPlace(after: layers[index - 1])
            var place = Place(
                parameters: parameterOffsets[index], buffers: bufferOffsets[index], saved: take(own.saved, of: &saved),
                keptCount: own.kept)
            place.output = if worksInPlace, let previous { previous.output } else { take(layer.outputs, of: &kept) }
            place.gradient =
                if layer.sharesGradient, let previous { previous.gradient } else { take(layer.outputs, of: &kept) }
            place.kept = take(own.kept, of: &kept)
            places.append(place)
        }
        needs.saved = saved
        needs.kept = kept
        self.needs = needs
        self.places = places
    }

    func forward(_ x: Matrix, _ y: Matrix, _ memory: LayerMemory, _ pass: Pass) throws {
        var input = x
        for (index, layer) in innerLayers.enumerated() {
            let output = output(index, memory.kept)
            try layer.forward(input, output, part(index, of: memory), pass)
            input = output
        }
        add(x, input, to: y, pass)
    }

    func tangent(_ dx: Matrix, _ dy: Matrix, y: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        var input = dx
        for (index, layer) in innerLayers.enumerated() {
            let output = output(index, memory.keptDerivatives)
            layer.tangent(input, output, y: self.output(index, memory.kept), part(index, of: memory), pass)
            input = output
        }
        add(dx, input, to: dy, pass)
    }

    func preactivationGradient(_ dy: Matrix, x: Matrix, y: Matrix, _ memory: LayerMemory, _ pass: Pass) throws {
        let last = gradient(innerLayers.count - 1, memory)
        copy(dy, last, features: outputs, columns: pass.columns)
        for (index, layer) in innerLayers.enumerated().reversed() {
            let (dy, part) = (gradient(index, memory), part(index, of: memory))
            let input = index > 0 ? output(index - 1, memory.kept) : x
            try layer.preactivationGradient(dy, x: input, y: output(index, memory.kept), part, pass)
            if index > 0 { layer.inputGradient(dy, gradient(index - 1, memory), x: input, part, pass) }
        }
    }

    func inputGradient(_ dy: Matrix, _ dx: Matrix, x: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        innerLayers[0].inputGradient(gradient(0, memory), dx, x: x, part(0, of: memory), pass)
        add(dx, dy, to: dx, pass)
    }

    func weightGradient(_ dy: Matrix, x: Matrix, offset: Int, _ memory: LayerMemory, _ sums: BatchSums) {
        for (index, layer) in innerLayers.enumerated().reversed() {
            layer.weightGradient(
                gradient(index, memory), x: index > 0 ? output(index - 1, memory.kept) : x,
                offset: offset + places[index].parameters, part(index, of: memory), sums)
        }
    }

    /// The output of a layer, in the memory of a pass.
    private func output(_ layer: Int, _ kept: Matrix) -> Matrix {
        kept.features(from: places[layer].output, count: innerLayers[layer].outputs)
    }

    private func gradient(_ layer: Int, _ memory: LayerMemory) -> Matrix {
        memory.keptDerivatives.features(from: places[layer].gradient, count: innerLayers[layer].outputs)
    }

    private func part(_ layer: Int, of memory: LayerMemory) -> LayerMemory {
        let place = places[layer]
        return LayerMemory(
            parameters: memory.parameters + place.parameters, buffers: memory.buffers + place.buffers,
            saved: memory.saved + place.saved, savedStride: memory.savedStride,
            kept: memory.kept.features(from: place.kept, count: place.keptCount),
            keptDerivatives: memory.keptDerivatives.features(from: place.kept, count: place.keptCount),
            workspace: memory.workspace)
    }

    /// sum = a + b
    private func add(_ a: Matrix, _ b: Matrix, to sum: Matrix, _ pass: Pass) {
        precondition(a.stride == sum.stride && b.stride == sum.stride, "strides \(a.stride), \(b.stride) and \(sum.stride)")
        let count = inputs * sum.stride
        if a.base != sum.base { sum.base.update(from: a.base, count: count) }
        pass.kernels.addScaled(sum.base, b.base, 1, count)
    }
}
