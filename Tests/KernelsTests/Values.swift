/// SplitMix64 (Steele, Lea and Flood 2014): the same values in every run of a test.
struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    /// A float in [−1, 1) of 24 random bits.
    mutating func unit() -> Float { Float(Int32(truncatingIfNeeded: next() >> 40) - 0x80_0000) * 0x1p-23 }

    /// Any bit pattern: half of the exponents are extreme, and one in 256 is infinite or NaN.
    mutating func anyBits() -> Float { Float(bitPattern: UInt32(truncatingIfNeeded: next())) }

    mutating func units(_ count: Int) -> Memory<Float> { draw(.units, count) }

    /// What sums of products of two of the values start from.
    mutating func starts(_ values: Values, _ count: Int) -> Memory<Float> {
        let memory = draw(values, count)
        if values == .tiny { for i in 0..<count { memory[i] *= 0x1p-62 } }
        return memory
    }

    mutating func draw(_ values: Values, _ count: Int) -> Memory<Float> {
        let memory = Memory<Float>(count: count)
        for i in 0..<count {
            switch values {
            case .units: memory[i] = unit()
            case .tiny:
                let bits = UInt32(truncatingIfNeeded: next())
                let exponent = UInt32(127 - 72) + (bits >> 8) % 18
                memory[i] = bits % 9 == 0 ? unit() * 0x1p-126 : Float(bitPattern: bits & 0x807f_ffff | exponent << 23)
            case .special:
                let number = Int(truncatingIfNeeded: next() >> 33) % (16 * specialValues.count)
                memory[i] = number < specialValues.count ? specialValues[number] : unit()
            }
        }
        return memory
    }
}

/// What the factors of sums are drawn from.
enum Values: CaseIterable {
    /// [−1, 1).
    case units
    /// Factors whose products lie around the least normal number, and zeros and denormals.
    case tiny
    /// As `units`, but for one in 16 of the special values.
    case special
}

/// Zeros, denormals, the ends of the range, infinities, NaNs with and without payload, and where the elementary
/// functions change their formula.
let specialValues: [Float] = {
    let positive: [Float] = [
        0, .leastNonzeroMagnitude, 0x1p-140, 0x1.fffff8p-127, .leastNormalMagnitude, 0x1p-100, 1e-9, 0x1p-25, 0x1p-24,
        0.1, 0.5, 0.624_999_94, 0.625, 0.625_000_06, 0.999_999_94, 1, 1.000_000_1, 2, 9, 10, 16.635_532, 20, 43.5, 44,
        86.999_99, 87, 87.000_01, 88, 88.000_01, 88.8, 100, 103.98, 1e9, 0x1p24, 0x1p31, 0x1p127,
        .greatestFiniteMagnitude, .infinity, .nan, .signalingNaN,
        Float(bitPattern: 0x7fc0_0001), Float(bitPattern: 0x7fff_ffff), Float(bitPattern: 0x7f80_01ff),
    ]
    return positive + positive.map { -$0 }
}()

/// The special values, then bit patterns of any kind, as many as fill a multiple of 16.
func specialAndRandomValues(atLeast count: Int, seed: UInt64) -> [Float] {
    var random = SplitMix64(seed)
    let total = roundedUp(max(count, specialValues.count))
    return specialValues + (specialValues.count..<total).map { _ in random.anyBits() }
}
