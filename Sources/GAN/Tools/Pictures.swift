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
    /// The class of picture n, for a generator that is told one.
    public var label: (_ picture: Int) -> Int = { $0 % Dataset.classes }

    public init(_ configuration: Configuration, kernels: Kernels) throws {
        self.kernels = kernels
        let plan = try configuration.networkPlans().generator
        parameters = arena.floats(plan.layout.count)
        labels = UnsafeMutableRawPointer(arena.floats(Sampler.batchSize)).bindMemory(to: UInt8.self, capacity: Sampler.batchSize)
        latentDimension = configuration.latentDimension
        seed = configuration.seed
        network = Network(
            name: "generator", plan: plan, stride: Sampler.batchSize, parameters: parameters, keepsGradients: false, arena: arena)
    }

    /// Takes over a generator's parameters and running statistics.
    func load(parameters: UnsafePointer<Float>, buffers: UnsafePointer<Float>) {
        self.parameters.update(from: parameters, count: network.layout.count)
        network.buffers.update(from: buffers, count: network.bufferLayout.count)
    }

    /// Takes over a checkpoint's generator: its average, if it has one.
    /// - Parameter isRaw: whether to take the generator itself all the same.
    func load(_ checkpoint: Checkpoint, isRaw: Bool = false) throws {
        let isAveraged = checkpoint.configuration.averageDecay > 0 && !isRaw
        try checkpoint.readGenerator(network.layout, isAveraged: isAveraged, into: parameters)
        try checkpoint.readGenerator(network.bufferLayout, into: network.buffers)
    }

    /// Pictures first ..< first + count of the endless sequence that the seed determines, each side² floats.
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

    /// The pictures of these noise vectors, each side² floats.
    /// - Precondition: each vector has the latent dimension's length.
    public func pictures(of noise: [[Float]]) throws -> [Float] {
        try inCalls(noise.count) { start, columns in
            let input = network.input
            for column in 0..<columns {
                let vector = noise[start + column]
                precondition(vector.count == latentDimension, "\(vector.count) numbers of \(latentDimension)")
                for (index, value) in vector.enumerated() { input.base[index * input.stride + column] = value }
            }
            return try generate(first: start, columns)
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

/// Pictures as files: rows of them with two black pixels around each, as torchvision's `make_grid` lays them out.
public enum Pictures {
    /// Cairo and Firefox, and with them most viewers, open no longer side.
    private static let longestSide = 32_767
    /// Pillow warns of a decompression bomb beyond.
    private static let mostPixels = 89_478_485

    /// Refuses a grid that would be too large to be looked at.
    static func checkGrid(of count: Int, side: Int, columns: Int, path: String) throws {
        let columns = min(columns, count)
        let rows = (count + columns - 1) / columns
        let (width, height) = count == 1 ? (side, side) : (columns * (side + 2) + 2, rows * (side + 2) + 2)
        guard max(width, height) > longestSide || width * height > mostPixels else { return }
        func grouped(_ number: Int) -> String { Double(number).grouped }
        throw Failure(
            .usage,
            "--out \(path): a grid of \(grouped(count)) pictures would be \(grouped(width)) × \(grouped(height)) pixels, which "
                + "viewers do not open (\(grouped(longestSide)) a side and \(grouped(mostPixels)) in all are the most); ask for fewer "
                + "pictures, for a square with --grid, or for an .npy array")
    }

    /// Writes values in [−1, 1], side² a picture.
    public static func writeGrid(_ values: [Float], side: Int, columns: Int = 8, to path: String) throws {
        try writeGrid(bytes: values.map(byte), side: side, columns: columns, to: path)
    }

    /// Writes bytes, side² a picture.
    static func writeGrid(bytes: [UInt8], side: Int, columns: Int = 8, to path: String) throws {
        let images = stride(from: 0, to: bytes.count, by: side * side).map {
            GrayImage(width: side, height: side, pixels: Array(bytes[$0..<$0 + side * side]))
        }
        try withFiles { try GrayImage(grid: images, columns: columns).writePNG(path: path) }
    }

    /// −1 is black, 1 is white; what lies outside is cut off, and NaN is black.
    static func byte(_ value: Float) -> UInt8 {
        let scaled = (value + 1) * 127.5
        return scaled >= 255 ? 255 : scaled > 0 ? UInt8(scaled.rounded()) : 0
    }
}
