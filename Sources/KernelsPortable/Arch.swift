import CSIMD

// What differs between the instruction sets: the vector, the register tile, and the fused multiply-add.

typealias Vector = SIMD4<Float>
typealias HalfVector = SIMD2<Float>
typealias Doubles = SIMD4<Double>
typealias Words = SIMD4<UInt32>
typealias Integers = SIMD4<Int32>
typealias Bytes = SIMD4<UInt8>

/// Floats in a vector.
@inline(__always) var lanes: Int { 4 }
/// 0, 1, 2 …
@inline(__always) var laneNumbers: Words { Words(0, 1, 2, 3) }
/// Vectors in a row of the widest register tile of six rows: it fits 32 registers on NEON; SSE2 spills, but its software FMA dominates.
@inline(__always) var tileVectors: Int { 2 }
/// Rows of the tallest register tile of a weight gradient.
@inline(__always) var gradientRows: Int { 4 }
/// Whether the tiles of a weight gradient take two shards side by side.
@inline(__always) var keepsPairs: Bool { false }
/// Depth of a block of a product: a panel of 8 columns fills 8 KiB.
@inline(__always) var blockDepth: Int { 256 }
/// Whether to ask for rows of a product's weights ahead of packing them.
@inline(__always) var prefetchesGroups: Bool { true }

#if arch(arm64)
/// a · b + c, rounded once.
@inline(__always) func fma(_ a: Vector, _ b: Vector, _ c: Vector) -> Vector { c.addingProduct(a, b) }
/// `fma` while denormals are flushed.
@inline(__always) func flushedFMA(_ a: Vector, _ b: Vector, _ c: Vector) -> Vector { csimd_flushed_fma4(a, b, c) }
/// a · x while denormals are flushed: −0 leaves every product as it is.
@inline(__always) func flushedProduct(_ a: Float, _ x: Vector) -> Vector {
    flushedFMA(Vector(repeating: a), x, Vector(repeating: -0.0))
}
#else
/// a · b + c, rounded once, on a CPU that may lack the instruction.
@inline(__always) func fma(_ a: Vector, _ b: Vector, _ c: Vector) -> Vector { csimd_soft_fma4(a, b, c) }
/// `fma` while denormals are flushed.
@inline(__always) func flushedFMA(_ a: Vector, _ b: Vector, _ c: Vector) -> Vector { fma(a, b, c) }
/// a · x while denormals are flushed.
@inline(__always) func flushedProduct(_ a: Float, _ x: Vector) -> Vector { a * x }
#endif

/// The first `count` elements, fewer than a vector holds, and zeros.
@inline(__always) func loadFirst(_ x: UnsafePointer<Float>, _ count: Int) -> Vector { gather(x, 1, count) }
@inline(__always) func squareRoot(_ x: Vector) -> Vector { csimd_sqrt4(x) }
/// Neighbours exchanged.
@inline(__always) func swappedPairs(_ x: Vector) -> Vector { csimd_swap_pairs4(x) }
/// Elements of a and b in turn, of their first halves and of their second halves.
@inline(__always) func zipLow(_ a: Vector, _ b: Vector) -> Vector { csimd_zip_low4(a, b) }
@inline(__always) func zipHigh(_ a: Vector, _ b: Vector) -> Vector { csimd_zip_high4(a, b) }
/// The same of each half by itself.
@inline(__always) func zipHalvesLow(_ a: Vector, _ b: Vector) -> Vector { csimd_zip_halves_low4(a, b) }
@inline(__always) func zipHalvesHigh(_ a: Vector, _ b: Vector) -> Vector { csimd_zip_halves_high4(a, b) }
@inline(__always) func doubles(_ x: Vector) -> Doubles { csimd_to_double4(x) }
@inline(__always) func floats(_ x: Bytes) -> Vector { csimd_from_bytes4(x) }
@inline(__always) func floats(_ x: Integers) -> Vector { csimd_from_int4(x) }
@inline(__always) func floats(_ x: Words) -> Vector { csimd_from_uint4(x) }
@inline(__always) func multiplyHigh(_ a: Words, _ b: Words) -> Words { csimd_multiply_high4(a, b) }
