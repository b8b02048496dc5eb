import CPNG
import CZlib

extension PictureHeader {
    /// Reads the header of a PNG file, and whether its pixels are transparent.
    init(png window: inout FileWindow) throws {
        let path = window.file.path
        func damage(_ found: String) -> FormatError {
            FormatError(
                .invalid, path: path, "expected a PNG header, found \(found); the file is damaged: fetch it again, or remove it")
        }
        guard try window.number(at: 4, bytes: 4) == 0x0d0a_1a0a else {
            throw damage("line ends that a transfer as text has changed")
        }
        // The first chunk: length, type, data, check value
        let checkValue = try window.number(at: 29, bytes: 4)
        guard try window.number(at: 8, bytes: 4) == 13, try window.number(at: 12, bytes: 4) == code("IHDR") else {
            throw damage("no chunk IHDR of 13 bytes")
        }
        let found = window.bytes.withUnsafeBufferPointer { $0.baseAddress.map { crc32(0, $0 + 12, 17) } }
        guard found == UInt(checkValue) else { throw damage("a wrong check value (CRC)") }

        let (width, height) = (try window.number(at: 16, bytes: 4), try window.number(at: 20, bytes: 4))
        let (depth, colorType) = (try window.number(at: 24, bytes: 1), try window.number(at: 25, bytes: 1))
        let (methods, interlacing) = (try window.number(at: 26, bytes: 2), try window.number(at: 28, bytes: 1))
        let samples: Int
        switch (colorType, depth) {
        case (0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (3, 1), (3, 2), (3, 4), (3, 8): samples = 1
        case (2, 8), (2, 16): samples = 3
        case (4, 8), (4, 16): samples = 2
        case (6, 8), (6, 16): samples = 4
        default: throw damage("colour type \(colorType) of \(depth) bits")
        }
        guard methods == 0, interlacing < 2 else { throw damage("a compression, filter or interlacing that PNG does not know") }

        var traits: PictureTraits = []
        if colorType == 3 { traits.insert(.palette) }
        if interlacing == 1 { traits.insert(.interlaced) }
        if depth == 16 { traits.insert(.sixteenBits) }
        if try colorType > 3 || hasTransparency(&window) { traits.insert(.alpha) }
        // A byte of deflate stands for 1,032 at most; see ByteSource.
        let bits = product([window.file.size, 1032 * 8]) ?? .max
        try self.init(
            .png, channels: [0, 4].contains(colorType) ? 1 : 3, height: height, width: width, traits: traits,
            largestCount: bits / (samples * depth), path: path)
    }

    /// - Parameter pixels: Room for channels · height · width samples.
    /// - Throws: `FormatError` of kind `invalid`.
    func decodePNG(_ bytes: [UInt8], into pixels: UnsafeMutablePointer<UInt8>, path: String) throws {
        try withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(cpng_message_size)) { message in
            let result = cpng_decode(
                bytes, bytes.count, UInt32(channels), UInt32(height), UInt32(width), pixels, message.baseAddress)
            if result == cpng_ok { return }
            if result == cpng_cut_short { throw FormatError.cutShort(path, after: bytes.count) }
            let reason = message.baseAddress.map { String(cString: $0) } ?? ""
            throw FormatError(
                .invalid, path: path,
                "expected a PNG picture, found one that is damaged (libpng: \(reason)); fetch it again, or remove it")
        }
    }
}

/// Whether a chunk tRNS comes before the pixels.
private func hasTransparency(_ window: inout FileWindow) throws -> Bool {
    var offset = 33
    while true {
        let (length, type) = (try window.number(at: offset, bytes: 4), try window.number(at: offset + 4, bytes: 4))
        if type == code("tRNS") { return true }
        if type == code("IDAT") || type == code("IEND") { return false }
        offset += 12 + length
    }
}

/// The type of a chunk as a number.
private func code(_ type: StaticString) -> Int {
    type.withUTF8Buffer { $0.reduce(0) { $0 << 8 | Int($1) } }
}
