// eˣ and ln x in double, of additions, multiplications and divisions in a fixed order: the same on every machine, which the
// functions of a C library are not.

/// eˣ = 2ⁿ eʳ, n = round(x / ln 2), r = x − n ln 2, eʳ by its series up to r¹³. Relative error below 1e-15 for
/// −708 ≤ x ≤ 709; 0 below, infinity above.
func exponential(_ x: Double) -> Double {
    guard x >= -708 else { return x.isNaN ? x : 0 }
    guard x <= 709 else { return .infinity }
    let n = (x * 1.442_695_040_888_963_4 + (x < 0 ? -0.5 : 0.5)).rounded(.towardZero)
    // ln 2 in two parts, so that n times the first is exact.
    let r = (x - n * 6.931_471_803_691_238e-1) - n * 1.908_214_929_270_587_7e-10
    var sum = 1.0
    var k = 13.0
    while k > 0 {
        sum = 1 + r / k * sum
        k -= 1
    }
    return sum * Double(sign: .plus, exponent: Int(n), significand: 1)
}

/// ln x = e ln 2 + ln m, x = 2ᵉ m, m in [√½, √2), ln m = 2 (s + s³ / 3 + … + s²¹ / 21), s = (m − 1) / (m + 1). Relative error
/// below 1e-15 for normal x > 0.
func logarithm(_ x: Double) -> Double {
    precondition(x.isNormal && x > 0, "the logarithm of \(x)")
    var (exponent, m) = (Double(x.exponent), x.significand)
    if m > 1.414_213_562_373_095_1 {
        m /= 2
        exponent += 1
    }
    let s = (m - 1) / (m + 1)
    let square = s * s
    var sum = 0.0
    var k = 21.0
    while k > 1 {
        sum = (sum + 1 / k) * square
        k -= 2
    }
    let small = exponent * 1.908_214_929_270_587_7e-10 + 2 * s * sum
    return exponent * 6.931_471_803_691_238e-1 + (2 * s + small)
}
