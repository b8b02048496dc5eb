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
        let kernels = pass.kernels
        let scale = 1 / Float(batch)
        if let targets {
            precondition(takesTargets, "\(rawValue) takes no targets")
            let kernel = self == .bce ? kernels.softBinaryCrossEntropy : kernels.softSquaredError
            return kernel(outputs.base, targets, scale, pass.columns, rows.losses, gradient.base, rows.scores)
        }
        let sign: Float = target == .one ? -1 : 1
        let (kernel, label): (Kernels.HardLoss, Float) =
            switch self {
            case .bce: (kernels.binaryCrossEntropy, sign)
            case .mse: (kernels.squaredError, target == .one ? 1 : 0)
            case .hinge where pass.kind != .generator: (kernels.hinge, sign)
            case .hinge, .wasserstein: (kernels.linearLoss, sign)
            }
        kernel(outputs.base, label, scale, pass.columns, rows.losses, gradient.base, rows.scores)
    }

    enum Target { case zero, one }
}

/// Loss and score of each of this rank's rows in one pass.
struct RowStatistics {
    let losses: UnsafeMutablePointer<Float>
    let scores: UnsafeMutablePointer<Float>

    init(columns: Int, arena: Arena) {
        losses = arena.floats(columns)
        scores = arena.floats(columns)
    }
}

/// Sums over the batch that a log line shows. Within a shard rows are added in order, in double precision; shards are
/// added by the balanced binary tree.
struct StepStatistics {
    /// Doubles of a shard: the sums of the fields below.
    static let size = 6

    var lossReal = 0.0
    var lossFake = 0.0
    var lossGenerator = 0.0
    var scoreReal = 0.0
    var scoreFake = 0.0
    var penalty = 0.0

    /// The discriminator's loss.
    var lossDiscriminator: Double { lossReal + lossFake + penalty }

    init() {}

    /// The sum over shards; `shard` gives the address of a shard's sums.
    init(shards: Int, batch: Int, shard: (Int) -> UnsafePointer<Double>) {
        func tree(_ range: Range<Int>, _ field: Int) -> Double {
            if range.count == 1 { return shard(range.lowerBound)[field] }
            let middle = (range.lowerBound + range.upperBound) / 2
            return tree(range.lowerBound..<middle, field) + tree(middle..<range.upperBound, field)
        }
        func mean(_ field: Int) -> Double { tree(0..<shards, field) / Double(batch) }
        lossReal = mean(0)
        lossFake = mean(1)
        lossGenerator = mean(2)
        scoreReal = mean(3)
        scoreFake = mean(4)
        penalty = mean(5)
    }
}
