// Twins of the losses, one output a column.

extension Reference {
    /// value = ln(1 + eˣ), derivative = σ(x).
    static func softplus(_ x: Kernels.Floats, _ value: Kernels.MutableFloats, _ derivative: Kernels.MutableFloats, _ columns: Int) {
        for column in 0..<columns {
            value[column] = softplus(x[column])
            derivative[column] = sigmoid(x[column])
        }
    }

    /// loss = ln(1 + e^(sign·x)), gradient = σ(sign·x) · (sign · scale), score = σ(x).
    static func binaryCrossEntropy(
        _ logits: Kernels.Floats, _ sign: Float, _ scale: Float, _ columns: Int,
        _ loss: Kernels.MutableFloats, _ gradient: Kernels.MutableFloats, _ score: Kernels.MutableFloats
    ) {
        for column in 0..<columns {
            let x = logits[column]
            loss[column] = softplus(sign * x)
            gradient[column] = sigmoid(sign * x) * (sign * scale)
            score[column] = sigmoid(x)
        }
    }

    /// loss = (max(x, 0) − t x) + ln(1 + e^−|x|), gradient = ((1 − t) σ(x) − t σ(−x)) · scale, score = σ(x).
    static func softBinaryCrossEntropy(
        _ logits: Kernels.Floats, _ targets: Kernels.Floats, _ scale: Float, _ columns: Int,
        _ loss: Kernels.MutableFloats, _ gradient: Kernels.MutableFloats, _ score: Kernels.MutableFloats
    ) {
        for column in 0..<columns {
            let (x, target) = (logits[column], targets[column])
            loss[column] = fma(-target, x, x < 0 ? 0 : x) + softplus(-x.magnitude)
            gradient[column] = fma(-target, sigmoid(-x), (1 - target) * sigmoid(x)) * scale
            score[column] = sigmoid(x)
        }
    }

    /// loss = (x − target)², gradient = (x − target) · (2 · scale), score = x.
    static func squaredError(
        _ outputs: Kernels.Floats, _ target: Float, _ scale: Float, _ columns: Int,
        _ loss: Kernels.MutableFloats, _ gradient: Kernels.MutableFloats, _ score: Kernels.MutableFloats
    ) {
        for column in 0..<columns {
            let difference = outputs[column] - target
            loss[column] = difference * difference
            gradient[column] = difference * (2 * scale)
            score[column] = outputs[column]
        }
    }

    /// loss = (x − t)², gradient = (x − t) · (2 · scale), score = x.
    static func softSquaredError(
        _ outputs: Kernels.Floats, _ targets: Kernels.Floats, _ scale: Float, _ columns: Int,
        _ loss: Kernels.MutableFloats, _ gradient: Kernels.MutableFloats, _ score: Kernels.MutableFloats
    ) {
        for column in 0..<columns {
            let difference = outputs[column] - targets[column]
            loss[column] = difference * difference
            gradient[column] = difference * (2 * scale)
            score[column] = outputs[column]
        }
    }

    /// loss = max(0, 1 + sign · x), gradient = 1 + sign · x > 0 ? sign · scale : 0, score = x.
    static func hinge(
        _ outputs: Kernels.Floats, _ sign: Float, _ scale: Float, _ columns: Int,
        _ loss: Kernels.MutableFloats, _ gradient: Kernels.MutableFloats, _ score: Kernels.MutableFloats
    ) {
        for column in 0..<columns {
            let margin = sign * outputs[column] + 1
            loss[column] = margin <= 0 ? 0 : margin
            gradient[column] = margin <= 0 ? 0 : sign * scale
            score[column] = outputs[column]
        }
    }

    /// loss = sign · x, gradient = sign · scale, score = x.
    static func linearLoss(
        _ outputs: Kernels.Floats, _ sign: Float, _ scale: Float, _ columns: Int,
        _ loss: Kernels.MutableFloats, _ gradient: Kernels.MutableFloats, _ score: Kernels.MutableFloats
    ) {
        for column in 0..<columns {
            loss[column] = sign * outputs[column]
            gradient[column] = sign * scale
            score[column] = outputs[column]
        }
    }
}
