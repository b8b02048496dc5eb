import Kernels
import Networks

/// What a discriminator's outputs x are judged by. The discriminator's loss is L(real, 1) + L(fake, 0), the generator's
/// L(fake, 1) unless said otherwise, each a mean over the global batch.
public enum Loss: String, Codable, CaseIterable, Sendable {
    /// Binary cross-entropy on logits (Goodfellow et al. 2014, the non-saturating generator loss): L(x, 1) = ln(1 + e⁻ˣ),
    /// L(x, 0) = ln(1 + eˣ). The score is σ(x).
    case bce
    /// Least squares on the raw output (Mao et al. 2017): L(x, y) = (x − y)². The score is x.
    case mse
    /// Hinge (Lim and Ye 2017): L(x, 1) = max(0, 1 − x), L(x, 0) = max(0, 1 + x); the generator's is −x. The score is x.
    case hinge
    /// Wasserstein distance (Arjovsky et al. 2017), of a critic whose slope something else bounds: L(x, 1) = −x,
    /// L(x, 0) = x. The score is x.
    case wasserstein
    /// Binary cross-entropy of how much more real a real row looks than the fake row beside it (Jolicoeur-Martineau 2018, in
    /// the pairing of R3GAN, Huang et al. 2024): the discriminator's loss is ln(1 + e^−(D(xᵢ) − D(G(zᵢ)))), the generator's
    /// ln(1 + e^−(D(G(zᵢ)) − D(xᵢ))). The scores are σ(D(xᵢ) − D(G(zᵢ))), and 1 less that.
    /// A bias of D's last layer cancels in the differences: its gradient is zero but for rounding.
    case relativistic

    /// Whether a real and a fake row are looked at together: `applyPairs` then takes the place of `apply`.
    var isPaired: Bool { self == .relativistic }

    /// Whether each row may have a target of its own.
    var takesTargets: Bool { self == .bce || self == .mse }

    /// Losses and scores of each row, and the gradient of the mean. The pass says whose loss it is.
    ///
    /// - Parameters:
    ///   - outputs: [1, columns], the discriminator's.
    ///   - targets: [columns], each in [0, 1], in place of `target`: smoothed or flipped labels, of `bce` and `mse` only.
    ///   - gradient: [1, columns].
    func apply(
        _ outputs: Matrix, target: Target, targets: UnsafePointer<Float>? = nil, batch: Int, gradient: Matrix,
        rows: RowStatistics, _ pass: Pass
    ) {
        precondition(targets == nil || takesTargets, "\(rawValue) takes no targets")
        let (x, slopes) = (outputs.base, gradient.base)
        let scale = 1 / Float(batch)
        // Where the output should be high its loss falls with it.
        let sign: Float = target == .one ? -1 : 1
        switch self {
        case .bce:
            Loss.crossEntropy(x, sign, targets, scale, gradient: slopes, rows, pass)
        case .mse:
            for column in 0..<pass.columns {
                let difference = x[column] - (targets?[column] ?? (target == .one ? 1 : 0))
                rows.losses[column] = difference * difference
                slopes[column] = difference * (2 * scale)
                rows.scores[column] = x[column]
            }
        case .hinge where pass.kind != .generator:
            for column in 0..<pass.columns {
                let margin = sign * x[column] + 1
                rows.losses[column] = margin <= 0 ? 0 : margin
                slopes[column] = margin <= 0 ? 0 : sign * scale
                rows.scores[column] = x[column]
            }
        case .hinge, .wasserstein:
            for column in 0..<pass.columns {
                rows.losses[column] = sign * x[column]
                slopes[column] = sign * scale
                rows.scores[column] = x[column]
            }
        case .relativistic: preconditionFailure("\(rawValue) looks at pairs of rows")
        }
    }

    /// Binary cross-entropy on logits x: loss ln(1 + e^(sign·x)), gradient sign · σ(sign·x) · scale. With a target t for each
    /// row, loss ln(1 + eˣ) − t x and gradient (σ(x) − t) · scale, as sums that lose no digits where they are close to zero.
    /// The score is σ(x).
    ///
    /// - Parameter gradient: may be where x is.
    private static func crossEntropy(
        _ x: UnsafeMutablePointer<Float>, _ sign: Float, _ targets: UnsafePointer<Float>?, _ scale: Float,
        gradient: UnsafeMutablePointer<Float>, _ rows: RowStatistics, _ pass: Pass
    ) {
        let (losses, scores) = (rows.losses, rows.scores)
        // Softplus and its slope of x, and of −x.
        let (opposite, opposites) = (rows.oppositeLosses, rows.oppositeScores)
        pass.kernels.softplus(x, losses, scores, pass.columns)
        for column in 0..<pass.columns { gradient[column] = -x[column] }
        pass.kernels.softplus(gradient, opposite, opposites, pass.columns)
        for column in 0..<pass.columns {
            let (score, slope) = (scores[column], opposites[column])
            if let targets {
                let (x, t) = (-gradient[column], targets[column])
                let rectified: Float = x < 0 ? 0 : x
                losses[column] = rectified.addingProduct(-t, x) + (x < 0 ? losses[column] : opposite[column])
                gradient[column] = ((1 - t) * score).addingProduct(-t, slope) * scale
            } else {
                losses[column] = sign < 0 ? opposite[column] : losses[column]
                gradient[column] = (sign < 0 ? slope : score) * (sign * scale)
            }
        }
    }

    /// Losses and scores of pairs of rows, which lie in the same column, and the gradient of the mean. The discriminator's loss
    /// of a pair is reported half with its real row and half with its fake one; the generator's is whole.
    ///
    /// - Parameters:
    ///   - player: whose loss it is. The generator's has no gradient in the real rows.
    ///   - outputs: [2, 1, columns], the discriminator's for real and fake rows.
    ///   - gradient: [2, 1, columns].
    ///   - real: of the real rows; of the discriminator's loss only.
    ///   - fake: of the fake rows, or of the generator's.
    func applyPairs(
        of player: NetworkRole, outputs: Matrix, gradient: Matrix, batch: Int, real: RowStatistics, fake: RowStatistics, _ pass: Pass
    ) {
        precondition(isPaired, "\(rawValue) does not look at pairs of rows")
        let columns = pass.columns
        let (x, g) = (outputs.base, outputs.slot(1).base)
        let (dx, dg) = (gradient.base, gradient.slot(1).base)
        let isCritic = player == .discriminator
        // The lead of the row that should look more real: its loss is that of a logit whose label is 1.
        for column in 0..<columns { dg[column] = isCritic ? x[column] - g[column] : g[column] - x[column] }
        Loss.crossEntropy(dg, -1, nil, 1 / Float(batch), gradient: dg, fake, pass)
        guard isCritic else { return }
        for column in 0..<columns {
            (dx[column], dg[column]) = (dg[column], -dg[column])
            let (loss, score) = (fake.losses[column] / 2, fake.scores[column])
            (real.losses[column], fake.losses[column]) = (loss, loss)
            (real.scores[column], fake.scores[column]) = (score, 1 - score)
        }
    }

    enum Target { case zero, one }
}

// What the training monitor holds a loss to.

extension Loss {
    /// No mean of a batch is larger while training goes well.
    var divergenceBound: Double { self == .wasserstein ? 1_000 : 100 }

    /// The discriminator's loss below which it makes no mistakes; Wasserstein's has no such bound.
    var saturationBound: Double? {
        switch self {
        case .bce, .relativistic: 0.02
        case .mse: 0.005
        case .hinge: 0.001
        case .wasserstein: nil
        }
    }

    /// The generator's loss above which the discriminator knows its pictures for what they are.
    var standstillBound: Double? {
        switch self {
        case .bce, .relativistic: 3
        case .mse: 0.8
        case .hinge: 0.8
        case .wasserstein: nil
        }
    }
}
