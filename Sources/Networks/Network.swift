import Kernels

/// A chain of layers with the activations and error signals of one rank's rows.
///
/// Each layer's output is [slots, features, stride]: a slot for each pass whose activations are kept at once. The caller
/// writes `input` and, for backward, the gradient at `outputError`.
public final class Network {
    /// `generator` or `discriminator`: the first part of its tensors' names.
    public let name: String
    public let layout: ParameterLayout
    /// [slots, inputs, stride]
    public let input: Matrix
    /// [slots, outputs, stride]
    public var output: Matrix { activations[activations.count - 1] }
    /// [slots, outputs, stride]: the loss's gradient, then whatever backward makes of it.
    public var outputError: Matrix { errors[errors.count - 1] }
    public let layers: [any Layer]

    /// The parameters, `layout.count` floats, which someone else owns.
    private let parameters: UnsafePointer<Float>
    private let offsets: [Int]
    private let workspace: UnsafeMutablePointer<Float>
    private let activations: [Matrix]
    private let errors: [Matrix]

    /// - Parameters:
    ///   - stride: columns of a pass, a multiple of the kernels' `columnMultiple`.
    ///   - slots: passes whose activations are kept at once.
    ///   - output: where the output goes, [outputs, stride], or nil for memory of its own.
    ///   - keepsErrors: false for a network that only draws samples.
    public init(
        name: String, plan: NetworkPlan, stride: Int, slots: Int = 1, output: Matrix? = nil,
        parameters: UnsafePointer<Float>, keepsErrors: Bool = true, arena: Arena
    ) {
        precondition(stride % 8 == 0, "a stride of \(stride) is not a multiple of 8")
        precondition(
            output.map { slots == 1 && ($0.features, $0.stride) == (plan.outputs, stride) } ?? true,
            "an output of [\(output?.features ?? 0), \(output?.stride ?? 0)] for \(slots) × [\(plan.outputs), \(stride)]")
        self.name = name
        self.parameters = parameters
        layers = plan.layers
        layout = plan.layout
        offsets = plan.offsets
        workspace = arena.floats(Product.workspaceCount(depth: max(plan.largestInput, plan.largestOutput)))
        input = arena.matrix(features: plan.inputs, stride: stride, slots: slots)
        // The last layers that work in place, and the one before them, share the output.
        var firstOfOutput = plan.layers.count - 1
        while firstOfOutput > 0, plan.layers[firstOfOutput].worksInPlace(after: plan.layers[firstOfOutput - 1]) {
            firstOfOutput -= 1
        }
        var activations: [Matrix] = []
        var errors: [Matrix] = []
        for (index, layer) in layers.enumerated() {
            let previous = index > 0 ? layers[index - 1] : nil
            let inPlace = previous.map { layer.worksInPlace(after: $0) } ?? false
            if let output, index >= firstOfOutput {
                activations.append(output)
            } else {
                activations.append(
                    inPlace ? activations[index - 1] : arena.matrix(features: layer.outputs, stride: stride, slots: slots))
            }
            let sharesError = index > 0 && !(layer is Linear)
            errors.append(
                sharesError
                    ? errors[index - 1]
                    : arena.matrix(features: keepsErrors ? layer.outputs : 0, stride: stride, slots: slots))
        }
        self.activations = activations
        self.errors = errors
    }

    /// The output of a layer, [slots, features, stride].
    public func activation(of layer: Int) -> Matrix { activations[layer] }

    /// Computes the output from the input.
    public func forward(_ pass: Pass, slot: Int = 0) {
        var x = input.slot(slot)
        for (index, layer) in layers.enumerated() {
            let y = activations[index].slot(slot)
            layer.forward(x, y, parameters: parameters + offsets[index], workspace: workspace, pass)
            x = y
        }
    }

    /// Takes the gradient at `outputError` back through all layers; the gradient of the input goes to `inputError` if it
    /// is given, and is not computed otherwise.
    public func backward(_ pass: Pass, slot: Int = 0, inputError: Matrix? = nil) {
        for index in stride(from: layers.count - 1, through: 0, by: -1) {
            let dy = errors[index].slot(slot)
            layers[index].errorSignal(dy, y: activations[index].slot(slot), pass)
            let x = (index > 0 ? activations[index - 1] : input).slot(slot)
            guard let dx = index > 0 ? errors[index - 1].slot(slot) : inputError else { continue }
            layers[index].inputGradient(
                dy, dx, x: x, parameters: parameters + offsets[index], workspace: workspace, pass)
        }
    }

    /// After `backward` of every pass: the gradients of the parameters, last layer first.
    /// - Parameter afterLayer: told the first element from which on they are complete.
    public func weightGradients(_ sums: BatchSums, afterLayer: (_ element: Int) throws -> Void) rethrows {
        for index in stride(from: layers.count - 1, through: 0, by: -1) {
            layers[index].weightGradient(
                errors[index], x: index > 0 ? activations[index - 1] : input, offset: offsets[index], sums)
            if !layers[index].tensors.isEmpty { try afterLayer(offsets[index]) }
        }
    }
}

/// The layers of a specification, with rectifiers fused into the linear layers before them, and their parameters.
public struct NetworkPlan: Sendable {
    public let inputs: Int
    public let outputs: Int
    public let layers: [any Layer]
    public let layout: ParameterLayout
    /// The largest numbers of inputs and of outputs of a layer.
    public let largestInput, largestOutput: Int
    let offsets: [Int]
    /// Where the parameters of layers begin, ascending; those of small layers belong to the layer before them.
    public let buckets: [Int]
    /// Fewer parameters than this are not worth a message of their own.
    private static let smallestBucket = 16_384

    /// - Parameters:
    ///   - inputs: features of the network's input.
    ///   - role: keeps the random numbers of a step's two networks apart.
    /// - Throws: `ShapeError` where a layer does not take what the one before it gives.
    public init(_ specifications: [LayerSpecification], inputs: Int, role: NetworkRole = .discriminator) throws {
        var layers: [any Layer] = []
        var features = inputs
        var index = 0
        while index < specifications.count {
            switch specifications[index] {
            case .linear(let expected, let outputs):
                guard expected == features else {
                    throw ShapeError(
                        description: "layer \(index), linear [\(expected) → \(outputs)], follows "
                            + (index == 0 ? "the network's input" : "layer \(index - 1)") + " of \(features) features")
                }
                let slope = specifications.rectifierSlope(at: index + 1)
                let isFusedWithNext = slope != nil && specifications.isLinear(at: index + 2)
                layers.append(
                    Linear(
                        index: index, inputs: expected, outputs: outputs, slope: slope,
                        inputSlope: specifications.isLinear(at: index - 2)
                            ? specifications.rectifierSlope(at: index - 1) : nil,
                        isFusedWithNext: isFusedWithNext))
                features = outputs
                if slope != nil { index += 1 }
            case .relu: layers.append(Activation(features: features, function: .rectify(slope: 0)))
            case .leakyReLU(let slope):
                layers.append(Activation(features: features, function: .rectify(slope: Float(slope))))
            case .tanh: layers.append(Activation(features: features, function: .tanh))
            case .sigmoid: layers.append(Activation(features: features, function: .sigmoid))
            case .dropout(let probability):
                layers.append(Dropout(index: index, of: role, features: features, probability: probability))
            }
            index += 1
        }
        guard layers.contains(where: { !$0.tensors.isEmpty }) else {
            throw ShapeError(description: "no layer has parameters; a network needs at least one linear layer")
        }
        self.inputs = inputs
        outputs = features
        self.layers = layers
        largestInput = layers.map(\.inputs).max() ?? inputs
        largestOutput = layers.map(\.outputs).max() ?? features
        layout = ParameterLayout(layers.flatMap(\.tensors))
        var offsets: [Int] = []
        var next = 0
        for layer in layers {
            offsets.append(next < layout.tensors.count ? layout.tensors[next].offset : 0)
            next += layer.tensors.count
        }
        self.offsets = offsets
        var end = layout.count
        buckets = zip(layers, offsets).reversed().compactMap { layer, offset in
            guard !layer.tensors.isEmpty, offset == 0 || end - offset >= NetworkPlan.smallestBucket else { return nil }
            end = offset
            return offset
        }.reversed()
    }
}

/// Layers that do not fit together.
public struct ShapeError: Error, CustomStringConvertible, Sendable {
    public let description: String
}

extension [LayerSpecification] {
    fileprivate func isLinear(at index: Int) -> Bool {
        guard indices.contains(index), case .linear = self[index] else { return false }
        return true
    }

    fileprivate func rectifierSlope(at index: Int) -> Float? {
        guard indices.contains(index) else { return nil }
        return switch self[index] {
        case .relu: 0
        case .leakyReLU(let slope): Float(slope)
        default: nil
        }
    }
}
