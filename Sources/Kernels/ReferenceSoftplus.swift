// The twin of softplus.

extension Reference {
    /// value = ln(1 + eˣ), derivative = σ(x).
    static func softplus(_ x: Kernels.Floats, _ value: Kernels.MutableFloats, _ derivative: Kernels.MutableFloats, _ columns: Int) {
        for column in 0..<columns {
            value[column] = softplus(x[column])
            derivative[column] = sigmoid(x[column])
        }
    }
}
