import Foundation
import Kernels
import Networks
import Testing

@Suite struct InstanceNormalizationTests {
    private let image = Shape(channels: 3, height: 2, width: 4)

    private func decode(_ json: String) throws -> LayerSpecification {
        try JSONDecoder().decode(LayerSpecification.self, from: Data(json.utf8))
    }

    @Test func readsAndWritesTheFile() throws {
        #expect(try decode(#"{"type": "instance_norm", "channels": 4}"#) == .instanceNormalization(channels: 4))
        #expect(
            try decode(#"{"type": "instance_norm", "channels": 4, "affine": true}"#)
                == .instanceNormalization(channels: 4, isAffine: true))
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let json = String(decoding: try encoder.encode(LayerSpecification.instanceNormalization(channels: 4)), as: UTF8.self)
        #expect(json == #"{"affine":false,"channels":4,"type":"instance_norm"}"#)
    }

    @Test(arguments: [
        #"{"type": "instance_norm"}"#, #"{"type": "instance_norm", "channels": 0}"#,
        #"{"type": "instance_norm", "channels": 65537}"#, #"{"type": "instance_norm", "channels": 4, "affine": 1.5}"#,
        #"{"type": "instance_norm", "channels": 4, "momentum": 0.1}"#,
    ]) func refusesWhatIsNone(json: String) {
        #expect(throws: DecodingError.self) { try decode(json) }
    }

    @Test func namesAndInitialValues() throws {
        let plain = try NetworkPlan(
            [.instanceNormalization(channels: 3), .relu, .convolution(.init(inputs: 3, outputs: 1, kernel: 2))], input: image)
        #expect(plain.layout.tensors.map(\.name) == ["main.2.weight", "main.2.bias"])
        #expect(plain.layers.map(\.isPiecewiseLinear) == [false, true])
        #expect(plain.normalizedPixels == nil && plain.needs.statistics == 0 && plain.bufferLayout.tensors.isEmpty)
        let affine = try NetworkPlan([.instanceNormalization(channels: 3, isAffine: true)], input: image)
        #expect(affine.layout.tensors.map(\.name) == ["main.0.weight", "main.0.bias"])
        #expect(affine.layout.tensors.map(\.initial) == [.constant(1), .constant(0)])
        #expect(affine.output == image)
    }

    @Test(arguments: [
        (
            Shape(channels: 4, height: 3, width: 3),
            "layer 0, instance_norm of 3, does not take what the network's input gives: 4 × 3 × 3"
        ),
        (
            Shape(channels: 3),
            "layer 0, instance_norm of 3, normalises each channel by its pixels, and would make 0 of all 3 features: they have one "
                + "pixel each; use layer_norm"
        ),
    ]) func refusesShapes(shape: Shape, message: String) {
        let error = #expect(throws: ShapeError.self) {
            try NetworkPlan([.instanceNormalization(channels: 3, isAffine: true)], input: shape)
        }
        #expect(error?.description == message)
    }

    /// A channel that is the same everywhere is β, and its gradient finite.
    @Test func constantChannelsAreTheShift() throws {
        for kernels in tables {
            let rig = try NetworkRig(
                [.instanceNormalization(channels: 3, isAffine: true)], input: image, batch: 16, shards: 0..<8, of: 8,
                kernels: kernels)
            rig.network.input.base.update(repeating: 3, count: image.features * rig.columns)
            try rig.network.forward(rig.pass(.real))
            let shift = rig.plan.layout.tensors[1]
            for feature in 0..<image.features {
                #expect(rig.network.output.base[feature * rig.columns] == rig.parameters[shift.offset + feature % 3])
            }
            rig.network.outputGradient.base.update(repeating: 1, count: image.features * rig.columns)
            try rig.network.backward(rig.pass(.real), inputGradient: rig.inputErrors[0])
            let isFinite = rig.values(rig.inputErrors[0]).allSatisfy { $0.isFinite }
            #expect(isFinite)
        }
    }
}
