// What losses of outputs are made of, one output a column; columns is a multiple of the vectors' lanes.

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
}
