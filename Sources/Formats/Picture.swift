/// A picture of 8-bit samples, row by row from the top, pixel by pixel; 0 is black.
public struct Picture: Sendable, Equatable {
    /// 1 (grey) or 3 (red, green, blue).
    public let channels: Int
    public let height: Int
    public let width: Int
    public let pixels: [UInt8]  // [height, width, channels]

    /// - Precondition: There are 1 or 3 channels, both sizes are positive, and `pixels` holds the product of the three.
    public init(channels: Int, height: Int, width: Int, pixels: [UInt8]) {
        precondition(channels == 1 || channels == 3, "\(channels) channels, 1 or 3 expected")
        precondition(
            height > 0 && width > 0 && pixels.count == channels * height * width,
            "\(pixels.count) samples, [\(height), \(width), \(channels)] expected")
        self.channels = channels
        self.height = height
        self.width = width
        self.pixels = pixels
    }

    /// Lays pictures of one shape out in rows, on black, as torchvision's `make_grid(nrow: columns, padding: padding)`:
    /// `padding` pixels around each, fewer columns where there are fewer pictures, and a single picture as it is.
    ///
    /// The grid is `rows * (height + padding) + padding` pixels high, and wide likewise.
    /// - Precondition: There is a picture, all have the same shape, `columns` is positive and `padding` not negative.
    public init(grid images: [Picture], columns: Int = 8, padding: Int = 2) {
        guard let first = images.first else { preconditionFailure("a grid needs a picture") }
        precondition(columns > 0 && padding >= 0, "\(columns) columns, \(padding) pixels of padding")
        if images.count == 1 {
            self = first
            return
        }
        let columns = min(columns, images.count)
        let rows = (images.count + columns - 1) / columns
        let width = columns * (first.width + padding) + padding
        let height = rows * (first.height + padding) + padding
        var pixels = [UInt8](repeating: 0, count: first.channels * width * height)
        for (index, image) in images.enumerated() {
            precondition(image.shape == first.shape, "picture \(index) has the shape \(image.shape), not \(first.shape)")
            let top = index / columns * (first.height + padding) + padding
            let left = index % columns * (first.width + padding) + padding
            let line = image.width * image.channels
            for row in 0..<image.height {
                let target = ((top + row) * width + left) * image.channels
                pixels.replaceSubrange(target..<target + line, with: image.pixels[row * line..<(row + 1) * line])
            }
        }
        self.init(channels: first.channels, height: height, width: width, pixels: pixels)
    }

    var shape: [Int] { [height, width, channels] }
}

extension Picture {
    /// The picture in grey or in colour.
    ///
    /// Colour becomes grey as Pillow's mode L: (19,595 R + 38,470 G + 7,471 B + 2¹⁵) / 2¹⁶, rounded down. Grey becomes
    /// three equal channels.
    /// - Precondition: `toChannels` is 1 or 3.
    public func converted(toChannels: Int) -> Picture {
        precondition(toChannels == 1 || toChannels == 3, "\(toChannels) channels, 1 or 3 expected")
        if toChannels == channels { return self }
        if toChannels == 3 {
            return Picture(channels: 3, height: height, width: width, pixels: pixels.flatMap { [$0, $0, $0] })
        }
        let size = height * width
        let gray = [UInt8](unsafeUninitializedCapacity: size) { gray, count in
            pixels.withUnsafeBufferPointer { pixels in
                for i in 0..<size {
                    let (red, green, blue) = (UInt32(pixels[3 * i]), UInt32(pixels[3 * i + 1]), UInt32(pixels[3 * i + 2]))
                    gray[i] = UInt8(truncatingIfNeeded: (19_595 &* red &+ 38_470 &* green &+ 7_471 &* blue &+ 0x8000) >> 16)
                }
            }
            count = size
        }
        return Picture(channels: 1, height: height, width: width, pixels: gray)
    }

    /// The largest square in the middle, as torchvision's `CenterCrop(min(height, width))`: of an odd number of pixels too
    /// many, the half is rounded to an even number.
    public func croppedToSquare() -> Picture {
        let side = min(height, width)
        if height == width { return self }
        func offset(_ size: Int) -> Int { Int((Double(size - side) / 2).rounded(.toNearestOrEven)) }
        let (top, left) = (offset(height), offset(width))
        var square: [UInt8] = []
        square.reserveCapacity(channels * side * side)
        for row in top..<top + side {
            let start = (row * width + left) * channels
            square += pixels[start..<start + side * channels]
        }
        return Picture(channels: channels, height: side, width: side, pixels: square)
    }

    /// The picture in another size, each channel as `BilinearResize` makes it.
    /// - Precondition: Both sizes are positive.
    public func resized(height: Int, width: Int) -> Picture {
        let resize = BilinearResize(from: (self.width, self.height), to: (width, height), channels: channels)
        let size = channels * height * width
        let result = [UInt8](unsafeUninitializedCapacity: size) { result, count in
            pixels.withUnsafeBufferPointer { pixels in
                guard let source = pixels.baseAddress, let target = result.baseAddress else { return }
                withUnsafeTemporaryAllocation(of: UInt8.self, capacity: resize.workspaceCount) { workspace in
                    guard let workspace = workspace.baseAddress else { return }
                    resize(source, into: target, workspace: workspace)
                }
            }
            count = size
        }
        return Picture(channels: channels, height: height, width: width, pixels: result)
    }

    /// A picture of planes, [channels, height, width].
    public init(channels: Int, height: Int, width: Int, planes: [UInt8]) {
        let size = height * width
        let isPlain = channels == 1 || planes.count != channels * size
        self.init(
            channels: channels, height: height, width: width,
            pixels: isPlain ? planes : planes.indices.map { planes[$0 % channels * size + $0 / channels] })
    }
}
