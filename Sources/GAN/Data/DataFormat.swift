import MessagePassing
import Networks

/// What the files of a data set hold.
public struct DataFormat: Sendable {
    /// What runs call it: `mnist`, or the name of the folder.
    public var name: String
    /// 1, grey, or 3, red, green and blue.
    public var channels: Int
    /// Height and width of the pictures; nil where they are of several sizes.
    public var size: ImageSize?
    /// How many classes the labels tell apart; nil without labels.
    public var classes: Int?
    /// Channels of the pictures of domain B; nil where there is one domain.
    var secondChannels: Int?
    /// How many classes the labels of domain B tell apart; nil without labels.
    var secondClasses: Int?
    /// Where two pictures are of several sizes, for a message.
    var sizeProblem: String?
    /// Why there are no labels that could be used.
    var noLabels: Failure?

    public init(name: String, channels: Int, size: ImageSize?, classes: Int?) {
        self.name = name
        self.channels = channels
        self.size = size
        self.classes = classes
    }
}

extension DataFormat {
    /// Takes over what domain B holds.
    mutating func setSecond(_ other: DataFormat) { (secondChannels, secondClasses) = (other.channels, other.classes) }

    /// - Parameter need: what asks for labels.
    func withoutLabels(_ need: String) -> Failure {
        Failure(noLabels?.code ?? .missingInput, "\(need): \(noLabels?.description ?? "\(name) has none")")
    }

    /// Handwritten digits (LeCun et al. 1998).
    public static let mnist = KnownDataset.mnist.format

    /// What a configuration is for whose data are not known yet: MNIST, as both domains where there are two.
    public static let usual: DataFormat = {
        var format = mnist
        format.setSecond(mnist)
        return format
    }()
}

/// Height and width of an image in pixels. JSON has one number for a square, or `[height, width]`.
public struct ImageSize: Equatable, Hashable, Sendable {
    public var height, width: Int

    public init(height: Int, width: Int) {
        self.height = height
        self.width = width
    }

    /// A square.
    public init(side: Int) { self.init(height: side, width: side) }

    var isSquare: Bool { height == width }
}

extension ImageSize: CustomStringConvertible {
    public var description: String { "\(height) × \(width)" }
}

extension ImageSize: FieldValue {
    public static var argument: any FieldValue.Type { String.self }
    public static var expectation: String? { "a number of pixels (64), or [height, width]," }
    public static var refusal: String { "a number of pixels is expected, as in 64" }
    public var text: String { isSquare ? "\(height)" : description }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        // An option is text.
        if let side = (try? container.decode(Int.self)) ?? (try? container.decode(String.self)).flatMap({ Int($0) }) {
            self.init(side: side)
        } else if let sides = try? container.decode([Int].self), sides.count == 2 {
            self.init(height: sides[0], width: sides[1])
        } else {
            throw DecodingError.typeMismatch(
                ImageSize.self, .init(codingPath: decoder.codingPath, debugDescription: "no size of an image"))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if isSquare { try container.encode(height) } else { try container.encode([height, width]) }
    }
}

extension Shape {
    init(channels: Int, _ size: ImageSize) { self.init(channels: channels, height: size.height, width: size.width) }
}
