import MessagePassing

/// T = Σₙ x̃ₙ ⊗ x̃ₙ ⊗ x̃ₙ over pictures, x̃ = (x, 1): all that the kernel distance needs of a set. The sums of the first and
/// second order are those elements of T with an index of the 1.
///
/// With the kernel k(x, y) = (x·y / d + 1)³ = (Σᵢ gᵢ x̃ᵢ ỹᵢ)³ / d³, g = 1 for features and d for the 1,
/// Σₙₘ k(xₙ, yₘ) = Σᵢⱼₖ gᵢ gⱼ gₖ Tᵢⱼₖ Uᵢⱼₖ / d³: in time that grows with the pictures, not with their pairs.
final class ThirdMoment {
    let count: Int
    let dimension: Int
    /// Σₙ k(xₙ, xₙ)
    let diagonal: Double

    private let world: World
    private let panels: Int
    /// The first indices i ≤ j ≤ k of the elements that this rank holds.
    private let slices: [Int]
    /// Of each slice the tiles of j and k, [4, 4], by panels j ≤ k from that of i on.
    private let tiles: UnsafeMutablePointer<SIMD4<Double>>

    /// Computed by all ranks, which each hold some slices.
    init(_ features: Features, world: World) {
        self.world = world
        (count, dimension) = (features.count, features.dimension)
        let degree = Double(features.dimension)
        diagonal = (0..<features.count).reduce(0) { sum, picture in
            let k = Features.squaredNorm(features[picture], stride: features.stride) / degree + 1
            return sum + k * k * k
        }
        let x = FeaturePanels(dimension: dimension + 1)
        let factor = FactorPanel()
        defer {
            x.deallocate()
            factor.deallocate()
        }
        let panels = x.panels
        self.panels = panels
        slices = world.dealt(dimension + 1)
        let size = slices.reduce(0) { $0 + ThirdMoment.tiles($1, panels: panels) }
        tiles = .allocate(capacity: 4 * size)
        tiles.initialize(repeating: SIMD4(), count: 4 * size)
        for block in FeaturePanels.blocks(of: count) {
            x.fill(features, block)
            x.fill(feature: dimension, 1)
            var tile = tiles
            for i in slices {
                let weights = x[i / 4]
                for j in i / 4..<panels {
                    let source = x[j]
                    factor.fill(block.count) { n in weights[n][i % 4] * source[n] }                     // xᵢ xⱼ, exact
                    for k in j..<panels {
                        factor.addProducts(x[k], pictures: block.count, to: tile)                       // += xᵢ xⱼ xₖ
                        tile += 4
                    }
                }
            }
        }
    }

    deinit { tiles.deallocate() }

    private static func tiles(_ slice: Int, panels: Int) -> Int {
        let rows = panels - slice / 4
        return rows * (rows + 1) / 2
    }

    /// Σₙₘ k(xₙ, yₘ), computed by all ranks: slice by slice.
    func kernelSum(_ other: ThirdMoment) throws -> Double {
        precondition(dimension == other.dimension, "features of \(dimension) and of \(other.dimension)")
        let degree = Double(dimension)
        var sums: [Double] = []
        var tile = 0
        for i in slices {
            var sum = 0.0
            for j in i / 4..<panels {
                for k in j..<panels {
                    for lane in 0..<4 {
                        let products = tiles[tile + lane] * other.tiles[tile + lane]
                        for column in 0..<4 { sum += weight(i, 4 * j + lane, 4 * k + column, degree) * products[column] }
                    }
                    tile += 4
                }
            }
            sums.append(sum)
        }
        let all = try world.gatherDealt(sums, of: dimension + 1)
        return all.reduce(0, +) / (degree * degree * degree)
    }

    /// How often an element of T counts, times gᵢ gⱼ gₖ.
    private func weight(_ i: Int, _ j: Int, _ k: Int, _ degree: Double) -> Double {
        guard i <= j && j <= k && k <= dimension else { return 0 }
        var weight: Double = i == k ? 1 : i == j || j == k ? 3 : 6
        if i == dimension { weight *= degree }
        if j == dimension { weight *= degree }
        if k == dimension { weight *= degree }
        return weight
    }

    /// The kernel Inception distance (Bińkowski et al. 2018), the unbiased estimate over all pictures of the squared maximum
    /// mean discrepancy, Σ_{n≠m} k(xₙ, xₘ) / (N(N − 1)) + Σ_{n≠m} k(yₙ, yₘ) / (M(M − 1)) − 2 Σₙₘ k(xₙ, yₘ) / (NM). It may be
    /// slightly negative. Computed by all ranks.
    /// - Precondition: both have two pictures or more.
    func kernelDistance(to other: ThirdMoment) throws -> Double {
        try meanOfPairs + other.meanOfPairs - 2 * kernelSum(other) / (Double(count) * Double(other.count))
    }

    /// Σ_{n≠m} k(xₙ, xₘ) / (N(N − 1))
    private var meanOfPairs: Double {
        get throws {
            precondition(count >= 2, "pairs of \(count) pictures")
            return try (kernelSum(self) - diagonal) / (Double(count) * Double(count - 1))
        }
    }
}
