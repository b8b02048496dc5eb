import Glibc

/// Feature-major matrices in memory that someone else owns, one behind the other for the passes of a step:
/// [passes, features, stride], a column for each row of the batch.
public struct Matrix {
    public let base: UnsafeMutablePointer<Float>
    public let features: Int
    /// Distance between neighbouring features.
    public let stride: Int
    /// Distance between neighbouring passes: behind each other, or side by side in one pass's columns.
    public let slotStride: Int

    public init(_ base: UnsafeMutablePointer<Float>, features: Int, stride: Int, slotStride: Int? = nil) {
        self.base = base
        self.features = features
        self.stride = stride
        self.slotStride = slotStride ?? features * stride
    }

    /// The matrices from a pass on.
    public func slot(_ number: Int) -> Matrix {
        Matrix(base + number * slotStride, features: features, stride: stride, slotStride: slotStride)
    }

    /// One feature of all columns.
    public func row(_ feature: Int) -> UnsafeMutablePointer<Float> { base + feature * stride }

    /// Some of the features.
    func features(from first: Int, count: Int) -> Matrix {
        Matrix(base + first * stride, features: count, stride: stride, slotStride: slotStride)
    }
}

/// y = x, unless they are the same memory.
func copy(_ x: Matrix, _ y: Matrix, features: Int, columns: Int) {
    guard x.base != y.base else { return }
    for feature in 0..<features {
        (y.base + feature * y.stride).update(from: x.base + feature * x.stride, count: columns)
    }
}

/// Memory for one rank's activations and gradients: laid out at start, kept as long as the process, and on huge pages
/// where the system has them.
public final class Arena {
    private static let blockSize = 1 << 26
    private let usesHugePages: Bool
    private var block = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private var used = 0

    /// - Parameter usesHugePages: false for the few buffers of work that is rare, which would fill a part of one only.
    public init(usesHugePages: Bool = true) { self.usesHugePages = usesHugePages }

    /// `count` floats, zeroed and aligned to 64 bytes, with a vector to spare for kernels that read past a row's end.
    public func floats(_ count: Int) -> UnsafeMutablePointer<Float> {
        let bytes = (4 * count + 127) & ~63
        if used + bytes > block.count {
            // Pages exist from the first write on: a block costs what is used of it.
            let size = Swift.max(Arena.blockSize, (bytes + (1 << 21) - 1) & ~((1 << 21) - 1))
            let memory = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
            precondition(memory != MAP_FAILED, "no memory for \(bytes) bytes")
            if usesHugePages { madvise(memory, size, MADV_HUGEPAGE) }
            block = UnsafeMutableRawBufferPointer(start: memory, count: size)
            used = 0
        }
        guard let base = block.baseAddress else { preconditionFailure("an empty block") }
        defer { used += bytes }
        return (base + used).bindMemory(to: Float.self, capacity: bytes / 4)
    }

    /// `count` doubles, zeroed and aligned to 64 bytes.
    public func doubles(_ count: Int) -> UnsafeMutablePointer<Double> {
        UnsafeMutableRawPointer(floats(2 * count)).bindMemory(to: Double.self, capacity: count)
    }

    public func matrix(features: Int, stride: Int, slots: Int = 1) -> Matrix {
        Matrix(floats(slots * features * stride), features: features, stride: stride)
    }
}

extension Int {
    /// Rounded up to whole vectors of the widest instruction set.
    public var paddedToVectors: Int { (self + 15) & ~15 }
}
