import MessagePassing

/// The mean μ and the unbiased covariance C of features, of which the Fréchet distance is computed.
struct Gaussian {
    /// [dimension]
    let mean: [Double]
    /// tr C
    let variance: Double
    /// F with Fᵗ F = C, [rank of C, dimension].
    let factor: [[Double]]

    /// Computed by all ranks.
    /// - Precondition: there are two pictures or more.
    init(_ features: Features, world: World) throws {
        precondition(features.count >= 2, "the covariance of \(features.count) pictures")
        mean = features.mean
        let covariance = try Gaussian.covariance(features, mean: mean, world: world)
        variance = (0..<features.dimension).reduce(0) { $0 + covariance[$1][$1] }
        factor = pivotedCholesky(covariance)
    }

    /// C = Σₙ (xₙ − μ)(xₙ − μ)ᵗ / (n − 1)
    private static func covariance(_ features: Features, mean: [Double], world: World) throws -> [[Double]] {
        let dimension = features.dimension
        let x = FeaturePanels(dimension: dimension)
        let factor = FactorPanel()
        defer {
            x.deallocate()
            factor.deallocate()
        }
        let panels = x.panels
        let own = world.dealt(panels)
        // Of each own panel j, tiles [4, 4] with all panels k; those left of the diagonal stay zero.
        var sums = [SIMD4<Double>](repeating: SIMD4(), count: own.count * panels * 4)
        sums.withUnsafeMutableBufferPointer { sums in
            guard let base = sums.baseAddress else { return }
            for block in FeaturePanels.blocks(of: features.count) {
                x.fill(features, block, origin: mean)
                for (row, j) in own.enumerated() {
                    let source = x[j]
                    factor.fill(block.count) { n in source[n] }
                    for k in j..<panels {
                        factor.addProducts(x[k], pictures: block.count, to: base + 4 * (row * panels + k))
                    }
                }
            }
        }
        let values = sums.flatMap { [$0[0], $0[1], $0[2], $0[3]] }
        let all = try world.gatherDealt(values, of: panels, width: 16 * panels)
        return (0..<dimension).map { i in
            (0..<dimension).map { k in
                let (j, k) = (min(i, k), max(i, k))
                return all[16 * (j / 4 * panels + k / 4) + 4 * (j % 4) + k % 4] / Double(features.count - 1)
            }
        }
    }

    /// The Fréchet distance of two normal distributions, ‖μ₁ − μ₂‖² + tr(C₁ + C₂ − 2 (C₁C₂)^½) (Dowson and Landau 1982),
    /// of an extractor's features the Fréchet Inception distance (Heusel et al. 2017).
    ///
    /// tr (C₁C₂)^½ is the sum of the singular values of F₁F₂ᵗ. They are found without being squared, so that directions in
    /// which nothing varies add no more than rounding errors.
    func frechetDistance(to other: Gaussian) -> Double {
        precondition(mean.count == other.mean.count, "features of \(mean.count) and of \(other.mean.count)")
        var distance = 0.0
        for (a, b) in zip(mean, other.mean) { distance += (a - b) * (a - b) }
        // The eigenvalues of (0 M; Mᵗ 0) are the singular values of M, each with both signs, and zeros.
        let (rows, columns) = (factor.count, other.factor.count)
        let size = rows + columns
        var matrix = [Double](repeating: 0, count: size * size)
        for i in 0..<rows {
            for j in 0..<columns {
                var sum = 0.0
                for (a, b) in zip(factor[i], other.factor[j]) { sum += a * b }
                matrix[i * size + rows + j] = sum
                matrix[(rows + j) * size + i] = sum
            }
        }
        let overlap = symmetricEigenvalues(matrix, size: size).reduce(0) { $0 + $1.magnitude }
        return max(0, distance + (variance + other.variance - overlap))
    }
}

/// F with Fᵗ F = C of a positive semidefinite C, [rank, size], by Cholesky's method with complete pivoting (Higham 1990).
/// What is left when no variance is above size · 2⁻⁵² of the largest is rounding error, and left out.
func pivotedCholesky(_ matrix: [[Double]]) -> [[Double]] {
    let size = matrix.count
    var variances = (0..<size).map { matrix[$0][$0] }
    let negligible = (variances.max() ?? 0) * Double(size) * 0x1p-52
    var factor: [[Double]] = []
    while factor.count < size {
        var pivot = 0
        for i in 1..<max(size, 1) where variances[i] > variances[pivot] { pivot = i }
        guard variances[pivot] > negligible else { break }
        var row = matrix[pivot]
        for earlier in factor {
            let scale = earlier[pivot]
            for i in 0..<size { row[i] -= scale * earlier[i] }
        }
        let root = variances[pivot].squareRoot()
        for i in 0..<size {
            row[i] = i == pivot ? root : variances[i] == -.infinity ? 0 : row[i] / root
            variances[i] -= row[i] * row[i]
        }
        variances[pivot] = -.infinity
        factor.append(row)
    }
    return factor
}
