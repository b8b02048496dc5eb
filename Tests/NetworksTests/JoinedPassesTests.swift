import Kernels
import Networks
import Testing

/// Two passes of 8 rows side by side in one of 16 columns, against each in a pass of its own.
@Suite struct JoinedPassesTests {
    @Test(arguments: [
        [LayerSpecification.linear(inputs: 70, outputs: 37), .leakyReLU(slope: 0.2), .linear(inputs: 37, outputs: 5), .tanh],
        [.linear(inputs: 70, outputs: 1)],
        [.tanh, .linear(inputs: 70, outputs: 24), .relu, .linear(inputs: 24, outputs: 784), .sigmoid],
        [.residual([.linear(inputs: 70, outputs: 37), .relu, .linear(inputs: 37, outputs: 70), .tanh]),
         .linear(inputs: 70, outputs: 3)],
    ])
    func haveTheSameBits(layers: [LayerSpecification]) throws {
        for kernels in tables {
            let rig = try NetworkRig(layers, inputs: 70, batch: 8, shards: 0..<8, of: 8, kernels: kernels)
            try rig.run()

            let arena = Arena()
            let count = rig.plan.layout.count
            let parameters = arena.floats(count)
            parameters.update(from: rig.parameters, count: count)
            let network = Network(
                name: "joined", plan: rig.plan, stride: 16, slots: 2, areJoined: true, parameters: parameters, arena: arena)
            let gradient = arena.floats(count)
            let shards = (1...8).map { shard in
                ShardSum(count: 1, merges: Int32(shard.trailingZeroBitCount), output: shard == 8 ? 0 : -1)
            }
            let sums = BatchSums(
                kernels: kernels, passes: 2, columns: 8, shards: shards, ownsFirstShard: true, outputs: [gradient],
                needs: rig.plan.needs, arena: arena)
            let inputError = Matrix(arena.floats(16 * 70), features: 70, stride: 16, slotStride: 8)

            func copy(_ from: Matrix, to: Matrix) {
                for feature in 0..<from.features {
                    for column in 0..<8 { to.base[feature * to.stride + column] = from.base[feature * from.stride + column] }
                }
            }
            for slot in 0..<2 { copy(rig.network.input.slot(slot), to: network.input.slot(slot)) }
            let pass = rig.pass(.real)
            try network.forward(pass)
            for slot in 0..<2 {
                let (found, expected) = (network.output.slot(slot), rig.network.output.slot(slot))
                #expect(
                    bits(rig.values(found, rig.plan.output)) == bits(rig.values(expected, rig.plan.output)),
                    "\(kernels.description)")
            }
            for slot in 0..<2 {
                let error = network.outputGradient.slot(slot)
                for feature in 0..<error.features {
                    for row in 0..<8 { error.base[feature * error.stride + row] = NetworkRig.value(3 + slot, row, feature) }
                }
            }
            try network.backward(pass, inputGradient: inputError)
            for slot in 0..<2 {
                let found = rig.values(inputError.slot(slot), rig.input)
                #expect(bits(found) == bits(rig.values(rig.inputErrors[slot], rig.input)), "\(kernels.description)")
            }
            try network.weightGradients(sums) { _ in }
            let expected = rig.gradients[0]
            #expect((0..<count).allSatisfy { gradient[$0].bitPattern == expected[$0].bitPattern }, "\(kernels.description)")
        }
    }

    private func bits(_ values: [Float]) -> [UInt32] { values.map(\.bitPattern) }
}
