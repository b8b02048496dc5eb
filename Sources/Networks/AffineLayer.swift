/// A layer y = W x + b, with the rectifier that follows it, if one does, fused into it.
protocol AffineLayer: Layer {
    var fusion: RectifierFusion { get }
    /// Whether the weights are divided by their largest singular value, for which y must stay as it is.
    var isSpectral: Bool { get }
    /// Channels of the output, which share a bias.
    var outputChannels: Int { get }
    /// Whether W is [in, out, …], as PyTorch has it for transposed convolutions.
    var isTransposed: Bool { get }
}

/// The rectifiers around an affine layer that its products include.
struct RectifierFusion {
    /// Slope for negative values of the rectifier that follows, or nil.
    let slope: Float?
    /// Slope of the rectifier that made the layer's input and whose derivative its input gradient includes, or nil.
    let inputSlope: Float?
    /// Whether the next layer's input gradient includes this layer's derivative.
    let isFusedWithNext: Bool
}
