import Formats
import MessagePassing

/// IDX files in memory, for their images to be read one by one and in any order.
struct IDXImages: ImageSource {
    let format: DataFormat
    let count: Int
    let fingerprint: String
    let misfit: String?
    private let name: String
    /// [count, H, W]
    private let pixels: [UInt8]
    /// The classes; nil without labels that can be used.
    private let labels: [UInt8]?
    private let size: ImageSize

    var kind: String { "IDX files" }
    var classNames: [String] { [] }
    var notes: [String] { [] }

    /// Reads both files.
    /// - Throws: bad data where they changed since they were opened; `FormatError`.
    init(_ files: IDXFiles) throws {
        let files = try files.reopened()
        let (images, digest) = (files.images, SHA256Digest())
        images.headerBytes.withUnsafeBytes(digest.update)
        var pixels: [UInt8] = []
        var item = [UInt8](repeating: 0, count: images.itemSize)
        for _ in 0..<files.count {
            try item.withUnsafeMutableBytes { item in
                try images.readItems(1, into: item)
                digest.update(UnsafeRawBufferPointer(item))
                pixels += files.picture(UnsafeRawBufferPointer(item)).pixels
            }
        }
        try images.finish()
        var labels: [UInt8] = []
        if let reader = files.labels {
            reader.headerBytes.withUnsafeBytes(digest.update)
            try reader.readAll { labels += $0 }
            labels.withUnsafeBytes(digest.update)
        }
        let misfit = files.mismatch ?? labels.withUnsafeBytes { files.misfit($0, from: 0) }
        var format = files.format
        if let misfit {
            format.classes = nil
            format.noLabels = Failure(.badData, misfit)
        }
        (self.format, self.misfit, self.pixels) = (format, misfit, pixels)
        self.labels = format.classes == nil ? nil : labels.map { $0 - files.firstLabel }
        count = files.count
        size = format.size ?? ImageSize(side: 0)
        name = String(images.path.split(separator: "/").last ?? "")
        fingerprint = digest.finish().hexadecimal
    }

    func path(of image: Int) -> String { name }

    func label(of image: Int) -> Int? { labels.map { Int($0[image]) } }

    func read(_ image: Int) -> (picture: Picture, label: Int?) {
        let features = size.height * size.width
        let pixels = Array(pixels[image * features..<(image + 1) * features])
        return (Picture(channels: 1, height: size.height, width: size.width, pixels: pixels), label(of: image))
    }
}
