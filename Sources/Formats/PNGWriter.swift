import CPNG

extension Picture {
    /// Writes a PNG file (ISO/IEC 15948) of 8 bits a sample, grey or RGB, atomically.
    /// - Throws: `FormatError` of kind `io`.
    public func writePNG(path: String) throws { try AtomicFile.write(path: path, bytes: png(path: path)) }

    /// The bytes of that file.
    /// - Parameter path: what an error names.
    func png(path: String) throws -> [UInt8] {
        var image = png_image()
        image.version = UInt32(PNG_IMAGE_VERSION)
        image.width = UInt32(width)
        image.height = UInt32(height)
        image.format = channels == 1 ? UInt32(PNG_FORMAT_GRAY) : UInt32(PNG_FORMAT_RGB)

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
        return Array(bytes[..<size])
    }
}
