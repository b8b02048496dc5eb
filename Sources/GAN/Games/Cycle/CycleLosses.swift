import Networks

// The losses of a CycleGAN, each a mean over the global batch. Rows are added feature by feature, in memory order.

/// Least squares over the patches that a discriminator scores (Mao et al. 2017): L(x, y) = Σ (x_p − y)² / P.
enum PatchLoss {
    /// The loss of each row, and the gradient of the batch's mean times `weight`.
    /// - Parameters:
    ///   - scores: [P, columns], the discriminator's.
    ///   - gradient: [P, columns].
    static func apply(
        _ scores: Matrix, target: Float, weight: Float, batch: Int, gradient: Matrix, losses: UnsafeMutablePointer<Float>, columns: Int
    ) {
        let share = 1 / Float(scores.features)
        let scale = 2 * weight * share / Float(batch)
        losses.update(repeating: 0, count: columns)
        for patch in 0..<scores.features {
            let (x, dx) = (scores.base + patch * scores.stride, gradient.base + patch * gradient.stride)
            for column in 0..<columns {
                let difference = x[column] - target
                losses[column] += difference * difference
                dx[column] = difference * scale
            }
        }
        for column in 0..<columns { losses[column] *= share }
    }
}

/// The mean distance of pixels (L1): L(x, y) = Σ |x_i − y_i| / N.
enum PixelLoss {
    /// The loss of each row, and the gradient of the batch's mean times `weight`; it is 0 where x and y are alike.
    /// - Parameters:
    ///   - x: [N, columns], what is to be like y.
    ///   - gradient: [N, columns].
    static func apply(
        _ x: Matrix, _ y: Matrix, weight: Float, batch: Int, gradient: Matrix, losses: UnsafeMutablePointer<Float>, columns: Int
    ) {
        precondition(x.features == y.features, "\(x.features) features and \(y.features)")
        let share = 1 / Float(x.features)
        let scale = weight * share / Float(batch)
        losses.update(repeating: 0, count: columns)
        for feature in 0..<x.features {
            let (a, b) = (x.base + feature * x.stride, y.base + feature * y.stride)
            let dx = gradient.base + feature * gradient.stride
            for column in 0..<columns {
                let difference = a[column] - b[column]
                losses[column] += abs(difference)
                dx[column] = difference > 0 ? scale : difference < 0 ? -scale : 0
            }
        }
        for column in 0..<columns { losses[column] *= share }
    }
}
