import Formats

/// Images that can be read one by one, in any order and from several threads.
protocol ImageSource: Sendable {
    var format: DataFormat { get }
    var count: Int { get }
    /// What its files are, for a message.
    var kind: String { get }
    /// The names of the classes, where there are any.
    var classNames: [String] { get }
    /// What is said once of how they are read.
    var notes: [String] { get }
    /// What is wrong with the labels as a whole, where something is.
    var misfit: String? { get }
    /// The number that an image has in the whole of which this may be a part.
    func number(of image: Int) -> Int
    /// The path of the file that holds an image, from the data's folder on.
    func path(of image: Int) -> String
    /// The class of an image; nil without labels.
    /// - Throws: `FormatError`.
    func label(of image: Int) throws -> Int?
    /// - Returns: the picture as its file holds it, and its class; nil without labels.
    /// - Throws: `FormatError`.
    func read(_ image: Int) throws -> (picture: Picture, label: Int?)
    /// What tells these data from others without reading them.
    var fingerprint: String { get }
}

extension ImageSource {
    func number(of image: Int) -> Int { image }
}

/// Tells positions from numbers: position p holds image number p · g mod N, with g next to the golden section of N. Files
/// are often sorted by class, and a shard owns consecutive positions; so each of them has images from all over.
struct ImageOrder {
    let count: Int
    private let factor: Int

    init(count: Int) {
        self.count = count
        func divisor(_ a: Int, _ b: Int) -> Int { b == 0 ? a : divisor(b, a % b) }
        let golden = Int((Double(count) * 0.618_033_988_749_894_9).rounded())
        factor = (golden..<max(golden + 1, 2 * count + 2)).first { divisor($0, count) == 1 } ?? 1
    }

    func number(at position: Int) -> Int { Int((UInt64(position) * UInt64(factor)) % UInt64(count)) }
}
