import MessagePassing

/// Features of pictures in index order, [count, dimension]: what an extractor makes of them.
final class Features: @unchecked Sendable {
    /// Every feature is smaller in magnitude, so that no product or sum of features overflows.
    static let limit: Float = 0x1p50

    let count: Int
    let dimension: Int
    /// Floats from one picture to the next: the dimension, rounded up to vectors of eight.
    let stride: Int
    /// [count, stride], zeros behind each picture's features.
    private let base: UnsafeMutablePointer<Float>

    /// - Throws: if a feature is not finite or not below `limit`.
    init(_ values: UnsafeBufferPointer<Float>, dimension: Int) throws {
        precondition(dimension > 0 && values.count % dimension == 0, "\(values.count) values, \(dimension) a picture")
        if let bad = values.firstIndex(where: { !($0.magnitude < Features.limit) }) {
            throw Failure(
                .internalError,
                "feature \(bad % dimension) of picture \(bad / dimension) of \(values.count / dimension) is \(values[bad]), "
                    + "expected a number below 2^50 in magnitude: the pictures are not finite, or the extractor has diverged; "
                    + "train it anew")
        }
        self.dimension = dimension
        count = values.count / dimension
        stride = (dimension + 7) & ~7
        base = Features.zeros(count * stride)
        guard let source = values.baseAddress else { return }
        for picture in 0..<count { (base + picture * stride).update(from: source + picture * dimension, count: dimension) }
    }

    /// Those of some pictures of another set, in this order.
    init(_ features: Features, pictures: [Int]) {
        (count, dimension, stride) = (pictures.count, features.dimension, features.stride)
        base = Features.zeros(count * stride)
        for (row, picture) in pictures.enumerated() { (base + row * stride).update(from: features[picture], count: stride) }
    }

    /// The mean features of each group of pictures of another set, rounded to single precision.
    init(meansOf features: Features, _ groups: [ArraySlice<Int>]) {
        (count, dimension, stride) = (groups.count, features.dimension, features.stride)
        base = Features.zeros(count * stride)
        for (row, group) in groups.enumerated() {
            for i in 0..<dimension {
                base[row * stride + i] = Float(group.reduce(0) { $0 + Double(features[$1][i]) } / Double(group.count))
            }
        }
    }

    deinit { base.deallocate() }

    /// The features of a picture, `stride` floats.
    subscript(picture: Int) -> UnsafePointer<Float> { UnsafePointer(base + picture * stride) }

    func row(_ picture: Int) -> UnsafeBufferPointer<Float> { UnsafeBufferPointer(start: self[picture], count: dimension) }

    /// Σᵢ xᵢ yᵢ of a picture's features, in double.
    func product(_ picture: Int, _ y: [Double]) -> Double {
        let x = self[picture]
        return y.indices.reduce(0) { $0 + Double(x[$1]) * y[$1] }
    }

    private static func zeros(_ count: Int) -> UnsafeMutablePointer<Float> {
        let memory = UnsafeMutablePointer<Float>.allocate(capacity: count)
        memory.initialize(repeating: 0, count: count)
        return memory
    }

    /// Σᵢ xᵢ of each feature, in double, pictures in order, over their count.
    var mean: [Double] {
        var sums = [Double](repeating: 0, count: dimension)
        sums.withUnsafeMutableBufferPointer { sums in
            for picture in 0..<count {
                let x = self[picture]
                for i in sums.indices { sums[i] += Double(x[i]) }
            }
        }
        return sums.map { $0 / Double(count) }
    }

    /// ‖x − y‖² of two pictures in double: eight sums of every eighth term in order, added as a tree. The same for (y, x).
    @inline(__always)
    static func squaredDistance(_ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, stride: Int) -> Double {
        var sums = SIMD8<Double>()
        var i = 0
        while i < stride {
            let difference = doubles(x + i) - doubles(y + i)
            sums += difference * difference
            i += 8
        }
        return total(sums)
    }

    /// ‖x‖², as `squaredDistance` from zero.
    static func squaredNorm(_ x: UnsafePointer<Float>, stride: Int) -> Double {
        var sums = SIMD8<Double>()
        for i in Swift.stride(from: 0, to: stride, by: 8) {
            let values = doubles(x + i)
            sums += values * values
        }
        return total(sums)
    }

    @inline(__always)
    private static func doubles(_ x: UnsafePointer<Float>) -> SIMD8<Double> {
        SIMD8<Double>(UnsafeRawPointer(x).loadUnaligned(as: SIMD8<Float>.self))
    }

    @inline(__always)
    private static func total(_ sums: SIMD8<Double>) -> Double {
        let halves = sums.lowHalf + sums.highHalf
        let quarters = halves.lowHalf + halves.highHalf
        return quarters[0] + quarters[1]
    }
}
