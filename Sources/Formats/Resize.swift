/// Resizes pictures of 8-bit samples of one size by bilinear interpolation, byte for byte as Pillow's
/// `Image.resize((width, height), BILINEAR)` does in modes L and RGB, and with it torchvision's `Resize` of a Pillow image.
///
/// Along an axis output o is Σ w_i · x_i / Σ w_i, with w_i = max(0, 1 − |i + 1/2 − c| / s), c = (o + 1/2) · n / m for n
/// inputs and m outputs, and s = max(1, n / m): shrinking averages over more pixels. Weights are integers of 22
/// fractional bits. The horizontal axis comes first; after each the sums are rounded to bytes.
/// Source: Pillow, src/libImaging/Resample.c.
public struct BilinearResize: Sendable {
    private let horizontal: Axis
    private let vertical: Axis
    private let channels: Int

    /// - Precondition: All sizes are positive.
    public init(from source: (width: Int, height: Int), to target: (width: Int, height: Int), channels: Int = 1) {
        self.channels = channels
        horizontal = Axis(source.width, to: target.width)
        vertical = Axis(source.height, to: target.height)
    }

    /// Bytes of the workspace of a call.
    public var workspaceCount: Int { vertical.inputs * horizontal.count * channels }

    /// Resizes one picture, [source.height, source.width, channels] to [target.height, target.width, channels].
    public func callAsFunction(
        _ pixels: UnsafePointer<UInt8>, into result: UnsafeMutablePointer<UInt8>, workspace wide: UnsafeMutablePointer<UInt8>
    ) {
        for row in 0..<vertical.inputs {
            let (source, target) = (row * horizontal.inputs * channels, row * horizontal.count * channels)
            horizontal.resize(pixels + source, into: wide + target, lines: channels)
        }
        vertical.resize(wide, into: result, lines: horizontal.count * channels)
    }
}

/// What each output along an axis is made of.
private struct Axis: Sendable {
    let inputs: Int
    /// Outputs.
    let count: Int
    /// The most inputs of an output, and the first of each output's, all of that many.
    private let taps: Int
    private let first: [Int]
    /// [count, taps]
    private let weights: [Int32]

    private static let fractionBits: Int32 = 32 - 8 - 2

    init(_ inputs: Int, to count: Int) {
        precondition(inputs > 0 && count > 0, "\(inputs) pixels to \(count)")
        self.inputs = inputs
        self.count = count
        let scale = Double(inputs) / Double(count)
        let support = max(1, scale)
        let outputs = (0..<count).map { output -> (range: Range<Int>, weights: [Int32]) in
            let center = (Double(output) + 0.5) * scale
            let range = max(0, Int(center - support + 0.5))..<min(inputs, Int(center + support + 0.5))
            let weights = range.map { max(0, 1 - abs((Double($0) - center + 0.5) * (1 / support))) }
            let sum = weights.reduce(0, +)
            return (range, weights.map { Int32($0 / sum * Double(1 << Axis.fractionBits) + 0.5) })
        }
        let taps = outputs.map(\.range.count).max() ?? 0
        let first = outputs.map { min($0.range.lowerBound, inputs - taps) }
        weights = zip(outputs, first).flatMap { output, first in
            (first..<first + taps).map { output.range.contains($0) ? output.weights[$0 - output.range.lowerBound] : 0 }
        }
        self.taps = taps
        self.first = first
    }

    /// [inputs, lines] to [count, lines]
    func resize(_ x: UnsafePointer<UInt8>, into y: UnsafeMutablePointer<UInt8>, lines: Int) {
        weights.withUnsafeBufferPointer { weights in
            for output in 0..<count {
                let (x, first) = (x + first[output] * lines, output * taps)
                for line in 0..<lines {
                    var sum: Int32 = 1 << (Axis.fractionBits - 1)
                    for tap in 0..<taps { sum &+= weights[first + tap] &* Int32(x[tap * lines + line]) }
                    y[output * lines + line] = UInt8(clamping: sum >> Axis.fractionBits)
                }
            }
        }
    }
}
