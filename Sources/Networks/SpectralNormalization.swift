import Kernels

/// Spectral normalisation (Miyato et al. 2018): every linear and convolutional layer of a network computes with Ŵ = W / σ,
/// where σ = uᵀ W v approximates W's largest singular value as a matrix [out, in · k²], whose columns are those of [in, k, k],
/// also of a transposed convolution.
///
/// One power iteration, v = Wᵀu / ‖Wᵀu‖, u = W v / ‖W v‖, is done at the start and after each update of W, the same on
/// every rank; u and v are running statistics, `weight_u` and `weight_v`, and W is `weight_orig`, as PyTorch names them. With
/// u and v taken for constants the gradient of W is (dŴ − ⟨dŴ, Ŵ⟩ u vᵀ) / σ. The product ⟨dŴ, Ŵ⟩ is a sum over the batch,
/// Σ ⟨dy, Ŵ x⟩. Where a rectifier follows, ⟨dy, Ŵ x⟩ + ⟨dy, b⟩ equals the rectified output times its gradient.
final class SpectralNormalization {
    private struct Part {
        let layer, rows, columns, weight, pixels: Int
        /// Whether W lies in memory as its transpose [columns, rows].
        let isTransposed: Bool
        let bias: Int?
        let u, v: UnsafeMutablePointer<Float>
        var sigma = 1.0
        /// ⟨dŴ, Ŵ⟩ of the gradient under way.
        var product = 0.0
    }

    /// W / σ and all other parameters.
    let parameters: UnsafeMutablePointer<Float>
    private var parts: [Part] = []
    private let count: Int
    private let columns: Int
    private let slots: Int
    /// ⟨dy, Ŵ x⟩ of each row, [slots, parts, columns].
    private let products: UnsafeMutablePointer<Double>
    private let rows: UnsafeMutablePointer<Double>
    /// Wᵀu and W v of one layer.
    private let inverse, image: UnsafeMutablePointer<Double>

    init(
        _ plan: NetworkPlan, buffers: UnsafeMutablePointer<Float>, slots: Int, columns: Int, arena: Arena
    ) {
        count = plan.layout.count
        parameters = arena.floats(count)
        for (index, layer) in plan.layers.enumerated() {
            guard let layer = layer as? any AffineLayer else { continue }
            let weight = layer.tensors[0]
            let u = buffers + plan.bufferOffsets[index]
            let rows = layer.outputChannels
            parts.append(
                Part(
                    layer: index, rows: rows, columns: weight.count / rows, weight: plan.offsets[index],
                    pixels: layer.outputs / rows, isTransposed: layer.isTransposed,
                    bias: layer.tensors.count > 1 ? plan.offsets[index] + weight.count.paddedToVectors : nil, u: u,
                    v: u + rows.paddedToVectors))
        }
        self.slots = slots
        self.columns = columns
        products = arena.doubles(slots * parts.count * columns)
        rows = arena.doubles(2 * columns)
        inverse = arena.doubles(parts.map(\.columns).max() ?? 0)
        image = arena.doubles(parts.map(\.rows).max() ?? 0)
    }

    /// Takes over new parameters.
    /// - Parameter iterates: false where u and v are those of these parameters already.
    func update(_ new: UnsafePointer<Float>, iterates: Bool) {
        parameters.update(from: new, count: count)
        for index in parts.indices {
            let part = parts[index]
            let weights = new + part.weight
            if iterates {
                multiply(weights, part.columns, part.rows, transposed: !part.isTransposed, part.u, to: inverse)
                normalize(inverse, part.columns, to: part.v)
            }
            multiply(weights, part.rows, part.columns, transposed: part.isTransposed, part.v, to: image)
            if iterates { normalize(image, part.rows, to: part.u) }
            var sigma = 0.0
            for row in 0..<part.rows { sigma += Double(part.u[row]) * image[row] }
            parts[index].sigma = sigma
            let scale = Float(1 / sigma)
            for place in part.weight..<part.weight + part.rows * part.columns { parameters[place] = scale * new[place] }
        }
    }

    /// M x for M [rows, columns], which may lie in memory as its transpose; each sum in the order of the columns.
    private func multiply(
        _ m: UnsafePointer<Float>, _ rows: Int, _ columns: Int, transposed: Bool, _ x: UnsafePointer<Float>,
        to out: UnsafeMutablePointer<Double>
    ) {
        guard transposed else {
            for row in 0..<rows {
                let m = m + row * columns
                var sum = 0.0
                for column in 0..<columns { sum += Double(m[column]) * Double(x[column]) }
                out[row] = sum
            }
            return
        }
        out.update(repeating: 0, count: rows)
        for column in 0..<columns {
            let (scale, m) = (Double(x[column]), m + column * rows)
            for row in 0..<rows { out[row] += scale * Double(m[row]) }
        }
    }

    private func normalize(_ x: UnsafePointer<Double>, _ count: Int, to out: UnsafeMutablePointer<Float>) {
        var square = 0.0
        for i in 0..<count { square += x[i] * x[i] }
        let scale = 1 / max(square.squareRoot(), 1e-12)
        for i in 0..<count { out[i] = Float(scale * x[i]) }
    }

    /// Before a layer's output gradient: dy is the gradient of its rectified output y.
    func noteOutput(of layer: Int, _ dy: Matrix, y: Matrix, slot: Int, _ pass: Pass) {
        guard let number = parts.firstIndex(where: { $0.layer == layer }) else { return }
        pass.kernels.moments(dy.base, y.base, nil, 1, dy.features, columns, dy.stride, rows)
        products(slot, number).update(from: rows + columns, count: columns)
    }

    /// After it: dy is the gradient before the rectifier.
    func noteBias(of layer: Int, _ dy: Matrix, slot: Int, _ pass: Pass) {
        guard let number = parts.firstIndex(where: { $0.layer == layer }), let bias = parts[number].bias else { return }
        let part = parts[number]
        let products = products(slot, number)
        for channel in 0..<part.rows {
            let row = dy.base + channel * dy.stride
            pass.kernels.moments(row, row, nil, 1, part.pixels, columns, part.rows * dy.stride, rows)
            for column in 0..<columns { products[column] -= Double(parameters[bias + channel]) * rows[column] }
        }
    }

    /// After the backward passes: sums ⟨dŴ, Ŵ⟩ of every layer over the batch.
    func sumProducts(_ statistics: BatchStatistics) throws {
        for number in parts.indices {
            for column in 0..<columns {
                statistics.rows[column] = (0..<slots).reduce(0) { $0 + products($1, number)[column] }
                statistics.rows[columns + column] = 0
            }
            statistics.add(pair: number, of: parts.count)
        }
        try statistics.sumPairs(parts.count)
        for number in parts.indices { parts[number].product = statistics.totals[2 * number] }
    }

    /// The gradients of W from those of Ŵ, of the elements `segment` of the flat buffer.
    func finish(_ gradient: UnsafeMutablePointer<Float>, _ segment: Range<Int>) {
        for part in parts {
            let own = (part.weight..<part.weight + part.rows * part.columns).clamped(to: segment)
            let scale = Float(1 / part.sigma)
            for place in own {
                let (outer, inner) = (place - part.weight)
                    .quotientAndRemainder(dividingBy: part.isTransposed ? part.rows : part.columns)
                let (row, column) = part.isTransposed ? (inner, outer) : (outer, inner)
                let along = Float(part.product) * part.u[row] * part.v[column]
                gradient[place - segment.lowerBound] = scale * (gradient[place - segment.lowerBound] - along)
            }
        }
    }

    private func products(_ slot: Int, _ part: Int) -> UnsafeMutablePointer<Double> {
        products + (slot * parts.count + part) * columns
    }
}
