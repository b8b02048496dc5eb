import Kernels
import Networks

/// What a discriminator's outputs x are judged by. The discriminator's loss is L(real, 1) + L(fake, 0), the generator's
/// L(fake, 1), each a mean over the global batch.
public enum Loss: String, Codable, CaseIterable, Sendable {
    /// Binary cross-entropy on logits (Goodfellow et al. 2014, the non-saturating generator loss): L(x, 1) = ln(1 + e⁻ˣ),
    /// L(x, 0) = ln(1 + eˣ). The score is σ(x).
    case bce
    /// Least squares on the raw output (Mao et al. 2017): L(x, y) = (x − y)². The score is x.
    case mse

    /// Losses and scores of each row, and the gradient of the mean.
    ///
    /// - Parameters:
    ///   - outputs: [1, columns], the discriminator's.
    ///   - gradient: [1, columns].
    func apply(_ outputs: Matrix, target: Target, batch: Int, gradient: Matrix, rows: RowStatistics, _ pass: Pass) {
        let scale = 1 / Float(batch)
        switch self {
        case .bce:
            pass.kernels.binaryCrossEntropy(
                outputs.base, target == .one ? -1 : 1, scale, pass.columns, rows.losses, gradient.base, rows.scores)
        case .mse:
            pass.kernels.squaredError(
                outputs.base, target == .one ? 1 : 0, scale, pass.columns, rows.losses, gradient.base, rows.scores)
        }
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
    static let size = 5

    var lossReal = 0.0
    var lossFake = 0.0
    var lossGenerator = 0.0
    var scoreReal = 0.0
    var scoreFake = 0.0

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
    }
}
