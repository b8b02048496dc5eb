import CSIMD

// The memory that kernels work in, and what calls them between blocks of their work.

extension GEMM {
    /// Floats that the workspace of a product or convolution holds: 64 columns of B, 256 deep; a block of A, 3072 elements
    /// and a vector; and a convolution's 64 columns of 48 sums.
    public static let workspaceCount = 64 * 256 + 3_072 + 16 + 64 * 48
}

extension ConvolutionGradient {
    /// Floats of the scratch: the sums of every open subtree, of up to 16 · 64 columns or of 64 columns of a tap, and a block of
    /// the depth. If all taps are taken at once, because their channels fill vectors, also 64 channels of a shard of X, laid
    /// out, and a stretch of A.
    /// - Parameter pixels: of X in that case, else 0.
    public static func scratchCount(rows: Int, pixels: Int, shards: [ShardSum]) -> Int {
        var levels = 3
        while 1 << (levels - 3) < shards.count { levels += 1 }
        guard pixels > 0 else { return levels * 64 * rows + 10_496 }
        let places = (shards.map { Int($0.count) }.max() ?? 0) + 1
        return levels * max(64 * rows, 1 << 18) + 10_496 + 64 * pixels * places + max(1 << 12, 16 * rows) * places
    }
}

extension Interlude {
    /// Nothing to call.
    public static var none: Interlude { Interlude() }
}

extension WeightGradient {
    /// Floats that the workspace of a weight gradient in bf16 holds, for so many rows of A and shards of so many rows.
    public static func workspaceCount(rows: Int, passes: Int, shards: [ShardSum]) -> Int {
        let places = passes * shards.reduce(0) { $0 + (Int($1.count) + 1) / 2 * 2 }
        // A, a panel of B, the shards, and what the parts are rounded up by.
        return (rows + 64) * places + 3 * shards.count + 64
    }
}
