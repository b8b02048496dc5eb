import CSIMD

// What differs between the instruction sets: the vector, the register tile, and the fused multiply-add.

typealias Vector = SIMD8<Float>
typealias HalfVector = SIMD4<Float>
typealias Doubles = SIMD8<Double>
typealias Words = SIMD8<UInt32>
typealias Integers = SIMD8<Int32>
typealias Bytes = SIMD8<UInt8>

/// Floats in a vector.
@inline(__always) var lanes: Int { 8 }
/// 0, 1, 2 …
@inline(__always) var laneNumbers: Words { Words(0, 1, 2, 3, 4, 5, 6, 7) }
/// Vectors in a row of the widest register tile of six rows: 12 accumulators, 2 vectors of B and a broadcast in 16 registers.
@inline(__always) var tileVectors: Int { 2 }
/// Rows of the tallest register tile of a weight gradient.
@inline(__always) var gradientRows: Int { 4 }
/// Whether the tiles of a weight gradient take two shards side by side.
@inline(__always) var keepsPairs: Bool { false }
/// Depth of a block of a product: a panel of 16 columns fills 16 KiB.
@inline(__always) var blockDepth: Int { 256 }

/// Whether to ask for rows of a product's weights ahead of packing them.
@inline(__always) var prefetchesGroups: Bool { true }

/// a · b + c, rounded once.
@inline(__always) func fma(_ a: Vector, _ b: Vector, _ c: Vector) -> Vector { c.addingProduct(a, b) }
/// `fma` while denormals are flushed.
@inline(__always) func flushedFMA(_ a: Vector, _ b: Vector, _ c: Vector) -> Vector { fma(a, b, c) }
/// a · x while denormals are flushed.
@inline(__always) func flushedProduct(_ a: Float, _ x: Vector) -> Vector { a * x }

/// The first `count` elements, fewer than a vector holds, and zeros.
@inline(__always) func loadFirst(_ x: UnsafePointer<Float>, _ count: Int) -> Vector { gather(x, 1, count) }
@inline(__always) func squareRoot(_ x: Vector) -> Vector { csimd_sqrt8(x) }
/// Neighbours exchanged.
@inline(__always) func swappedPairs(_ x: Vector) -> Vector { csimd_swap_pairs8(x) }
/// Elements of a and b in turn, of their first halves and of their second halves.
@inline(__always) func zipLow(_ a: Vector, _ b: Vector) -> Vector { csimd_zip_low8(a, b) }
@inline(__always) func zipHigh(_ a: Vector, _ b: Vector) -> Vector { csimd_zip_high8(a, b) }
/// The same of each half by itself.
@inline(__always) func zipHalvesLow(_ a: Vector, _ b: Vector) -> Vector { csimd_zip_halves_low8(a, b) }
@inline(__always) func zipHalvesHigh(_ a: Vector, _ b: Vector) -> Vector { csimd_zip_halves_high8(a, b) }
@inline(__always) func doubles(_ x: Vector) -> Doubles { csimd_to_double8(x) }
@inline(__always) func floats(_ x: Bytes) -> Vector { csimd_from_bytes8(x) }
@inline(__always) func floats(_ x: Integers) -> Vector { csimd_from_int8(x) }
@inline(__always) func floats(_ x: Words) -> Vector { csimd_from_uint8(x) }
@inline(__always) func multiplyHigh(_ a: Words, _ b: Words) -> Words { csimd_multiply_high8(a, b) }
