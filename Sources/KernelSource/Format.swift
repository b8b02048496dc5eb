import CSIMD

// A *place* is the space of one float. It holds one element in fp32, or two in bf16.

/// How the elements of a sum lie in memory, and how a tile takes a place of A and one of B into it. Elements that follow
/// one another in the sum are laid out in pairs, an odd one with a zero.
protocol Format {
    /// Whether elements must be laid out before they can be multiplied.
    static var mustPack: Bool { get }
    /// Places that so many elements take.
    static func places(_ count: Int) -> Int
    /// sum + a · b, elementwise, of the one or two elements of a place.
    static func multiplyAdd(_ a: Vector, _ b: Vector, _ sum: Vector) -> Vector
    /// slope · sum, of sums that are complete.
    static func scaled(_ sum: Vector, by slope: Float) -> Vector
    /// Lays out pairs of elements in each lane; places that follow one another in the sum lie `stride` apart.
    static func pack(even: Vector, odd: Vector, _ target: UnsafeMutablePointer<Float>, stride: Int)
    /// Lays out elements that lie side by side; up to a vector of places past the last may be written.
    static func packRow(_ x: UnsafePointer<Float>, count: Int, _ target: UnsafeMutablePointer<Float>)
}

/// Single precision: each element is a place.
enum Singles: Format {
    @inline(__always) static var mustPack: Bool { false }
    @inline(__always) static func places(_ count: Int) -> Int { count }
    @inline(__always) static func multiplyAdd(_ a: Vector, _ b: Vector, _ sum: Vector) -> Vector { fma(a, b, sum) }
    @inline(__always) static func scaled(_ sum: Vector, by slope: Float) -> Vector { slope * sum }

    @inline(__always)
    static func pack(even: Vector, odd: Vector, _ target: UnsafeMutablePointer<Float>, stride: Int) {
        store(even, target)
        store(odd, target + stride)
    }

    @inline(__always)
    static func packRow(_ x: UnsafePointer<Float>, count: Int, _ target: UnsafeMutablePointer<Float>) {
        var i = 0
        while i + lanes <= count {
            store(load(x + i), target + i)
            i += lanes
        }
        while i < count {
            target[i] = x[i]
            i += 1
        }
    }
}

/// Between blocks of work.
@inline(__always)
func pause(_ interlude: csimd_interlude) {
    guard let call = interlude.call else { return }
    let control = csimd_keep_denormals()
    call(interlude.context)
    csimd_set_float_control(control)
}

/// target = the columns of x, vectors[·] of them, elements of a column following one another in a sum. The places of a
/// column lie `targetRow` apart.
@inline(__always)
func packColumns<Elements: Format>(
    _: Elements.Type, _ x: UnsafePointer<Float>, rowStride: Int, depth: Int, vectors: Int,
    _ target: UnsafeMutablePointer<Float>, targetRow: Int
) {
    var source = x
    var target = target
    var k = 0
    while k < depth {
        let hasOdd = k + 1 < depth
        var v = 0
        while v < vectors {
            let odd = hasOdd ? load(source + rowStride + v * lanes) : Vector()
            Elements.pack(even: load(source + v * lanes), odd: odd, target + v * lanes, stride: targetRow)
            v += 1
        }
        source += 2 * rowStride
        target += Elements.places(2) * targetRow
        k += 2
    }
}
