import Formats
import MessagePassing

/// CIFAR-10's training images in its binary form (Krizhevsky 2009; https://www.cs.toronto.edu/~kriz/cifar.html):
/// `data_batch_1.bin` … `data_batch_5.bin`, each a sequence of records of a label and 3 × 32 × 32 bytes, plane by plane.
struct CIFARBatches: ImageSource {
    let format: DataFormat
    let fingerprint: String
    private let batches: [(path: String, name: String, file: RecordFile)]
    private let firstImages: [Int]
    let count: Int

    var notes: [String] { [] }
    var classNames: [String] { [] }
    var kind: String { "CIFAR-10's batches" }
    var misfit: String? { nil }

    private static let (channels, side, classes) = (3, 32, 10)
    private static let recordSize = 1 + channels * side * side

    /// - Returns: nil where neither the folder nor `cifar-10-batches-bin` in it has batches.
    init?(folder: String) throws {
        var batches: [(path: String, name: String, file: RecordFile)] = []
        for place in [folder, "\(folder)/cifar-10-batches-bin"] where batches.isEmpty {
            for name in try folderEntries(place) ?? [] where name.wholeMatch(of: /data_batch_[0-9]+\.bin/) != nil {
                let path = "\(place)/\(name)"
                let file = try RecordFile(path: path, recordSize: CIFARBatches.recordSize)
                guard file.count > 0 else { throw Failure(.badData, "\(path): no images in the file; fetch it again") }
                batches.append((path, name, file))
            }
        }
        guard !batches.isEmpty else { return nil }
        self.batches = batches
        var (first, count): ([Int], Int) = ([], 0)
        for batch in batches {
            first.append(count)
            count += batch.file.count
        }
        (firstImages, self.count) = (first, count)
        let digest = SHA256Digest()
        for batch in batches {
            // Some of all.
            for record in stride(from: 0, to: batch.file.count, by: max(1, batch.file.count / 64)) {
                try batch.file.read(record).withUnsafeBytes(digest.update)
            }
        }
        fingerprint = batches.map { "\($0.name) \($0.file.count)" }.joined(separator: ", ") + " \(digest.finish().hexadecimal)"
        format = DataFormat(
            name: "cifar10", channels: CIFARBatches.channels, size: ImageSize(side: CIFARBatches.side), classes: CIFARBatches.classes)
    }

    private func place(of image: Int) -> (batch: Int, record: Int) {
        let batch = (firstImages.firstIndex { $0 > image } ?? firstImages.count) - 1
        return (batch, image - firstImages[batch])
    }

    func path(of image: Int) -> String { batches[place(of: image).batch].name }

    func read(_ image: Int) throws -> (picture: Picture, label: Int?) {
        let (batch, record) = place(of: image)
        let bytes = try batches[batch].file.read(record)
        guard bytes[0] < CIFARBatches.classes else {
            throw FormatError(
                .invalid, path: batches[batch].path,
                "expected labels 0 … \(CIFARBatches.classes - 1), found \(bytes[0]) of image \(record), counted from 0")
        }
        let side = CIFARBatches.side
        return (Picture(channels: CIFARBatches.channels, height: side, width: side, planes: Array(bytes[1...])), Int(bytes[0]))
    }
}
