import Kernels
import Networks
import Testing

/// Forward and backward of every layer, alone and in every combination that fuses or shares something, against plain
/// double precision: over both passes, uneven shards, and forests of several trees.
@Suite(.timeLimit(.minutes(15))) struct GradientTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var inputs: Int
        var layers: [LayerSpecification]
        var testDescription: String { name }
    }

    static let cases: [Case] = [
        Case(name: "linear", inputs: 13, layers: [.linear(inputs: 13, outputs: 5)]),
        Case(name: "linear, wide", inputs: 130, layers: [.linear(inputs: 130, outputs: 67)]),
        Case(name: "linear without a bias, alone and between others", inputs: 20, layers: [
            .linear(inputs: 20, outputs: 19, hasBias: false), .relu, .linear(inputs: 19, outputs: 21, hasBias: false),
            .linear(inputs: 21, outputs: 17), .leakyReLU(slope: 0.2), .linear(inputs: 17, outputs: 3, hasBias: false), .tanh,
        ]),
        Case(name: "linear without anything between", inputs: 9, layers: [
            .linear(inputs: 9, outputs: 7), .linear(inputs: 7, outputs: 3),
        ]),
        Case(name: "relu fused on both sides", inputs: 20, layers: [
            .linear(inputs: 20, outputs: 17), .relu, .linear(inputs: 17, outputs: 1),
        ]),
        Case(name: "leaky relu fused on both sides, last tanh", inputs: 20, layers: [
            .linear(inputs: 20, outputs: 33), .leakyReLU(slope: 0.2), .linear(inputs: 33, outputs: 18), .leakyReLU(slope: 0.1),
            .linear(inputs: 18, outputs: 40), .tanh,
        ]),
        Case(name: "relu fused on one side, last", inputs: 8, layers: [.linear(inputs: 8, outputs: 19), .relu]),
        Case(name: "relu first", inputs: 8, layers: [.relu, .linear(inputs: 8, outputs: 4)]),
        Case(name: "rectifier twice", inputs: 8, layers: [
            .linear(inputs: 8, outputs: 16), .leakyReLU(slope: 0.3), .leakyReLU(slope: 0.5), .linear(inputs: 16, outputs: 2),
        ]),
        Case(name: "sigmoid", inputs: 11, layers: [
            .linear(inputs: 11, outputs: 21), .sigmoid, .linear(inputs: 21, outputs: 3), .sigmoid,
        ]),
        Case(name: "tanh and sigmoid before the first linear layer", inputs: 10, layers: [
            .tanh, .sigmoid, .linear(inputs: 10, outputs: 6),
        ]),
        Case(name: "dropout after a fused rectifier", inputs: 12, layers: [
            .linear(inputs: 12, outputs: 30), .leakyReLU(slope: 0.2), .dropout(probability: 0.3),
            .linear(inputs: 30, outputs: 14), .leakyReLU(slope: 0.2), .dropout(probability: 0.5), .linear(inputs: 14, outputs: 1),
        ]),
        Case(name: "dropout right after linear, then relu", inputs: 12, layers: [
            .linear(inputs: 12, outputs: 30), .dropout(probability: 0.4), .relu, .linear(inputs: 30, outputs: 2),
        ]),
        Case(name: "dropout of nothing", inputs: 5, layers: [
            .dropout(probability: 0), .linear(inputs: 5, outputs: 9), .tanh, .dropout(probability: 0),
        ]),
        Case(name: "tanh, dropout, linear, relu, relu", inputs: 15, layers: [
            .tanh, .dropout(probability: 0.25), .linear(inputs: 15, outputs: 18), .relu, .relu, .linear(inputs: 18, outputs: 3),
            .tanh,
        ]),
        Case(name: "dropout twice, then sigmoid", inputs: 7, layers: [
            .linear(inputs: 7, outputs: 16), .tanh, .dropout(probability: 0.2), .dropout(probability: 0.1), .sigmoid,
            .linear(inputs: 16, outputs: 4), .sigmoid, .dropout(probability: 0.3),
        ]),
        Case(name: "a layer of a program's own", inputs: 9, layers: [
            .linear(inputs: 9, outputs: 33), LayerSpecification(PReLUDescription()), .linear(inputs: 33, outputs: 7), .leakyReLU(slope: 0.2),
            LayerSpecification(PReLUDescription()),
        ]),
        Case(name: "rectifier after sigmoid after rectifier", inputs: 6, layers: [
            .linear(inputs: 6, outputs: 12), .relu, .sigmoid, .leakyReLU(slope: 0.2), .dropout(probability: 0.5), .tanh,
            .linear(inputs: 12, outputs: 5),
        ]),
    ]

    /// The largest difference relative to the largest exact value.
    private struct Error {
        var worst = 0.0
        var scale = 0.0
        mutating func add(_ found: Float, _ exact: Double) {
            worst = max(worst, found.isFinite ? abs(Double(found) - exact) : .infinity)
            scale = max(scale, abs(exact))
        }
        var relative: Double { worst / max(scale, 1e-6) }
    }

    /// - Parameter tolerance: of the output; gradients are sums of more.
    private func check(
        _ test: Case, batch: Int, shards: Range<Int>, kernels: Kernels, tolerance: Double = 2e-6
    ) throws {
        let rig = try NetworkRig(test.layers, inputs: test.inputs, batch: batch, shards: shards, of: 8, kernels: kernels)
        try rig.run()
        let exact = DoubleNetwork(test.layers, rig.plan.layout, rig.parameters)
        var (output, input) = (Error(), Error())
        var gradient = Error()
        for (tree, buffer) in zip(rig.trees, rig.gradients) {
            var dw: [Int: [Double]] = [:]
            var db: [Int: [Double]] = [:]
            for row in batch * tree.lowerBound / 8..<batch * tree.upperBound / 8 {
                let column = row - rig.rows.lowerBound
                for (slot, kind) in NetworkRig.kinds.enumerated() {
                    let masks = masks(test, kind, row)
                    let x = (0..<test.inputs).map { Double(NetworkRig.value(1 + slot, row, $0)) }
                    let activations = exact.activations(x, masks: masks)
                    let y = activations[activations.count - 1]
                    let dy = y.indices.map { Double(NetworkRig.value(3 + slot, row, $0)) }
                    let dx = exact.backward(activations, masks: masks, dy, weights: &dw, biases: &db)
                    let found = rig.network.output.slot(slot)
                    for (feature, value) in y.enumerated() { output.add(found.base[feature * found.stride + column], value) }
                    let error = rig.inputErrors[slot]
                    for (feature, value) in dx.enumerated() { input.add(error.base[feature * error.stride + column], value) }
                }
            }
            for tensor in rig.plan.layout.tensors {
                let parts = tensor.name.split(separator: ".")
                let index = try #require(Int(parts[1]))
                let values = try #require(parts[2] == "weight" ? dw[index] : db[index])
                var error = Error()
                for (i, value) in values.enumerated() { error.add(buffer[tensor.offset + i], value) }
                #expect(error.relative < 2.5 * tolerance, "\(tensor.name), \(kernels.description): \(error.relative)")
                gradient.worst = max(gradient.worst, error.relative)
            }
        }
        #expect(output.relative < tolerance, "output, \(kernels.instructionSet): \(output.relative)")
        #expect(input.relative < 2.5 * tolerance, "input gradient, \(kernels.instructionSet): \(input.relative)")
    }

    private func masks(_ test: Case, _ kind: PassKind, _ row: Int) -> [Int: [Double]] {
        var masks: [Int: [Double]] = [:]
        var features = test.inputs
        for (index, layer) in test.layers.enumerated() {
            if let linear = layer.description as? LinearDescription { features = linear.outputs }
            if let dropout = layer.description as? DropoutDescription {
                masks[index] = NetworkRig.mask(
                    layer: index, features: features, probability: dropout.probability, kind: kind, row: row)
            }
        }
        return masks
    }

    /// V = 8 and B = 100: shards of 12 and 13 rows.
    @Test(arguments: cases) func wholeBatchEqualsDouble(test: Case) throws {
        for kernels in tables { try check(test, batch: 100, shards: 0..<8, kernels: kernels) }
    }

    /// Rank 1 of 3 owns the shards 2 … 4, two trees; a rank of eight one shard; a batch of eight a row for each shard.
    @Test(arguments: cases) func partsOfTheBatchEqualDouble(test: Case) throws {
        for kernels in tables {
            try check(test, batch: 100, shards: 2..<5, kernels: kernels)
            try check(test, batch: 100, shards: 7..<8, kernels: kernels)
            try check(test, batch: 8, shards: 1..<8, kernels: kernels)
        }
    }

    static let smoothCases = cases.filter { test in
        !test.layers.contains { $0 == .relu || $0.name == "leaky_relu" }
    }

    /// bf16 keeps eight bits of a factor, and sums of what is rounded stay near where no rectifier has a kink.
    @Test(arguments: smoothCases) func bfloat16IsNearDouble(test: Case) throws {
        for kernels in tables {
            let kernels = kernels.rounding(to: .bf16)
            try check(test, batch: 100, shards: 0..<8, kernels: kernels, tolerance: 0x1p-6)
            try check(test, batch: 100, shards: 2..<5, kernels: kernels, tolerance: 0x1p-6)
        }
    }

    /// The double-precision backward itself against central differences of the double forward.
    @Test(arguments: cases) func backwardEqualsDifferences(test: Case) throws {
        let plan = try NetworkPlan(test.layers, input: Shape(channels: test.inputs))
        var random = SplitMix64(11)
        var network = DoubleNetwork(test.layers, plan.layout, random.units(plan.layout.count))
        let masks = masks(test, .real, 5)
        let x = random.units(test.inputs).map(Double.init)
        let activations = network.activations(x, masks: masks)
        let dy = random.units(plan.outputs).map(Double.init)
        var (dw, db): ([Int: [Double]], [Int: [Double]]) = ([:], [:])
        let dx = network.backward(activations, masks: masks, dy, weights: &dw, biases: &db)
        // ⟨y, dy⟩ as a function of everything.
        func value(_ network: DoubleNetwork, _ x: [Double]) -> Double {
            zip(network.activations(x, masks: masks).last ?? [], dy).reduce(0) { $0 + $1.0 * $1.1 }
        }
        let h = 1e-6
        func expect(_ found: Double, _ what: String, _ change: (inout DoubleNetwork, inout [Double], Double) -> Void) {
            func at(_ h: Double) -> Double {
                var (network, x) = (network, x)
                change(&network, &x, h)
                return value(network, x)
            }
            let difference = (at(h) - at(-h)) / (2 * h)
            #expect(abs(found - difference) < 1e-7 * max(1, abs(difference)), "\(what): \(found), \(difference)")
        }
        for i in x.indices { expect(dx[i], "x[\(i)]") { $1[i] += $2 } }
        for (index, gradient) in dw {
            for i in stride(from: 0, to: gradient.count, by: 1 + gradient.count / 40) {
                expect(gradient[i], "weight \(index)[\(i)]") { $0.weights[index]?[i] += $2 }
            }
        }
        for (index, gradient) in db where network.biases[index] != nil {
            for i in gradient.indices { expect(gradient[i], "bias \(index)[\(i)]") { $0.biases[index]?[i] += $2 } }
        }
        network.weights = [:]
    }

    /// Forward, input gradient and weight gradient of a linear layer are one trilinear form:
    /// ⟨W x, dy⟩ = ⟨x, Wᵗ dy⟩ = ⟨W, dy xᵗ⟩, and ⟨b, Σ dy⟩ likewise.
    @Test func linearLayerIsAdjoint() throws {
        for kernels in tables {
            let rig = try NetworkRig(
                [.linear(inputs: 130, outputs: 37)], inputs: 130, batch: 100, shards: 0..<8, of: 8, kernels: kernels)
            try rig.run()
            func inner(_ a: (Int, Int, Int) -> Double, _ b: (Int, Int, Int) -> Double, features: Int) -> Double {
                var sum = 0.0
                for slot in 0..<2 {
                    for row in 0..<100 { for feature in 0..<features { sum += a(slot, row, feature) * b(slot, row, feature) } }
                }
                return sum
            }
            func x(_ slot: Int, _ row: Int, _ i: Int) -> Double { Double(NetworkRig.value(1 + slot, row, i)) }
            func dy(_ slot: Int, _ row: Int, _ o: Int) -> Double { Double(NetworkRig.value(3 + slot, row, o)) }
            func y(_ slot: Int, _ row: Int, _ o: Int) -> Double {
                Double(rig.network.output.slot(slot).base[o * rig.network.output.stride + row])
            }
            func dx(_ slot: Int, _ row: Int, _ i: Int) -> Double {
                Double(rig.inputErrors[slot].base[i * rig.inputErrors[slot].stride + row])
            }
            let bias = rig.plan.layout.tensors[1]
            func byParameters(_ tensor: Tensor) -> Double {
                tensor.range.reduce(0) { $0 + Double(rig.parameters[$1]) * Double(rig.gradients[0][$1]) }
            }
            func norm(_ f: (Int, Int, Int) -> Double, features: Int) -> Double { inner(f, f, features: features).squareRoot() }
            let weightNorm = rig.parameters.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
            let tolerance = 4 * Double(Float.ulpOfOne) * weightNorm * norm(x, features: 130) * norm(dy, features: 37)
            let whole = inner(y, dy, features: 37)
            let biasPart = byParameters(bias)
            #expect(abs(whole - biasPart - inner(x, dx, features: 130)) < tolerance, "\(kernels.instructionSet)")
            #expect(abs(whole - biasPart - byParameters(rig.plan.layout.tensors[0])) < tolerance, "\(kernels.instructionSet)")
        }
    }

    /// Every rank's share, however the batch is split, has the bits that the whole batch has.
    @Test(arguments: [cases[2], cases[5], cases[11], cases[15]]) func rowsDoNotDependOnWhoOwnsThem(test: Case) throws {
        for kernels in tables {
            let whole = try NetworkRig(test.layers, inputs: test.inputs, batch: 100, shards: 0..<8, of: 8, kernels: kernels)
            try whole.run()
            for shards in [0..<2, 2..<5, 5..<8] {
                let part = try NetworkRig(test.layers, inputs: test.inputs, batch: 100, shards: shards, of: 8, kernels: kernels)
                try part.run()
                for slot in 0..<2 {
                    for (a, b) in [(whole.network.output.slot(slot), part.network.output.slot(slot)), (whole.inputErrors[slot], part.inputErrors[slot])] {
                        for feature in 0..<a.features {
                            for row in part.rows {
                                let (x, y) = (a.base[feature * a.stride + row], b.base[feature * b.stride + row - part.rows.lowerBound])
                                if x.bitPattern != y.bitPattern { Issue.record("\(feature), \(row): \(x) and \(y)") }
                            }
                        }
                    }
                }
            }
        }
    }
}
