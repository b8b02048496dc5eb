import Foundation
import Kernels
import Networks
import Testing

/// Layers against PyTorch's in double precision, and against themselves on other instruction sets and other ranks.
@Suite(.timeLimit(.minutes(15))) struct RowLayerTests {
    /// A network and what `VENV/bin/python pytorch_row_layers.py pytorch_row_layers.json` made of it.
    struct Case: Decodable, Sendable, CustomTestStringConvertible {
        var name: String
        var inputs, batch, shards: Int
        var layers: [LayerSpecification]
        /// [pass][row][feature]
        var outputs, inputGradients: [[[Double]]]
        var gradients: [String: [Double]]
        var testDescription: String { name }

        enum CodingKeys: String, CodingKey {
            case name, inputs, batch, shards, layers, outputs, gradients
            case inputGradients = "input_gradients"
        }
    }

    static let cases: [Case] = {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "pytorch_row_layers.json")
        guard let data = try? Data(contentsOf: file), let cases = try? JSONDecoder().decode([Case].self, from: data) else {
            return []
        }
        return cases
    }()

    @Test func casesAreThere() { #expect(!RowLayerTests.cases.isEmpty) }

    @Test(arguments: cases) func equalsPyTorch(test: Case) throws {
        for kernels in tables {
            let rig = try NetworkRig(
                test.layers, inputs: test.inputs, batch: test.batch, shards: 0..<test.shards, of: test.shards, kernels: kernels)
            try rig.run()
            func check(_ found: [Float], _ exact: [Double], _ what: String) {
                let scale = exact.reduce(0) { max($0, abs($1)) }
                let worst = zip(found, exact).reduce(0) { max($0, $1.0.isFinite ? abs(Double($1.0) - $1.1) : .infinity) }
                #expect(found.count == exact.count && worst < 3e-6 * scale, "\(what), \(kernels.instructionSet): \(worst) of \(scale)")
            }
            for slot in 0..<2 {
                check(rig.values(rig.network.output.slot(slot)), test.outputs[slot].flatMap(\.self), "output \(slot)")
                check(rig.values(rig.inputErrors[slot]), test.inputGradients[slot].flatMap(\.self), "input gradient \(slot)")
            }
            #expect(Set(rig.plan.layout.tensors.map(\.name)) == Set(test.gradients.keys))
            for tensor in rig.plan.layout.tensors {
                check(tensor.values(in: rig.gradients[0]), test.gradients[tensor.name] ?? [], tensor.name)
            }
        }
    }

    @Test(arguments: cases) func survivesTheFile(test: Case) throws {
        let data = try JSONEncoder().encode(test.layers)
        #expect(try JSONDecoder().decode([LayerSpecification].self, from: data) == test.layers)
    }

    /// The same bits on every instruction set, and on ranks however they share the shards: of every row, and of the gradients,
    /// whose trees the reduction finishes.
    @Test(arguments: cases) func bitsDoNotDependOnWhere(test: Case) throws {
        for precision in Precision.allCases {
            var first: NetworkRig?
            for kernels in tables.map({ $0.rounding(to: precision) }) {
                func rig(_ shards: Range<Int>) throws -> NetworkRig {
                    let rig = try NetworkRig(test.layers, inputs: test.inputs, batch: 100, shards: shards, of: 8, kernels: kernels)
                    try rig.run()
                    return rig
                }
                let whole = try rig(0..<8)
                let reference = first ?? whole
                first = reference
                for ranks in [[0..<8], [0..<4, 4..<8], [0..<2, 2..<5, 5..<8], (0..<8).map { $0..<$0 + 1 }] {
                    let parts = try ranks.map(rig)
                    let trees = Dictionary(uniqueKeysWithValues: parts.flatMap { zip($0.trees, $0.gradients) })
                    for slot in 0..<2 {
                        #expect(parts.flatMap { bits($0.values($0.network.output.slot(slot))) }
                            == bits(reference.values(reference.network.output.slot(slot))), "\(kernels.description), \(ranks)")
                        #expect(parts.flatMap { bits($0.values($0.inputErrors[slot])) }
                            == bits(reference.values(reference.inputErrors[slot])), "\(kernels.description), \(ranks)")
                    }
                    func sum(_ shards: Range<Int>, _ element: Int) -> Float {
                        if let tree = trees[shards] { return tree[element] }
                        let middle = (shards.lowerBound + shards.upperBound) / 2
                        return sum(shards.lowerBound..<middle, element) + sum(middle..<shards.upperBound, element)
                    }
                    for tensor in whole.plan.layout.tensors {
                        #expect(
                            bits(tensor.range.map { sum(0..<8, $0) }) == bits(tensor.range.map { reference.gradients[0][$0] }),
                            "\(tensor.name), \(kernels.description), \(ranks)")
                    }
                }
            }
        }
    }

    private func bits(_ values: [Float]) -> [UInt32] { values.map(\.bitPattern) }
}

extension NetworkRig {
    /// [rows, features]
    func values(_ matrix: Matrix) -> [Float] {
        (0..<rows.count).flatMap { column in (0..<matrix.features).map { matrix.base[$0 * matrix.stride + column] } }
    }
}
