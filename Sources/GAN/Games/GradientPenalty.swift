import Kernels
import Networks

/// The penalty of a discriminator's slope (Gulrajani et al. 2017): P = λ mean((‖g‖ − 1)²), g = ∇D(x̂) at points x̂ between
/// the real and the fake image of a row, x̂ = ε x + (1 − ε) G(z), ε uniform in [0, 1).
///
/// Its gradient is exact without a second derivative, the discriminator being piecewise linear: with v = ∂P/∂g, and g
/// depending on the weights as the change of D's output by a change v of its input does, the gradient of a weight is that
/// of a forward pass of v through the same layers and masks: the product of the output gradients of g and the tangents of v.
/// They lie in slot 2, for the sum over the batch to take in after the real and the fake rows.
struct GradientPenalty {
    /// λ (‖g‖ − 1)² of each of this rank's rows.
    let losses: UnsafeMutablePointer<Float>
    private let discriminator: Network
    private let weight: Double
    private let batch: Int
    private let columns: Int
    /// Two sums of each column.
    private let squares: UnsafeMutablePointer<Double>
    private let scales: UnsafeMutablePointer<Float>
    private let words: RowWords

    static let (tangentSlot, pointSlot) = (2, 3)

    init(_ configuration: Configuration, _ discriminator: Network, columns: Int, arena: Arena) {
        self.discriminator = discriminator
        self.columns = columns
        weight = configuration.gradientPenalty
        batch = configuration.batchSize
        losses = arena.floats(columns)
        squares = arena.doubles(2 * columns)
        scales = arena.floats(columns)
        words = RowWords(columns: columns, arena: arena)
    }

    /// Leaves the penalty's output gradients and tangents in the discriminator's slots.
    func add(_ pass: Pass) throws {
        let d = discriminator
        let (tangentSlot, pointSlot) = (GradientPenalty.tangentSlot, GradientPenalty.pointSlot)
        let (x, fake, point) = (d.input, d.input.slot(1), d.input.slot(pointSlot))
        GradientPenalty.mix(words.draw(RandomStream.penaltyMix, pass), columns, into: scales)
        pass.kernels.mixColumns(x.base, fake.base, scales, point.base, x.features, columns, x.stride)   // x̂
        try d.forward(pass, slot: pointSlot)                                                            // D(x̂)
        let error = d.outputGradient.slot(tangentSlot)
        error.base.update(repeating: 1, count: columns)
        let g = d.input.slot(tangentSlot)
        try d.backward(pass, slot: tangentSlot, point: pointSlot, inputGradient: g)                        // g
        pass.kernels.moments(g.base, g.base, nil, 1, g.features, columns, g.stride, squares)
        for column in 0..<columns {
            let norm = squares[columns + column].squareRoot()
            losses[column] = Float(weight * (norm - 1) * (norm - 1))
            scales[column] = norm > 0 ? Float(2 * weight / Double(batch) * (norm - 1) / norm) : 0
        }
        pass.kernels.scaleColumns(g.base, scales, g.features, columns, g.stride)                        // v
        d.tangent(pass, slot: tangentSlot, at: pointSlot)
    }

    /// ε of each column, from the stream's words w: ⌊w / 2⁸⌋ / 2²⁴.
    private static func mix(_ words: UnsafePointer<UInt32>, _ columns: Int, into mix: UnsafeMutablePointer<Float>) {
        for column in 0..<columns { mix[column] = Float(words[column] >> 8) * 0x1p-24 }
    }

    /// ε of a pass's columns.
    static func mix(_ pass: Pass) -> [Float] {
        let words = RowWords(columns: pass.columns, arena: Arena(usesHugePages: false))
        return [Float](unsafeUninitializedCapacity: pass.columns) { buffer, count in
            if let base = buffer.baseAddress { mix(words.draw(RandomStream.penaltyMix, pass), pass.columns, into: base) }
            count = pass.columns
        }
    }
}
