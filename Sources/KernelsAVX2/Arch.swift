import CSIMD

// What differs between the instruction sets: the vector, the register tile, and the fused multiply-add.

typealias Vector = SIMD8<Float>
typealias Doubles = SIMD8<Double>
typealias Words = SIMD8<UInt32>
typealias Integers = SIMD8<Int32>
typealias Bytes = SIMD8<UInt8>

/// Floats in a vector.
@inline(__always) var lanes: Int { 8 }
/// Vectors in a row of the widest register tile of six rows: 12 accumulators, 2 vectors of B and a broadcast in 16 registers.
@inline(__always) var tileVectors: Int { 2 }
/// Rows of the tallest register tile of a weight gradient.
@inline(__always) var gradientRows: Int { 4 }
/// Columns of B in a register tile whose lanes are rows of A: 12 accumulators with the three vectors of a group.
@inline(__always) var tileColumns: Int { 4 }
typealias ColumnTile<let Vectors: Int> = Tile<4, Vectors>
/// Depth of a block of a product: a panel of 16 columns fills 16 KiB.
@inline(__always) var blockDepth: Int { 256 }

/// a · b + c, rounded once.
@inline(__always) func fma(_ a: Vector, _ b: Vector, _ c: Vector) -> Vector { c.addingProduct(a, b) }
/// `fma` while denormals are flushed.
@inline(__always) func flushedFMA(_ a: Vector, _ b: Vector, _ c: Vector) -> Vector { fma(a, b, c) }

@inline(__always) func squareRoot(_ x: Vector) -> Vector { csimd_sqrt8(x) }
/// Neighbours exchanged.
@inline(__always) func swappedPairs(_ x: Vector) -> Vector { csimd_swap_pairs8(x) }
@inline(__always) func doubles(_ x: Vector) -> Doubles { csimd_to_double8(x) }
@inline(__always) func floats(_ x: Bytes) -> Vector { csimd_from_bytes8(x) }
@inline(__always) func floats(_ x: Integers) -> Vector { csimd_from_int8(x) }
@inline(__always) func floats(_ x: Words) -> Vector { csimd_from_uint8(x) }
@inline(__always) func multiplyHigh(_ a: Words, _ b: Words) -> Words { csimd_multiply_high8(a, b) }
