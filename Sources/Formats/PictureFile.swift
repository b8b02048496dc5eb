import Synchronization

/// What the header of a PNG or JPEG file tells.
public struct PictureHeader: Sendable, Equatable {
    /// 3 of colour and palettes, 1 of grey.
    public let channels: Int
    public let height: Int
    public let width: Int
    public let traits: PictureTraits
    let format: PictureFormat

    /// Reads the beginning of a file.
    ///
    /// The first bytes tell the format, not the name. A header is refused that is damaged, that asks for no pixels, for a
    /// side beyond 65,535 or for more than 89,478,485 pixels, or for more than a file of that length can hold.
    /// - Throws: `FormatError` of any kind.
    public init(path: String) throws {
        var window = try FileWindow(InputFile(path: path))
        try self.init(&window)
    }

    fileprivate init(_ window: inout FileWindow) throws {
        switch try PictureFormat(window) {
        case .png: try self.init(png: &window)
        case .jpeg: try self.init(jpeg: &window)
        }
    }

    /// - Parameter largestCount: The most pixels that the file can hold.
    /// - Throws: `FormatError` of kind `invalid` where the sizes make no picture.
    init(
        _ format: PictureFormat, channels: Int, height: Int, width: Int, traits: PictureTraits, largestCount: Int, path: String
    ) throws {
        func refusal(_ expected: String) -> FormatError {
            FormatError(
                .invalid, path: path,
                "expected \(expected), found a header of \(width) × \(height); "
                    + "the file is damaged or a decompression bomb: remove it")
        }
        guard width > 0, height > 0 else { throw refusal("a picture that has pixels") }
        guard max(width, height) <= 65_535 else { throw refusal("a picture of at most 65535 pixels a side") }
        guard width * height <= mostPixels else { throw refusal("a picture of at most \(mostPixels) pixels") }
        guard width * height <= largestCount else {
            throw refusal("a picture of at most \(largestCount) pixels in a file of this length")
        }
        self.format = format
        self.channels = channels
        self.height = height
        self.width = width
        self.traits = traits
    }
}

/// What is read in another way than it is stored.
public struct PictureTraits: OptionSet, Sendable {
    public let rawValue: Int

    public init(rawValue: Int) { self.rawValue = rawValue }

    /// Colours of a palette, which become red, green and blue.
    public static let palette = PictureTraits(rawValue: 1)
    /// Rows that come in seven passes.
    public static let interlaced = PictureTraits(rawValue: 2)
    /// Samples of 16 bits, of which the high byte is taken.
    public static let sixteenBits = PictureTraits(rawValue: 4)
    /// Transparency, which is laid over black.
    public static let alpha = PictureTraits(rawValue: 8)
}

extension Picture {
    /// Reads a PNG or JPEG file; the first bytes tell which, not the name. May be called on any number of threads.
    ///
    /// Neither a gamma nor a colour profile is applied, and a JPEG file is not turned as its metadata ask: what comes is
    /// what Pillow's `Image.open` gives. See `PictureTraits` for what is changed. JPEG files of four channels are refused.
    /// - Throws: `FormatError`: `missing`; `invalid` where the file is of another format, damaged or cut short, and as
    ///   `PictureHeader`; `io`.
    public init(path: String) throws {
        let file = try InputFile(path: path)
        var window = try FileWindow(file)
        let header = try PictureHeader(&window)
        guard file.size <= mostBytes else {
            throw FormatError(
                .invalid, path: path, "expected a picture of at most \(mostBytes) bytes, found \(file.size); remove the file")
        }
        let bytes = try window.wholeFile()
        // The header has been held against the length of the file.
        let count = header.channels * header.height * header.width
        func decode() throws -> [UInt8] {
            try [UInt8](unsafeUninitializedCapacity: count) { buffer, initializedCount in
                guard let pixels = buffer.baseAddress else { return }
                try header.decode(bytes, into: pixels, path: path)
                initializedCount = count
            }
        }
        let decoded = count > largeCount ? try largePictures.withLock { _ in try decode() } : try decode()
        self.init(channels: header.channels, height: header.height, width: header.width, pixels: decoded)
    }
}

extension PictureHeader {
    fileprivate func decode(_ bytes: [UInt8], into pixels: UnsafeMutablePointer<UInt8>, path: String) throws {
        switch format {
        case .png: try decodePNG(bytes, into: pixels, path: path)
        case .jpeg: try decodeJPEG(bytes, into: pixels, path: path)
        }
    }
}

/// Pillow warns of a decompression bomb beyond.
private let mostPixels = 89_478_485
/// Pictures of more samples are decoded one at a time, whatever the number of threads: each takes memory.
private let largeCount = 1 << 24
private let largePictures = Mutex(())
/// More than that many pixels take, of four samples of 16 bits.
private let mostBytes = 1 << 30

/// The formats that are read.
enum PictureFormat: Sendable {
    case png, jpeg

    /// - Throws: `FormatError` of kind `invalid` that says what else the file is.
    fileprivate init(_ window: FileWindow) throws {
        let bytes = window.bytes
        if bytes.starts(with: [0x89]), bytes.dropFirst().starts(with: "PNG".utf8) {
            self = .png
        } else if bytes.starts(with: [0xff, 0xd8]) {
            self = .jpeg
        } else {
            throw FormatError(
                .invalid, path: window.file.path, "expected a PNG or JPEG picture, found \(description(ofOther: bytes))")
        }
    }
}

private func description(ofOther bytes: [UInt8]) -> String {
    if bytes.isEmpty { return "an empty file; fetch it again, or remove it" }
    let known = [
        ("GIF", 0, "GIF8"), ("WebP", 8, "WEBP"), ("BMP", 0, "BM"), ("TIFF", 0, "II*\0"), ("TIFF", 0, "MM\0*"),
        ("AVIF", 4, "ftypavif"), ("HEIF", 4, "ftyphei"), ("HEIF", 4, "ftypmif1"),
    ]
    for (name, offset, signature) in known where bytes.dropFirst(offset).starts(with: signature.utf8) {
        return "\(name); convert it to PNG, or remove it"
    }
    let beginning = String(decoding: bytes.prefix(100), as: UTF8.self)
    if beginning.lowercased().contains(/^\s*<(!doctype\s+html|html)/) {
        return "a page of the web (HTML) in its place; fetch the picture again, or remove it"
    }
    return "a file that begins with \(String(beginning.prefix(20)).excerpt); fetch it again, or remove it"
}
