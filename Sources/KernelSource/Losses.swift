// Losses of the outputs of a discriminator, one a column; columns is a multiple of the vectors' lanes. Real and fake rows
// have one label each, or every column has its own, as smoothed and flipped labels do.

extension Implementation {
    /// value = ln(1 + eˣ), derivative = σ(x) = 1 / (1 + e⁻ˣ).
    public static func softplus(
        _ x: UnsafePointer<Float>, value: UnsafeMutablePointer<Float>, derivative: UnsafeMutablePointer<Float>, columns: Int
    ) {
        forEachVector(1, columns) { _, column in
            let x = load(x + column)
            store(softplus(x), value + column)
            store(sigmoid(x), derivative + column)
        }
    }

    /// Binary cross-entropy on logits, one a column; sign is −1 for the target 1, +1 for the target 0:
    /// loss = ln(1 + e^(sign·x)), gradient = scale · sign · σ(sign·x), score = σ(x).
    public static func binaryCrossEntropy(
        _ logits: UnsafePointer<Float>, sign: Float, scale: Float, columns: Int,
        loss: UnsafeMutablePointer<Float>, gradient: UnsafeMutablePointer<Float>, score: UnsafeMutablePointer<Float>
    ) {
        forEachVector(1, columns) { _, column in
            let x = load(logits + column)
            store(softplus(sign * x), loss + column)
            store(sigmoid(sign * x) * (sign * scale), gradient + column)
            store(sigmoid(x), score + column)
        }
    }

    /// Binary cross-entropy on logits with a target t in [0, 1] for each column: loss = ln(1 + eˣ) − t x,
    /// gradient = scale · (σ(x) − t), score = σ(x). Where x is finite, 0 and 1 give the bits of `binaryCrossEntropy`.
    public static func softBinaryCrossEntropy(
        _ logits: UnsafePointer<Float>, targets: UnsafePointer<Float>, scale: Float, columns: Int,
        loss: UnsafeMutablePointer<Float>, gradient: UnsafeMutablePointer<Float>, score: UnsafeMutablePointer<Float>
    ) {
        forEachVector(1, columns) { _, column in
            let x = load(logits + column)
            let target = load(targets + column)
            // As sums that lose no digits where the loss is close to zero: (max(x, 0) − t x) + ln(1 + e^−|x|), and
            // (1 − t) σ(x) − t σ(−x).
            store(fma(-target, x, select(x .< 0, Vector(), x)) + softplus(-magnitude(x)), loss + column)
            let asFake = (Vector(repeating: 1) - target) * sigmoid(x)
            store(fma(-target, sigmoid(-x), asFake) * scale, gradient + column)
            store(sigmoid(x), score + column)
        }
    }

    /// Squared error on the raw output: loss = (x − target)², gradient = scale · 2 (x − target), score = x.
    public static func squaredError(
        _ outputs: UnsafePointer<Float>, target: Float, scale: Float, columns: Int,
        loss: UnsafeMutablePointer<Float>, gradient: UnsafeMutablePointer<Float>, score: UnsafeMutablePointer<Float>
    ) {
        forEachVector(1, columns) { _, column in
            let x = load(outputs + column)
            let difference = x - target
            store(difference * difference, loss + column)
            store(difference * (2 * scale), gradient + column)
            store(x, score + column)
        }
    }

    /// `squaredError` with a target for each column.
    public static func softSquaredError(
        _ outputs: UnsafePointer<Float>, targets: UnsafePointer<Float>, scale: Float, columns: Int,
        loss: UnsafeMutablePointer<Float>, gradient: UnsafeMutablePointer<Float>, score: UnsafeMutablePointer<Float>
    ) {
        forEachVector(1, columns) { _, column in
            let x = load(outputs + column)
            let difference = x - load(targets + column)
            store(difference * difference, loss + column)
            store(difference * (2 * scale), gradient + column)
            store(x, score + column)
        }
    }

    /// The discriminator's hinge (Lim and Ye 2017); sign is −1 for real rows, +1 for fake ones: loss = max(0, 1 + sign · x),
    /// gradient = 1 + sign · x > 0 ? scale · sign : 0, score = x. NaN stays NaN in the loss.
    public static func hinge(
        _ outputs: UnsafePointer<Float>, sign: Float, scale: Float, columns: Int,
        loss: UnsafeMutablePointer<Float>, gradient: UnsafeMutablePointer<Float>, score: UnsafeMutablePointer<Float>
    ) {
        forEachVector(1, columns) { _, column in
            let x = load(outputs + column)
            let margin = sign * x + 1
            store(select(margin .<= 0, Vector(), margin), loss + column)
            store(select(margin .<= 0, Vector(), Vector(repeating: sign * scale)), gradient + column)
            store(x, score + column)
        }
    }

    /// Loss = sign · x, gradient = scale · sign, score = x: what a Wasserstein critic (Arjovsky et al. 2017) and the
    /// generators of it and of the hinge minimise; sign is −1 for what is to score high.
    public static func linearLoss(
        _ outputs: UnsafePointer<Float>, sign: Float, scale: Float, columns: Int,
        loss: UnsafeMutablePointer<Float>, gradient: UnsafeMutablePointer<Float>, score: UnsafeMutablePointer<Float>
    ) {
        forEachVector(1, columns) { _, column in
            let x = load(outputs + column)
            store(sign * x, loss + column)
            store(Vector(repeating: sign * scale), gradient + column)
            store(x, score + column)
        }
    }
}
