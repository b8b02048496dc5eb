import Kernels

/// A named tensor of a network: PyTorch's name and shape, and where it lies in the network's flat buffer.
public struct Tensor: Sendable, Equatable {
    public enum Initial: Sendable, Equatable {
        /// Uniform in ± this bound.
        case uniform(Float)
        case constant(Float)
    }

    /// For example `main.0.weight`.
    public let name: String
    /// As PyTorch has it and files hold it, the last dimension innermost.
    public let shape: [Int]
    public let initial: Initial
    /// The shape by which elements are placed in memory, the second dimension innermost, as in PyTorch's `channels_last`; empty
    /// for the plain order.
    private var order: [Int]
    var isChannelsLast: Bool { !order.isEmpty }
    public fileprivate(set) var offset = 0

    public var count: Int { shape.reduce(1, *) }
    public var range: Range<Int> { offset..<offset + count }

    public init(_ name: String, _ shape: [Int], _ initial: Initial, isChannelsLast: Bool = false) {
        self.name = name
        self.shape = shape
        self.initial = initial
        order = isChannelsLast ? shape : []
    }

    /// The singular vectors of a matrix of weights [out, in · k²], which may be those of a transposed convolution.
    static func singularVectors(_ name: String, of weight: Tensor, isTransposed: Bool = false) -> [Tensor] {
        let outputs = weight.shape[isTransposed ? 1 : 0]
        var right = Tensor("\(name).weight_v", [weight.count / outputs], .constant(0))
        // In memory as a row of the matrix lies there.
        if weight.isChannelsLast, !isTransposed { right.order = [1] + weight.shape[1...] }
        return [Tensor("\(name).weight_u", [outputs], .uniform(1)), right]
    }

    /// Where an element lies in memory, counted from the tensor's first.
    private func place(_ element: Int) -> Int {
        guard isChannelsLast else { return element }
        let inner = order[2...].reduce(1, *)
        let (row, rest) = element.quotientAndRemainder(dividingBy: order[1] * inner)
        return row * order[1] * inner + rest % inner * order[1] + rest / inner
    }

    /// The tensor's elements of a flat buffer, in PyTorch's order.
    public func values(in buffer: UnsafePointer<Float>) -> [Float] { (0..<count).map { buffer[offset + place($0)] } }

    /// Where pieces of the tensor begin and end, each of at most `most` elements, or one row of them where that is longer. The
    /// elements of a piece lie together in memory, as far from the tensor's first as they do in PyTorch's order.
    public func pieces(of most: Int) -> [Range<Int>] {
        let row = isChannelsLast ? order[1...].reduce(1, *) : 1
        let length = max(1, most / row) * row
        return stride(from: 0, to: count, by: length).map { $0..<min($0 + length, count) }
    }

    /// The elements of a piece in PyTorch's order.
    /// - Parameter piece: as they lie in memory.
    public func ordered(_ piece: [Float]) -> [Float] {
        isChannelsLast ? piece.indices.map { piece[place($0)] } : piece
    }

    /// Puts elements in PyTorch's order into a flat buffer, those that lie in a range of it, whose first one is `buffer`'s.
    public func store(_ values: [Float], in buffer: UnsafeMutablePointer<Float>, range: Range<Int>? = nil) {
        let range = range ?? 0..<Int.max
        for element in 0..<count {
            let target = offset + place(element)
            if range.contains(target) { buffer[target - range.lowerBound] = values[element] }
        }
    }
}

/// The flat buffer of a network's parameters. Each tensor starts at a multiple of 16 elements; what lies between two
/// tensors is zero and stays zero. Gradients and moments have the same layout.
public struct ParameterLayout: Sendable {
    public let tensors: [Tensor]
    /// Elements of the buffer, padding included, a multiple of 16.
    public let count: Int

    public init(_ tensors: [Tensor]) {
        var end = 0
        self.tensors = tensors.map { tensor in
            var placed = tensor
            placed.offset = end
            end += tensor.count.paddedToVectors
            return placed
        }
        count = end
    }

    /// Where the tensors of each layer begin, given how many each has.
    func offsets(_ counts: [Int]) -> [Int] {
        var next = 0
        return counts.map { count in
            defer { next += count }
            return next < tensors.count ? tensors[next].offset : 0
        }
    }

    /// Parameters without padding.
    public var parameterCount: Int { tensors.reduce(0) { $0 + $1.count } }

    /// Sets every tensor as PyTorch's modules do: to a constant, or uniform in ±1/√fan-in: element e of tensor n, counted
    /// as PyTorch does, is ((w ≫ 8) · 2⁻²³ − 1) · bound, w the stream's word number e in block n.
    /// - Parameter deviation: where it is given, weights are normal numbers with this standard deviation and biases 0.
    public func initialise(
        _ parameters: UnsafeMutablePointer<Float>, seed: UInt64, stream: UInt32, deviation: Float? = nil, kernels: Kernels
    ) {
        for (number, tensor) in tensors.enumerated() {
            switch tensor.initial {
            case .uniform where deviation != nil && tensor.shape.count == 1:
                (parameters + tensor.offset).update(repeating: 0, count: tensor.count)
            case .uniform where deviation != nil:
                let key = RandomKey(seed: seed, stream: stream, firstBlock: number)
                tensor.store(kernels.normals(key, count: tensor.count).map { $0 * (deviation ?? 0) }, in: parameters)
            case .constant(let value): (parameters + tensor.offset).update(repeating: value, count: tensor.count)
            case .uniform(let bound):
                let words = kernels.words(RandomKey(seed: seed, stream: stream, firstBlock: number), count: tensor.count)
                tensor.store(words.map { (Float($0 >> 8) * 0x1p-23 - 1) * bound }, in: parameters)
            }
        }
    }
}
