import Formats
import Kernels
import MessagePassing
import Networks

/// Draws samples of a generator: a picture is a function of its noise vector alone, since running statistics take the
/// place of a batch's.
public final class Sampler {
    /// Pictures of one call.
    public static let batchSize = 64

    private let network: Network
    private let arena = Arena(usesHugePages: false)
    private let kernels: Kernels
    private let latentDimension: Int
    private let seed: UInt64
    private let parameters: UnsafeMutablePointer<Float>
    private let labels: UnsafeMutablePointer<UInt8>
    /// Whether the generator is told a class.
    let isConditional: Bool
    /// The class of picture n, for a generator that is told one.
    public var label: (_ picture: Int) -> Int

    /// - Parameter shared: a generator's parameters that it draws with as they are at the time, which saves a copy; nil for
    ///   those that are loaded.
    public init(_ configuration: Configuration, kernels: Kernels, sharing shared: UnsafeMutablePointer<Float>? = nil) throws {
        self.kernels = kernels
        let plan = try configuration.networkPlans().generator
        parameters = shared ?? arena.floats(plan.layout.count)
        labels = UnsafeMutableRawPointer(arena.floats(Sampler.batchSize)).bindMemory(to: UInt8.self, capacity: Sampler.batchSize)
        latentDimension = configuration.latentDimension
        seed = configuration.seed
        isConditional = configuration.classes != nil
        let classes = configuration.classes ?? 1
        label = { $0 % classes }
        network = Network(
            name: "generator", plan: plan, stride: Sampler.batchSize, parameters: parameters, keepsGradients: false, arena: arena)
    }

    /// Takes over a generator's parameters, unless it shares them, and running statistics.
    func load(parameters: UnsafePointer<Float>, buffers: UnsafePointer<Float>) {
        if parameters != self.parameters { self.parameters.update(from: parameters, count: network.layout.count) }
        network.buffers.update(from: buffers, count: network.bufferLayout.count)
    }

    /// Takes over a checkpoint's generator: its average, if it has one.
    /// - Parameter isRaw: whether to take the generator itself all the same.
    func load(_ checkpoint: Checkpoint, isRaw: Bool = false) throws {
        let isAveraged = checkpoint.configuration.averageDecay > 0 && !isRaw
        for entry in try checkpoint.entries where entry.player == 0 {
            let values = { try checkpoint.floats(entry.name, count: entry.tensor.count) }
            switch entry.part {
            case .parameters where !isAveraged, .average where isAveraged: entry.tensor.store(try values(), in: parameters)
            case .buffers: entry.tensor.store(try values(), in: network.buffers)
            default: break
            }
        }
    }

    /// Pictures first ..< first + count of the endless sequence that the seed determines, each [H, W, C] floats.
    public func pictures(first: Int, count: Int) throws -> [Float] {
        try inCalls(count) { start, columns in
            fillNoise(first: first + start)
            return try generate(first: first + start, columns)
        }
    }

    /// Noise vectors first ..< first + count of the sequence: those of `pictures(first:count:)`.
    public func noise(first: Int, count: Int) -> [[Float]] {
        inCalls(count) { start, columns in
            fillNoise(first: first + start)
            return vectors(network.input, columns)
        }
    }

    /// Pictures of the numbers of `numbers`, each [H, W, C] floats, of the noise vectors with these numbers.
    /// - Precondition: each vector has the latent dimension's length.
    public func pictures(of noise: [[Float]], _ numbers: Range<Int>) throws -> [Float] {
        try inCalls(numbers.count) { start, columns in
            let (input, first) = (network.input, numbers.lowerBound + start)
            for column in 0..<columns {
                let vector = noise[first + column]
                precondition(vector.count == latentDimension, "\(vector.count) numbers of \(latentDimension)")
                for (index, value) in vector.enumerated() { input.base[index * input.stride + column] = value }
            }
            return try generate(first: first, columns)
        }
    }

    /// Collects what `body` makes of at most `batchSize` columns at a time.
    private func inCalls<Element>(
        _ count: Int, _ body: (_ start: Int, _ columns: Int) throws -> [Element]
    ) rethrows -> [Element] {
        try stride(from: 0, to: count, by: Sampler.batchSize).flatMap { try body($0, min(Sampler.batchSize, count - $0)) }
    }

    private func fillNoise(first: Int) {
        let key = RandomKey(seed: seed, stream: RandomStream.sampleNoise, firstRow: first)
        kernels.randomNormals(key, network.input.base, latentDimension, Sampler.batchSize, network.input.stride)
    }

    private func generate(first: Int, _ columns: Int) throws -> [Float] {
        for column in 0..<Sampler.batchSize { labels[column] = UInt8(label(first + column)) }
        let pass = Pass(
            kernels: kernels, columns: Sampler.batchSize, kind: .generator, seed: seed, step: 0, firstRow: first,
            isTraining: false, labels: labels)
        try network.forward(pass)
        return vectors(network.output, columns).flatMap(\.self)
    }

    /// The first columns of a matrix, each [features].
    private func vectors(_ x: Matrix, _ columns: Int) -> [[Float]] {
        (0..<columns).map { column in (0..<x.features).map { x.base[$0 * x.stride + column] } }
    }
}
