import Kernels

/// A named tensor of a network: PyTorch's name and layout, and where it lies in the network's flat buffer.
public struct Tensor: Sendable, Equatable {
    /// For example `main.0.weight`.
    public let name: String
    public let shape: [Int]
    /// Initial values are uniform in ±bound.
    public let bound: Float
    public fileprivate(set) var offset = 0

    public var count: Int { shape.reduce(1, *) }
    public var range: Range<Int> { offset..<offset + count }

    init(_ name: String, _ shape: [Int], bound: Float) {
        self.name = name
        self.shape = shape
        self.bound = bound
    }
}

/// The flat buffer of a network's parameters. Each tensor starts at a multiple of 16 elements; what lies between two
/// tensors is zero and stays zero. Gradients and moments have the same layout.
public struct ParameterLayout: Sendable {
    public let tensors: [Tensor]
    /// Elements of the buffer, padding included, a multiple of 16.
    public let count: Int

    init(_ tensors: [Tensor]) {
        var end = 0
        self.tensors = tensors.map { tensor in
            var placed = tensor
            placed.offset = end
            end += tensor.count.paddedToVectors
            return placed
        }
        count = end
    }

    /// Parameters without padding.
    public var parameterCount: Int { tensors.reduce(0) { $0 + $1.count } }

    /// Sets every tensor as PyTorch's modules do (uniform in ±1/√fan-in for weights and biases of a linear layer):
    /// element e of tensor n is ((w ≫ 8) · 2⁻²³ − 1) · bound, w the stream's word number e in block n.
    public func initialise(_ parameters: UnsafeMutablePointer<Float>, seed: UInt64, stream: UInt32, kernels: Kernels) {
        for (number, tensor) in tensors.enumerated() {
            let words = kernels.words(RandomKey(seed: seed, stream: stream, firstBlock: number), count: tensor.count)
            for (element, word) in words.enumerated() {
                parameters[tensor.offset + element] = (Float(word >> 8) * 0x1p-23 - 1) * tensor.bound
            }
        }
    }
}
