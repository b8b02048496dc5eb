/// Writes an animated GIF (Graphics Interchange Format 89a, CompuServe 1990), repeated for ever.
///
/// Grey pictures keep their 256 levels. Colours are rounded to the nearest of 252: 6 levels of red, 7 of green, 6 of blue. Times
/// are told in hundredths of a second; what is rounded off one frame is added to the next.
public final class GIFWriter: AnimationWriter {
    private let file: AtomicFile
    private var shape: [Int] = []
    /// What the frames so far should have taken, less what the file says.
    private var owed = 0.0
    private static let (reds, greens, blues) = (6, 7, 6)

    /// - Throws: `FormatError` of kind `io`.
    public init(path: String) throws { file = try AtomicFile(path: path) }

    /// - Precondition: besides, no side is longer than 65,535 pixels.
    public func append(_ picture: Picture, seconds: Double) throws {
        precondition(max(picture.width, picture.height) <= 65_535, "a GIF of \(picture.shape)")
        if shape.isEmpty {
            shape = picture.shape
            try writeHead(picture)
        }
        precondition(picture.shape == shape, "a frame of \(picture.shape) after one of \(shape)")
        owed += seconds * 100
        // Viewers take less than two hundredths for ten.
        let delay = max(2, min(65_535, owed.rounded()))
        owed -= delay
        // Graphic control: leave the frame, no transparent colour.
        var bytes: [UInt8] = [0x21, 0xf9, 4, 0x04] + littleEndian(Int(delay)) + [0, 0]
        // Image: at 0, 0, without a palette of its own.
        bytes += [0x2c, 0, 0, 0, 0] + littleEndian(picture.width) + littleEndian(picture.height) + [0, 8]
        var compressor = LZWCompressor()
        let data = compressor.compress(GIFWriter.indices(of: picture))
        for start in stride(from: 0, to: data.count, by: 255) {
            let block = data[start..<min(start + 255, data.count)]
            bytes.append(UInt8(block.count))
            bytes += block
        }
        try write(bytes + [0])
    }

    public func finish() throws {
        precondition(!shape.isEmpty, "an animation has a frame")
        try write([0x3b])
        try file.commit()
    }

    private func writeHead(_ picture: Picture) throws {
        var bytes = Array("GIF89a".utf8) + littleEndian(picture.width) + littleEndian(picture.height)
        // A palette of 256 colours of 8 bits, background 0, square pixels.
        bytes += [0xf7, 0, 0] + GIFWriter.palette(channels: picture.channels)
        // Netscape's extension: again and again, 0 is for ever.
        bytes += [0x21, 0xff, 11] + Array("NETSCAPE2.0".utf8) + [3, 1, 0, 0, 0]
        try write(bytes)
    }

    private func write(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try file.append($0) } }

    private static func palette(channels: Int) -> [UInt8] {
        if channels == 1 { return (0..<256).flatMap { [UInt8($0), UInt8($0), UInt8($0)] } }
        func level(_ index: Int, of count: Int) -> UInt8 { UInt8((index * 255 + (count - 1) / 2) / (count - 1)) }
        var colours: [UInt8] = []
        for red in 0..<reds {
            for green in 0..<greens {
                for blue in 0..<blues { colours += [level(red, of: reds), level(green, of: greens), level(blue, of: blues)] }
            }
        }
        return colours + [UInt8](repeating: 0, count: 768 - colours.count)
    }

    /// The number of each pixel's colour in the palette.
    private static func indices(of picture: Picture) -> [UInt8] {
        if picture.channels == 1 { return picture.pixels }
        func nearest(_ value: UInt8, of count: Int) -> Int { (Int(value) * (count - 1) + 127) / 255 }
        return stride(from: 0, to: picture.pixels.count, by: 3).map { pixel in
            let red = nearest(picture.pixels[pixel], of: reds)
            let green = nearest(picture.pixels[pixel + 1], of: greens)
            return UInt8((red * greens + green) * blues + nearest(picture.pixels[pixel + 2], of: blues))
        }
    }
}

/// GIF's compression of bytes (the specification's appendix F): a code, of 9 to 12 bits, for each longest string that has come before.
private struct LZWCompressor {
    private static let (clear, end, mostCodes) = (256, 257, 4_096)
    /// The code of the string of a code and a byte behind it; 0 where there is none yet.
    private var table = [UInt16](repeating: 0, count: LZWCompressor.mostCodes << 8)
    private var next = LZWCompressor.end + 1
    private var width = 9
    private var output: [UInt8] = []
    private var bits: UInt32 = 0
    private var bitCount = 0

    mutating func compress(_ bytes: [UInt8]) -> [UInt8] {
        write(Self.clear)
        guard var code = bytes.first.map({ Int($0) }) else {
            write(Self.end)
            return flushed()
        }
        for byte in bytes.dropFirst() {
            let place = code << 8 | Int(byte)
            if table[place] != 0 {
                code = Int(table[place])
                continue
            }
            write(code)
            if next < Self.mostCodes {
                table[place] = UInt16(next)
                // A code of the width is never read before the reader knows it.
                if next == 1 << width { width += 1 }
                next += 1
            } else {
                write(Self.clear)
                table.withUnsafeMutableBufferPointer { $0.update(repeating: 0) }
                (next, width) = (Self.end + 1, 9)
            }
            code = Int(byte)
        }
        write(code)
        // The reader adds a string here as well.
        if next == 1 << width, width < 12 { width += 1 }
        write(Self.end)
        return flushed()
    }

    private mutating func write(_ code: Int) {
        bits |= UInt32(code) << UInt32(bitCount)
        bitCount += width
        while bitCount >= 8 {
            output.append(UInt8(truncatingIfNeeded: bits))
            bits >>= 8
            bitCount -= 8
        }
    }

    private mutating func flushed() -> [UInt8] {
        if bitCount > 0 { output.append(UInt8(truncatingIfNeeded: bits)) }
        return output
    }
}

private func littleEndian(_ value: Int) -> [UInt8] { [UInt8(value & 255), UInt8(value >> 8 & 255)] }
