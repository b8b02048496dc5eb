/// The eigenvalues of a symmetric matrix [size, size], ascending, each within about size · 2⁻⁵² of the largest in magnitude:
/// Householder's reduction to a tridiagonal matrix and the QL algorithm with implicit shifts (Wilkinson and Reinsch 1971).
/// A fixed order of additions, multiplications, divisions and square roots.
/// - Precondition: all elements are finite.
func symmetricEigenvalues(_ matrix: [Double], size: Int) -> [Double] {
    precondition(matrix.count == size * size, "\(matrix.count) elements of a matrix of \(size) rows")
    let largest = matrix.reduce(0) { max($0, $1.magnitude) }
    precondition(largest.isFinite && !matrix.contains { $0.isNaN }, "a matrix that is not finite")
    guard largest > 0 else { return [Double](repeating: 0, count: size) }
    // An exact factor that keeps squares from overflowing.
    let scale = Double(sign: .plus, exponent: largest.exponent, significand: 1)
    var scaled = matrix.map { $0 / scale }
    var (diagonal, offDiagonal) = tridiagonal(&scaled, size: size)
    diagonalize(&diagonal, &offDiagonal)
    return diagonal.map { $0 * scale }.sorted()
}

/// The diagonal d and the elements e beside it of a tridiagonal matrix with the eigenvalues of A, by reflections
/// I − β v vᵗ; the last e is zero. Overwrites A.
private func tridiagonal(_ matrix: inout [Double], size: Int) -> (diagonal: [Double], offDiagonal: [Double]) {
    var diagonal = [Double](repeating: 0, count: size)
    var offDiagonal = diagonal
    matrix.withUnsafeMutableBufferPointer { matrix in
        withUnsafeTemporaryAllocation(of: Double.self, capacity: 2 * size) { vectors in
            guard let a = matrix.baseAddress, let v = vectors.baseAddress else { return }
            let w = v + size
            for k in 0..<size {
                let row = a + k * size
                diagonal[k] = row[k]
                guard k + 1 < size else { break }
                let first = row[k + 1]
                var tail = 0.0
                for i in k + 2..<max(size, k + 2) { tail += row[i] * row[i] }
                offDiagonal[k] = first
                // Far below rounding errors of the largest element, which is about 1.
                guard tail > 0x1p-900 else { continue }
                let norm = (first * first + tail).squareRoot()
                offDiagonal[k] = first > 0 ? -norm : norm
                for i in k + 1..<size { v[i] = row[i] }
                v[k + 1] = first - offDiagonal[k]
                let beta = 1 / (norm * (norm + first.magnitude))
                for i in k + 1..<size { w[i] = 0 }
                for j in k + 1..<size {
                    let (row, scale) = (a + j * size, v[j])
                    for i in k + 1..<size { w[i] += scale * row[i] }                                   // A v
                }
                var product = 0.0
                for i in k + 1..<size { product += v[i] * w[i] }                                       // vᵗ A v
                for i in k + 1..<size { w[i] = beta * w[i] - beta * beta * product / 2 * v[i] }
                for j in k + 1..<size {
                    let (row, vj, wj) = (a + j * size, v[j], w[j])
                    for i in k + 1..<size { row[i] -= vj * w[i] + wj * v[i] }                          // A − v wᵗ − w vᵗ
                }
            }
        }
    }
    return (diagonal, offDiagonal)
}

/// Turns the diagonal into the eigenvalues of the tridiagonal matrix.
private func diagonalize(_ d: inout [Double], _ e: inout [Double]) {
    let norm = zip(d, e).reduce(0) { max($0, $1.0.magnitude + $1.1.magnitude) }
    let negligible = norm * 0x1p-53
    for l in d.indices {
        while let m = (l..<d.count).first(where: { e[$0].magnitude <= negligible }), m > l {
            step(&d, &e, l, m)
        }
    }
}

/// One QL step of the block l … m with Wilkinson's shift.
private func step(_ d: inout [Double], _ e: inout [Double], _ l: Int, _ m: Int) {
    let ratio = (d[l + 1] - d[l]) / (2 * e[l])
    let root = (ratio * ratio + 1).squareRoot()
    var g = d[m] - d[l] + e[l] / (ratio + (ratio < 0 ? -root : root))
    var (sine, cosine, shift) = (1.0, 1.0, 0.0)
    for i in (l..<m).reversed() {
        let (f, b) = (sine * e[i], cosine * e[i])
        let r = (f * f + g * g).squareRoot()
        e[i + 1] = r
        if r == 0 {
            d[i + 1] -= shift
            e[m] = 0
            return
        }
        (sine, cosine) = (f / r, g / r)
        let h = d[i + 1] - shift
        let q = (d[i] - h) * sine + 2 * cosine * b
        shift = sine * q
        d[i + 1] = h + shift
        g = cosine * q - b
    }
    d[l] -= shift
    e[l] = g
    e[m] = 0
}
