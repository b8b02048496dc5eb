import CSIMD

// What differs between the instruction sets: the vector, the register tile, and the fused multiply-add.

typealias Vector = SIMD16<Float>
typealias HalfVector = SIMD8<Float>
typealias Doubles = SIMD16<Double>
typealias Words = SIMD16<UInt32>
typealias Integers = SIMD16<Int32>
typealias Bytes = SIMD16<UInt8>

/// Floats in a vector.
@inline(__always) var lanes: Int { 16 }
/// 0, 1, 2 …
@inline(__always) var laneNumbers: Words { Words(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) }
/// Vectors in a row of the widest register tile of six rows: 24 accumulators, 4 vectors of B and a broadcast in 32 registers.
@inline(__always) var tileVectors: Int { 4 }
/// Rows of the tallest register tile of a weight gradient: the sums of two shards fit 24 registers.
@inline(__always) var gradientRows: Int { 3 }
/// Whether the tiles of a weight gradient take two shards side by side.
@inline(__always) var keepsPairs: Bool { true }
/// Depth of a block of a product: a panel of 64 columns fills 16 KiB.
@inline(__always) var blockDepth: Int { 64 }

/// Whether to ask for rows of a product's weights ahead of packing them; an Intel Xeon (Emerald Rapids) loses by it.
@inline(__always) var prefetchesGroups: Bool { false }

/// a · b + c, rounded once.
@inline(__always) func fma(_ a: Vector, _ b: Vector, _ c: Vector) -> Vector { c.addingProduct(a, b) }
/// `fma` while denormals are flushed.
@inline(__always) func flushedFMA(_ a: Vector, _ b: Vector, _ c: Vector) -> Vector { fma(a, b, c) }
/// a · x while denormals are flushed.
@inline(__always) func flushedProduct(_ a: Float, _ x: Vector) -> Vector { a * x }

/// The first `count` elements, fewer than a vector holds, and zeros.
@inline(__always) func loadFirst(_ x: UnsafePointer<Float>, _ count: Int) -> Vector { csimd_load_first(x, Int64(count)) }
@inline(__always) func squareRoot(_ x: Vector) -> Vector { csimd_sqrt16(x) }
/// Neighbours exchanged.
@inline(__always) func swappedPairs(_ x: Vector) -> Vector { csimd_swap_pairs16(x) }
/// Elements of a and b in turn, of their first halves and of their second halves.
@inline(__always) func zipLow(_ a: Vector, _ b: Vector) -> Vector { csimd_zip_low16(a, b) }
@inline(__always) func zipHigh(_ a: Vector, _ b: Vector) -> Vector { csimd_zip_high16(a, b) }
/// The same of each half by itself.
@inline(__always) func zipHalvesLow(_ a: Vector, _ b: Vector) -> Vector { csimd_zip_halves_low16(a, b) }
@inline(__always) func zipHalvesHigh(_ a: Vector, _ b: Vector) -> Vector { csimd_zip_halves_high16(a, b) }
@inline(__always) func doubles(_ x: Vector) -> Doubles { csimd_to_double16(x) }
@inline(__always) func floats(_ x: Bytes) -> Vector { csimd_from_bytes16(x) }
@inline(__always) func floats(_ x: Integers) -> Vector { csimd_from_int16(x) }
@inline(__always) func floats(_ x: Words) -> Vector { csimd_from_uint16(x) }
@inline(__always) func multiplyHigh(_ a: Words, _ b: Words) -> Words { csimd_multiply_high16(a, b) }
