import Formats
import Foundation
import MessagePassing
import Networks

/// This rank's images of an IDX data set, and what all ranks know of the whole.
public final class Dataset {
    /// How many classes labels tell apart.
    public static let classes = 10

    /// Images of the whole set, N.
    public let count: Int
    /// SHA-256 of the uncompressed image file followed by the uncompressed label file.
    public let digest: String
    /// The images that this rank keeps, numbered as in the file.
    public let range: Range<Int>
    /// [range.count, 28²] bytes
    let pixels: UnsafeMutablePointer<UInt8>
    /// The classes of this rank's images, [range.count].
    let labels: [UInt8]
    /// Images 0 … 63 of the file, or fewer, on rank 0, as the discriminator sees them: [count, side²].
    let firstImages: [UInt8]
    var warnings: [String] { [] }

    /// Each host's leader streams the files once and hands every rank of its host the images of its shards.
    ///
    /// - Parameter needsLabels: whether a label must be one of ten classes; otherwise it may be any byte.
    /// - Throws on all ranks: missing input, bad data, or a usage error where the set is smaller than a batch.
    public init(
        _ configuration: Configuration, folder: String, layout: ShardLayout, patience: Patience, needsLabels: Bool = false
    ) throws {
        let communicator = patience.communicator
        let files = try patience.agree { try withFiles { try Dataset.open(configuration.dataset, folder: folder) } }
        let count = files.images.dimensions[0]
        try patience.compare("number of images", "\(count)", .badData)
        guard count >= configuration.batchSize * configuration.criticSteps else {
            let isOne = configuration.criticSteps == 1
            let batches = isOne ? "a batch" : "the \(configuration.criticSteps) batches of a step, each"
            throw Failure(
                .badData,
                "\(folder): \(count) images, fewer than \(batches) of \(configuration.batchSize); lower --batch-size"
                    + (isOne ? "" : " or --critic-steps"),
                isShared: true)
        }
        func images(of rank: Int) -> Range<Int> {
            let shards = layout.shards(of: rank)
            let first = layout.images(of: shards.lowerBound, batch: configuration.batchSize, images: count)
            let last = layout.images(of: shards.upperBound - 1, batch: configuration.batchSize, images: count)
            return first.lowerBound..<last.upperBound
        }
        let range = images(of: communicator.rank)
        let size = Configuration.dataSize
        let pixels = allocateZeroed(byteCount: range.count * size).bindMemory(to: UInt8.self, capacity: range.count * size)
        var labels = [UInt8](repeating: 0, count: range.count)
        var first: [UInt8] = []
        let wanted = communicator.rank == 0 ? 64 * files.images.itemSize : 0

        let digest = SHA256Digest()
        let distribution = Distribution(
            shares: communicator.neighbours.map { ($0, images(of: $0)) }, patience: patience)
        files.images.headerBytes.withUnsafeBytes(digest.update)
        let damage = try distribution.distribute(
            files.images,
            see: { bytes in
                digest.update(bytes)
                first += bytes.prefix(max(0, wanted - first.count))
            }, keep: { images, bytes in
                guard let bytes = bytes.bindMemory(to: UInt8.self).baseAddress else { return }
                (pixels + (images.lowerBound - range.lowerBound) * size).update(from: bytes, count: images.count * size)
            })
        files.labels.headerBytes.withUnsafeBytes(digest.update)
        let damageOfLabels = try distribution.distribute(
            files.labels, see: digest.update,
            keep: { images, bytes in
                let start = images.lowerBound - range.lowerBound
                labels.replaceSubrange(start..<start + images.count, with: bytes)
            })
        try patience.agree { try withFiles { if let damage = damage ?? damageOfLabels { throw damage } } }
        if needsLabels {
            try patience.agree {
                guard let wrong = labels.firstIndex(where: { $0 >= Dataset.classes }) else { return }
                throw Failure(
                    .badData,
                    "\(files.labels.path): label \(range.lowerBound + wrong), counted from 0, is \(labels[wrong]); "
                        + "0 … \(Dataset.classes - 1) are expected, fetch the file again or train without labels")
            }
        }

        self.count = count
        self.range = range
        self.pixels = pixels
        self.labels = labels
        let side = configuration.imageSize
        firstImages = stride(from: 0, to: first.count, by: size).flatMap { start in
            GrayImage(width: Configuration.dataSide, height: Configuration.dataSide, pixels: Array(first[start..<start + size]))
                .resized(width: side, height: side).pixels
        }
        self.digest = try Dataset.commonDigest(communicator.isHostLeader ? digest.finish().hexadecimal : "", patience)
    }

    /// Images and labels made up of a pattern, for benchmarks and tests.
    public init(synthetic count: Int) {
        self.count = count
        range = 0..<count
        digest = ""
        firstImages = []
        labels = (0..<count).map { UInt8($0 % 10) }
        let size = Configuration.dataSize
        pixels = .allocate(capacity: count * size)
        for i in 0..<count * size { pixels[i] = UInt8(truncatingIfNeeded: i * 31 + i / size * 7) }
    }

    /// The digest that every host's leader found, or a failure that names those who found another.
    private static func commonDigest(_ digest: String, _ patience: Patience) throws -> String {
        let all = try patience.allGather(Array(digest.utf8)).map { String(decoding: $0, as: UTF8.self) }
        for (rank, other) in all.enumerated() where !other.isEmpty && other != all[0] {
            throw Failure(
                .badData,
                "the data of rank \(rank) (\(patience.places[rank])) differ from those of rank 0: SHA-256 \(other), "
                    + "expected \(all[0]); copy the same files to every host",
                isShared: true)
        }
        return all[0]
    }

    struct Files { let images: IDXReader, labels: IDXReader }

    static func open(_ dataset: Configuration.Dataset, folder: String) throws -> Files {
        let images = try IDXReader(path: find("train-images-idx3-ubyte", dataset, folder: folder))
        let labels = try IDXReader(path: find("train-labels-idx1-ubyte", dataset, folder: folder))
        let path = folder
        guard images.dimensions.count == 3, images.dimensions.dropFirst().allSatisfy({ $0 == Configuration.dataSide }) else {
            throw Failure(.badData, "\(path): images of shape \(images.dimensions.dropFirst()); 28 × 28 is expected")
        }
        guard images.dimensions[0] > 0 else { throw Failure(.badData, "\(path): no images in the file") }
        guard labels.dimensions.count == 1, labels.dimensions[0] >= images.dimensions[0] else {
            throw Failure(
                .badData, "\(path): labels of shape \(labels.dimensions) for \(images.dimensions[0]) images; one each is expected")
        }
        return Files(images: images, labels: labels)
    }

    /// A plain file comes before its `.gz`; the folder of a torchvision tree before the folder itself.
    private static func find(_ name: String, _ dataset: Configuration.Dataset, folder: String) throws -> String {
        let tree = dataset == .mnist ? "MNIST/raw" : "FashionMNIST/raw"
        let places = ["\(folder)/\(tree)", folder]
        for place in places {
            for path in ["\(place)/\(name)", "\(place)/\(name).gz"] where FileManager.default.fileExists(atPath: path) {
                return path
            }
        }
        let option = dataset == .mnist ? "" : " --dataset \(dataset.rawValue)"
        throw Failure(
            .missingInput,
            "no \(name) or \(name).gz in \(places.joined(separator: " or ")); get the data with launch/fetch-mnist\(option), "
                + "or say where it is with --data")
    }
}
