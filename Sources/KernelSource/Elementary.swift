// Elementary functions as polynomials, the same operations on every instruction set. Coefficients and reductions
// after Cephes (Moshier 1992), single precision.

@inline(__always)
func select(_ condition: SIMDMask<Integers>, _ a: Vector, _ b: Vector) -> Vector { b.replacing(with: a, where: condition) }

/// The bits of a where the mask has ones, of b elsewhere.
@inline(__always)
func select(_ mask: Integers, _ a: Vector, _ b: Vector) -> Vector {
    floats(bits: (integers(a) & mask) | (integers(b) & ~mask))
}

@inline(__always) func integers(_ x: Vector) -> Integers { unsafeBitCast(x, to: Integers.self) }
@inline(__always) func floats(bits: Integers) -> Vector { unsafeBitCast(bits, to: Vector.self) }
@inline(__always) func words(_ x: Integers) -> Words { unsafeBitCast(x, to: Words.self) }
@inline(__always) func integers(_ x: Words) -> Integers { unsafeBitCast(x, to: Integers.self) }
@inline(__always) func magnitude(_ x: Vector) -> Vector { floats(bits: integers(x) & Integers(repeating: 0x7fff_ffff)) }

/// eˣ for x clamped to [−87, 88], error under 1.3 ulp: eˣ = 2ⁿ eʳ with |r| ≤ ln 2 / 2. NaN stays NaN.
@inline(__always)
func exponential(_ x: Vector) -> Vector {
    let low = Vector(repeating: -87)
    let high = Vector(repeating: 88)
    var x = select(x .< low, low, x)
    x = select(x .> high, high, x)
    // Adding 1.5 · 2²³ rounds to an integer and leaves it in the low bits.
    let shift = Vector(repeating: 12_582_912)
    let shifted = fma(x, Vector(repeating: 1.442_695_04), shift)
    let n = shifted - shift
    var r = fma(n, Vector(repeating: -0.693_359_375), x)
    r = fma(n, Vector(repeating: 2.121_944_4e-4), r)
    var p = Vector(repeating: 1.987_569_15e-4)
    p = fma(p, r, Vector(repeating: 1.398_199_95e-3))
    p = fma(p, r, Vector(repeating: 8.333_451_9e-3))
    p = fma(p, r, Vector(repeating: 4.166_579_6e-2))
    p = fma(p, r, Vector(repeating: 1.666_666_55e-1))
    p = fma(p, r, Vector(repeating: 0.5))
    p = fma(p, r * r, r + 1)
    // A product with 2ⁿ, not a sum of exponents, so that a NaN stays one whatever its low bits are.
    let power = (integers(shifted) &- (integers(shift) &- 127)) &<< 23
    return p * floats(bits: power)
}

/// ln x for normal x > 0, error under 0.9 ulp: x = 2ᵉ m with m in [√½, √2).
@inline(__always)
func logarithm(_ x: Vector) -> Vector {
    let offset = integers(x) &- Integers(repeating: 0x3f35_04f3)
    let e = floats(offset &>> 23)
    let m = floats(bits: (offset & Integers(repeating: 0x007f_ffff)) &+ Integers(repeating: 0x3f35_04f3)) - 1
    var p = Vector(repeating: 7.037_683_6e-2)
    p = fma(p, m, Vector(repeating: -1.151_461e-1))
    p = fma(p, m, Vector(repeating: 1.167_699_9e-1))
    p = fma(p, m, Vector(repeating: -1.242_014_1e-1))
    p = fma(p, m, Vector(repeating: 1.424_932_3e-1))
    p = fma(p, m, Vector(repeating: -1.666_805_8e-1))
    p = fma(p, m, Vector(repeating: 2.000_071_4e-1))
    p = fma(p, m, Vector(repeating: -2.499_999_4e-1))
    p = fma(p, m, Vector(repeating: 3.333_333_1e-1))
    let square = m * m
    var y = m * square * p
    y = fma(e, Vector(repeating: -2.121_944_4e-4), y)
    y = fma(square, Vector(repeating: -0.5), y)
    return fma(e, Vector(repeating: 0.693_359_375), m + y)
}

/// ln(1 + x) for x in [0, 1], error under 2.5 ulp (Kahan's correction of the rounding of 1 + x).
@inline(__always)
func logarithm1p(_ x: Vector) -> Vector {
    let w = x + 1
    let d = w - 1
    let one = Vector(repeating: 1)
    // Never below 0.
    let isZero = d .<= 0
    return select(isZero, x, logarithm(w) * (x / select(isZero, one, d)))
}

/// tanh x, error under 1.5 ulp; NaN stays NaN: an odd polynomial under 0.625, 1 − 2 / (e²ˣ + 1) above.
@inline(__always)
func hyperbolicTangent(_ x: Vector) -> Vector {
    let size = magnitude(x)
    let square = x * x
    var p = Vector(repeating: -5.704_988_7e-3)
    p = fma(p, square, Vector(repeating: 2.063_908_9e-2))
    p = fma(p, square, Vector(repeating: -5.373_971_5e-2))
    p = fma(p, square, Vector(repeating: 1.333_144_2e-1))
    p = fma(p, square, Vector(repeating: -3.333_328_2e-1))
    let small = fma(p * square, x, x)
    let large = Vector(repeating: 1) - Vector(repeating: 2) / (exponential(size + size) + 1)
    let sign = integers(x) & Integers(repeating: Int32.min)
    return select(size .< Vector(repeating: 0.625), small, floats(bits: integers(large) | sign))
}

extension Implementation {
    /// σ(x) = 1 / (1 + e⁻ˣ), relative error under 2e-7 for x ≥ −87, 6e-39 below −88. NaN stays NaN.
    @inline(__always)
    static func sigmoid(_ x: Vector) -> Vector { Vector(repeating: 1) / (exponential(-x) + 1) }

    /// ln(1 + eˣ) = max(x, 0) + ln(1 + e^−|x|), relative error under 2.5e-7 for x ≥ −87, 2e-38 below. NaN stays NaN.
    @inline(__always)
    static func softplus(_ x: Vector) -> Vector {
        select(x .< 0, Vector(), x) + logarithm1p(exponential(-magnitude(x)))
    }
}

/// (cos 2πu, sin 2πu) of u = word / 2³², absolute error under 7e-8. The quadrant comes from the word's bits, and the
/// polynomials take the rest in eighths of a turn, an exact scaling, so that 2π is never rounded into the angle.
@inline(__always)
func cosineAndSine(turns word: Words) -> (cosine: Vector, sine: Vector) {
    let quadrant = (word &+ Words(repeating: 1 << 29)) &>> 30
    let x = floats(integers(word &- (quadrant &<< 30))) * Vector(repeating: 0x1p-29)
    let square = x * x
    var s = Vector(repeating: -3.594_544_6e-5)
    s = fma(s, square, Vector(repeating: 2.489_992_7e-3))
    s = fma(s, square, Vector(repeating: -8.074_543e-2))
    s = fma(s, square, Vector(repeating: -2.468_607_5e-8))
    let sine = fma(x, Vector(repeating: 0.785_398_2), s * x)
    var c = Vector(repeating: 3.502_650_5e-6)
    c = fma(c, square, Vector(repeating: -3.258_828_7e-4))
    c = fma(c, square, Vector(repeating: 1.585_429e-2))
    c = fma(c, square, Vector(repeating: -3.084_251_3e-1))
    let cosine = fma(c, square, Vector(repeating: 1))
    // All bits or none: Swift compares integers lane by lane.
    let swaps = Integers() &- (integers(quadrant) & 1)
    let negatesCosine = ((quadrant &+ 1) & 2) &<< 30
    let negatesSine = (quadrant & 2) &<< 30
    return (
        floats(bits: integers(select(swaps, sine, cosine)) ^ integers(negatesCosine)),
        floats(bits: integers(select(swaps, cosine, sine)) ^ integers(negatesSine))
    )
}
