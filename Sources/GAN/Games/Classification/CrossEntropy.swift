import Kernels
import Networks

/// Cross-entropy of the classes' probabilities p = softmax(x): L(x, y) = ln Σ e^(x_c) − x_y.
struct CrossEntropy {
    /// The loss of each of this rank's rows, and 1 where the largest output is that of its class.
    let losses, hits: UnsafeMutablePointer<Float>

    init(columns: Int, arena: Arena) { (losses, hits) = (arena.floats(columns), arena.floats(columns)) }

    /// Losses and hits of each row, and the gradient of the mean over the batch, (p − 1_y) / B.
    ///
    /// Classes are added in ascending order, by functions that are the same on every instruction set.
    ///
    /// - Parameters:
    ///   - outputs: [classes, columns].
    ///   - labels: [columns], each less than the number of classes.
    ///   - gradient: [classes, columns].
    func apply(
        _ outputs: Matrix, _ labels: UnsafePointer<UInt8>, batch: Int, gradient: Matrix, _ pass: Pass
    ) {
        let (x, dx, classes) = (outputs.base, gradient.base, outputs.features)
        let (stride, gradientStride) = (outputs.stride, gradient.stride)
        let scale = 1 / Float(batch)
        for column in 0..<pass.columns {
            let label = Int(labels[column])
            let (best, largest) = CrossEntropy.largest(x + column, classes, stride)
            var sum: Float = 0
            for c in 0..<classes {
                let power = Reference.exponential(x[c * stride + column] - largest)
                dx[c * gradientStride + column] = power
                sum += power
            }
            losses[column] = Reference.logarithm(sum) - (x[label * stride + column] - largest)
            hits[column] = best == label ? 1 : 0
            for c in 0..<classes {
                let probability = dx[c * gradientStride + column] / sum
                dx[c * gradientStride + column] = (probability - (c == label ? 1 : 0)) * scale
            }
        }
    }

    /// The class of the largest output, the first of equals, and that output.
    static func largest(_ x: UnsafePointer<Float>, _ classes: Int, _ stride: Int) -> (best: Int, value: Float) {
        var (best, value) = (0, x[0])
        for c in 1..<max(1, classes) where x[c * stride] > value { (best, value) = (c, x[c * stride]) }
        return (best, value)
    }
}
