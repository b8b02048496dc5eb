import Formats
import Kernels
import MessagePassing
import Networks

/// A domain that is a known function of a data set's pictures: `mnist:inverse`. The other domain is then the first half of the
/// training pictures, and this one the function of the second half, so that no picture is in both.
public struct KnownDomain: Equatable, Sendable {
    /// The data set's name, as `--dataset` has it.
    public let dataset: String
    public let function: Function

    /// What becomes of a picture.
    public enum Function: String, CaseIterable, Sendable {
        /// 255 − x
        case inverse
        /// The largest of the 3 × 3 pixels around each.
        case thick
        /// The largest minus the smallest of the 3 × 3 pixels around each.
        case edges
        /// The picture as a stencil: one random field of colour shows where it is white, another where it is black.
        case coloured
    }
}

extension KnownDomain: FieldValue {
    public static var argument: any FieldValue.Type { String.self }
    public static var expectation: String? { refusal }
    public static var refusal: String {
        "the name of a data set and a function of its pictures are expected, as in mnist:inverse; functions are "
            + Function.allCases.map(\.rawValue).joined(separator: ", ")
    }
    public var text: String { "\(dataset):\(function.rawValue)" }

    init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, KnownDataset(parts[0]) != nil, let function = Function(rawValue: parts[1]) else { return nil }
        (dataset, self.function) = (parts[0], function)
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let domain = KnownDomain(text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "\(KnownDomain.refusal), not \"\(text)\"")
        }
        self = domain
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}

extension KnownDomain.Function {
    /// The channels of what it makes of grey pictures.
    var channels: Int { self == .coloured ? 3 : 1 }

    /// - Parameters:
    ///   - pixels: of a grey picture, [height, width].
    ///   - number: of the picture in its files, which chooses its colours.
    ///   - isTraining: whether these are the files of training pictures.
    /// - Returns: [height, width, channels].
    func apply(_ pixels: [UInt8], height: Int, width: Int, number: Int, isTraining: Bool) -> [UInt8] {
        /// Of the pixels around each that lie in the picture.
        func around(_ body: (_ least: UInt8, _ largest: UInt8) -> UInt8) -> [UInt8] {
            (0..<height * width).map { place in
                let (row, column) = (place / width, place % width)
                var (least, largest) = (pixels[place], pixels[place])
                for y in max(0, row - 1)...min(height - 1, row + 1) {
                    for x in max(0, column - 1)...min(width - 1, column + 1) {
                        least = min(least, pixels[y * width + x])
                        largest = max(largest, pixels[y * width + x])
                    }
                }
                return body(least, largest)
            }
        }
        switch self {
        case .inverse: return pixels.map { 255 - $0 }
        case .thick: return around { $1 }
        case .edges: return around { $1 - $0 }
        case .coloured:
            let fields = ColourField.pair(number: number, isTraining: isTraining)
            return (0..<height * width).flatMap { place -> [UInt8] in
                let (row, column) = (place / width, place % width)
                let (front, back) = (fields.front.at(row, column, height, width), fields.back.at(row, column, height, width))
                let share = Float(pixels[place]) / 255
                return zip(front, back).map { UInt8(($1 + ($0 - $1) * share).rounded()) }
            }
        }
    }
}

/// Colours that go smoothly over a picture: those of its four corners are random, and between them they are interpolated.
private struct ColourField {
    /// [corner, channel], 0 … 255; corners from left to right, then down.
    let corners: [[Float]]

    /// Two fields of a picture, from 24 words of the stream: corner by corner, red, green and blue.
    static func pair(number: Int, isTraining: Bool) -> (front: ColourField, back: ColourField) {
        let key = RandomKey(seed: 0, stream: RandomStream.colours, step: isTraining ? 0 : 1, firstRow: number)
        let bytes = Kernels.reference.blocks(key, count: 6).map { Float($0 >> 24) }
        let colours = stride(from: 0, to: 24, by: 3).map { Array(bytes[$0..<$0 + 3]) }
        return (ColourField(corners: Array(colours[..<4])), ColourField(corners: Array(colours[4...])))
    }

    /// [channel]
    func at(_ row: Int, _ column: Int, _ height: Int, _ width: Int) -> [Float] {
        let (down, right) = (Float(row) / Float(max(1, height - 1)), Float(column) / Float(max(1, width - 1)))
        return (0..<3).map { channel in
            let top = corners[0][channel] + (corners[1][channel] - corners[0][channel]) * right
            let bottom = corners[2][channel] + (corners[3][channel] - corners[2][channel]) * right
            return top + (bottom - top) * down
        }
    }
}

/// Pictures of another source through a function.
struct TransformedImages: ImageSource {
    let whole: any ImageSource
    let domain: KnownDomain
    let isTraining: Bool
    let format: DataFormat

    /// - Throws: bad data where the pictures are not grey, or not of one size.
    init(_ whole: any ImageSource, _ domain: KnownDomain, isTraining: Bool) throws {
        guard whole.format.channels == 1, whole.format.size != nil else {
            throw Failure(.badData, "--domain-b \(domain.text): grey pictures of one size are expected")
        }
        (self.whole, self.domain, self.isTraining) = (whole, domain, isTraining)
        var format = whole.format
        format.channels = domain.function.channels
        format.name = "\(whole.format.name)-\(domain.function.rawValue)"
        self.format = format
    }

    var count: Int { whole.count }
    var kind: String { "\(domain.text) of \(whole.kind)" }
    var classNames: [String] { whole.classNames }
    var notes: [String] { whole.notes }
    var misfit: String? { whole.misfit }
    var fingerprint: String { "\(domain.text) of \(whole.fingerprint)" }

    func path(of image: Int) -> String { whole.path(of: image) }
    func label(of image: Int) throws -> Int? { try whole.label(of: image) }
    func number(of image: Int) -> Int { whole.number(of: image) }
    func read(_ image: Int) throws -> (picture: Picture, label: Int?) {
        let (picture, label) = try whole.read(image)
        let pixels = domain.function.apply(
            picture.pixels, height: picture.height, width: picture.width, number: whole.number(of: image), isTraining: isTraining)
        return (Picture(channels: format.channels, height: picture.height, width: picture.width, pixels: pixels), label)
    }
}
