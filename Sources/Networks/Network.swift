import Kernels

/// A chain of layers with the activations and output gradients of one rank's rows.
///
/// Each layer's output is [slots, features, stride]: a slot for each pass whose activations are kept at once. The caller
/// writes `input` and, for backward, the gradient at `outputGradient`.
public final class Network {
    /// `generator` or `discriminator`: the first part of its tensors' names.
    public let name: String
    public let layout: ParameterLayout
    /// [slots, inputs, stride]
    public let input: Matrix
    /// [slots, outputs, stride]
    public var output: Matrix { activations[activations.count - 1] }
    /// [slots, outputs, stride]: the loss's gradient, then whatever backward makes of it.
    public var outputGradient: Matrix { errors[errors.count - 1] }
    public let layers: [any Layer]
    /// The number in the specification of each layer.
    public let layerNumbers: [Int]

    /// The parameters, `layout.count` floats, which someone else owns, and as the layers take them.
    private let ownParameters: UnsafePointer<Float>
    private let parameters: UnsafePointer<Float>
    private let spectral: SpectralNormalization?
    private let offsets: [Int]
    private let workspace: UnsafeMutablePointer<Float>
    /// Running statistics, laid out as `bufferLayout` says.
    public let buffers: UnsafeMutablePointer<Float>
    public let bufferLayout: ParameterLayout
    private let bufferOffsets: [Int]
    /// [slots, layers, savedStride]
    private let saved: UnsafeMutablePointer<Double>
    private let savedStride: Int
    /// Of each layer, [slots, kept, stride].
    private let kept: [Matrix]
    private let activations: [Matrix]
    private let errors: [Matrix]

    /// - Parameters:
    ///   - stride: columns of a pass, a multiple of the kernels' `columnMultiple`.
    ///   - slots: passes whose activations are kept at once.
    ///   - areJoined: whether they lie side by side in the columns of one pass, [features, slots, stride / slots], which
    ///     computes them together. Their layers must be columnwise.
    ///   - output: where the output goes, [outputs, stride], or nil for memory of its own.
    ///   - keepsGradients: false for a network that only draws samples, whose layers' outputs are not kept.
    public init(
        name: String, plan: NetworkPlan, stride: Int, slots: Int = 1, areJoined: Bool = false, output: Matrix? = nil,
        parameters: UnsafePointer<Float>, keepsGradients: Bool = true, arena: Arena
    ) {
        precondition(stride % 8 == 0, "a stride of \(stride) is not a multiple of 8")
        precondition(
            output.map { slots == 1 && ($0.features, $0.stride) == (plan.outputs, stride) } ?? true,
            "an output of [\(output?.features ?? 0), \(output?.stride ?? 0)] for \(slots) × [\(plan.outputs), \(stride)]")
        self.name = name
        ownParameters = parameters
        layers = plan.layers
        layerNumbers = plan.layerNumbers
        layout = plan.layout
        offsets = plan.offsets
        bufferLayout = plan.bufferLayout
        bufferOffsets = plan.bufferOffsets
        buffers = arena.floats(plan.bufferLayout.count)
        spectral = plan.isSpectral
            ? SpectralNormalization(plan, buffers: buffers, slots: min(slots, 2), columns: stride, arena: arena) : nil
        self.parameters = spectral.map { UnsafePointer($0.parameters) } ?? parameters
        savedStride = plan.needs.saved
        saved = arena.doubles(slots * plan.layers.count * savedStride)
        precondition(
            !areJoined || plan.isColumnwise && stride % (8 * slots) == 0, "\(slots) passes joined in a stride of \(stride)")
        func matrix(_ features: Int) -> Matrix {
            areJoined
                ? Matrix(arena.floats(features * stride), features: features, stride: stride, slotStride: stride / slots)
                : arena.matrix(features: features, stride: stride, slots: slots)
        }
        kept = plan.layers.map { matrix($0.needs.kept) }
        workspace = arena.floats(plan.needs.workspace + plan.needs.columnWorkspace * stride)
        input = matrix(plan.inputs)
        // The last layers that work in place, and the one before them, share the output.
        var firstOfOutput = plan.layers.count - 1
        while firstOfOutput > 0, plan.layers[firstOfOutput].worksInPlace(after: plan.layers[firstOfOutput - 1]) {
            firstOfOutput -= 1
        }
        // A network that only draws samples keeps no activations: two buffers take turns as a layer's input and output.
        let largest = plan.layers.map(\.outputs).max() ?? 0
        let turns = keepsGradients ? [] : (0..<2).map { _ in matrix(largest) }
        var activations: [Matrix] = []
        var errors: [Matrix] = []
        for (index, layer) in layers.enumerated() {
            let previous = index > 0 ? layers[index - 1] : nil
            let inPlace = previous.map { layer.worksInPlace(after: $0) } ?? false
            if let output, index >= firstOfOutput {
                activations.append(output)
            } else if inPlace {
                activations.append(activations[index - 1])
            } else if let other = turns.first(where: { $0.base != activations.last?.base }) {
                activations.append(Matrix(other.base, features: layer.outputs, stride: stride))
            } else {
                activations.append(matrix(layer.outputs))
            }
            let sharesGradient = index > 0 && layer.sharesGradient
            errors.append(sharesGradient ? errors[index - 1] : matrix(keepsGradients ? layer.outputs : 0))
        }
        self.activations = activations
        self.errors = errors
    }

    /// The output of a layer, [slots, features, stride].
    public func activation(of layer: Int) -> Matrix { activations[layer] }

    /// The output gradient of a layer, [slots, features, stride], before its nonlinearity once `backward` has been there.
    public func outputGradient(of layer: Int) -> Matrix { errors[layer] }

    /// Computes the output from the input.
    /// - Throws: what stops the exchange of statistics between ranks.
    public func forward(_ pass: Pass, slot: Int = 0) throws {
        var x = input.slot(slot)
        for (index, layer) in layers.enumerated() {
            let y = activations[index].slot(slot)
            try layer.forward(x, y, memory(of: index, slot: slot), pass)
            x = y
        }
    }

    /// - Parameters:
    ///   - slot: of the activations.
    ///   - derivatives: slot of the tangent or the gradients, if it is another.
    private func memory(of layer: Int, slot: Int = 0, derivatives: Int? = nil) -> LayerMemory {
        LayerMemory(
            parameters: parameters + offsets[layer], buffers: buffers + bufferOffsets[layer],
            saved: saved + (slot * layers.count + layer) * savedStride, savedStride: layers.count * savedStride,
            kept: kept[layer].slot(slot), keptDerivatives: kept[layer].slot(derivatives ?? slot), workspace: workspace)
    }

    /// What a small change of the input, in input slot `slot`, changes in every layer's output, for piecewise linear layers
    /// whose activations are in slot `point`.
    public func tangent(_ pass: Pass, slot: Int, at point: Int) {
        var x = input.slot(slot)
        for (index, layer) in layers.enumerated() {
            let y = activations[index].slot(slot)
            layer.tangent(x, y, y: activations[index].slot(point), memory(of: index, slot: point, derivatives: slot), pass)
            x = y
        }
    }

    /// Takes the gradient at `outputGradient` back through all layers; the gradient of the input goes to `inputGradient` if it
    /// is given, and is not computed otherwise.
    /// - Parameters:
    ///   - slot: of the output gradients.
    ///   - point: slot of the activations, if it is another.
    public func backward(_ pass: Pass, slot: Int = 0, point: Int? = nil, inputGradient: Matrix? = nil) throws {
        let point = point ?? slot
        for index in stride(from: layers.count - 1, through: 0, by: -1) {
            let dy = errors[index].slot(slot)
            let x = (index > 0 ? activations[index - 1] : input).slot(point)
            let memory = memory(of: index, slot: point, derivatives: slot)
            let y = activations[index].slot(point)
            spectral?.noteOutput(of: index, dy, y: y, slot: slot, pass)
            try layers[index].preactivationGradient(dy, x: x, y: y, memory, pass)
            spectral?.noteBias(of: index, dy, slot: slot, pass)
            guard let dx = index > 0 ? errors[index - 1].slot(slot) : inputGradient else { continue }
            layers[index].inputGradient(dy, dx, x: x, memory, pass)
        }
    }

    /// To be called when the parameters are new.
    /// - Parameter isResumed: whether the running statistics belong to these parameters already.
    public func parametersChanged(isResumed: Bool = false) { spectral?.update(ownParameters, iterates: !isResumed) }

    /// The tensors that an `OperationGraph` of the network names: its parameters and running statistics as the layers take them.
    /// Weights that are normalised spectrally are W / σ, without the `_orig` in their names.
    public func usedValues() -> [String: (shape: [Int], values: [Float])] {
        var used: [String: (shape: [Int], values: [Float])] = [:]
        for tensor in layout.tensors {
            let name = spectral != nil && tensor.name.hasSuffix("_orig") ? String(tensor.name.dropLast(5)) : tensor.name
            used[name] = (tensor.shape, tensor.values(in: parameters))
        }
        for tensor in bufferLayout.tensors { used[tensor.name] = (tensor.shape, tensor.values(in: buffers)) }
        return used
    }

    /// Makes the gradients of the parameters of what has been summed over the batch, before they are used.
    public func finishGradient(_ gradient: UnsafeMutablePointer<Float>, _ segment: Range<Int>) {
        spectral?.finish(gradient, segment)
    }

    /// After `backward` of every pass: the gradients of the parameters, last layer first.
    /// - Parameters:
    ///   - meet: returns when the rows of all ranks of the host are laid out, if their gradients are summed together.
    ///   - afterLayer: told the first element from which on they are complete.
    public func weightGradients(
        _ sums: BatchSums, statistics: BatchStatistics? = nil, meet: () throws -> Void = {},
        afterLayer: (_ element: Int) throws -> Void
    ) throws {
        if let spectral, let statistics { try spectral.sumProducts(statistics) }
        if let shared = sums.shared {
            shared.begin(layingOut: true)
            forEachGradient(sums) { _ in }
            shared.begin(layingOut: false)
            try meet()
        }
        try forEachGradient(sums, afterLayer)
    }

    private func forEachGradient(_ sums: BatchSums, _ afterLayer: (_ element: Int) throws -> Void) rethrows {
        for index in stride(from: layers.count - 1, through: 0, by: -1) {
            layers[index].weightGradient(
                errors[index], x: index > 0 ? activations[index - 1] : input, offset: offsets[index], memory(of: index), sums)
            if !layers[index].tensors.isEmpty { try afterLayer(offsets[index]) }
        }
    }
}
