import CSIMD

// The gradient of a bias: the sum of each row of A with the tree of logical shards inside. The lanes are rows of A, which
// is transposed in registers; then a row of the batch is one addition.

extension Implementation {
    /// `weightGradient` for a single column of ones; A is readable for a vector past its end.
    public static func biasGradient(_ arguments: UnsafePointer<csimd_weight_gradient>) {
        let p = arguments.pointee
        var m = 0
        while m < p.rows {
            sumRows(p, m, p.rows - m < lanes ? p.rows - m : lanes)
            m += lanes
        }
        pause(p.interlude)
    }

    /// `biasGradient`, denormals flushed.
    public static func flushedBiasGradient(_ arguments: UnsafePointer<csimd_weight_gradient>) {
        let before = csimd_flush_denormals()
        biasGradient(arguments)
        csimd_set_float_control(before)
    }
}

/// Rows m ..< m + height of A, a vector of them at most.
@inline(never)
private func sumRows(_ p: csimd_weight_gradient, _ m: Int, _ height: Int) {
    var a = p.a + m * p.a_row
    var free = p.scratch
    var s = 0
    while s < p.shard_count {
        let shard = p.shards[s]
        let count = Int(shard.count)
        var sum = Vector()
        var pass = 0
        while pass < p.passes {
            add(a + pass * p.a_pass, rowStride: p.a_row, height, count, to: &sum)
            pass += 1
        }
        a += count
        var merge = shard.merges
        while merge > 0 {
            free -= lanes
            sum += load(free)
            merge -= 1
        }
        store(sum, free)
        if shard.output < 0 {
            free += lanes
        } else {
            let c = p.outputs[Int(shard.output)] + p.output_offset + m * p.c_row
            var i = 0
            while i < height {
                c[i * p.c_row] = free[i]
                i += 1
            }
        }
        s += 1
    }
}

/// sum += the first `count` columns of some rows, one by one.
@inline(__always)
private func add(_ x: UnsafePointer<Float>, rowStride: Int, _ height: Int, _ count: Int, to sum: inout Vector) {
    var n = 0
    while n < count {
        if count - n <= lanes / 2 {
            let columns = transposedHalf(x + n, rowStride: rowStride, height)
            forRows(count - n) { i in sum += columns[unchecked: i] }
        } else {
            let columns = transposed(rowsOfBlock(x + n, rowStride, height))
            forRows(count - n < lanes ? count - n : lanes) { i in sum += columns[unchecked: i] }
        }
        n += lanes
    }
}
