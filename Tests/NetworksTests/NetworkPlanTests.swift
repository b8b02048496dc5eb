import Networks
import Testing

@Suite struct NetworkPlanTests {
    /// Small layers go with the one before them.
    @Test func bucketsBeginAtLargeLayers() throws {
        let plan = try NetworkPlan(
            [
                .linear(inputs: 10, outputs: 200), .relu, .linear(inputs: 200, outputs: 100), .tanh,
                .linear(inputs: 100, outputs: 300), .linear(inputs: 300, outputs: 1),
            ], input: Shape(channels: 10))
        let second = (10 * 200).paddedToVectors + 200.paddedToVectors
        let third = second + 200 * 100 + 100.paddedToVectors
        #expect(plan.buckets == [0, second, third])
        #expect(try NetworkPlan([.linear(inputs: 3, outputs: 2)], input: Shape(channels: 3)).buckets == [0])
        #expect(try NetworkPlan([.relu, .linear(inputs: 3, outputs: 2)], input: Shape(channels: 3)).buckets == [0])
    }

    @Test func tellsSizes() throws {
        let plan = try NetworkPlan(
            [.dropout(probability: 0.1), .linear(inputs: 3, outputs: 300), .relu, .linear(inputs: 300, outputs: 2), .tanh],
            input: Shape(channels: 3))
        #expect((plan.inputs, plan.outputs) == (3, 2))
        #expect(plan.layout.tensors.map(\.name) == ["main.1.weight", "main.1.bias", "main.3.weight", "main.3.bias"])
    }

    /// Names count activations and dropout as PyTorch's `Sequential` does, also where a rectifier is fused.
    @Test func numbersLayersAsSequentialDoes() throws {
        let layers: [LayerSpecification] = [
            .linear(inputs: 2, outputs: 3), .leakyReLU(slope: 0.2), .dropout(probability: 0.3), .linear(inputs: 3, outputs: 4),
            .relu, .linear(inputs: 4, outputs: 1),
        ]
        let plan = try NetworkPlan(layers, input: Shape(channels: 2))
        #expect(plan.layout.tensors.map(\.name).filter { $0.hasSuffix("weight") } == ["main.0.weight", "main.3.weight", "main.5.weight"])
        let dropout = plan.layers.compactMap { $0 as? Dropout }
        #expect(dropout.map(\.path) == ["2"])
    }

    @Test(arguments: [
        (
            [LayerSpecification.linear(inputs: 5, outputs: 1)],
            "layer 0, linear [5 → 1], does not take what the network's input gives: 4 features"
        ),
        (
            [.linear(inputs: 4, outputs: 8), .relu, .dropout(probability: 0.5), .linear(inputs: 9, outputs: 1)],
            "layer 3, linear [9 → 1], does not take what layer 2, dropout, gives: 8 features"
        ),
        (
            [.linear(inputs: 4, outputs: 8), .linear(inputs: 4, outputs: 8)],
            "layer 1, linear [4 → 8], does not take what layer 0, linear, gives: 8 features"
        ),
        ([], "no layer has parameters; a network needs at least one that has"),
        ([.relu, .tanh, .upsample(factor: 2)], "no layer has parameters; a network needs at least one that has"),
        (
            [.linear(inputs: 4, outputs: 8), .batchNormalization(channels: 4)],
            "layer 1, batch_norm of 4, does not take what layer 0, linear, gives: 8 features"
        ),
        (
            [.reshape(channels: 1, height: 2, width: 3)],
            "layer 0, reshape to 1 × 2 × 3, does not take what the network's input gives: 4 features"
        ),
    ])
    func namesTheLayersThatDoNotFit(layers: [LayerSpecification], message: String) {
        let error = #expect(throws: ShapeError.self) { _ = try NetworkPlan(layers, input: Shape(channels: 4)) }
        #expect(error?.description == message)
    }

    /// Behind a code of bits nothing learns.
    @Test(arguments: [
        (NetworkRole.discriminator, [LayerSpecification.sign, .linear(inputs: 4, outputs: 1)], 0),
        (.generator, [.linear(inputs: 4, outputs: 4), .sign], 1), (.generator, [.sign, .sign, .linear(inputs: 4, outputs: 1)], 1),
    ])
    func refusesSignsThatLetNoGradientThrough(role: NetworkRole, layers: [LayerSpecification], number: Int) {
        let error = #expect(throws: ShapeError.self) {
            _ = try NetworkPlan(layers, input: Shape(channels: 4), role: role)
        }
        #expect(
            error?.description == "layer \(number), sign, lets no gradient through; it can only be the first of the generator")
    }

    /// What does not fit an image of 2 × 5 × 4, each of these followed by nothing.
    @Test(arguments: [
        (LayerSpecification.linear(inputs: 40, outputs: 1), "linear [40 → 1]"),
        (
            .convolution(.init(inputs: 1, outputs: 3, kernel: 3)), "conv2d [1 → 3] of kernel 3, stride 1, padding 0"
        ),
        (
            .convolution(.init(inputs: 2, outputs: 3, kernel: 5)), "conv2d [2 → 3] of kernel 5, stride 1, padding 0"
        ),
        (
            .convolution(.init(inputs: 2, outputs: 3, kernel: 7, stride: 2, padding: 1)),
            "conv2d [2 → 3] of kernel 7, stride 2, padding 1"
        ),
        (
            .convolution(.init(isTransposed: true, inputs: 2, outputs: 3, kernel: 1, padding: 2)),
            "conv_transpose2d [2 → 3] of kernel 1, stride 1, padding 2"
        ),
        (.batchNormalization(channels: 20), "batch_norm of 20"),
        // Features of an image are not in PyTorch's order.
        (.batchNormalization(channels: 40), "batch_norm of 40"),
        (.reshape(channels: 40, height: 2, width: 1), "reshape to 40 × 2 × 1"),
    ])
    func namesTheLayersThatDoNotFitAnImage(layer: LayerSpecification, name: String) {
        let error = #expect(throws: ShapeError.self) {
            _ = try NetworkPlan([layer], input: Shape(channels: 2, height: 5, width: 4))
        }
        #expect(error?.description == "layer 0, \(name), does not take what the network's input gives: 2 × 5 × 4")
    }

    /// A model file cannot ask for more than there is, however many of its layers enlarge.
    @Test(arguments: [
        (
            Array(repeating: LayerSpecification.upsample(factor: 16), count: 20),
            "layer 1, upsample by 16, gives 2 × 1280 × 1024; the sides of an image must be at most 1,024 and its features at most "
                + "16,777,216"
        ),
        (
            Array(repeating: .convolution(.init(isTransposed: true, inputs: 2, outputs: 2, kernel: 32, stride: 32)), count: 20),
            "layer 1, conv_transpose2d [2 → 2] of kernel 32, stride 32, padding 0, gives 2 × 5120 × 4096"
        ),
        ([.upsample(factor: 16), .convolution(.init(inputs: 2, outputs: 8_192, kernel: 1))], "gives 8192 × 80 × 64; "),
        (
            [.upsample(factor: 16), .convolution(.init(inputs: 2, outputs: 1, kernel: 32, padding: 31))],
            "has 10798080 places of its kernel in an image; at most 4,194,304 are laid out"
        ),
    ])
    func refusesImagesThatAreTooLarge(layers: [LayerSpecification], message: String) {
        let error = #expect(throws: ShapeError.self) {
            _ = try NetworkPlan(layers, input: Shape(channels: 2, height: 5, width: 4))
        }
        #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
    }

    /// PyTorch's sizes, also where a convolution leaves pixels over.
    @Test(arguments: [
        ([LayerSpecification.convolution(.init(inputs: 2, outputs: 3, kernel: 4, stride: 2, padding: 1))], [3, 2, 2]),
        ([.convolution(.init(inputs: 2, outputs: 3, kernel: 3, stride: 2))], [3, 2, 1]),
        ([.convolution(.init(inputs: 2, outputs: 3, kernel: 4, padding: 0))], [3, 2, 1]),
        ([.convolution(.init(isTransposed: true, inputs: 2, outputs: 3, kernel: 4, stride: 2, padding: 1))], [3, 10, 8]),
        ([.convolution(.init(isTransposed: true, inputs: 2, outputs: 3, kernel: 3, stride: 2))], [3, 11, 9]),
        (
            [.convolution(.init(isTransposed: true, inputs: 2, outputs: 3, kernel: 3, stride: 2, padding: 1, outputPadding: 1))],
            [3, 10, 8]
        ),
        ([.upsample(factor: 3), .batchNormalization(channels: 2)], [2, 15, 12]),
        ([.reshape(channels: 40, height: 1, width: 1), .linear(inputs: 40, outputs: 7)], [7, 1, 1]),
    ])
    func tellsShapes(layers: [LayerSpecification], shape: [Int]) throws {
        let plan = try NetworkPlan(layers, input: Shape(channels: 2, height: 5, width: 4))
        #expect([plan.output.channels, plan.output.height, plan.output.width] == shape)
    }

    /// Running statistics are no parameters, and a normalisation's rectifier counts as a layer.
    @Test func namesRunningStatistics() throws {
        let plan = try NetworkPlan(
            [
                .convolution(.init(inputs: 1, outputs: 2, kernel: 4, stride: 2, padding: 1, hasBias: false)),
                .batchNormalization(channels: 2), .relu, .convolution(.init(inputs: 2, outputs: 1, kernel: 2)),
            ], input: Shape(channels: 1, height: 4, width: 4))
        #expect(
            plan.layout.tensors.map(\.name) == [
                "main.0.weight", "main.1.weight", "main.1.bias", "main.3.weight", "main.3.bias",
            ])
        #expect(plan.layout.tensors.map(\.shape) == [[2, 1, 4, 4], [2], [2], [1, 2, 2, 2], [1]])
        #expect(plan.bufferLayout.tensors.map(\.name) == ["main.1.running_mean", "main.1.running_var"])
        #expect(plan.normalizedPixels == 4)
    }

    /// Layers that work in place at the end, and one that does not.
    @Test(arguments: [
        [LayerSpecification.linear(inputs: 9, outputs: 24), .relu, .linear(inputs: 24, outputs: 5), .tanh],
        [.linear(inputs: 9, outputs: 24), .tanh, .linear(inputs: 24, outputs: 5), .sigmoid, .dropout(probability: 0)],
        [.linear(inputs: 9, outputs: 5)],
    ])
    func forwardWritesWhereItIsTold(layers: [LayerSpecification]) throws {
        let rig = try NetworkRig(layers, inputs: 9, batch: 32, shards: 0..<8, of: 8, kernels: .fastest)
        let arena = Arena()
        let other = arena.matrix(features: 5, stride: 32)
        let parameters = arena.floats(rig.plan.layout.count)
        parameters.update(from: rig.parameters, count: rig.plan.layout.count)
        // As the sampler's, it keeps no output gradients.
        let network = Network(
            name: "other", plan: rig.plan, stride: 32, output: other, parameters: parameters, keepsGradients: false, arena: arena)
        for (slot, kind) in NetworkRig.kinds.enumerated() {
            try rig.network.forward(rig.pass(kind), slot: slot)
            network.input.base.update(from: rig.network.input.slot(slot).base, count: 9 * 32)
            try network.forward(rig.pass(kind))
            let y = rig.network.output.slot(slot)
            #expect((0..<5 * 32).allSatisfy { other.base[$0] == y.base[$0] })
            #expect(network.output.base == other.base)
        }
    }
}
