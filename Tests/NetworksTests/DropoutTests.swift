import Kernels
import Networks
import Testing

@Suite struct DropoutTests {
    private func layer(_ probability: Double, features: Int, index: Int = 1) throws -> Dropout {
        var layers: [LayerSpecification] = [.linear(inputs: 1, outputs: features)]
        layers += Array(repeating: .tanh, count: index - 1) + [.dropout(probability: probability)]
        let plan = try NetworkPlan(layers, input: Shape(channels: 1))
        return try #require(plan.layers.last as? Dropout)
    }

    /// [features, rows] of what the layer multiplies by.
    private func mask(
        _ layer: Dropout, rows: Range<Int>, kind: PassKind = .real, step: Int = 0, seed: UInt64 = 1, kernels: Kernels = .fastest
    ) -> [[Float]] {
        let arena = Arena()
        let columns = rows.count.paddedToVectors
        let x = arena.matrix(features: layer.inputs, stride: columns)
        x.base.update(repeating: 1, count: layer.inputs * columns)
        layer.applyMask(
            x, Pass(kernels: kernels, columns: columns, kind: kind, seed: seed, step: step, firstRow: rows.lowerBound))
        return withExtendedLifetime(arena) {
            (0..<layer.inputs).map { feature in (0..<rows.count).map { x.base[feature * columns + $0] } }
        }
    }

    /// The share that is kept, for each feature and each row, and the factor.
    @Test(arguments: [0.0, 0.1, 0.3, 0.5, 0.9]) func keepsItsShare(probability: Double) throws {
        let (features, rows) = (250, 1_000)
        let mask = mask(try layer(probability, features: features), rows: 0..<rows)
        let scale = Float(1 / (1 - probability))
        let isScaled = mask.allSatisfy { $0.allSatisfy { $0 == 0 || $0 == scale } }
        #expect(isScaled)
        func share(_ values: [Float]) -> Double { Double(values.filter { $0 != 0 }.count) / Double(values.count) }
        func deviation(_ count: Int) -> Double { (probability * (1 - probability) / Double(count)).squareRoot() }
        #expect(abs(share(mask.flatMap(\.self)) - (1 - probability)) <= 5 * deviation(features * rows))
        for feature in 0..<features { #expect(abs(share(mask[feature]) - (1 - probability)) <= 5 * deviation(rows)) }
        for row in 0..<rows { #expect(abs(share(mask.map { $0[row] }) - (1 - probability)) <= 5 * deviation(features)) }
    }

    /// Passes, steps, layers and seeds have masks of their own, which agree no more often than chance.
    @Test func masksAreIndependent() throws {
        let first = try layer(0.5, features: 64)
        let base = mask(first, rows: 0..<512).flatMap(\.self)
        let others = [
            mask(first, rows: 0..<512, kind: .fake), mask(first, rows: 0..<512, kind: .generator), mask(first, rows: 0..<512, step: 1),
            mask(first, rows: 0..<512, seed: 2), mask(first, rows: 0..<512, seed: 1 << 32 | 1), mask(first, rows: 512..<1024),
            mask(try layer(0.5, features: 64, index: 2), rows: 0..<512),
        ]
        for (number, other) in others.enumerated() {
            let same = zip(base, other.flatMap(\.self)).filter { $0 == $1 }.count
            let deviation = (0.25 * Double(base.count)).squareRoot()
            #expect(abs(Double(same) - Double(base.count) / 2) < 5 * deviation, "mask \(number)")
        }
    }

    /// A row's mask is that of the row in the batch, whatever column it stands in, on every instruction set; and it is
    /// made of the words that the documentation names.
    @Test func maskBelongsToTheRow() throws {
        let layer = try layer(0.3, features: 19)
        for kernels in tables {
            let whole = mask(layer, rows: 0..<100, step: NetworkRig.step, seed: NetworkRig.seed, kernels: kernels)
            for rows in [0..<100, 25..<62, 87..<100] {
                let part = mask(layer, rows: rows, step: NetworkRig.step, seed: NetworkRig.seed, kernels: kernels)
                #expect(part == whole.map { Array($0[rows]) })
            }
            for row in 0..<100 {
                let words = NetworkRig.mask(layer: 1, features: 19, probability: 0.3, kind: .real, row: row)
                #expect(whole.map { Double($0[row]) } == words)
            }
        }
    }

    /// Backward multiplies by the mask of forward: where the output is 0 the gradient is, elsewhere it is scaled alike.
    @Test func backwardUsesTheSameMask() throws {
        let rig = try NetworkRig(
            [.dropout(probability: 0.4), .linear(inputs: 40, outputs: 1)], inputs: 40, batch: 64, shards: 0..<8, of: 8,
            kernels: .fastest)
        try rig.run()
        let weights = rig.plan.layout.tensors[0]
        for slot in 0..<2 {
            let y = rig.network.activation(of: 0).slot(slot)
            for row in 0..<64 {
                let dy = NetworkRig.value(3 + slot, row, 0)
                for feature in 0..<40 {
                    let kept = y.base[feature * y.stride + row] != 0
                    let gradient = rig.inputErrors[slot].base[feature * rig.inputErrors[slot].stride + row]
                    let expected = kept ? dy * rig.parameters[weights.offset + feature] * Float(1 / 0.6) : 0
                    #expect(gradient == expected)
                }
            }
        }
    }

    /// Outside training it is the identity.
    @Test func samplingKeepsEverything() throws {
        let rig = try NetworkRig(
            [.linear(inputs: 3, outputs: 8), .dropout(probability: 0.9)], inputs: 3, batch: 16, shards: 0..<8, of: 8,
            kernels: .fastest)
        try rig.network.forward(rig.pass(.generator, isTraining: false))
        let y = rig.network.output
        let isKept = (0..<8).allSatisfy { feature in (0..<16).allSatisfy { y.base[feature * y.stride + $0] != 0 } }
        #expect(isKept)
    }
}
