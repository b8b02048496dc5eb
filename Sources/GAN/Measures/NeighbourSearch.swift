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
///
/// Most pairs need no product: pictures y lie in groups, in balls of radius r around c, and by the triangle inequality
/// ‖x − y‖ ≥ ‖x − c‖ − r. For ‖x − c‖ the bound above is taken.
final class NeighbourSearch {
    /// Rows that are looked up together, and those of one product.
    private static let chunkRows = 1_024
    private static let blockRows = 192
    private static let blockColumns = PictureGroups.size
    private typealias Lanes = SIMD16<Float>

    private let features: Features
    private let kernels: Kernels
    private let groups: PictureGroups
    /// The origin: the mean of the features, so that pictures which are much alike have small norms and tight bounds.
    private let origin: [Double]
    private let epsilon: Double
    /// The pictures, a group in a block, and the groups' centres.
    private let pictures: Columns
    private let centers: Columns

    /// - Parameter kernels: those of single precision.
    init(_ features: Features, kernels: Kernels) {
        precondition(kernels.precision == .fp32, "distances of rounded features")
        precondition(features.dimension <= 4_096, "\(features.dimension) features of a picture, at most 4096")
        self.features = features
        self.kernels = kernels
        origin = features.mean
        epsilon = Double(features.dimension + 32) * 0x1p-24
        groups = PictureGroups(features)
        pictures = Columns(features, groups.order, origin: origin, epsilon: epsilon)
        centers = Columns(groups.centers, Array(0..<groups.centers.count), origin: origin, epsilon: epsilon)
    }

    /// Pictures as columns of a matrix in blocks of 64, [blocks, dimension, 64], and (1 − ε)‖y‖² of each, infinite where there
    /// is no picture.
    private final class Columns {
        let blocks: Int
        private let dimension: Int
        private let values: UnsafeMutablePointer<Float>
        private let squares: UnsafeMutablePointer<Float>

        init(_ features: Features, _ order: [Int], origin: [Double], epsilon: Double) {
            let width = blockColumns
            dimension = features.dimension
            blocks = (order.count + width - 1) / width
            values = .allocate(capacity: blocks * width * dimension)
            values.initialize(repeating: 0, count: blocks * width * dimension)
            squares = .allocate(capacity: blocks * width)
            squares.initialize(repeating: .infinity, count: blocks * width)
            for (column, picture) in order.enumerated() {
                let (y, target) = (features[picture], values + column / width * width * dimension + column % width)
                var norm = 0.0
                for i in 0..<dimension {
                    let value = Float(Double(y[i]) - origin[i])
                    target[i * width] = value
                    norm += Double(value) * Double(value)
                }
                squares[column] = Float((1 - epsilon) * norm)
            }
        }

        deinit {
            values.deallocate()
            squares.deallocate()
        }

        /// (1 − ε)‖y‖² of a block.
        func norms(_ block: Int) -> UnsafePointer<Float> { UnsafePointer(squares + block * blockColumns) }

        /// v = −2 x·y of some rows −2 x and a block.
        func products(
            _ rows: UnsafePointer<Float>, count: Int, _ block: Int, into target: UnsafeMutablePointer<Float>, rowStride: Int,
            workspace: UnsafeMutablePointer<Float>, _ kernels: Kernels
        ) {
            var product = GEMM(
                a: rows, a_row: dimension, a_depth: 1, b: values + block * blockColumns * dimension, b_depth: blockColumns,
                c: target, c_row: rowStride, rows: count, columns: blockColumns, depth: dimension, bias: nil, gate: nil,
                gate_row: 0, rectifies: 0, slope: 0, workspace: workspace, interlude: .none)
            kernels.gemm(&product)
        }
    }

    /// Calls `body(row, column, ‖x − y‖²)` for all pairs of a picture x among `rows` and a picture y of this set whose squared
    /// distance is below the limit of x or that of y. A picture is no pair with itself.
    ///
    /// - Parameters:
    ///   - others: may be this set itself.
    ///   - rowLimits: one for each of `rows`; `body` is handed its row's, and may lower it.
    ///   - columnLimits: one for each picture of this set, or none, as if all were 0.
    func forEachPair(
        of others: Features, rows: Range<Int>, rowLimits: inout [Double], columnLimits: [Double] = [],
        _ body: (_ row: Int, _ column: Int, _ squaredDistance: Double, _ limit: inout Double) -> Void
    ) {
        let (dimension, height, width) = (features.dimension, NeighbourSearch.blockRows, NeighbourSearch.blockColumns)
        precondition(others.dimension == dimension, "features of \(others.dimension) and of \(dimension)")
        precondition(rowLimits.count == rows.count, "\(rowLimits.count) limits of \(rows.count) rows")
        precondition(
            columnLimits.isEmpty || columnLimits.count == features.count,
            "\(columnLimits.count) limits of \(features.count) pictures")
        guard features.count > 0 else { return }
        let isSame = others === features
        let chunk = min(NeighbourSearch.chunkRows, rows.count)
        let bounds = centers.blocks * width
        let a = UnsafeMutablePointer<Float>.allocate(capacity: chunk * dimension)                           // [rows, dimension]
        let selected = UnsafeMutablePointer<Float>.allocate(capacity: height * dimension)                   // [rows, dimension]
        let products = UnsafeMutablePointer<Float>.allocate(capacity: height * width)                       // [rows, columns]
        let centerBounds = UnsafeMutablePointer<Float>.allocate(capacity: chunk * bounds)                   // [rows, centres]
        let workspace = UnsafeMutablePointer<Float>.allocate(capacity: GEMM.workspaceCount)
        let columnTests = UnsafeMutablePointer<Float>.allocate(capacity: pictures.blocks * width)
        defer { for memory in [a, selected, products, centerBounds, workspace, columnTests] { memory.deallocate() } }
        columnTests.initialize(repeating: -.infinity, count: pictures.blocks * width)
        // The largest limit of a group's pictures.
        var groupLimits = [Double](repeating: 0, count: pictures.blocks)
        if !columnLimits.isEmpty {
            for (column, picture) in groups.order.enumerated() {
                let (block, limit) = (column / width, columnLimits[picture])
                columnTests[column] = NeighbourSearch.test(limit, lessNorm: Double(pictures.norms(block)[column % width]))
                groupLimits[block] = max(groupLimits[block], limit)
            }
        }
        var rowNorms = [Double](repeating: 0, count: chunk)

        /// All pairs of some rows of the chunk that begins with `first` and of a group.
        func visit(_ block: Int, _ rowsOfChunk: ArraySlice<Int>, first: Int) {
            for start in stride(from: rowsOfChunk.startIndex, to: rowsOfChunk.endIndex, by: height) {
                let some = rowsOfChunk[start..<min(start + height, rowsOfChunk.endIndex)]
                for (place, row) in some.enumerated() {
                    (selected + place * dimension).update(from: a + row * dimension, count: dimension)
                }
                pictures.products(
                    selected, count: some.count, block, into: products, rowStride: width, workspace: workspace, kernels)
                for (place, row) in some.enumerated() {
                    let (picture, index, norm) = (first + row, first - rows.lowerBound + row, rowNorms[row])
                    NeighbourSearch.forEachOpen(
                        products + place * width, norms: pictures.norms(block),
                        columnTests: columnLimits.isEmpty ? nil : UnsafePointer(columnTests + block * width), rowNorm: Float(norm),
                        test: NeighbourSearch.test(rowLimits[index], lessNorm: norm)
                    ) { i, test in
                        let column = groups.order[block * width + i]
                        if isSame && column == picture { return }
                        let distance = Features.squaredDistance(others[picture], features[column], stride: features.stride)
                        if distance < rowLimits[index] || !columnLimits.isEmpty && distance < columnLimits[column] {
                            body(picture, column, distance, &rowLimits[index])
                            test = NeighbourSearch.test(rowLimits[index], lessNorm: norm)
                        }
                    }
                }
            }
        }

        var open: [Int] = []
        open.reserveCapacity(chunk)
        for first in stride(from: rows.lowerBound, to: rows.upperBound, by: max(1, chunk)) {
            let count = min(chunk, rows.upperBound - first)
            for row in 0..<count { rowNorms[row] = (1 - epsilon) * fill(a + row * dimension, others[first + row]) }
            let closest = findClosest(a, count, rowNorms, into: centerBounds, workspace: workspace)
            // First the group that each row is closest to: it lowers the row's limit most.
            var rest = (0..<count).sorted { closest[$0] < closest[$1] }[...]
            while let next = rest.first {
                let group = rest.prefix { closest[$0] == closest[next] }
                visit(closest[next], group, first: first)
                rest = rest[group.endIndex...]
            }
            for group in 0..<pictures.blocks {
                open.removeAll(keepingCapacity: true)
                for row in 0..<count where closest[row] != group {
                    let limit = max(rowLimits[first - rows.lowerBound + row], groupLimits[group])
                    // The last factor is more than rounding takes away.
                    let reach = (groups.radii[group] + limit.squareRoot()) * (1 + 0x1p-40)
                    if !(Double(centerBounds[row * bounds + group]) - 0x1p-130 > reach * reach) { open.append(row) }
                }
                if !open.isEmpty { visit(group, open[...], first: first) }
            }
        }
    }

    /// Bounds that the squared distances of rows from the groups' centres are not below, but for 2⁻¹³⁰: [rows, centres].
    /// Returns the group with the lowest bound of each row.
    private func findClosest(
        _ rows: UnsafePointer<Float>, _ count: Int, _ rowNorms: [Double], into bounds: UnsafeMutablePointer<Float>,
        workspace: UnsafeMutablePointer<Float>
    ) -> [Int] {
        let (dimension, width) = (features.dimension, NeighbourSearch.blockColumns)
        let rowStride = centers.blocks * width
        var closest = [Int](repeating: 0, count: count)
        var least = [Float](repeating: .infinity, count: count)
        for block in 0..<centers.blocks {
            for first in stride(from: 0, to: count, by: NeighbourSearch.blockRows) {
                centers.products(
                    rows + first * dimension, count: min(NeighbourSearch.blockRows, count - first), block,
                    into: bounds + first * rowStride + block * width, rowStride: rowStride, workspace: workspace, kernels)
            }
            let norms = centers.norms(block)
            for row in 0..<count {
                let (target, norm) = (bounds + row * rowStride + block * width, Float(rowNorms[row]))
                for i in 0..<width {
                    target[i] = (target[i] + norms[i]) + norm
                    if target[i] < least[row] { (least[row], closest[row]) = (target[i], block * width + i) }
                }
            }
        }
        return closest
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
