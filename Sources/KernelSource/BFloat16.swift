import CSIMD

// Products in bf16, the upper half of a Float, with sums in single precision. Elements that follow one another in a sum
// are taken in pairs, the second of them first:
//
//     sum = fma(a₀, b₀, fma(a₁, b₁, sum)),
//
// where a and b are rounded to nearest even, each fma is rounded to nearest even, and a denormal is a zero of its sign
// wherever it comes up, as operand or as result. The second of an odd element's pair is zero. It is what the instruction
// vdpbf16ps does with a pair (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2), and what two
// ordinary fused multiply-adds do while denormals are flushed. Whatever else happens in such a kernel (the rectifier, the
// tree over shards) is done while denormals are flushed, on every instruction set.

/// Pairs multiplied by two fused multiply-adds of single precision: the second element's place comes first.
enum SeparatedPairs: Format {
    @inline(__always) static var mustPack: Bool { true }
    @inline(__always) static func places(_ count: Int) -> Int { (count + 1) & ~1 }
    @inline(__always) static func multiplyAdd(_ a: Vector, _ b: Vector, _ sum: Vector) -> Vector { flushedFMA(a, b, sum) }
    @inline(__always) static func scaled(_ sum: Vector, by slope: Float) -> Vector { flushedProduct(slope, sum) }

    @inline(__always)
    static func pack(even: Vector, odd: Vector, _ target: UnsafeMutablePointer<Float>, stride: Int) {
        store(roundedToBFloat16(odd), target)
        store(roundedToBFloat16(even), target + stride)
    }

    @inline(__always)
    static func packRow(_ x: UnsafePointer<Float>, count: Int, _ target: UnsafeMutablePointer<Float>) {
        var i = 0
        while i < count {
            let elements = count - i < lanes ? loadFirst(x + i, count - i) : load(x + i)
            store(swappedPairs(roundedToBFloat16(elements)), target + i)
            i += lanes
        }
    }
}

/// The nearest bf16, the even one of two; a denormal becomes a zero of its sign, and a NaN stays one.
@inline(__always)
func roundedToBFloat16(_ x: Vector) -> Vector {
    let bits = unsafeBitCast(x, to: Words.self)
    var rounded = (bits &+ 0x7fff &+ ((bits &>> 16) & 1)) & 0xffff_0000
    rounded.replace(with: bits & 0x8000_0000, where: magnitude(x) .< Float.leastNormalMagnitude)
    rounded.replace(with: (bits | 0x40_0000) & 0xffff_0000, where: .!(x .<= x))
    return unsafeBitCast(rounded, to: Vector.self)
}

extension Implementation {
    /// `product` in bf16.
    public static func bfloat16GEMM(_ arguments: UnsafePointer<csimd_gemm>) {
        let before = csimd_flush_denormals()
        gemm(SeparatedPairs.self, arguments.pointee)
        csimd_set_float_control(before)
    }

    /// `convolution` in bf16: the channels of a tap are a sum of their own pairs.
    public static func bfloat16Convolution(_ arguments: UnsafePointer<csimd_convolution>) {
        let before = csimd_flush_denormals()
        convolution(SeparatedPairs.self, arguments.pointee)
        csimd_set_float_control(before)
    }

    /// `convolutionGradient` in bf16: the rows of a shard at a pixel are a sum of their own pairs.
    public static func bfloat16ConvolutionGradient(_ arguments: UnsafePointer<csimd_convolution_gradient>) {
        let before = csimd_flush_denormals()
        convolutionGradient(SeparatedPairs.self, arguments.pointee)
        csimd_set_float_control(before)
    }

    /// `weightGradient` in bf16: the rows of a shard in a pass are a sum of their own pairs.
    public static func bfloat16WeightGradient(_ arguments: UnsafePointer<csimd_weight_gradient>) {
        let before = csimd_flush_denormals()
        pairedWeightGradient(SeparatedPairs.self, arguments.pointee)
        csimd_set_float_control(before)
    }

    /// `treeSum`, denormals flushed: the tree over shards of bf16 products, whether within a kernel or between ranks.
    public static func flushedTreeSum(
        _ leaves: UnsafePointer<UnsafePointer<Float>>, merges: UnsafePointer<Int32>, leafCount: Int, offset: Int,
        _ out: UnsafeMutablePointer<Float>, count: Int, scratch: UnsafeMutablePointer<Float>
    ) -> Bool {
        let before = csimd_flush_denormals()
        let isFinite = treeSum(leaves, merges: merges, leafCount: leafCount, offset: offset, out, count: count, scratch: scratch)
        csimd_set_float_control(before)
        return isFinite
    }

    /// A weight gradient of elements that must be packed: all of A at once, B panel by panel.
    @inline(__always)
    static func pairedWeightGradient<Elements: Format>(_ elements: Elements.Type, _ p: csimd_weight_gradient) {
        // Sums that round to bf16 always have one.
        let workspace = p.workspace.unsafelyUnwrapped
        // The shards with places for counts, then A [rows, passes, places], then a panel of B [passes, places, 64].
        let shards = UnsafeMutableRawPointer(workspace).bindMemory(to: csimd_shard_sum.self, capacity: p.shard_count)
        var places = 0
        var s = 0
        while s < p.shard_count {
            shards[s] = p.shards[s]
            let count = Elements.places(Int(p.shards[s].count))
            shards[s].count = Int32(count)
            places += count
            s += 1
        }
        let a = workspace + (3 * p.shard_count + 15) & ~15
        let b = a + (p.rows * p.passes * places + 15) & ~15 + 16
        var m = 0
        while m < p.rows {
            var pass = 0
            while pass < p.passes {
                var run = Run(p.shards)
                let target = a + (m * p.passes + pass) * places
                while run.next(elements, p.shards + p.shard_count) {
                    elements.packRow(p.a + pass * p.a_pass + m * p.a_row + run.row, count: run.count, target + run.place)
                }
                pass += 1
            }
            m += 1
        }
        var column = 0
        while column < p.columns {
            let columns = p.columns - column < 64 ? p.columns - column : 64
            var pass = 0
            while pass < p.passes {
                var run = Run(p.shards)
                let source = p.b + column / 64 * p.b_panel + pass * p.b_pass
                while run.next(elements, p.shards + p.shard_count) {
                    packColumns(
                        elements, source + run.row * p.b_row, rowStride: p.b_row, depth: run.count,
                        vectors: (columns + lanes - 1) / lanes, b + (pass * places + run.place) * 64, targetRow: 64)
                }
                pass += 1
            }
            var panel = p
            panel.a = UnsafePointer(a)
            panel.a_pass = places
            panel.a_row = p.passes * places
            panel.b = UnsafePointer(b)
            panel.b_pass = 64 * places
            panel.b_row = 64
            panel.output_offset = p.output_offset + column
            panel.columns = columns
            panel.shards = UnsafePointer(shards)
            weightGradient(elements, panel)
            column += columns
        }
    }
}

/// Rows whose pairs lie side by side: shards of even counts, and one of an odd count at the end.
private struct Run {
    private var shard: UnsafePointer<csimd_shard_sum>
    private var nextRow = 0
    private var nextPlace = 0
    private(set) var row = 0
    private(set) var count = 0
    private(set) var place = 0

    @inline(__always)
    init(_ shards: UnsafePointer<csimd_shard_sum>) { shard = shards }

    /// Goes on to the next run, if there is one.
    @inline(__always)
    mutating func next<Elements: Format>(_: Elements.Type, _ end: UnsafePointer<csimd_shard_sum>) -> Bool {
        row = nextRow
        place = nextPlace
        count = 0
        while shard < end && count & 1 == 0 {
            count += Int(shard.pointee.count)
            shard += 1
        }
        nextRow += count
        nextPlace += Elements.places(count)
        return count > 0
    }
}
