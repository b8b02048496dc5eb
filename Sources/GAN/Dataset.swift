import Formats
import Foundation
import MessagePassing
import Networks

/// This rank's images of an IDX data set, and what all ranks know of the whole.
public final class Dataset {
    /// Images of the whole set, N.
    public let count: Int
    /// SHA-256 of the uncompressed image file followed by the uncompressed label file.
    public let digest: String
    /// The images that this rank keeps, numbered as in the file.
    public let range: Range<Int>
    /// [range.count, 784] bytes
    let pixels: UnsafeMutablePointer<UInt8>
    /// Images 0 … 63 of the file, or fewer, on rank 0.
    let firstImages: [UInt8]

    /// Each host's leader streams the files once and hands every rank of its host the images of its shards.
    ///
    /// - Throws on all ranks: missing input, bad data, or a usage error where the set is smaller than a batch.
    public init(_ configuration: Configuration, folder: String, layout: ShardLayout, patience: Patience) throws {
        let communicator = patience.communicator
        let files = try patience.agree { try withFiles { try Dataset.open(configuration.dataset, folder: folder) } }
        let count = files.images.dimensions[0]
        try patience.compare("number of images", "\(count)", .badData)
        guard count >= configuration.batchSize else {
            throw Failure(
                .badData,
                "\(folder): \(count) images, fewer than a batch of \(configuration.batchSize); lower --batch-size",
                isShared: true)
        }
        func images(of rank: Int) -> Range<Int> {
            let shards = layout.shards(of: rank)
            let first = layout.images(of: shards.lowerBound, batch: configuration.batchSize, images: count)
            let last = layout.images(of: shards.upperBound - 1, batch: configuration.batchSize, images: count)
            return first.lowerBound..<last.upperBound
        }
        self.count = count
        range = images(of: communicator.rank)
        pixels = .allocate(capacity: range.count * Configuration.imageSize)
        let own = UnsafeMutableRawBufferPointer(start: pixels, count: range.count * Configuration.imageSize)

        if communicator.isHostLeader {
            let neighbours = communicator.neighbours.map { (rank: $0, images: images(of: $0)) }
            var first: [UInt8] = []
            let digest = try Dataset.stream(files, own: own, neighbours: neighbours, first: &first, patience)
            firstImages = communicator.rank == 0 ? first : []
            self.digest = try Dataset.commonDigest(digest, patience)
        } else {
            for part in Dataset.chunks(of: range) {
                let bytes = own[part.offset(in: range)]
                try patience.receive(
                    UnsafeMutableRawBufferPointer(rebasing: bytes), from: communicator.neighbours.lowerBound, tag: .data)
            }
            firstImages = []
            try patience.agree {}
            digest = try Dataset.commonDigest("", patience)
        }
    }

    /// Images made up of a pattern, for benchmarks and tests.
    public init(synthetic count: Int) {
        self.count = count
        range = 0..<count
        digest = ""
        firstImages = []
        pixels = .allocate(capacity: count * Configuration.imageSize)
        for i in 0..<count * Configuration.imageSize { pixels[i] = UInt8(truncatingIfNeeded: i * 31 + i / 784 * 7) }
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

    private struct Files { let images: IDXReader, labels: IDXReader }

    private static func open(_ dataset: Configuration.Dataset, folder: String) throws -> Files {
        let images = try IDXReader(path: find("train-images-idx3-ubyte", dataset, folder: folder))
        let labels = try IDXReader(path: find("train-labels-idx1-ubyte", dataset, folder: folder))
        let path = folder
        guard images.dimensions.count == 3, images.dimensions[1] == 28, images.dimensions[2] == 28 else {
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

    private static let chunkSize = 512

    private struct Chunk {
        let images: Range<Int>
        func offset(in range: Range<Int>) -> Range<Int> {
            (images.lowerBound - range.lowerBound) * Configuration.imageSize
                ..< (images.upperBound - range.lowerBound) * Configuration.imageSize
        }
    }

    private static func chunks(of range: Range<Int>) -> [Chunk] {
        stride(from: range.lowerBound, to: range.upperBound, by: chunkSize).map {
            Chunk(images: $0..<min($0 + chunkSize, range.upperBound))
        }
    }

    /// Reads both files to their ends. A file that turns out damaged is reported after all messages are sent, so that no
    /// rank waits for one.
    private static func stream(
        _ files: Files, own: UnsafeMutableRawBufferPointer, neighbours: [(rank: Int, images: Range<Int>)],
        first: inout [UInt8], _ patience: Patience
    ) throws -> String {
        let digest = SHA256Digest()
        files.images.headerBytes.withUnsafeBytes(digest.update)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: chunkSize * Configuration.imageSize, alignment: 64)
        defer { buffer.deallocate() }
        var damage: FormatError?
        func read(_ range: Range<Int>, into target: UnsafeMutableRawBufferPointer, first: inout [UInt8]) throws {
            guard damage == nil else { return }
            do {
                try files.images.readItems(range.count, into: target)
            } catch let error as FormatError {
                damage = error
                return
            }
            digest.update(UnsafeRawBufferPointer(target))
            let wanted = 64 * Configuration.imageSize
            if first.count < wanted { first += target.prefix(wanted - first.count) }
        }
        func skip(to end: Int, from start: Int, first: inout [UInt8]) throws {
            for chunk in chunks(of: start..<max(start, end)) {
                let bytes = UnsafeMutableRawBufferPointer(rebasing: buffer[0..<chunk.images.count * Configuration.imageSize])
                try read(chunk.images, into: bytes, first: &first)
            }
        }
        try skip(to: neighbours[0].images.lowerBound, from: 0, first: &first)
        for (index, neighbour) in neighbours.enumerated() {
            for chunk in chunks(of: neighbour.images) {
                if index == 0 {
                    let bytes = own[chunk.offset(in: neighbour.images)]
                    try read(chunk.images, into: UnsafeMutableRawBufferPointer(rebasing: bytes), first: &first)
                } else {
                    let bytes = UnsafeMutableRawBufferPointer(
                        rebasing: buffer[0..<chunk.images.count * Configuration.imageSize])
                    try read(chunk.images, into: bytes, first: &first)
                    try patience.send(UnsafeRawBufferPointer(bytes), to: neighbour.rank, tag: .data)
                }
            }
        }
        let end = neighbours[neighbours.count - 1].images.upperBound
        try skip(to: files.images.dimensions[0], from: end, first: &first)
        try patience.agree {
            try withFiles {
                if let damage { throw damage }
                try files.images.finish()
                files.labels.headerBytes.withUnsafeBytes(digest.update)
                var remaining = files.labels.dimensions[0]
                while remaining > 0 {
                    let count = min(remaining, buffer.count)
                    let bytes = UnsafeMutableRawBufferPointer(rebasing: buffer[0..<count])
                    try files.labels.readItems(count, into: bytes)
                    digest.update(UnsafeRawBufferPointer(bytes))
                    remaining -= count
                }
                try files.labels.finish()
            }
        }
        return digest.finish().hexadecimal
    }
}
