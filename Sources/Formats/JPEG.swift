import CJPEG

extension PictureHeader {
    /// Reads the frame header of a JPEG file (ISO/IEC 10918-1, B.2.2).
    init(jpeg window: inout FileWindow) throws {
        let path = window.file.path
        func refusal(_ found: String) -> FormatError {
            FormatError(.invalid, path: path, "expected a JPEG picture, found \(found)")
        }
        let damage = "; the file is damaged: fetch it again, or remove it"
        var offset = 2
        while true {
            // As libjpeg, what is between two segments is skipped.
            while try window.number(at: offset, bytes: 1) != 0xff { offset += 1 }
            var marker = 0xff
            while marker == 0xff {
                offset += 1
                marker = try window.number(at: offset, bytes: 1)
            }
            offset += 1
            switch marker {
            case 0x00, 0x01, 0xd0...0xd7: continue  // no segment follows
            case 0xd8...0xda: throw refusal("no frame header" + damage)
            case 0xc0...0xc2, 0xc9, 0xca: break
            case 0xc4, 0xc8, 0xcc, 0xd0...0xff, 0x02...0xbf:
                let length = try window.number(at: offset, bytes: 2)
                guard length >= 2 else { throw refusal("a segment of \(length) bytes" + damage) }
                offset += length
                continue
            default: throw refusal("a lossless or hierarchical one; convert it to PNG")
            }
            let (precision, channels) = (try window.number(at: offset + 2, bytes: 1), try window.number(at: offset + 7, bytes: 1))
            guard precision == 8 else { throw refusal("samples of \(precision) bits; convert it to 8 bits") }
            guard channels == 1 || channels == 3 else {
                let name = channels == 4 ? " (CMYK)" : ""
                throw refusal("one of \(channels) channels\(name); convert it to RGB, or remove it")
            }
            // Of Huffman codes a block takes a bit at least, and nine blocks make 1,024 pixels at most (in three channels
            // sampled by 4 × 1, 1 × 4 and 1 × 1): that is 910 pixels a byte. Arithmetic codes hardly ever take less.
            try self.init(
                .jpeg, channels: channels, height: try window.number(at: offset + 3, bytes: 2),
                width: try window.number(at: offset + 5, bytes: 2), traits: [],
                largestCount: product([window.file.size, 1024]) ?? .max, path: path)
            return
        }
    }

    /// - Parameter pixels: Room for channels · height · width samples.
    /// - Throws: `FormatError` of kind `invalid`.
    func decodeJPEG(_ bytes: [UInt8], into pixels: UnsafeMutablePointer<UInt8>, path: String) throws {
        try withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(cjpeg_message_size)) { message in
            let result = cjpeg_decode(
                bytes, bytes.count, UInt32(channels), UInt32(height), UInt32(width), pixels, message.baseAddress)
            switch result {
            case cjpeg_ok: return
            case cjpeg_cut_short: throw FormatError.cutShort(path, after: bytes.count)
            case cjpeg_too_many_scans:
                throw FormatError(
                    .invalid, path: path,
                    "expected at most \(cjpeg_most_scans) scans of a JPEG picture, found more; "
                        + "the file is damaged or a decompression bomb: remove it")
            default:
                let reason = message.baseAddress.map { String(cString: $0) } ?? ""
                throw FormatError(
                    .invalid, path: path,
                    "expected a JPEG picture, found one that is damaged (libjpeg: \(reason)); fetch it again, or remove it")
            }
        }
    }
}
