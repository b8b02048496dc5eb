import Foundation
import Kernels
import Networks
import Testing

@Suite struct ResidualTests {
    private func decode(_ json: String) throws -> LayerSpecification {
        try JSONDecoder().decode(LayerSpecification.self, from: Data(json.utf8))
    }

    private static let block = LayerSpecification.residual([
        .linear(inputs: 6, outputs: 20), .leakyReLU(slope: 0.2), .linear(inputs: 20, outputs: 6, hasBias: false),
    ])

    @Test func readsAndWritesTheFile() throws {
        let json = #"{"layers":[{"type":"relu"},{"layers":[{"type":"tanh"}],"type":"residual"}],"type":"residual"}"#
        let layer = LayerSpecification.residual([.relu, .residual([.tanh])])
        #expect(try decode(json) == layer)
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        #expect(String(decoding: try encoder.encode(layer), as: UTF8.self) == json)
        #expect(layer != .residual([.relu, .residual([.sigmoid])]))
    }

    private static func nested(_ depth: Int) -> String {
        depth == 0 ? #"{"type": "relu"}"# : #"{"type": "residual", "layers": [\#(nested(depth - 1))]}"#
    }

    @Test(arguments: [
        (#"{"type": "residual", "layers": []}"#, "a layer of type residual without layers; it needs at least one"),
        (#"{"type": "residual", "layers": [{"type": "swish"}]}"#, "unknown layer type \"swish\"; known are linear, "),
        (
            #"{"type": "residual", "layers": [{"type": "linear", "inputs": 0, "outputs": 1}]}"#,
            "a layer of type linear with inputs 0; it must be 1 … 65536"
        ),
        (
            #"{"type": "residual", "layers": [{"type": "relu"}], "scale": 0.1}"#,
            "unknown field \"scale\" of a layer of type residual"
        ),
        (nested(5), "a layer of type residual inside four others; at most four are one inside the other"),
        (nested(100), "a layer of type residual inside four others; at most four are one inside the other"),
    ]) func refusesAndSaysWhy(json: String, reason: String) {
        let error = #expect(throws: DecodingError.self) { try decode(json) }
        guard case .dataCorrupted(let context)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(context.debugDescription.contains(reason), "\(context.debugDescription)")
    }

    @Test(arguments: [
        #"{"type": "residual"}"#, #"{"type": "residual", "layers": 3}"#, #"{"type": "residual", "layers": {"type": "relu"}}"#,
        #"{"type": "residual", "layers": [3]}"#, #"{"type": "residual", "layers": [{"type": "linear"}]}"#,
    ]) func refusesWhatIsNone(json: String) {
        #expect(throws: DecodingError.self) { try decode(json) }
    }

    @Test func fourBlocksAreOneInsideTheOther() throws { _ = try decode(Self.nested(4)) }

    /// As PyTorch names them, where a block has an inner `Sequential` of the name that CycleGAN's authors use.
    @Test func namesTensors() throws {
        let image = Shape(channels: 2, height: 3, width: 3)
        let plan = try NetworkPlan(
            [
                .residual([
                    .convolution(.init(inputs: 2, outputs: 4, kernel: 3, padding: 1)), .batchNormalization(channels: 4), .relu,
                    .residual([.convolution(.init(inputs: 4, outputs: 4, kernel: 1, hasBias: false))]),
                    .convolution(.init(inputs: 4, outputs: 2, kernel: 1)),
                ]), .relu, .convolution(.init(inputs: 2, outputs: 1, kernel: 3)),
            ], input: image)
        #expect(
            plan.layout.tensors.map(\.name) == [
                "main.0.conv_block.0.weight", "main.0.conv_block.0.bias", "main.0.conv_block.1.weight", "main.0.conv_block.1.bias",
                "main.0.conv_block.3.conv_block.0.weight", "main.0.conv_block.4.weight", "main.0.conv_block.4.bias",
                "main.2.weight", "main.2.bias",
            ])
        #expect(plan.bufferLayout.tensors.map(\.name) == ["main.0.conv_block.1.running_mean", "main.0.conv_block.1.running_var"])
        #expect(plan.layerNumbers == [0, 1, 2] && plan.normalizedPixels == 9)
        // One normalises over the batch.
        #expect(!plan.sharesRows && plan.layers.map(\.isPiecewiseLinear) == [false, true, true])
    }

    @Test func isWhatItsLayersAre() throws {
        let linear = LayerSpecification.linear(inputs: 6, outputs: 6)
        let cases: [(layers: [LayerSpecification], isPiecewiseLinear: Bool, isColumnwise: Bool, sharesRows: Bool)] = [
            ([linear, .relu], true, true, true), ([linear, .tanh], false, true, true),
            ([linear, .dropout(probability: 0.5)], true, false, true),
            ([.layerNormalization(channels: 6), linear], false, false, false),
        ]
        for test in cases {
            let plan = try NetworkPlan(
                [.residual(test.layers), .linear(inputs: 6, outputs: 1)], input: Shape(channels: 6))
            #expect(plan.layers[0].isPiecewiseLinear == test.isPiecewiseLinear, "\(test.layers.map(\.name))")
            #expect(plan.isColumnwise == test.isColumnwise, "\(test.layers.map(\.name))")
            #expect(plan.sharesRows == test.sharesRows, "\(test.layers.map(\.name))")
        }
        #expect(LayerSpecification.residual([.label(classes: 10), .linear(inputs: 16, outputs: 6)]).classes == [10])
        #expect(LayerSpecification.residual([.minibatchDiscrimination(inputs: 6, kernels: 2, dimensions: 3)]).comparesRows)
        #expect(!Self.block.comparesRows && Self.block.classes.isEmpty)
    }

    @Test(arguments: [
        (
            [LayerSpecification.residual([.linear(inputs: 6, outputs: 5), .relu])],
            "layer 0, residual of linear, relu, adds what its layers give, 5 features, to what they are given, 6 features; both "
                + "must be alike"
        ),
        (
            [.relu, .residual([.relu, .linear(inputs: 5, outputs: 6)])],
            "layer 1.conv_block.1, linear [5 → 6], does not take what layer 1.conv_block.0, relu, gives: 6 features"
        ),
        (
            [.relu, .residual([.residual([.linear(inputs: 5, outputs: 6)])])],
            "layer 1.conv_block.0.conv_block.0, linear [5 → 6], does not take what the input of layer "
                + "1.conv_block.0 gives: 6 features"
        ),
        (
            [.residual([.sign, .linear(inputs: 6, outputs: 6)])],
            "layer 0.conv_block.0, sign, lets no gradient through; it can only be the first of the generator"
        ),
        ([.residual([.relu])], "no layer has parameters; a network needs at least one that has"),
    ]) func namesTheLayersThatDoNotFit(layers: [LayerSpecification], message: String) {
        let error = #expect(throws: ShapeError.self) {
            try NetworkPlan(layers, input: Shape(channels: 6), role: .generator)
        }
        #expect(error?.description == message)
    }

    @Test func refusesSpectralNormalisation() {
        let error = #expect(throws: ShapeError.self) {
            try NetworkPlan([Self.block], input: Shape(channels: 6), isSpectral: true)
        }
        #expect(
            error?.description
                == "layer 0, residual of linear, leaky_relu, linear, holds layers that spectral normalisation does not reach; take "
                + "the block or --spectral-norm away")
    }

    /// Dropout in blocks has streams of its own, and backward the mask of forward.
    @Test func dropoutHasStreamsOfItsOwn() throws {
        let dropout = LayerSpecification.dropout(probability: 0.5)
        let rig = try NetworkRig(
            [dropout, .residual([dropout, .residual([dropout])]), .residual([.relu, dropout]), .linear(inputs: 40, outputs: 1)],
            inputs: 40, batch: 64, shards: 0..<8, of: 8, kernels: .fastest)
        let layers = rig.plan.layers.flatMap(\.simpleLayers).compactMap { $0 as? Dropout }
        #expect(layers.map(\.path) == ["0", "1.conv_block.0", "1.conv_block.1.conv_block.0", "2.conv_block.1"])
        let arena = Arena()
        let masks = layers.map { layer in
            let x = arena.matrix(features: 40, stride: 64)
            x.base.update(repeating: 1, count: 40 * 64)
            layer.applyMask(x, rig.pass(.real))
            return (0..<40 * 64).map { x.base[$0] != 0 }
        }
        for (number, mask) in masks.enumerated() {
            for other in masks[..<number] {
                let same = zip(mask, other).filter { $0 == $1 }.count
                #expect(abs(same - 1280) < 5 * 26, "mask \(number)")
            }
        }
        // y = x + m x, and so dx = dy + m dy.
        let single = try NetworkRig(
            [.residual([dropout]), .linear(inputs: 40, outputs: 1)], inputs: 40, batch: 64, shards: 0..<8, of: 8, kernels: .fastest)
        try single.run()
        let weights = single.plan.layout.tensors[0]
        for slot in 0..<2 {
            let (x, y) = (single.network.input.slot(slot), single.network.activation(of: 0).slot(slot))
            for row in 0..<64 {
                for feature in 0..<40 {
                    let (before, after) = (x.base[feature * x.stride + row], y.base[feature * y.stride + row])
                    let factor: Float = after == before ? 1 : 3
                    #expect(after == before + (factor - 1) * before)
                    let dy = NetworkRig.value(3 + slot, row, 0) * single.parameters[weights.offset + feature]
                    let error = single.inputErrors[slot]
                    #expect(error.base[feature * error.stride + row] == (factor - 1) * dy + dy)
                }
            }
        }
    }

    /// A tangent v of a piecewise linear network, with J the derivative at another slot's activations: ⟨J v, g⟩ = ⟨v, Jᵗ g⟩, and
    /// for the block x + W₂ D W₁ x it is ⟨v, g⟩ + ⟨W, dW⟩ for either W.
    @Test func tangentsAreAdjoint() throws {
        for kernels in tables {
            let rig = try NetworkRig(
                [.residual([.linear(inputs: 6, outputs: 20, hasBias: false), .leakyReLU(slope: 0.2),
                            .linear(inputs: 20, outputs: 6, hasBias: false)])],
                inputs: 6, batch: 16, shards: 0..<8, of: 8, kernels: kernels)
            let (network, pass) = (rig.network, rig.pass(.real))
            try network.forward(pass, slot: 1)
            network.tangent(pass, slot: 0, at: 1)
            let tangent = rig.values(network.output.slot(0))
            let v = rig.values(network.input.slot(0))
            let error = network.outputGradient.slot(0)
            for feature in 0..<6 {
                for row in 0..<16 { error.base[feature * error.stride + row] = NetworkRig.value(5, row, feature) }
            }
            let g = rig.values(error)
            try network.backward(pass, slot: 0, point: 1, inputGradient: rig.inputErrors[0])
            func inner(_ a: [Float], _ b: [Float]) -> Double { zip(a, b).reduce(0) { $0 + Double($1.0) * Double($1.1) } }
            let whole = inner(tangent, g)
            #expect(abs(whole - inner(v, rig.values(rig.inputErrors[0]))) < 1e-5, "\(kernels.description)")
            // Of slot 1 there are no gradients.
            try rig.weightGradients()
            for tensor in rig.plan.layout.tensors {
                let byWeights = tensor.range.reduce(0) { $0 + Double(rig.parameters[$1]) * Double(rig.gradients[0][$1]) }
                #expect(abs(whole - inner(v, g) - byWeights) < 1e-5, "\(tensor.name), \(kernels.description)")
            }
        }
    }
}
