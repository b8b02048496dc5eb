import Formats
import MessagePassing

/// CIFAR-10's images in its binary form (Krizhevsky 2009; https://www.cs.toronto.edu/~kriz/cifar.html): those for training in
/// `data_batch_1.bin` … `data_batch_5.bin`, those for testing in `test_batch.bin`, each a sequence of records of a label and
/// 3 × 32 × 32 bytes, plane by plane.
struct CIFARBatches: ImageSource {
    let format: DataFormat
    let fingerprint: String
    private let folder: String
    private let batches: [(path: String, name: String, file: RecordFile)]
    private let firstImages: [Int]
    let count: Int

    var notes: [String] { [] }
    var classNames: [String] { [] }
    var kind: String { "CIFAR-10's batches" }
    var misfit: String? { nil }

    private static let (channels, side, classes) = (3, 32, 10)
    private static let recordSize = 1 + channels * side * side

    /// The training images.
    /// - Returns: nil where neither the folder nor `cifar-10-batches-bin` in it has batches.
    init?(folder: String) throws {
        for place in [folder, "\(folder)/cifar-10-batches-bin"] {
            let names = try (folderEntries(place) ?? []).filter { $0.wholeMatch(of: /data_batch_[0-9]+\.bin/) != nil }
            guard names.isEmpty else {
                try self.init(names, in: place)
                return
            }
        }
        return nil
    }

    /// The test images that lie beside these; nil where none do.
    func testPart() throws -> CIFARBatches? {
        let name = "test_batch.bin"
        return try FileKind(path: "\(folder)/\(name)") == .file ? CIFARBatches([name], in: folder) : nil
    }

    private init(_ names: [String], in folder: String) throws {
        self.folder = folder
        batches = try names.map { name in
            let path = "\(folder)/\(name)"
            let file = try RecordFile(path: path, recordSize: CIFARBatches.recordSize)
            guard file.count > 0 else { throw Failure(.badData, "\(path): no images in the file; fetch it again") }
            return (path, name, file)
        }
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

    func label(of image: Int) throws -> Int? { Int(try record(of: image)[0]) }

    func read(_ image: Int) throws -> (picture: Picture, label: Int?) {
        let (bytes, side) = (try record(of: image), CIFARBatches.side)
        return (Picture(channels: CIFARBatches.channels, height: side, width: side, planes: Array(bytes[1...])), Int(bytes[0]))
    }

    private func record(of image: Int) throws -> [UInt8] {
        let (batch, record) = place(of: image)
        let bytes = try batches[batch].file.read(record)
        guard bytes[0] < CIFARBatches.classes else {
            throw FormatError(
                .invalid, path: batches[batch].path,
                "expected labels 0 … \(CIFARBatches.classes - 1), found \(bytes[0]) of image \(record), counted from 0")
        }
        return bytes
    }
}
