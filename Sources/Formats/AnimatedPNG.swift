import CZlib

/// Writes an animated PNG (PNG specification, third edition, 11.3.5): PNG's pictures one behind the other, exact, repeated for ever.
///
/// Each frame is compressed by libpng. The first one's data stay in IDAT, which is what programs show that know no animations;
/// those of the others move to fdAT. Numbers that grow by one order the chunks fcTL and fdAT.
public final class AnimatedPNGWriter: AnimationWriter {
    private let file: AtomicFile
    private let frames: Int
    private var shape: [Int] = []
    private var written = 0
    private var sequence: UInt32 = 0

    /// - Parameter frames: how many there will be, which the file says first.
    /// - Throws: `FormatError` of kind `io`.
    public init(path: String, frames: Int) throws {
        precondition(frames > 0 && frames < 1 << 31, "\(frames) frames")
        file = try AtomicFile(path: path)
        self.frames = frames
    }

    public func append(_ picture: Picture, seconds: Double) throws {
        precondition(written < frames, "more than the \(frames) frames that were announced")
        precondition(written == 0 || picture.shape == shape, "a frame of \(picture.shape) after one of \(shape)")
        let png = try picture.png(path: file.path)
        let chunks = AnimatedPNGWriter.chunks(of: png)
        if written == 0 {
            shape = picture.shape
            var head = Array(png[..<8])
            for chunk in chunks where chunk.type == "IHDR" { head += bytes(chunk.type, Array(chunk.data)) }
            // Frames, and how often all are shown: 0 is for ever.
            head += bytes("acTL", bigEndian(UInt32(frames)) + bigEndian(UInt32(0)))
            try write(head)
        }
        var control = next() + bigEndian(UInt32(picture.width)) + bigEndian(UInt32(picture.height))
        control += bigEndian(UInt32(0)) + bigEndian(UInt32(0))
        // Seconds as a fraction; the whole picture takes the place of the one before.
        control += bigEndian(UInt16(max(0, min(65_535, (seconds * 1_000).rounded())))) + bigEndian(UInt16(1_000)) + [0, 0]
        try write(bytes("fcTL", control))
        for chunk in chunks where chunk.type == "IDAT" {
            try write(written == 0 ? bytes("IDAT", Array(chunk.data)) : bytes("fdAT", next() + chunk.data))
        }
        written += 1
    }

    public func finish() throws {
        precondition(written == frames, "\(written) frames of \(frames)")
        try write(bytes("IEND", []))
        try file.commit()
    }

    private func next() -> [UInt8] {
        defer { sequence += 1 }
        return bigEndian(sequence)
    }

    private func write(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try file.append($0) } }

    /// A chunk: length, type, data, and the check value of type and data.
    private func bytes(_ type: String, _ data: [UInt8]) -> [UInt8] {
        let content = Array(type.utf8) + data
        return bigEndian(UInt32(data.count)) + content + bigEndian(UInt32(truncatingIfNeeded: crc32(0, content, UInt32(content.count))))
    }

    /// Those of a file that libpng has written.
    private static func chunks(of png: [UInt8]) -> [(type: String, data: ArraySlice<UInt8>)] {
        var found: [(type: String, data: ArraySlice<UInt8>)] = []
        var offset = 8
        while offset + 12 <= png.count {
            let length = png[offset..<offset + 4].reduce(0) { $0 << 8 | Int($1) }
            let start = offset + 8
            found.append((String(decoding: png[offset + 4..<start], as: UTF8.self), png[start..<start + length]))
            offset = start + length + 4
        }
        return found
    }
}

private func bigEndian(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }
