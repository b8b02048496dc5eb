import CSIMD
import Kernels
import Testing

/// The portable path's software FMA and the products of every instruction set against `addingProduct`.
@Suite struct FusedMultiplyAddTests {
    enum Operands: CaseIterable {
        /// Any bit patterns, infinities and NaNs among them.
        case any
        /// Exponents close enough that all three matter.
        case near
        /// c = −fl(a · b), give or take a few units in the last place: what remains is the rounding error.
        case cancelling
        /// a · b + c within a hair of the middle of two floats.
        case halfway
        /// Results around and below the least normal number.
        case denormal
        /// Results around the greatest finite number.
        case huge
    }

    private static func triple(_ operands: Operands, _ random: inout SplitMix64) -> (a: Float, b: Float, c: Float) {
        func float(_ exponent: ClosedRange<Int>) -> Float {
            let significand = UInt32(truncatingIfNeeded: random.next()) & 0x807f_ffff
            return Float(bitPattern: significand | UInt32(Int.random(in: exponent, using: &random) + 127) << 23)
        }
        switch operands {
        case .any: return (random.anyBits(), random.anyBits(), random.anyBits())
        case .near: return (float(-14...14), float(-14...14), float(-30...30))
        case .cancelling:
            let (a, b) = (float(-20...20), float(-20...20))
            let product = a * b
            return (a, b, -(product + Float(Int.random(in: -2...2, using: &random)) * product.ulp))
        case .halfway:
            let c = float(-20...20)
            guard Bool.random(using: &random) else { return Self.nearly(Double(c.ulp) / 2, plus: c, &random) }
            return (c.ulp, Float(Int.random(in: -4...4, using: &random)) / 4, c)
        case .denormal:
            let c = Float(bitPattern: UInt32(truncatingIfNeeded: random.next()) & 0x81ff_ffff)
            guard Bool.random(using: &random) else { return Self.nearly(0x1p-150, plus: c, &random) }
            return (float(-80 ... -50), float(-99 ... -48), Bool.random(using: &random) ? c : 0)
        case .huge: return (float(40...70), float(50...64), float(120...127))
        }
    }

    /// a · b = ±half (1 ± 2⁻⁴⁶): too little beside c for a double to tell on which side of the middle the sum lies.
    private static func nearly(_ half: Double, plus c: Float, _ random: inout SplitMix64) -> (
        a: Float, b: Float, c: Float
    ) {
        // The factors of 2⁴⁶ + 1 and of 2⁴⁶ − 1 that fit a float.
        let (first, second): (Float, Double) =
            Bool.random(using: &random) ? (8_384_513, 8_392_705) : (8_388_607, 8_388_609)
        let sign: Float = Bool.random(using: &random) ? 1 : -1
        // The first takes the exponent out of the range of denormals.
        return (sign * first * 0x1p-63, Float(second * 0x1p17 * half), c)
    }

    @Test(arguments: Operands.allCases)
    func softwareEqualsCorrectlyRounded(operands: Operands) {
        var random = SplitMix64(UInt64(Operands.allCases.firstIndex(of: operands)!))
        for _ in 0..<25_000 {
            var (a, b, c) = (SIMD16<Float>(), SIMD16<Float>(), SIMD16<Float>())
            for lane in 0..<16 { (a[lane], b[lane], c[lane]) = Self.triple(operands, &random) }
            let software = csimd_soft_fma16(a, b, c)
            for lane in 0..<16 {
                let exact = c[lane].addingProduct(a[lane], b[lane])
                if areSame(software[lane], exact) { continue }
                Issue.record("\(a[lane]) · \(b[lane]) + \(c[lane]): \(software[lane]), not \(exact)")
                return
            }
        }
    }

    /// Every special value with every other two.
    @Test func softwareEqualsCorrectlyRoundedAtSpecialValues() {
        for a in specialValues {
            for b in specialValues {
                for c in specialValues {
                    let software = csimd_soft_fma4(.init(repeating: a), .init(repeating: b), .init(repeating: c))[0]
                    let exact = c.addingProduct(a, b)
                    if !areSame(software, exact) { Issue.record("\(a) · \(b) + \(c): \(software), not \(exact)") }
                }
            }
        }
    }

    /// bias[m] + A[m, 0] B[0, n]: the FMA as compiled into each instruction set's kernels.
    @Test(arguments: Operands.allCases)
    func productsAreFused(operands: Operands) {
        var random = SplitMix64(99)
        let (rows, columns) = (512, 256)
        var (a, b, c): ([Float], [Float], [Float]) = ([], [], [])
        for _ in 0..<rows {
            let t = Self.triple(operands, &random)
            a.append(t.a)
            c.append(t.c)
            b.append(t.b)
        }
        let (left, right, bias) = (Memory(a), Memory(Array(b.prefix(columns))), Memory(c))
        func result(_ kernels: Kernels) -> Memory<Float> {
            let output = Memory<Float>(count: rows * columns)
            let workspace = Memory<Float>(count: GEMM.workspaceCount)
            defer { keep(workspace) }
            var arguments = GEMM(
                a: left.base, a_row: 1, a_depth: 1, b: right.base, b_depth: columns, c: output.base, c_row: columns,
                rows: rows, columns: columns, depth: 1, bias: bias.base, gate: nil, gate_row: 0, rectifies: 0, slope: 0,
                workspace: workspace.base, interlude: .none)
            kernels.gemm(&arguments)
            return output
        }
        for family in families {
            let twin = result(family.twin)
            for kernels in family.tables {
                #expect(result(kernels).difference(from: twin) == nil, "\(kernels.name)")
            }
        }
    }
}
