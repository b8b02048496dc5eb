import Kernels
import Networks

/// Penalties of the discriminator's slope g = ∇D, each a mean over the batch:
/// - between real and fake images, λ (‖g‖ − 1)² at points x̂ = ε x + (1 − ε) G(z), ε uniform in [0, 1) (Gulrajani et al. 2017);
/// - R₁, γ/2 ‖g‖² at the real images, and R₂, the same at the fake ones (Mescheder et al. 2018).
///
/// Their gradients are exact without a second derivative, since the discriminator is piecewise linear. Let v = ∂P/∂g. Push v
/// forward through D's layers as a tangent, with the same masks. The gradient of a weight is then the product of g's output
/// gradients and these tangents. Each penalty keeps both in a slot of its own, and the sum over the batch takes them after
/// the real and the fake rows.
///
/// With an interval k, every k-th update has them, k times as large (Karras et al. 2020).
struct Penalties {
    enum Kind: Equatable {
        case between(weight: Double), real(weight: Double), fake(weight: Double)

        /// Passes through the discriminator that it adds: the point's forward pass, if it is a new one; backward, the tangents
        /// and the weights' gradients.
        var passes: Int { if case .between = self { 4 } else { 3 } }
    }

    /// Those of a configuration, in the order of their slots.
    static func kinds(_ configuration: Configuration) -> [Kind] {
        (configuration.gradientPenalty > 0 ? [.between(weight: configuration.gradientPenalty)] : [])
            + (configuration.r1 > 0 ? [.real(weight: configuration.r1)] : [])
            + (configuration.r2 > 0 ? [.fake(weight: configuration.r2)] : [])
    }

    /// The first slot of their tangents.
    static let firstSlot = 2

    /// Slots of the discriminator: real rows, fake rows, the tangents of each penalty, and the points between.
    static func slots(_ kinds: [Kind]) -> Int { firstSlot + kinds.count + (hasPoints(kinds) ? 1 : 0) }

    private static func hasPoints(_ kinds: [Kind]) -> Bool {
        kinds.contains { if case .between = $0 { true } else { false } }
    }

    let kinds: [Kind]
    /// The slot of the points between real and fake images; nil where nothing is penalised there.
    var pointSlot: Int? { Penalties.hasPoints(kinds) ? Penalties.firstSlot + kinds.count : nil }
    /// The penalties of each of this rank's rows.
    private let losses: UnsafeMutablePointer<Float>
    private let network: Network
    private let batch: Int
    private let interval: Int
    private let columns: Int
    /// Two sums of each column.
    private let squares: UnsafeMutablePointer<Double>
    private let scales: UnsafeMutablePointer<Float>
    private let words: RowWords

    /// - Returns: nil where there is no penalty.
    init?(
        _ configuration: Configuration, _ network: Network, losses: UnsafeMutablePointer<Float>, columns: Int, arena: Arena
    ) {
        kinds = Penalties.kinds(configuration)
        guard !kinds.isEmpty else { return nil }
        self.network = network
        self.losses = losses
        self.columns = columns
        batch = configuration.batchSize
        interval = configuration.penaltyInterval
        squares = arena.doubles(2 * columns)
        scales = arena.floats(columns)
        words = RowWords(columns: columns, arena: arena)
    }

    /// Whether they are part of an update of the discriminator.
    func areDue(in update: Int) -> Bool { update % interval == 0 }

    /// Leaves the penalties' output gradients and tangents in the discriminator's slots, in updates that they are part of.
    /// - Parameter pass: the update's pass of a kind.
    /// - Returns: the passes whose rows the weights' gradients are then summed over.
    func add(update: Int, _ pass: (PassKind) -> Pass) throws -> Int {
        losses.update(repeating: 0, count: columns)
        guard areDue(in: update) else { return Penalties.firstSlot }
        for (index, kind) in kinds.enumerated() {
            let slot = Penalties.firstSlot + index
            switch kind {
            case .between(let weight):
                guard let point = pointSlot else { continue }
                let pass = pass(.penalty)
                mix(pass, into: point)                                                              // x̂
                try network.forward(pass, slot: point)                                              // D(x̂)
                try add(slot, at: point, pass) { norm in
                    let difference = norm - 1
                    return (weight * difference * difference, norm > 0 ? 2 * weight / Double(batch) * difference / norm : 0)
                }
            case .real(let weight): try add(slot, at: 0, pass(.real), squared(weight))
            case .fake(let weight): try add(slot, at: 1, pass(.fake), squared(weight))
            }
        }
        return Penalties.firstSlot + kinds.count
    }

    private func squared(_ weight: Double) -> (_ norm: Double) -> (loss: Double, scale: Double) {
        { norm in (weight / 2 * norm * norm, weight / Double(batch)) }
    }

    /// One penalty, a function of the slope's norm, at the points in a slot.
    /// - Parameter penalty: its value at a point, and what v is of g there.
    private func add(
        _ slot: Int, at point: Int, _ pass: Pass, _ penalty: (_ norm: Double) -> (loss: Double, scale: Double)
    ) throws {
        network.outputGradient.slot(slot).base.update(repeating: 1, count: columns)
        let g = network.input.slot(slot)
        try network.backward(pass, slot: slot, point: point, inputGradient: g)                      // g = ∇D
        pass.kernels.moments(g.base, g.base, nil, 1, g.features, columns, g.stride, squares)
        for column in 0..<columns {
            let (loss, scale) = penalty(squares[columns + column].squareRoot())
            losses[column] += Float(Double(interval) * loss)
            scales[column] = Float(Double(interval) * scale)
        }
        pass.kernels.scaleColumns(g.base, scales, g.features, columns, g.stride)                    // v = ∂P/∂g
        network.tangent(pass, slot: slot, at: point)
    }

    /// Points between the real and the fake image of each row.
    private func mix(_ pass: Pass, into slot: Int) {
        let x = network.input
        Penalties.mix(words.draw(RandomStream.penaltyMix, pass), columns, into: scales)
        pass.kernels.mixColumns(x.base, x.slot(1).base, scales, x.slot(slot).base, x.features, columns, x.stride)
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
