import Kernels
import Networks
import Testing

/// Initial weights and shuffles: what they are made of, exactly.
/// The permutation as an array.
private func permutation(count: Int, shard: Int, number: Int, seed: UInt64, kernels: Kernels) -> [UInt32] {
    [UInt32](unsafeUninitializedCapacity: count) { buffer, initialized in
        fillPermutation(
            UnsafeMutableBufferPointer(rebasing: buffer[0..<count]), shard: shard, number: number, seed: seed, kernels: kernels)
        initialized = count
    }
}

@Suite struct ParameterTests {
    private static let seed: UInt64 = 0x0123_4567_89ab_cdef

    private func initial(_ plan: NetworkPlan, stream: UInt32, kernels: Kernels) -> [Float] {
        var values = [Float](repeating: 0, count: plan.layout.count)
        values.withUnsafeMutableBufferPointer {
            plan.layout.initialise($0.baseAddress!, seed: Self.seed, stream: stream, kernels: kernels)
        }
        return values
    }

    private static let layers: [LayerSpecification] = [
        .linear(inputs: 64, outputs: 256), .relu, .linear(inputs: 256, outputs: 37), .tanh,
    ]

    /// PyTorch's names, shapes and order; tensors start at multiples of 16, and what lies between them is not drawn.
    @Test func layoutIsPyTorchs() throws {
        let layout = try NetworkPlan(Self.layers, input: Shape(channels: 64)).layout
        #expect(layout.tensors.map(\.name) == ["main.0.weight", "main.0.bias", "main.2.weight", "main.2.bias"])
        #expect(layout.tensors.map(\.shape) == [[256, 64], [256], [37, 256], [37]])
        #expect(layout.tensors.map(\.offset) == [0, 16_384, 16_640, 16_640 + 9_472])
        #expect(layout.count == 16_640 + 9_472 + 48)
        #expect(layout.parameterCount == 16_640 + 9_472 + 37)
        for kernels in tables {
            let values = initial(try NetworkPlan(Self.layers, input: Shape(channels: 64)), stream: 0, kernels: kernels)
            #expect(values.suffix(11).allSatisfy { $0 == 0 })
        }
    }

    /// A tensor in pieces, each where it lies in memory, has the elements of the whole in PyTorch's order.
    @Test(arguments: [1, 7, 100, 1_000, 1 << 20]) func piecesMakeTheTensor(most: Int) throws {
        let plan = try NetworkPlan(
            [
                .convolution(.init(inputs: 3, outputs: 10, kernel: 4, stride: 2, padding: 1)), .relu,
                .convolution(.init(isTransposed: true, inputs: 10, outputs: 5, kernel: 3)),
            ], input: Shape(channels: 3, height: 8, width: 8), isSpectral: true)
        for layout in [plan.layout, plan.bufferLayout, try NetworkPlan(Self.layers, input: Shape(channels: 64)).layout] {
            let buffer = (0..<layout.count).map(Float.init)
            for tensor in layout.tensors {
                let pieces = tensor.pieces(of: most)
                #expect(pieces.map(\.lowerBound) == [0] + pieces.dropLast().map(\.upperBound))
                #expect(pieces.last?.upperBound == tensor.count)
                let found = pieces.flatMap { piece in
                    tensor.ordered(Array(buffer[tensor.offset + piece.lowerBound..<tensor.offset + piece.upperBound]))
                }
                #expect(found == buffer.withUnsafeBufferPointer { tensor.values(in: $0.baseAddress!) }, "\(tensor.name)")
            }
        }
    }

    /// Uniform in ±1/√inputs, for weights and biases alike: range, mean and variance.
    @Test func valuesAreUniform() throws {
        let plan = try NetworkPlan(Self.layers, input: Shape(channels: 64))
        let values = initial(plan, stream: 1, kernels: .fastest)
        for (tensor, inputs) in zip(plan.layout.tensors, [64.0, 64, 256, 256]) {
            let bound = 1 / inputs.squareRoot()
            #expect(Double(tensor.bound) == bound)
            let own = tensor.range.map { Double(values[$0]) / bound }
            let count = Double(own.count)
            #expect(own.allSatisfy { (-1...1).contains($0) })
            #expect(abs(own.reduce(0, +) / count) < 5 / (3 * count).squareRoot())
            let variance = own.reduce(0) { $0 + $1 * $1 } / count
            #expect(abs(variance - 1.0 / 3) < 5 * (4.0 / 45 / count).squareRoot())
        }
    }

    /// `python3 networks.py init 0x0123456789abcdef 0 0 64 9`, and `… 1 3 256 9`
    @Test func valuesFollowNumPy() throws {
        let generator: [Float] = [
            0x1.c2811p-5, 0x1.1632cp-4, -0x1.ad618p-4, -0x1.5ec04p-8, 0x1.6504b4p-4, -0x1.311608p-5, 0x1.d46ap-6,
            -0x1.16c118p-5, 0x1.04c3e8p-4,
        ]
        let discriminator: [Float] = [
            0x1.58b3cp-7, -0x1.0bd89p-5, 0x1.dcb94cp-5, -0x1.a2d3cp-6, -0x1.8c61b8p-6, -0x1.b655980p-5, -0x1.4dc4a8p-6,
            -0x1.0ceeb4p-5, 0x1.2f689p-7,
        ]
        let plan = try NetworkPlan(Self.layers, input: Shape(channels: 64))
        for kernels in tables {
            #expect(Array(initial(plan, stream: RandomStream.generatorWeights, kernels: kernels).prefix(9)) == generator)
            let other = initial(plan, stream: RandomStream.discriminatorWeights, kernels: kernels)
            let bias = plan.layout.tensors[3]
            #expect(Array(other[bias.range].prefix(9)) == discriminator)
        }
    }

    /// `python3 networks.py shuffle 0x0123456789abcdef 3 2 23`
    @Test func permutationFollowsNumPy() {
        let expected: [UInt32] = [6, 13, 17, 2, 3, 16, 4, 20, 8, 12, 7, 0, 15, 21, 14, 18, 19, 22, 5, 1, 10, 11, 9]
        for kernels in tables {
            #expect(permutation(count: 23, shard: 3, number: 2, seed: Self.seed, kernels: kernels) == expected)
        }
    }

    @Test(arguments: [1, 2, 3, 5, 16, 17, 1_000, 7_500]) func permutationHoldsEveryImageOnce(count: Int) {
        let first = permutation(count: count, shard: 0, number: 0, seed: 1, kernels: .fastest)
        #expect(first.sorted() == (0..<UInt32(count)).map { $0 })
        #expect(permutation(count: count, shard: 0, number: 0, seed: 1, kernels: .fastest) == first)
        guard count > 16 else { return }
        for (shard, number, seed) in [(1, 0, UInt64(1)), (0, 1, 1), (0, 0, 2)] {
            #expect(permutation(count: count, shard: shard, number: number, seed: seed, kernels: .fastest) != first)
        }
    }

    /// Every image comes to every place about equally often.
    @Test func permutationsAreUniform() {
        let (count, trials) = (7, 14_000)
        var seen = [Int](repeating: 0, count: count * count)
        for number in 0..<trials {
            for (place, image) in permutation(count: count, shard: 0, number: number, seed: 3, kernels: .fastest).enumerated() {
                seen[place * count + Int(image)] += 1
            }
        }
        let mean = Double(trials) / Double(count)
        for times in seen { #expect(abs(Double(times) - mean) < 5 * mean.squareRoot()) }
    }
}
