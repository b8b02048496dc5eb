import Formats
import Glibc
import MessagePassing
import Networks

/// This rank's images of a data set, and what all ranks know of the whole.
public final class Dataset {
    /// Images of the whole set, N.
    public let count: Int
    /// SHA-256 of the whole set: of IDX files the uncompressed image file followed by the uncompressed label file; of others
    /// see `ImageDigest`.
    public let digest: String
    /// The positions of the images that this rank keeps.
    public let range: Range<Int>
    /// How pictures become images.
    let preparation: Preparation
    private let expansion: ImageExpansion
    /// [range.count, H, W, C] bytes, as `preparation` keeps them.
    let pixels: UnsafeMutablePointer<UInt8>
    /// The classes of this rank's images, [range.count].
    let labels: [UInt8]
    /// What is odd and does no harm, on rank 0, to be told once.
    public let warnings: [String]
    /// The images of positions 0 … 63, or fewer, on rank 0, as the discriminator sees them: [count, H, W, C].
    let firstImages: [UInt8]

    /// What was read of a source, on this rank.
    struct Contents {
        var labels: [UInt8] = []
        var firstImages: [UInt8] = []
        /// What is wrong with the labels, if anything is.
        var misfit: String?
        var digest = ""
    }

    static let firstCount = 64

    /// Reads the images of this rank's shards; every rank calls it.
    ///
    /// - Parameters:
    ///   - needsLabels: whether there must be one label for each image; otherwise labels that do not fit are a warning.
    ///   - inBatches: whether steps take batches of the images. Then there must be enough for a step, and a shard has images in
    ///     proportion to its rows. Otherwise there may be few, and V shards share N evenly, as batches of V rows would have it:
    ///     shard v has ⌊N·v/V⌋ … ⌊N·(v+1)/V⌋ − 1, which may be none.
    /// - Throws on all ranks: missing input or bad data, which a set smaller than a batch is too.
    public init(
        _ configuration: Configuration, _ source: DataSource, layout: ShardLayout, world: World, needsLabels: Bool = false,
        inBatches: Bool = true
    ) throws {
        let communicator = world.communicator
        let count = source.count
        guard !inBatches || count >= configuration.batchSize * configuration.criticSteps else {
            let isOne = configuration.criticSteps == 1
            let batches = isOne ? "a batch" : "the \(configuration.criticSteps) batches of a step, each"
            throw Failure(
                .badData,
                "\(source.path): \(count) images, fewer than \(batches) of \(configuration.batchSize); lower --batch-size"
                    + (isOne ? "" : " or --critic-steps"),
                isShared: true)
        }
        let batchSize = inBatches ? configuration.batchSize : layout.shards
        func images(of rank: Int) -> Range<Int> {
            let shards = layout.shards(of: rank)
            let first = layout.images(of: shards.lowerBound, batch: batchSize, images: count)
            let last = layout.images(of: shards.upperBound - 1, batch: batchSize, images: count)
            return first.lowerBound..<last.upperBound
        }
        let range = images(of: communicator.rank)
        let preparation = Preparation(source.format, configuration.image)
        let memory = try world.agree {
            try reserve(range.count * preparation.kept.features, for: "\(range.count) images of \(source.path)")
        }
        let contents =
            switch source.files {
            case .idx(let files):
                try Dataset.read(
                    world.agree { try withFiles { try files.reopened() } }, into: memory,
                    shares: communicator.localRanks.map { ($0, images(of: $0)) }, preparation, needsLabels: needsLabels, world)
            case .images(let source):
                try Dataset.read(
                    source, into: memory, range, of: (0..<communicator.size).map(images), preparation, needsLabels: needsLabels, world)
            }
        let remark = contents.misfit.map { $0 + "; the labels are not used, and the run goes on without them" }
        warnings = communicator.rank == 0 ? [remark].compactMap(\.self) : []
        self.count = count
        self.range = range
        self.preparation = preparation
        pixels = memory
        labels = contents.labels
        let (size, expansion) = (preparation.kept.features, ImageExpansion(preparation))
        firstImages = contents.firstImages.withUnsafeBufferPointer { kept in
            stride(from: 0, to: kept.count, by: size).flatMap { start in
                guard let first = kept.baseAddress else { return UnsafeBufferPointer<UInt8>(start: nil, count: 0) }
                return UnsafeBufferPointer(start: expansion.image(of: first + start), count: preparation.image.features)
            }
        }
        self.expansion = expansion
        digest = contents.digest
    }

    /// Images and labels made up of a pattern, for benchmarks and tests.
    public init(synthetic count: Int, for configuration: Configuration) {
        self.count = count
        range = 0..<count
        digest = ""
        firstImages = []
        warnings = []
        let classes = configuration.classes ?? 1
        labels = (0..<count).map { UInt8($0 % classes) }
        preparation = Preparation(configuration.dataFormat, configuration.image)
        let size = configuration.image.features
        pixels = .allocate(capacity: count * size)
        expansion = ImageExpansion(preparation)
        for i in 0..<count * size { pixels[i] = UInt8(truncatingIfNeeded: i * 31 + i / size * 7) }
    }

    /// Image `index` of this rank, 0 ..< range.count, as bytes [H, W, C] of the configuration's size; valid until the next call.
    func image(_ index: Int) -> UnsafePointer<UInt8> { expansion.image(of: pixels + index * preparation.kept.features) }

    static func labelFailure(_ misfit: String) -> Failure {
        Failure(.badData, misfit + "; fetch the files again, or train a preset that uses no labels")
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
