import Foundation
import Kernels
import Networks
import Testing

/// Layers of images and normalisations, alone and in the chains that fuse or share something, against PyTorch:
/// `VENV/bin/python pytorch_layers.py pytorch_layers.json` made the expected values, in double precision.
@Suite(.timeLimit(.minutes(15))) struct LayerTests {
    struct Expected: Decodable, Sendable {
        struct Summary: Decodable, Sendable {
            var largest: Double
            /// Inner products with vectors of weights in [−1, 1).
            var products: [Double]
            /// Numbers and values.
            var elements: [[Double]]
        }
        struct Case: Decodable, Sendable, CustomTestStringConvertible {
            var name: String
            var input: [Int]
            var layers: [LayerSpecification]
            var tensors: [String: Summary]
            var testDescription: String { name }

            func rig(_ shards: Range<Int>, kernels: Kernels, totals: BatchTotals? = nil) throws -> NetworkRig {
                try NetworkRig(
                    layers, input: Shape(channels: input[0], height: input[1], width: input[2]), batch: expected.batch,
                    shards: shards, of: 8, kernels: kernels, totals: totals)
            }
        }
        var batch: Int
        var cases: [Case]
    }

    static let expected: Expected = {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "pytorch_layers.json")
        do {
            return try JSONDecoder().decode(Expected.self, from: Data(contentsOf: file))
        } catch { preconditionFailure("\(file.path): \(error)") }
    }()

    /// A difference relative to the largest value, at most `tolerance`.
    private func compare(_ values: [Float], _ exact: Expected.Summary, tolerance: Double, _ name: String) {
        // The bias of a layer before a normalisation has no gradient, of terms that are about 1.
        let scale = exact.largest < 1e-12 ? 1 : exact.largest
        for element in exact.elements {
            let found = Double(values[Int(element[0])])
            #expect(abs(found - element[1]) <= tolerance * scale, "\(name)[\(Int(element[0]))]: \(found), PyTorch \(element[1])")
        }
        for (number, exact) in exact.products.enumerated() {
            var random = SplitMix64(1 << 60 | UInt64(number))
            let found = values.reduce(0.0) { $0 + Double(random.unit()) * Double($1) }
            let tolerance = tolerance * scale * Double(values.count).squareRoot()
            #expect(abs(found - exact) <= tolerance, "product \(number) of \(name): \(found), PyTorch \(exact)")
        }
    }

    /// - Parameter tolerance: of the outputs; gradients are sums of more.
    private func check(_ test: Expected.Case, kernels: Kernels, tolerance: Double) throws {
        let rig = try test.rig(0..<8, kernels: kernels)
        var found: [String: [Float]] = [:]
        try rig.run()
        for (slot, kind) in NetworkRig.kinds.enumerated() {
            found["\(kind) output"] = rig.values(rig.network.output.slot(slot), rig.plan.output)
            found["\(kind) input gradient"] = rig.values(rig.inputErrors[slot], rig.input)
        }
        for tensor in rig.plan.layout.tensors { found["gradient \(tensor.name)"] = tensor.values(in: rig.gradients[0]) }
        for tensor in rig.plan.bufferLayout.tensors { found[tensor.name] = tensor.values(in: rig.network.buffers) }
        try rig.network.forward(rig.pass(.real, isTraining: false))
        found["evaluation"] = rig.values(rig.network.output, rig.plan.output)
        #expect(found.keys.sorted() == test.tensors.keys.sorted())
        for (name, values) in found {
            guard let exact = test.tensors[name] else { continue }
            let tolerance = name.contains("gradient") ? 5 * tolerance : tolerance
            compare(values, exact, tolerance: tolerance, "\(name), \(kernels.description)")
        }
    }

    @Test(arguments: expected.cases) func equalsPyTorch(test: Expected.Case) throws {
        for kernels in tables { try check(test, kernels: kernels, tolerance: 2e-6) }
    }

    private static func isLinear(_ test: Expected.Case) -> Bool {
        test.layers.allSatisfy {
            switch $0.description {
            case let convolution as ConvolutionDescription: !convolution.hasBias
            case is UpsampleDescription, is ReshapeDescription: true
            default: false
            }
        }
    }

    static let linearCases = expected.cases.filter(isLinear)

    /// bf16 keeps eight bits of a factor.
    @Test(arguments: linearCases) func bfloat16IsNearPyTorch(test: Expected.Case) throws {
        for kernels in tables { try check(test, kernels: kernels.rounding(to: .bf16), tolerance: 0x1p-7) }
    }

    /// ⟨f(x), dy⟩ = ⟨x, fᵗ(dy)⟩, and of one convolution = ⟨W, dW⟩ too.
    @Test(arguments: linearCases) func linearLayersAreAdjoint(test: Expected.Case) throws {
        for kernels in tables {
            let rig = try test.rig(0..<8, kernels: kernels)
            try rig.run()
            func inner(_ a: [Float], _ b: [Float]) -> Double { zip(a, b).reduce(0) { $0 + Double($1.0) * Double($1.1) } }
            func norm(_ a: [Float]) -> Double { inner(a, a).squareRoot() }
            var whole = 0.0
            var scale = 0.0
            for slot in 0..<2 {
                let x = rig.values(rig.network.input.slot(slot), rig.input)
                let y = rig.values(rig.network.output.slot(slot), rig.plan.output)
                let dx = rig.values(rig.inputErrors[slot], rig.input)
                let dy = (0..<rig.batch).flatMap { row in (0..<rig.plan.outputs).map { NetworkRig.value(3 + slot, row, $0) } }
                let forward = inner(y, dy)
                let size = norm(y) * norm(dy) + norm(x) * norm(dx)
                #expect(abs(forward - inner(x, dx)) < Double(Float.ulpOfOne) * size, "\(kernels.instructionSet), pass \(slot)")
                whole += forward
                scale += size
            }
            guard rig.plan.layout.tensors.count == 1, test.layers.count == 1 else { continue }
            let weight = rig.plan.layout.tensors[0]
            let weights = rig.parameters.withUnsafeBufferPointer { weight.values(in: $0.baseAddress!) }
            let byWeights = inner(weights, weight.values(in: rig.gradients[0]))
            #expect(abs(whole - byWeights) < Double(Float.ulpOfOne) * scale, "\(kernels.instructionSet), weights")
        }
    }

    /// A tangent v of convolutions of colours, with J the derivative at another slot's activations: ⟨J v, g⟩ = ⟨v, Jᵗ g⟩, and of
    /// W₂ D W₁ v it is ⟨W, dW⟩ for either W.
    @Test func tangentsOfColoursAreAdjoint() throws {
        let reducing = ConvolutionDescription(inputs: 3, outputs: 32, kernel: 4, stride: 2, padding: 1, hasBias: false)
        var enlarging = reducing
        enlarging.isTransposed = true
        (enlarging.inputs, enlarging.outputs) = (32, 3)
        for kernels in tables {
            let rig = try NetworkRig(
                [.convolution(reducing), .leakyReLU(slope: 0.2), .convolution(enlarging)],
                input: Shape(channels: 3, height: 6, width: 8), batch: 20, shards: 0..<8, of: 8, kernels: kernels)
            let (network, pass) = (rig.network, rig.pass(.real))
            try network.forward(pass, slot: 1)
            network.tangent(pass, slot: 0, at: 1)
            let error = network.outputGradient.slot(0)
            for feature in 0..<rig.plan.outputs {
                for row in 0..<20 { error.base[feature * error.stride + row] = NetworkRig.value(5, row, feature) }
            }
            func inner(_ a: [Float], _ b: [Float]) -> Double { zip(a, b).reduce(0) { $0 + Double($1.0) * Double($1.1) } }
            let v = rig.values(network.input.slot(0), rig.input)
            let tangent = rig.values(network.output.slot(0), rig.plan.output)
            let g = rig.values(error, rig.plan.output)
            let whole = inner(tangent, g)
            try network.backward(pass, slot: 0, point: 1, inputGradient: rig.inputErrors[0])
            let tolerance = Double(Float.ulpOfOne) * (inner(tangent, tangent) * inner(g, g)).squareRoot()
            #expect(abs(whole - inner(v, rig.values(rig.inputErrors[0], rig.input))) < tolerance, "\(kernels.description)")
            // Of slot 1 there are no gradients.
            try rig.weightGradients()
            for tensor in rig.plan.layout.tensors {
                let byWeights = tensor.range.reduce(0) { $0 + Double(rig.parameters[$1]) * Double(rig.gradients[0][$1]) }
                #expect(abs(whole - byWeights) < tolerance, "\(tensor.name), \(kernels.description)")
            }
        }
    }

    /// Every instruction set, and every rank however the shards are split, has the bits of one rank that owns all: outputs,
    /// gradients of the inputs, and the sums of the trees of all ranks' gradients.
    @Test(arguments: expected.cases) func bitsDoNotDependOnWhoOwnsTheRows(test: Expected.Case) throws {
        let totals = BatchTotals()
        let whole = try test.rig(0..<8, kernels: tables[0], totals: totals)
        try whole.run()
        for kernels in tables {
            for split in [[0..<8], [0..<2, 2..<5, 5..<8]] {
                let parts = try split.map { try test.rig($0, kernels: kernels, totals: split.count > 1 ? totals : nil) }
                var trees: [Range<Int>: UnsafeMutablePointer<Float>] = [:]
                for part in parts {
                    try part.run()
                    for slot in 0..<2 {
                        let places = [
                            (whole.network.output.slot(slot), part.network.output.slot(slot), whole.plan.output),
                            (whole.inputErrors[slot], part.inputErrors[slot], whole.input),
                        ]
                        for (all, own, shape) in places {
                            let start = part.rows.lowerBound * shape.features
                            let expected = whole.values(all, shape).dropFirst(start).prefix(part.rows.count * shape.features)
                            let isSame = part.values(own, shape).map(\.bitPattern) == expected.map(\.bitPattern)
                            #expect(isSame, "\(kernels.instructionSet), rows \(part.rows), pass \(slot), \(shape)")
                        }
                    }
                    for tensor in whole.plan.bufferLayout.tensors {
                        let isSame = tensor.values(in: part.network.buffers) == tensor.values(in: whole.network.buffers)
                        #expect(isSame, "\(tensor.name)")
                    }
                    for (tree, gradient) in zip(part.trees, part.gradients) { trees[tree] = gradient }
                }
                func sum(_ shards: Range<Int>, _ element: Int) -> Float {
                    if let gradient = trees[shards] { return gradient[element] }
                    let middle = (shards.lowerBound + shards.upperBound) / 2
                    return sum(shards.lowerBound..<middle, element) + sum(middle..<shards.upperBound, element)
                }
                for tensor in whole.plan.layout.tensors {
                    let isSame = tensor.range.allSatisfy { sum(0..<8, $0).bitPattern == whole.gradients[0][$0].bitPattern }
                    #expect(isSame, "\(tensor.name), \(kernels.instructionSet), split \(split)")
                }
                withExtendedLifetime(parts) {}
            }
        }
    }
}
