import CPNG

/// A picture of 8-bit gray pixels, row by row from the top; 0 is black.
public struct GrayImage: Sendable, Equatable {
    public let width: Int
    public let height: Int
    public let pixels: [UInt8]  // [height, width]

    /// - Precondition: Both sizes are positive, and `pixels` holds their product.
    public init(width: Int, height: Int, pixels: [UInt8]) {
        precondition(width > 0 && height > 0 && pixels.count == width * height, "\(width) x \(height) pixels expected")
        self.width = width
        self.height = height
        self.pixels = pixels
    }

    /// Lays images of one size out in rows, on black, as torchvision's `make_grid(nrow: columns, padding: padding)`:
    /// `padding` pixels around each, fewer columns where there are fewer images, and a single image as it is.
    ///
    /// The grid is `rows * (height + padding) + padding` pixels high, and wide likewise.
    /// - Precondition: There is an image, all have the same size, `columns` is positive and `padding` not negative.
    public init(grid images: [GrayImage], columns: Int = 8, padding: Int = 2) {
        guard let first = images.first else { preconditionFailure("a grid needs an image") }
        precondition(columns > 0 && padding >= 0, "\(columns) columns, \(padding) pixels of padding")
        if images.count == 1 {
            self = first
            return
        }
        let columns = min(columns, images.count)
        let rows = (images.count + columns - 1) / columns
        let width = columns * (first.width + padding) + padding
        let height = rows * (first.height + padding) + padding
        var pixels = [UInt8](repeating: 0, count: width * height)
        for (index, image) in images.enumerated() {
            precondition(image.width == first.width && image.height == first.height, "image \(index) has another size")
            let top = index / columns * (first.height + padding) + padding
            let left = index % columns * (first.width + padding) + padding
            for row in 0..<image.height {
                let source = row * image.width
                let target = (top + row) * width + left
                pixels.replaceSubrange(
                    target..<target + image.width, with: image.pixels[source..<source + image.width])
            }
        }
        self.init(width: width, height: height, pixels: pixels)
    }

    /// Writes a PNG file (ISO/IEC 15948), atomically.
    /// - Throws: `FormatError` of kind `io`.
    public func writePNG(path: String) throws {
        var image = png_image()
        image.version = UInt32(PNG_IMAGE_VERSION)
        image.width = UInt32(width)
        image.height = UInt32(height)
        image.format = UInt32(PNG_FORMAT_GRAY)

        var size = 0
        var bytes: [UInt8] = []
        // Once for the size, once for the bytes.
        for _ in 0..<2 {
            bytes = [UInt8](repeating: 0, count: size)
            let succeeded = bytes.withUnsafeMutableBytes {
                png_image_write_to_memory(&image, $0.isEmpty ? nil : $0.baseAddress, &size, 0, pixels, 0, nil)
            }
            guard succeeded != 0 else {
                png_image_free(&image)
                let message = withUnsafeBytes(of: image.message) {
                    String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
                }
                throw FormatError(.io, path: path, "libpng cannot encode \(width) x \(height) pixels: \(message)")
            }
        }
        let file = try AtomicFile(path: path)
        try bytes[..<size].withUnsafeBytes { try file.append($0) }
        try file.commit()
    }
}
