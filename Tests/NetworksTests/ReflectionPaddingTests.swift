import Foundation
import Kernels
import Networks
import Testing

@Suite struct ReflectionPaddingTests {
    private func decode(_ json: String) throws -> LayerSpecification {
        try JSONDecoder().decode(LayerSpecification.self, from: Data(json.utf8))
    }

    @Test func survivesTheFile() throws {
        let layer = LayerSpecification.reflectionPadding(3)
        #expect(try decode(#"{"type": "reflection_pad", "padding": 3}"#) == layer)
        #expect(try JSONDecoder().decode(LayerSpecification.self, from: JSONEncoder().encode(layer)) == layer)
    }

    @Test(arguments: [
        #"{"type": "reflection_pad"}"#, #"{"type": "reflection_pad", "padding": 0}"#,
        #"{"type": "reflection_pad", "padding": -1}"#, #"{"type": "reflection_pad", "padding": 513}"#,
        #"{"type": "reflection_pad", "padding": [1, 1]}"#, #"{"type": "reflection_pad", "padding": 1, "value": 0}"#,
    ]) func refusesWhatIsNone(json: String) {
        #expect(throws: DecodingError.self) { try decode(json) }
    }

    @Test(arguments: [
        (
            3, Shape(channels: 2, height: 4, width: 3),
            "layer 0, reflection_pad of 3, mirrors 3 pixels beside each edge, which needs sides of at least 4; it is given "
                + "2 × 4 × 3"
        ),
        (
            1, Shape(channels: 5),
            "layer 0, reflection_pad of 1, mirrors 1 pixels beside each edge, which needs sides of at least 2; it is given "
                + "5 features"
        ),
        (
            512, Shape(channels: 1, height: 600, width: 600),
            "layer 0, reflection_pad of 512, gives 1 × 1624 × 1624; the sides of an image must be at most 1,024 and its features "
                + "at most 16,777,216"
        ),
    ]) func refusesShapes(padding: Int, shape: Shape, message: String) {
        let error = #expect(throws: ShapeError.self) { try NetworkPlan([.reflectionPadding(padding)], input: shape) }
        #expect(error?.description == message)
    }

    /// Pixels of one row, as they come out; the gradient of a pixel counts its images.
    @Test func mirrorsPixels() throws {
        let input = Shape(channels: 1, height: 2, width: 3)
        for kernels in tables {
            let rig = try NetworkRig(
                [.reflectionPadding(1), .convolution(.init(inputs: 1, outputs: 1, kernel: 1, hasBias: false))], input: input,
                batch: 16, shards: 0..<8, of: 8, kernels: kernels)
            let x = rig.network.input
            for pixel in 0..<6 { x.base[pixel * x.stride] = Float(pixel) }
            try rig.network.forward(rig.pass(.real))
            let y = rig.network.activation(of: 0)
            #expect(
                (0..<20).map { y.base[$0 * y.stride] } == [
                    4, 3, 4, 5, 4,
                    1, 0, 1, 2, 1,
                    4, 3, 4, 5, 4,
                    1, 0, 1, 2, 1,
                ])
            let dy = rig.network.outputGradient
            dy.base.update(repeating: 1, count: 20 * dy.stride)
            try rig.network.backward(rig.pass(.real), inputGradient: rig.inputErrors[0])
            let dx = rig.inputErrors[0]
            let weight = rig.parameters[0]
            let counts = (0..<6).map { (dx.base[$0 * dx.stride] / weight).rounded() }
            #expect(counts == [2, 6, 2, 2, 6, 2])
        }
    }
}
