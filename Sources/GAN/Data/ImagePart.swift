import Formats
import MessagePassing

/// Some of the images of another source.
struct ImagePart: ImageSource {
    private let whole: any ImageSource
    /// Which they are, in ascending order.
    private let numbers: [Int]
    let fingerprint: String

    /// - Parameter name: tells the part from others of the same images.
    fileprivate init(_ name: String, of whole: any ImageSource, _ numbers: [Int]) {
        (self.whole, self.numbers) = (whole, numbers)
        fingerprint = "\(name), \(numbers.count) of \(whole.count), \(whole.fingerprint)"
    }

    var format: DataFormat { whole.format }
    var count: Int { numbers.count }
    var kind: String { whole.kind }
    var classNames: [String] { whole.classNames }
    var notes: [String] { whole.notes }
    var misfit: String? { whole.misfit }

    func number(of image: Int) -> Int { whole.number(of: numbers[image]) }
    func path(of image: Int) -> String { whole.path(of: numbers[image]) }
    func label(of image: Int) throws -> Int? { try whole.label(of: numbers[image]) }
    func read(_ image: Int) throws -> (picture: Picture, label: Int?) { try whole.read(numbers[image]) }
}

extension ImageSource {
    /// The images without every tenth of each class, and these: 9, 19, … of the class's, counted from 0; without labels, of all.
    /// - Throws: `FormatError`.
    func withEveryTenthHeldOut() throws -> (training: ImagePart, heldOut: ImagePart) {
        var (training, heldOut): ([Int], [Int]) = ([], [])
        var seen = [Int](repeating: 0, count: format.classes ?? 1)
        for image in 0..<count {
            let label = format.classes == nil ? 0 : try label(of: image) ?? 0
            if seen[label] % 10 == 9 { heldOut.append(image) } else { training.append(image) }
            seen[label] += 1
        }
        return (ImagePart("all but every tenth", of: self, training), ImagePart("every tenth", of: self, heldOut))
    }

    /// The first half of the images, and the second, which has one more where their number is odd.
    func halves() -> (first: ImagePart, second: ImagePart) {
        let middle = count / 2
        return (
            ImagePart("the first half", of: self, Array(0..<middle)), ImagePart("the second half", of: self, Array(middle..<count))
        )
    }
}
