import Formats
import Kernels
import MessagePassing
import Networks

/// A player of a checkpoint as others are to use it: its layers and weights, what goes in and what comes out.
struct ExportedPlayer {
    let name: String
    let input, output: OperationGraph.Value
    private let layers: [LayerSpecification]
    /// Whether its weights are the moving average of those that were trained.
    let isAveraged: Bool
    /// All its tensors, by their names in the checkpoint: those of the average under the names of what they are an average of.
    let tensors: [(name: String, shape: [Int], values: [Float])]
    private let network: Network
    /// Holds what the network reads.
    private let arena = Arena(usesHugePages: false)

    /// - Parameters:
    ///   - name: the player's, or nil for the one that a game is played for.
    ///   - isRaw: whether to take the weights that were trained where the checkpoint holds their average too.
    /// - Throws: a usage error where the game has no such player.
    init(_ checkpoint: Checkpoint, name wanted: String?, isRaw: Bool) throws {
        let configuration = checkpoint.configuration
        let plans = try configuration.playerPlans()
        // The first is what a game is played for.
        guard let number = plans.firstIndex(where: { $0.name == wanted ?? plans[0].name }) else {
            let known = plans.map(\.name).joined(separator: ", ")
            throw Failure(
                .usage, "--player \(wanted ?? ""): \(checkpoint.path) is a checkpoint of \(configuration.game.description), whose "
                    + "players are \(known)")
        }
        let player = plans[number]
        name = player.name
        let plan = player.network
        layers = configuration.layers(of: name)
        let isDrawn = configuration.game == .gan && name == "generator"
        let isTranslated = name == "generator_ab" || name == "generator_ba"
        input = isDrawn ? .init("noise", plan.input, isFlat: true) : .init("pictures", plan.input)
        output = isDrawn ? .init("pictures", configuration.image)
            : isTranslated ? .init("translations", plan.output) : .init("logits", plan.output, isFlat: plan.output.pixels == 1)

        isAveraged = player.averageDecay != nil && !isRaw
        let parameters = arena.floats(plan.layout.count)
        network = Network(name: name, plan: plan, stride: 8, parameters: parameters, keepsGradients: false, arena: arena)
        var weights: [(name: String, shape: [Int], values: [Float])] = []
        var statistics = weights
        for entry in try checkpoint.entries where entry.player == number {
            guard entry.part == .buffers || entry.part == (isAveraged ? .average : .parameters) else { continue }
            let values = try checkpoint.floats(entry.name, count: entry.tensor.count)
            let tensor = ("\(name).\(entry.tensor.name)", entry.tensor.shape, values)
            if entry.part == .buffers {
                entry.tensor.store(values, in: network.buffers)
                statistics.append(tensor)
            } else {
                entry.tensor.store(values, in: parameters)
                weights.append(tensor)
            }
        }
        network.parametersChanged(isResumed: true)
        tensors = weights + statistics
    }

    /// A tensor whose numbers are not all finite, if there is one.
    var brokenTensor: String? { tensors.first { !$0.values.allSatisfy(\.isFinite) }?.name }

    /// As a model of ONNX's, of float32 numbers.
    func model(summary: String, metadata: [String: String]) -> ONNXModel {
        let graph = OperationGraph(layers, from: input, to: output)
        let used = network.usedValues()
        var inputs = [ONNXModel.Value(name: input.name, sizes: input.sizes)]
        if graph.takesClasses { inputs.append(.init(name: OperationGraph.classes, elementType: .int64, sizes: [])) }
        let tensors = graph.tensors.map { name in
            guard let (shape, values) = used[name] else { preconditionFailure("the graph of \(self.name) names a tensor \(name)") }
            return ONNXModel.Tensor(name: name, shape: shape, numbers: .float32(values))
        }
        return ONNXModel(
            producer: ("gan-dist", Version.current), name: name, summary: summary, nodes: graph.nodes.map(ONNXModel.Node.init),
            tensors: tensors + graph.constants.map(ONNXModel.Tensor.init), inputs: inputs,
            outputs: [.init(name: output.name, sizes: output.sizes)], metadata: metadata)
    }

    /// What goes in and comes out, in a line.
    var signature: String {
        func text(_ value: OperationGraph.Value) -> String { "\(value.name) [N, \(value.sizes.map(String.init).joined(separator: ", "))]" }
        let classes = layers.contains { !$0.classes.isEmpty } ? " and \(OperationGraph.classes) [N]" : ""
        return "\(text(input))\(classes) → \(text(output))"
    }
}

extension ONNXModel.Node {
    fileprivate init(_ node: OperationGraph.Node) {
        let attributes = node.attributes.mapValues { attribute -> ONNXModel.Attribute in
            switch attribute {
            case .integer(let value): .integer(value)
            case .integers(let values): .integers(values)
            case .number(let value): .number(value)
            case .text(let value): .text(value)
            }
        }
        self.init(name: node.output, operation: node.operation, inputs: node.inputs, outputs: [node.output], attributes: attributes)
    }
}

extension ONNXModel.Tensor {
    fileprivate init(_ constant: OperationGraph.Constant) {
        let (count, numbers): (Int, Numbers) =
            switch constant.numbers {
            case .integers(let values): (values.count, .int64(values.map { Int64($0) }))
            case .floats(let values): (values.count, .float32(values))
            }
        self.init(name: constant.name, shape: constant.isScalar ? [] : [count], numbers: numbers)
    }
}

extension Configuration {
    /// The layers of a player.
    fileprivate func layers(of player: String) -> [LayerSpecification] {
        switch player {
        case "generator": generator
        case "discriminator": discriminator
        case "classifier": classifier
        case "generator_ab": generatorAB
        case "generator_ba": generatorBA
        case "discriminator_a": discriminatorA
        case "discriminator_b": discriminatorB
        default: preconditionFailure("a player \(player)")
        }
    }
}
