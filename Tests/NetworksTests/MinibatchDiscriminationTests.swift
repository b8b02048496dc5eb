import Foundation
import Kernels
import Networks
import Testing

@Suite struct MinibatchDiscriminationTests {
    private static let layers: [LayerSpecification] = [.minibatchDiscrimination(inputs: 4, kernels: 5, dimensions: 3)]

    @Test func namesAndShapes() throws {
        let plan = try NetworkPlan(Self.layers, input: Shape(channels: 4))
        #expect(plan.layout.tensors.map(\.name) == ["main.0.weight"])
        #expect(plan.layout.tensors[0].shape == [15, 4])
        #expect(plan.layout.tensors[0].initial == .uniform(0.5))
        #expect(plan.outputs == 9 && plan.layers.allSatisfy { !$0.isPiecewiseLinear })
    }

    @Test func takesFeaturesOnly() {
        for shape in [Shape(channels: 5), Shape(channels: 2, height: 1, width: 2)] {
            #expect(throws: ShapeError.self) { try NetworkPlan(Self.layers, input: shape) }
        }
    }

    @Test(arguments: [
        #""inputs": 4, "kernels": 2"#, #""inputs": 4, "kernels": 0, "dimensions": 1"#, #""inputs": 4, "kernels": 1, "dimensions": 0"#,
        #""inputs": 4, "kernels": 512, "dimensions": 129"#, #""inputs": 4, "kernels": 9223372036854775807, "dimensions": 2"#,
        #""inputs": 4, "kernels": 2, "dimensions": 2, "outputs": 6"#,
    ]) func refusesWhatIsNone(fields: String) {
        let json = #"{"type": "minibatch_discrimination", \#(fields)}"#
        #expect(throws: (any Error).self) { try JSONDecoder().decode(LayerSpecification.self, from: Data(json.utf8)) }
    }

    /// Without shards, as in sampling, all columns see one another; with them, only those of a shard do.
    @Test func shardsDoNotSeeOneAnother() throws {
        for kernels in tables {
            let rig = try NetworkRig(Self.layers, inputs: 4, batch: 32, shards: 0..<8, of: 8, kernels: kernels)
            let (x, y) = (rig.network.input, rig.network.output)
            // Rows that are all alike: of each other one a row sees e⁰.
            x.base.update(repeating: 0.25, count: 4 * rig.columns)
            try rig.network.forward(rig.pass(.real))
            for kernel in 0..<5 { #expect(y.base[(4 + kernel) * rig.columns + 9] == 3) }
            for feature in 0..<4 { #expect(y.base[feature * rig.columns + 9] == 0.25) }
            let alone = Pass(kernels: kernels, columns: rig.columns, kind: .real, seed: 0, step: 0, firstRow: 0)
            try rig.network.forward(alone)
            for kernel in 0..<5 { #expect(y.base[(4 + kernel) * rig.columns + 9] == 31) }
        }
    }
}
