import Formats
import Glibc
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
    /// What is odd and does no harm, on rank 0, to be told once.
    public let warnings: [String]
    /// Images 0 … 63 of the file, or fewer, on rank 0, as the discriminator sees them: [count, side²].
    let firstImages: [UInt8]

    /// Each host's leader streams the files once and hands every rank of its host the images of its shards.
    ///
    /// - Parameter needsLabels: whether there must be one label for each image, of one of ten classes; otherwise labels that
    ///   do not fit are a warning.
    /// - Throws on all ranks: missing input or bad data, which a set smaller than a batch is too.
    public init(
        _ configuration: Configuration, folder: String, layout: ShardLayout, world: World, needsLabels: Bool = false
    ) throws {
        let communicator = world.communicator
        let files = try world.agree { try withFiles { try DataFiles(configuration.dataset, folder: folder) } }
        let count = files.images.dimensions[0]
        try world.compare("number of images", "\(count)", .badData)
        guard count >= configuration.batchSize * configuration.criticSteps else {
            let isOne = configuration.criticSteps == 1
            let batches = isOne ? "a batch" : "the \(configuration.criticSteps) batches of a step, each"
            throw Failure(
                .badData,
                "\(folder): \(count) images, fewer than \(batches) of \(configuration.batchSize); lower --batch-size"
                    + (isOne ? "" : " or --critic-steps"),
                isShared: true)
        }
        var misfit = files.mismatch
        if needsLabels { try world.agree { if let misfit { throw Failure(.badData, misfit + Dataset.advice) } } }
        func images(of rank: Int) -> Range<Int> {
            let shards = layout.shards(of: rank)
            let first = layout.images(of: shards.lowerBound, batch: configuration.batchSize, images: count)
            let last = layout.images(of: shards.upperBound - 1, batch: configuration.batchSize, images: count)
            return first.lowerBound..<last.upperBound
        }
        let range = images(of: communicator.rank)
        let size = Configuration.dataSize
        let pixels = try world.agree { try reserve(range.count * size, for: "\(range.count) images of \(files.images.path)") }
        var labels: [UInt8] = []
        var first: [UInt8] = []
        let wanted = communicator.rank == 0 ? 64 * files.images.itemSize : 0

        let digest = SHA256Digest()
        let distribution = DataScatter(
            shares: communicator.localRanks.map { ($0, images(of: $0)) }, world: world)
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
        var damageOfLabels: FormatError?
        if misfit == nil {
            var seen = 0
            damageOfLabels = try distribution.distribute(
                files.labels,
                see: { bytes in
                    digest.update(bytes)
                    if misfit == nil, let wrong = bytes.firstIndex(where: { $0 >= Dataset.classes }) {
                        misfit = "\(files.labels.path): label \(seen + wrong), counted from 0, is \(bytes[wrong]); "
                            + "0 … \(Dataset.classes - 1) are expected"
                    }
                    seen += bytes.count
                }, keep: { labels += $1 })
        } else if communicator.isHostLeader {
            do { try files.labels.readAll(digest.update) } catch let error as FormatError { damageOfLabels = error }
        }
        try world.agree {
            try withFiles { if let damage = damage ?? damageOfLabels { throw damage } }
            if needsLabels, let misfit { throw Failure(.badData, misfit + Dataset.advice) }
        }
        let remark = misfit.map { $0 + "; the labels are not used, and the run goes on without them" }
        warnings = communicator.rank == 0 ? [remark].compactMap(\.self) : []

        self.count = count
        self.range = range
        self.pixels = pixels
        self.labels = labels
        let side = configuration.imageSize
        firstImages = stride(from: 0, to: first.count, by: size).flatMap { start in
            GrayImage(width: Configuration.dataSide, height: Configuration.dataSide, pixels: Array(first[start..<start + size]))
                .resized(width: side, height: side).pixels
        }
        self.digest = try Dataset.commonDigest(communicator.isHostLeader ? digest.finish().hexadecimal : "", world)
    }

    /// Images and labels made up of a pattern, for benchmarks and tests.
    public init(synthetic count: Int) {
        self.count = count
        range = 0..<count
        digest = ""
        firstImages = []
        warnings = []
        labels = (0..<count).map { UInt8($0 % 10) }
        let size = Configuration.dataSize
        pixels = .allocate(capacity: count * size)
        for i in 0..<count * size { pixels[i] = UInt8(truncatingIfNeeded: i * 31 + i / size * 7) }
    }

    private static let advice = "; fetch the files again, or train a preset that uses no labels"

    /// The digest that every host's leader found, or a failure that names those who found another.
    private static func commonDigest(_ digest: String, _ world: World) throws -> String {
        let all = try world.allGather(Array(digest.utf8)).map { String(decoding: $0, as: UTF8.self) }
        for (rank, other) in all.enumerated() where !other.isEmpty && other != all[0] {
            throw Failure(
                .badData,
                "the data of rank \(rank) (\(world.places[rank])) differ from those of rank 0: SHA-256 \(other), "
                    + "expected \(all[0]); copy the same files to every host",
                isShared: true)
        }
        return all[0]
    }
}

/// Memory that takes none of the machine's before it is written to: what a header claims may never come.
private func reserve(_ size: Int, for what: String) throws -> UnsafeMutablePointer<UInt8> {
    let hugePage = 1 << 21
    let isHuge = size >= hugePage
    let room = max(size, 64).roundedUp(to: isHuge ? hugePage : 64)
    guard let memory = aligned_alloc(isHuge ? hugePage : 64, room) else {
        throw Failure(.inputOutput, "no memory for \(what), \(Double(size).grouped) bytes; use more hosts, or fewer images")
    }
    if isHuge { madvise(memory, room, MADV_HUGEPAGE) }
    return memory.bindMemory(to: UInt8.self, capacity: size)
}
