/// Resizes 8-bit gray images of one size by bilinear interpolation, byte for byte as Pillow's
/// `Image.resize((width, height), BILINEAR)` does in mode L, and with it torchvision's `Resize` of a Pillow image.
///
/// Along an axis output o is Σ w_i · x_i / Σ w_i, with w_i = max(0, 1 − |i + 1/2 − c| / s), c = (o + 1/2) · n / m for n
/// inputs and m outputs, and s = max(1, n / m): shrinking averages over more pixels. Weights are integers of 22
/// fractional bits. The horizontal axis comes first; after each the sums are rounded to bytes.
/// Source: Pillow, src/libImaging/Resample.c.
public struct BilinearResize: Sendable {
    private let horizontal: Axis
    private let vertical: Axis

    /// - Precondition: All sizes are positive.
    public init(from source: (width: Int, height: Int), to target: (width: Int, height: Int)) {
        horizontal = Axis(source.width, to: target.width)
        vertical = Axis(source.height, to: target.height)
    }

    /// Resizes one image, [source.height, source.width] to [target.height, target.width].
    public func callAsFunction(_ pixels: UnsafePointer<UInt8>, into result: UnsafeMutablePointer<UInt8>) {
        let width = horizontal.outputs.count
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: vertical.inputs * width) { wide in
            guard let wide = wide.baseAddress else { return }
            for row in 0..<vertical.inputs {
                horizontal.resize(pixels + row * horizontal.inputs, into: wide + row * width, lines: 1)
            }
            vertical.resize(wide, into: result, lines: width)
        }
    }
}

extension GrayImage {
    /// The image in another size, as `BilinearResize` makes it.
    /// - Precondition: Both sizes are positive.
    public func resized(width: Int, height: Int) -> GrayImage {
        let resize = BilinearResize(from: (self.width, self.height), to: (width, height))
        let result = [UInt8](unsafeUninitializedCapacity: width * height) { buffer, count in
            guard let base = buffer.baseAddress else { return }
            resize(pixels, into: base)
            count = width * height
        }
        return GrayImage(width: width, height: height, pixels: result)
    }
}

/// What each output along an axis is made of.
private struct Axis: Sendable {
    let inputs: Int
    let outputs: [(first: Int, weights: [Int32])]

    private static let fractionBits: Int32 = 32 - 8 - 2

    init(_ inputs: Int, to count: Int) {
        precondition(inputs > 0 && count > 0, "\(inputs) pixels to \(count)")
        self.inputs = inputs
        let scale = Double(inputs) / Double(count)
        let support = max(1, scale)
        outputs = (0..<count).map { output in
            let center = (Double(output) + 0.5) * scale
            let first = max(0, Int(center - support + 0.5))
            let end = min(inputs, Int(center + support + 0.5))
            let weights = (first..<end).map { max(0, 1 - abs((Double($0) - center + 0.5) * (1 / support))) }
            let sum = weights.reduce(0, +)
            return (first, weights.map { Int32($0 / sum * Double(1 << Axis.fractionBits) + 0.5) })
        }
    }

    /// [inputs, lines] to [outputs, lines]
    func resize(_ x: UnsafePointer<UInt8>, into y: UnsafeMutablePointer<UInt8>, lines: Int) {
        for (index, output) in outputs.enumerated() {
            for line in 0..<lines {
                var sum: Int32 = 1 << (Axis.fractionBits - 1)
                for (tap, weight) in output.weights.enumerated() {
                    sum += weight * Int32(x[(output.first + tap) * lines + line])
                }
                y[index * lines + line] = UInt8(clamping: sum >> Axis.fractionBits)
            }
        }
    }
}
