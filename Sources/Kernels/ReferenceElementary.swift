// The fused multiply-add and the square root of a Float are functions of libm where the instruction may be missing.
#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

// Twins of the elementary functions in `KernelSource/Elementary.swift`, which states their errors.

extension Reference {
    /// a · b + c, rounded once.
    static func fma(_ a: Float, _ b: Float, _ c: Float) -> Float { c.addingProduct(a, b) }

    /// ((c₀ x + c₁) x + …) x + cₙ, one fused multiply-add at a time.
    private static func polynomial(_ coefficients: [Float], at x: Float) -> Float {
        var value = coefficients[0]
        for coefficient in coefficients.dropFirst() { value = fma(value, x, coefficient) }
        return value
    }

    /// eˣ = 2ⁿ eʳ, n = round(x / ln 2), r = x − n ln 2, for x clamped to [−87, 88]; NaN stays NaN.
    public static func exponential(_ x: Float) -> Float {
        let x: Float = x < -87 ? -87 : x > 88 ? 88 : x
        let shift: Float = 12_582_912
        let shifted = fma(x, 1.442_695_04, shift)
        let n = shifted - shift
        let r = fma(n, 2.121_944_4e-4, fma(n, -0.693_359_375, x))
        let p = polynomial(
            [1.987_569_15e-4, 1.398_199_95e-3, 8.333_451_9e-3, 4.166_579_6e-2, 1.666_666_55e-1, 0.5], at: r)
        let power = (Int32(bitPattern: shifted.bitPattern) &- (0x4b40_0000 - 127)) &<< 23
        return fma(p, r * r, r + 1) * Float(bitPattern: UInt32(bitPattern: power))
    }

    /// ln x = e ln 2 + ln m, x = 2ᵉ m, m in [√½, √2), for normal x > 0.
    public static func logarithm(_ x: Float) -> Float {
        let root: Int32 = 0x3f35_04f3
        let offset = Int32(bitPattern: x.bitPattern) &- root
        let e = Float(offset &>> 23)
        let m = Float(bitPattern: UInt32(bitPattern: (offset & 0x007f_ffff) &+ root)) - 1
        let p = polynomial(
            [
                7.037_683_6e-2, -1.151_461e-1, 1.167_699_9e-1, -1.242_014_1e-1, 1.424_932_3e-1, -1.666_805_8e-1,
                2.000_071_4e-1, -2.499_999_4e-1, 3.333_333_1e-1,
            ], at: m)
        let square = m * m
        var y = m * square * p
        y = fma(e, -2.121_944_4e-4, y)
        y = fma(square, -0.5, y)
        return fma(e, 0.693_359_375, m + y)
    }

    /// ln(1 + x) = ln w · x / (w − 1), w = fl(1 + x), for x in [0, 1].
    public static func logarithm1p(_ x: Float) -> Float {
        let w = x + 1
        let d = w - 1
        return d == 0 ? x : logarithm(w) * (x / d)
    }

    /// tanh x: x + x³ P(x²) where |x| < 0.625, ±(1 − 2 / (e^2|x| + 1)) elsewhere.
    public static func hyperbolicTangent(_ x: Float) -> Float {
        let size = x.magnitude
        let square = x * x
        let p = polynomial(
            [-5.704_988_7e-3, 2.063_908_9e-2, -5.373_971_5e-2, 1.333_144_2e-1, -3.333_328_2e-1], at: square)
        let large = 1 - 2 / (exponential(size + size) + 1)
        return size < 0.625
            ? fma(p * square, x, x) : Float(bitPattern: large.bitPattern | (x.bitPattern & 0x8000_0000))
    }

    /// σ(x) = 1 / (1 + e⁻ˣ).
    public static func sigmoid(_ x: Float) -> Float { 1 / (exponential(-x) + 1) }

    /// ln(1 + eˣ) = max(x, 0) + ln(1 + e^−|x|).
    public static func softplus(_ x: Float) -> Float { (x < 0 ? 0 : x) + logarithm1p(exponential(-x.magnitude)) }

    /// (cos 2πu, sin 2πu), u = word / 2³²: ±cos(πx/4) or ±sin(πx/4), x the distance to the nearest quarter turn.
    public static func cosineAndSine(turns word: UInt32) -> (cosine: Float, sine: Float) {
        let quadrant = (word &+ (1 << 29)) &>> 30
        let x = Float(Int32(bitPattern: word &- (quadrant &<< 30))) * 0x1p-29
        let square = x * x
        let s = polynomial([-3.594_544_6e-5, 2.489_992_7e-3, -8.074_543e-2, -2.468_607_5e-8], at: square)
        let sine = fma(x, 0.785_398_2, s * x)
        let cosine = polynomial([3.502_650_5e-6, -3.258_828_7e-4, 1.585_429e-2, -3.084_251_3e-1, 1], at: square)
        switch quadrant {
        case 0: return (cosine, sine)
        case 1: return (-sine, cosine)
        case 2: return (-cosine, -sine)
        default: return (sine, -cosine)
        }
    }
}
