import Kernels

/// Finds the pairs of pictures that are close to each other: exactly, at the price of a matrix product in single precision.
///
/// The product gives for every pair a bound that its squared distance cannot be below. Only where this bound leaves the
/// answer open is the distance computed, in double and from the features themselves (`Features.squaredDistance`), and only
/// such a distance decides. So answers do not depend on how the product rounds.
///
/// The bound: let x and y be the features less a common origin, in single precision, v = fl(−2 x·y) as the kernels compute
/// it, u = 2⁻²⁴, and d ≤ 4096 the dimension. The product errs by less than (d + 1) u (‖x‖² + ‖y‖²), the subtraction of the
/// origin by less than 5 u of the same, and each of the few later operations by less than 3 u of it; hence
/// ‖x − y‖² ≥ v + (1 − ε)(‖x‖² + ‖y‖²) − 2⁻¹³⁰, ε = (d + 32) u, the last term for what underflows.
final class NeighbourSearch {
    private static let blockRows = 192
    private static let blockColumns = 64
    private typealias Lanes = SIMD16<Float>

    private let features: Features
    private let kernels: Kernels
    /// The origin: the mean of the features, so that pictures which are much alike have small norms and tight bounds.
    private let origin: [Double]
    private let epsilon: Double
    private let blocks: Int
    /// The features as columns, [blocks, dimension, 64], and (1 − ε)‖y‖² of each, infinite where there is no picture.
    private let columns: UnsafeMutablePointer<Float>
    private let norms: UnsafeMutablePointer<Float>

    /// - Parameter kernels: those of single precision.
    init(_ features: Features, kernels: Kernels) {
        precondition(kernels.precision == .fp32, "distances of rounded features")
        precondition(features.dimension <= 4_096, "\(features.dimension) features of a picture, at most 4096")
        self.features = features
        self.kernels = kernels
        origin = features.mean
        let dimension = features.dimension
        epsilon = Double(dimension + 32) * 0x1p-24
        let width = NeighbourSearch.blockColumns
        blocks = (features.count + width - 1) / width
        columns = .allocate(capacity: blocks * width * dimension)
        columns.initialize(repeating: 0, count: blocks * width * dimension)
        norms = .allocate(capacity: blocks * width)
        norms.initialize(repeating: .infinity, count: blocks * width)
        for picture in 0..<features.count {
            let (y, target) = (features[picture], columns + picture / width * width * dimension + picture % width)
            var norm = 0.0
            for i in 0..<dimension {
                let value = Float(Double(y[i]) - origin[i])
                target[i * width] = value
                norm += Double(value) * Double(value)
            }
            norms[picture] = Float((1 - epsilon) * norm)
        }
    }

    deinit {
        columns.deallocate()
        norms.deallocate()
    }

    /// Calls `body(row, column, ‖x − y‖²)` for all pairs of a picture x among `rows` and a picture y of this set whose squared
    /// distance is below the limit of x or that of y. A picture is no pair with itself.
    ///
    /// - Parameters:
    ///   - pictures: may be this set itself.
    ///   - rowLimits: one for each of `rows`; `body` is handed its row's, and may lower it.
    ///   - columnLimits: one for each picture of this set, or none, as if all were 0.
    func forEachPair(
        of pictures: Features, rows: Range<Int>, rowLimits: inout [Double], columnLimits: [Double] = [],
        _ body: (_ row: Int, _ column: Int, _ squaredDistance: Double, _ limit: inout Double) -> Void
    ) {
        let (dimension, height, width) = (features.dimension, NeighbourSearch.blockRows, NeighbourSearch.blockColumns)
        precondition(pictures.dimension == dimension, "features of \(pictures.dimension) and of \(dimension)")
        precondition(rowLimits.count == rows.count, "\(rowLimits.count) limits of \(rows.count) rows")
        precondition(
            columnLimits.isEmpty || columnLimits.count == features.count,
            "\(columnLimits.count) limits of \(features.count) pictures")
        let isSame = pictures === features
        let a = UnsafeMutablePointer<Float>.allocate(capacity: height * dimension)                          // [rows, dimension]
        let products = UnsafeMutablePointer<Float>.allocate(capacity: height * width)                       // [rows, columns]
        let workspace = UnsafeMutablePointer<Float>.allocate(capacity: GEMM.workspaceCount)
        let columnTests = UnsafeMutablePointer<Float>.allocate(capacity: blocks * width)
        defer { for memory in [a, products, workspace, columnTests] { memory.deallocate() } }
        columnTests.initialize(repeating: -.infinity, count: blocks * width)
        for (column, limit) in columnLimits.enumerated() {
            columnTests[column] = NeighbourSearch.test(limit, lessNorm: Double(norms[column]))
        }
        var rowNorms = [Double](repeating: 0, count: height)
        for first in stride(from: rows.lowerBound, to: rows.upperBound, by: height) {
            let count = min(height, rows.upperBound - first)
            for row in 0..<count { rowNorms[row] = (1 - epsilon) * fill(a + row * dimension, pictures[first + row]) }
            for block in 0..<blocks {
                var product = GEMM(
                    a: a, a_row: dimension, a_depth: 1, b: columns + block * width * dimension, b_depth: width, c: products,
                    c_row: width, rows: count, columns: width, depth: dimension, bias: nil, gate: nil, gate_row: 0, rectifies: 0,
                    slope: 0, workspace: workspace, interlude: .none)
                kernels.gemm(&product)                                                                      // v = −2 x·y
                for row in 0..<count {
                    let (picture, index, norm) = (first + row, first - rows.lowerBound + row, rowNorms[row])
                    NeighbourSearch.forEachOpen(
                        products + row * width, norms: norms + block * width,
                        columnTests: columnLimits.isEmpty ? nil : UnsafePointer(columnTests + block * width), rowNorm: Float(norm),
                        test: NeighbourSearch.test(rowLimits[index], lessNorm: norm)
                    ) { i, test in
                        let column = block * width + i
                        if isSame && column == picture { return }
                        let distance = Features.squaredDistance(pictures[picture], features[column], stride: features.stride)
                        if distance < rowLimits[index] || !columnLimits.isEmpty && distance < columnLimits[column] {
                            body(picture, column, distance, &rowLimits[index])
                            test = NeighbourSearch.test(rowLimits[index], lessNorm: norm)
                        }
                    }
                }
            }
        }
    }

    /// row = −2 x, x the features less the origin; returns ‖x‖².
    private func fill(_ row: UnsafeMutablePointer<Float>, _ values: UnsafePointer<Float>) -> Double {
        var norm = 0.0
        for i in origin.indices {
            let value = Float(Double(values[i]) - origin[i])
            row[i] = -2 * value
            norm += Double(value) * Double(value)
        }
        return norm
    }

    /// What v and the norm of the other picture add up to less than wherever the squared distance may be below the limit.
    private static func test(_ limit: Double, lessNorm norm: Double) -> Float {
        // No distance is below 0.
        limit > 0 ? Float(limit - norm + 0x1p-130).nextUp : -.infinity
    }

    /// Calls `body(i, test)` for the columns i of a block whose distance from a row may be below the row's limit or their own:
    /// where v + norm of the column < test, which `body` may lower, or v + norm of the row < test of the column.
    @inline(__always)
    private static func forEachOpen(
        _ v: UnsafePointer<Float>, norms: UnsafePointer<Float>, columnTests: UnsafePointer<Float>?, rowNorm: Float, test: Float,
        _ body: (Int, inout Float) -> Void
    ) {
        func load(_ pointer: UnsafePointer<Float>) -> Lanes { UnsafeRawPointer(pointer).loadUnaligned(as: Lanes.self) }
        var test = test
        for start in stride(from: 0, to: blockColumns, by: Lanes.scalarCount) {
            let products = load(v + start)
            var isOpen = products + load(norms + start) .< Lanes(repeating: test)
            if let columnTests { isOpen = isOpen .| (products + Lanes(repeating: rowNorm) .< load(columnTests + start)) }
            let words = unsafeBitCast(isOpen, to: SIMD8<UInt64>.self)
            let halves = words.lowHalf | words.highHalf
            let quarters = halves.lowHalf | halves.highHalf
            guard quarters[0] | quarters[1] != 0 else { continue }
            for i in start..<start + Lanes.scalarCount {
                let isNear = columnTests.map { v[i] + rowNorm < $0[i] } ?? false
                if isNear || v[i] + norms[i] < test { body(i, &test) }
            }
        }
    }
}

extension NeighbourSearch {
    /// The squared distances from each of `rows` to its `count` nearest pictures of this set other than itself, ascending:
    /// [rows, count], infinite where there are fewer.
    func nearest(_ count: Int, to pictures: Features, rows: Range<Int>) -> [Double] {
        var nearest = [Double](repeating: .infinity, count: rows.count * count)
        var limits = [Double](repeating: .infinity, count: rows.count)
        nearest.withUnsafeMutableBufferPointer { nearest in
            forEachPair(of: pictures, rows: rows, rowLimits: &limits) { row, _, distance, limit in
                let start = (row - rows.lowerBound) * count
                var place = start + count - 1
                while place > start && nearest[place - 1] > distance {
                    nearest[place] = nearest[place - 1]
                    place -= 1
                }
                nearest[place] = distance
                limit = nearest[start + count - 1]
            }
        }
        return nearest
    }
}
