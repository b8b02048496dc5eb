import Formats
import MessagePassing

/// Pictures in a NumPy array, [N, H, W], [N, H, W, C] or [N, C, H, W], with `labels.npy` beside it or none.
struct ArrayFile: ImageSource {
    let format: DataFormat
    let fingerprint: String
    let misfit: String?
    private let path: String
    private let name: String
    private let images: NPYReader
    private let range: ValueRange
    private let channelsComeFirst: Bool
    private let labels: [UInt8]?
    private let size: ImageSize

    let notes: [String]
    var classNames: [String] { [] }
    var kind: String { "a NumPy array" }
    var count: Int { images.shape[0] }

    /// - Returns: nil where the file is no NumPy array by its name.
    /// - Throws: a usage error where the axes are ambiguous; bad data; `FormatError`.
    init?(path: String) throws {
        guard path.hasSuffix(".npy") else { return nil }
        self.path = path
        name = String(path.split(separator: "/").last ?? "")
        images = try NPYReader(path: path)
        let shape = images.shape
        func bad(_ code: ExitCode, _ problem: String) -> Failure { Failure(code, "\(path): \(problem)") }
        switch shape.count {
        case 3:
            (size, channelsComeFirst) = (ImageSize(height: shape[1], width: shape[2]), true)
        case 4:
            let (isFirst, isLast) = ([1, 3].contains(shape[1]), [1, 3].contains(shape[3]))
            guard !isFirst || !isLast else {
                throw bad(
                    .usage, "shape \(shape) is ambiguous: both axis 1 and axis 3 may be the channels; save it as [N, H, W] or with "
                        + "other sizes")
            }
            guard isFirst || isLast else {
                throw bad(
                    .badData, "shape \(shape) has no axis of 1 or 3 channels; [N, H, W], [N, H, W, C] or [N, C, H, W] is expected")
            }
            channelsComeFirst = isFirst
            size = isFirst ? ImageSize(height: shape[2], width: shape[3]) : ImageSize(height: shape[1], width: shape[2])
        default:
            throw bad(.badData, "shape \(shape): [N, H, W], [N, H, W, C] or [N, C, H, W] is expected")
        }
        let channels = shape.count == 3 ? 1 : channelsComeFirst ? shape[1] : shape[3]
        guard shape[0] > 0 else { throw bad(.badData, "no images in the file") }
        guard 1...65_535 ~= size.height, 1...65_535 ~= size.width else {
            throw bad(.badData, "images of \(size) pixels; 1 … 65,535 each are expected")
        }
        let count = shape.reduce(1, *)
        switch images.elementType {
        case .float32, .float64:
            // Whatever is negative says that 0 is grey.
            let (least, greatest) = try images.valueBounds(first: 0, count: count)
            range = least < 0 ? .minusOneToOne : .zeroToOne
            notes = ["\(path): its floats, \(least) … \(greatest), are read as \(least < 0 ? "−1" : "0") (black) … 1 (white)"]
        case .uint8, .integer:
            range = .zeroToOne
            notes = []
            // Refuses other integers.
            _ = try images.readBytes(first: 0, count: 0, range: range)
        }
        let (labels, misfit) = try ArrayFile.labels(beside: path, images: shape[0])
        (self.labels, self.misfit) = (labels, misfit)
        // Some of all pictures, and all labels.
        let digest = SHA256Digest()
        let features = count / shape[0]
        for image in stride(from: 0, to: shape[0], by: max(1, shape[0] / 64)) {
            try images.readBytes(first: image * features, count: features, range: range).withUnsafeBytes(digest.update)
        }
        labels?.withUnsafeBytes(digest.update)
        fingerprint = "\(shape) \(images.elementType) \(digest.finish().hexadecimal)"
        var format = DataFormat(
            name: dataName(of: path), channels: channels, size: size, classes: labels?.max().map { Int($0) + 1 })
        if labels == nil {
            format.noLabels = misfit.map { Failure(.badData, $0) } ?? Failure(.missingInput, "there is no labels.npy beside \(path)")
        }
        self.format = format
    }

    /// - Returns: the classes; nil with what is wrong with them, if something is.
    private static func labels(beside path: String, images: Int) throws -> ([UInt8]?, misfit: String?) {
        let folder = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        let path = (path.hasPrefix("/") || !folder.isEmpty ? "\(folder)/" : "") + "labels.npy"
        guard try FileKind(path: path) == .file else { return (nil, nil) }
        let reader = try NPYReader(path: path)
        if [.float32, .float64].contains(reader.elementType) {
            return (nil, "\(path): labels are integers; save array.astype('int64')")
        }
        guard reader.shape == [images] else {
            return (nil, "\(path) holds labels of shape \(reader.shape); one for each of the \(images) images is expected")
        }
        let values = try reader.readIntegers(first: 0, count: images)
        if let wrong = values.firstIndex(where: { !(0...255 ~= $0) }) {
            return (nil, "\(path): label \(wrong), counted from 0, is \(values[wrong]); 0 … 255 are expected")
        }
        return (values.map { UInt8($0) }, nil)
    }

    func path(of image: Int) -> String { name }

    func label(of image: Int) -> Int? { labels.map { Int($0[image]) } }

    func read(_ image: Int) throws -> (picture: Picture, label: Int?) {
        let features = format.channels * size.height * size.width
        let bytes = try images.readBytes(first: image * features, count: features, range: range)
        let picture =
            channelsComeFirst
            ? Picture(channels: format.channels, height: size.height, width: size.width, planes: bytes)
            : Picture(channels: format.channels, height: size.height, width: size.width, pixels: bytes)
        return (picture, label(of: image))
    }
}
