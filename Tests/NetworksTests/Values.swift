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

    mutating func units(_ count: Int) -> [Float] { (0..<count).map { _ in unit() } }
}
