/// Features of a block of pictures in double, four features side by side: [panels, 128, 4]. What sums of products of
/// features read then lies in a row.
struct FeaturePanels {
    /// The most pictures of a block.
    static let pictures = 128

    let panels: Int
    private let base: UnsafeMutablePointer<SIMD4<Double>>

    /// Room for so many features, rounded up to whole panels; zeros at first.
    init(dimension: Int) {
        panels = (dimension + 3) / 4
        base = .allocate(capacity: panels * FeaturePanels.pictures)
        base.initialize(repeating: SIMD4(), count: panels * FeaturePanels.pictures)
    }

    func deallocate() { base.deallocate() }

    /// [128, 4]
    @inline(__always)
    subscript(panel: Int) -> UnsafeMutablePointer<SIMD4<Double>> { base + panel * FeaturePanels.pictures }

    /// The blocks of so many pictures.
    static func blocks(of count: Int) -> [Range<Int>] {
        stride(from: 0, to: count, by: pictures).map { $0..<min($0 + pictures, count) }
    }

    /// x − origin of the pictures.
    func fill(_ features: Features, _ pictures: Range<Int>, origin: [Double]? = nil) {
        for panel in 0..<(features.dimension + 3) / 4 {
            var shift = SIMD4<Double>()
            if let origin { for lane in 0..<min(4, origin.count - 4 * panel) { shift[lane] = origin[4 * panel + lane] } }
            let target = self[panel]
            for (n, picture) in pictures.enumerated() {
                let x = UnsafeRawPointer(features[picture] + 4 * panel).loadUnaligned(as: SIMD4<Float>.self)
                target[n] = SIMD4<Double>(x) - shift
            }
        }
    }

    /// Sets a feature of all pictures.
    func fill(feature: Int, _ value: Double) {
        for n in 0..<FeaturePanels.pictures { self[feature / 4][n][feature % 4] = value }
    }
}

/// A panel of four features as the first factor of products: each number twice, so that it meets two others at once.
struct FactorPanel {
    /// [128, 4]
    private let base: UnsafeMutablePointer<SIMD2<Double>>

    init() { base = .allocate(capacity: 4 * FeaturePanels.pictures) }

    func deallocate() { base.deallocate() }

    /// Takes the numbers of pictures 0 ..< count.
    @inline(__always)
    func fill(_ count: Int, _ values: (_ picture: Int) -> SIMD4<Double>) {
        var n = 0
        while n < count {
            let value = values(n)
            let target = base + 4 * n
            target[0] = SIMD2(repeating: value[0])
            target[1] = SIMD2(repeating: value[1])
            target[2] = SIMD2(repeating: value[2])
            target[3] = SIMD2(repeating: value[3])
            n += 1
        }
    }

    /// sums[j, k] += Σₙ a[n, j] b[n, k] for this panel's four j and four k of another: n ascending, one product and one
    /// addition at a time.
    @inline(never)
    func addProducts(
        _ b: UnsafePointer<SIMD4<Double>>, pictures: Int, to sums: UnsafeMutablePointer<SIMD4<Double>>
    ) {
        var (sum0, sum1, sum2, sum3) = (sums[0], sums[1], sums[2], sums[3])
        var (a, b) = (base, b)
        for _ in 0..<pictures {
            sum0 += SIMD4(lowHalf: a[0], highHalf: a[0]) * b[0]
            sum1 += SIMD4(lowHalf: a[1], highHalf: a[1]) * b[0]
            sum2 += SIMD4(lowHalf: a[2], highHalf: a[2]) * b[0]
            sum3 += SIMD4(lowHalf: a[3], highHalf: a[3]) * b[0]
            a += 4
            b += 1
        }
        (sums[0], sums[1], sums[2], sums[3]) = (sum0, sum1, sum2, sum3)
    }
}
