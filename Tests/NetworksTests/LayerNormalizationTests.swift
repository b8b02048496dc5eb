import Foundation
import Kernels
import Networks
import Testing

@Suite struct LayerNormalizationTests {
    private func plan(_ layers: [LayerSpecification], _ input: Shape) throws -> NetworkPlan {
        try NetworkPlan(layers, input: input)
    }

    @Test func namesAndInitialValues() throws {
        let plan = try plan(
            [.linear(inputs: 4, outputs: 20), .layerNormalization(channels: 20), .relu, .linear(inputs: 20, outputs: 1)],
            Shape(channels: 4))
        let tensors = plan.layout.tensors[2...3]
        #expect(tensors.map(\.name) == ["main.1.weight", "main.1.bias"])
        #expect(tensors.map(\.initial) == [.constant(1), .constant(0)])
        #expect(plan.layers.map(\.isPiecewiseLinear) == [true, false, true])
        #expect(plan.normalizedPixels == nil && plan.needs.statistics == 0)
    }

    @Test func takesChannelsOrFeatures() throws {
        let image = Shape(channels: 2, height: 3, width: 3)
        #expect(try plan([.layerNormalization(channels: 2)], image).output == image)
        #expect(try plan([.layerNormalization(channels: 9)], Shape(channels: 1, height: 3, width: 3)).outputs == 9)
        for (channels, shape) in [(3, image), (18, image), (2, Shape(channels: 4)), (1, Shape(channels: 1))] {
            #expect(throws: ShapeError.self) { try plan([.layerNormalization(channels: channels)], shape) }
        }
    }

    @Test func refusesWhatIsNone() {
        for json in [#"{"type": "layer_norm"}"#, #"{"type": "layer_norm", "channels": 0}"#, #"{"type": "layer_norm", "features": 3}"#] {
            #expect(throws: (any Error).self) { try JSONDecoder().decode(LayerSpecification.self, from: Data(json.utf8)) }
        }
    }

    /// A row that is the same everywhere is β, and its gradient finite.
    @Test func constantRowsAreTheShift() throws {
        for kernels in tables {
            let rig = try NetworkRig([.layerNormalization(channels: 5)], inputs: 5, batch: 16, shards: 0..<8, of: 8, kernels: kernels)
            rig.network.input.base.update(repeating: 3, count: 5 * rig.columns)
            try rig.network.forward(rig.pass(.real))
            let shift = rig.plan.layout.tensors[1]
            for feature in 0..<5 { #expect(rig.network.output.base[feature * rig.columns] == rig.parameters[shift.offset + feature]) }
            rig.network.outputGradient.base.update(repeating: 1, count: 5 * rig.columns)
            try rig.network.backward(rig.pass(.real), inputGradient: rig.inputErrors[0])
            #expect(rig.values(rig.inputErrors[0]).allSatisfy { $0.isFinite })
        }
    }
}
