import CSIMD

// What minibatch discrimination does with one of its kernels, x [dimensions, count] of the rows of one shard, `rowStride` floats
// from a dimension to the next. All that is read is readable for a vector past the last of the `count` columns.

/// e^−d for d ≥ 0, and 0 from 87 on, where the exponential ends: what lies below would only make denormals. NaN stays NaN.
@inline(__always)
private func similarity(_ distance: Vector) -> Vector {
    select(distance .> 87, Vector(), exponential(-distance))
}

/// Σ_c |x[c, i] − x[c, j]|, c ascending, for a vector of i from n on.
@inline(__always)
private func distance(_ x: UnsafePointer<Float>, dimensions: Int, rowStride: Int, _ n: Int, _ j: Int) -> Vector {
    var sum = Vector()
    var c = 0
    while c < dimensions {
        sum += magnitude(load(x + c * rowStride + n) - x[c * rowStride + j])
        c += 1
    }
    return sum
}

/// Stores the first `count` lanes, or all if there are fewer: the neighbour's columns follow.
@inline(__always)
private func store(_ vector: Vector, first count: Int, _ target: UnsafeMutablePointer<Float>) {
    if count >= lanes {
        store(vector, target)
    } else {
        var lane = 0
        while lane < count {
            target[lane] = vector[lane]
            lane += 1
        }
    }
}

extension Implementation {
    /// out[i] = Σ_{j ≠ i} e^−d(i, j), j ascending, d(i, j) = Σ_c |x[c, i] − x[c, j]|, c ascending.
    public static func similarities(
        _ x: UnsafePointer<Float>, dimensions: Int, count: Int, rowStride: Int, _ out: UnsafeMutablePointer<Float>
    ) {
        var n = 0
        while n < count {
            var sum = Vector()
            var j = 0
            while j < count {
                var term = similarity(distance(x, dimensions: dimensions, rowStride: rowStride, n, j))
                if j >= n && j < n + lanes { term[j - n] = 0 }
                sum += term
                j += 1
            }
            store(sum, first: count - n, out + n)
            n += lanes
        }
    }

    /// dx[c, i] = −Σ_j (gradient[i] + gradient[j]) e^−d(i, j) sign(x[c, i] − x[c, j]), j ascending, sign(0) = 0: the gradient of
    /// `similarities`, of which each pair of columns is in two sums. scratch holds count · 16 floats.
    public static func similaritiesBackward(
        _ x: UnsafePointer<Float>, gradient: UnsafePointer<Float>, dimensions: Int, count: Int, rowStride: Int,
        scratch: UnsafeMutablePointer<Float>, _ dx: UnsafeMutablePointer<Float>
    ) {
        var n = 0
        while n < count {
            var j = 0
            while j < count {
                let sum = load(gradient + n) + gradient[j]
                store(sum * similarity(distance(x, dimensions: dimensions, rowStride: rowStride, n, j)), scratch + j * lanes)
                j += 1
            }
            var c = 0
            while c < dimensions {
                let own = load(x + c * rowStride + n)
                var sum = Vector()
                j = 0
                while j < count {
                    let weight = load(scratch + j * lanes)
                    let difference = own - x[c * rowStride + j]
                    sum -= select(difference .> 0, weight, select(difference .< 0, -weight, Vector()))
                    j += 1
                }
                store(sum, first: count - n, dx + c * rowStride + n)
                c += 1
            }
            n += lanes
        }
    }
}
