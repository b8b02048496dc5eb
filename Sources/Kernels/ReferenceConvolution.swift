import CSIMD

// Twins of the convolutions, which name a pixel's offset and let the arguments say what it reads.

extension Reference {
    /// Y[m, q, n] = bias[m] + Σ_t Σ_c A[m, t, c] X[c, q, t, n], then the rectifier.
    static func convolution(_ arguments: UnsafePointer<Convolution>) {
        convolve(arguments.pointee, rectified: rectified) { sum, count, a, b in
            (0..<count).reduce(sum) { fma(a($1), b($1), $0) }
        }
    }

    /// `convolution` of factors rounded to bf16, the channels of a tap in pairs.
    static func bfloat16Convolution(_ arguments: UnsafePointer<Convolution>) {
        convolve(arguments.pointee, rectified: flushedRectified) { sum, count, a, b in addPairs(sum, count: count, a, b) }
    }

    private static func convolve(
        _ p: Convolution, rectified: (_ sum: Float, _ gate: Float?, _ slope: Float) -> Float,
        accumulate: (_ sum: Float, _ count: Int, _ a: (Int) -> Float, _ b: (Int) -> Float) -> Float
    ) {
        for m in 0..<p.outputs {
            for position in UnsafeBufferPointer(start: p.positions, count: p.position_count) {
                for n in 0..<p.columns {
                    var sum = p.bias?[m] ?? 0
                    for tap in UnsafeBufferPointer(start: p.taps, count: p.tap_count) {
                        let a = p.a + m * p.a_output + Int(tap.weight)
                        let x = p.x + (Int(position.source) + Int(tap.source)) * p.x_row + n
                        sum = accumulate(sum, p.channels, { a[$0] }, { x[$0 * p.x_channel] })
                    }
                    let place = Int(position.target) * p.y_row + n
                    if p.rectifies != 0 { sum = rectified(sum, p.gate?[m * p.y_channel + place], p.slope) }
                    p.y[m * p.y_channel + place] = sum
                }
            }
        }
    }

    /// out[j][m, t, c] = tree j of the shards' sums Σ_i Σ_q Σ_r A[i, m, q, r] X[i, c, q, t, r].
    static func convolutionGradient(_ arguments: UnsafePointer<ConvolutionGradient>) {
        sumShards(arguments.pointee, add: +) { sum, count, a, b in (0..<count).reduce(sum) { fma(a($1), b($1), $0) } }
    }

    /// `convolutionGradient` of factors rounded to bf16, the rows of a shard at a pixel in pairs.
    static func bfloat16ConvolutionGradient(_ arguments: UnsafePointer<ConvolutionGradient>) {
        sumShards(arguments.pointee, add: flushedSum) { sum, count, a, b in addPairs(sum, count: count, a, b) }
    }

    private static func sumShards(
        _ p: ConvolutionGradient, add: (Float, Float) -> Float,
        accumulate: (_ sum: Float, _ count: Int, _ a: (Int) -> Float, _ b: (Int) -> Float) -> Float
    ) {
        // Where channels fill vectors, pixels in the padding are left out; elsewhere they are zeros.
        let leavesOutPadding = p.tap_count > 1 && p.channels % 16 == 0
        for (m, column) in (0..<p.rows).flatMap({ m in (0..<p.tap_count * p.channels).map { (m, $0) } }) {
            let (tap, channel) = (column / p.channels, column % p.channels)
            var subtrees: [Float] = []
            var start = 0
            for shard in UnsafeBufferPointer(start: p.shards, count: p.shard_count) {
                var sum: Float = 0
                for pass in 0..<p.passes {
                    for position in UnsafeBufferPointer(start: p.positions + tap * p.position_count, count: p.position_count) {
                        if leavesOutPadding && position.source < 0 { continue }
                        let a = p.a + pass * p.a_pass + m * p.a_channel + Int(position.target) * p.a_row + start
                        let x = p.x + pass * p.x_pass + channel * p.x_channel + Int(position.source) * p.x_row + start
                        sum = accumulate(sum, Int(shard.count), { a[$0] }, { position.source < 0 ? 0 : x[$0] })
                    }
                }
                start += Int(shard.count)
                for _ in 0..<shard.merges { sum = add(sum, subtrees.removeLast()) }
                if shard.output < 0 {
                    subtrees.append(sum)
                } else {
                    p.outputs[Int(shard.output)][p.output_offset + m * p.out_row + column] = sum
                }
            }
        }
    }
}
