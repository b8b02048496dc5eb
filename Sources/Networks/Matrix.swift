/// A feature-major matrix in memory that someone else owns: [features, stride], a column for each row of the batch.
public struct Matrix {
    public let base: UnsafeMutablePointer<Float>
    /// Distance between neighbouring features.
    public let stride: Int

    public init(_ base: UnsafeMutablePointer<Float>, stride: Int) {
        self.base = base
        self.stride = stride
    }

    /// The matrix from a column on.
    public func from(column: Int) -> Matrix { Matrix(base + column, stride: stride) }
}

/// Zeroed memory for one rank's activations and gradients, laid out at start and kept as long as the process.
public struct Arena: Sendable {
    public init() {}

    /// `count` floats, zeroed and aligned to 64 bytes, with a vector to spare for kernels that read past a row's end.
    public func floats(_ count: Int) -> UnsafeMutablePointer<Float> {
        let bytes = (4 * count + 127) & ~63
        let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
        return memory.bindMemory(to: Float.self, capacity: bytes / 4)
    }

    public func matrix(features: Int, stride: Int) -> Matrix { Matrix(floats(features * stride), stride: stride) }
}

extension Int {
    /// Rounded up to whole vectors of the widest instruction set.
    public var paddedToVectors: Int { (self + 15) & ~15 }
}
