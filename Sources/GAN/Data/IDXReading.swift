import Formats
import MessagePassing

// Reading IDX files: each host's leader streams them once and hands every rank of its host the images of its shards.

extension Dataset {
    static func read(
        _ files: IDXFiles, into pixels: UnsafeMutablePointer<UInt8>, shares: [(rank: Int, items: Range<Int>)],
        _ preparation: Preparation, needsLabels: Bool, _ world: World
    ) throws -> Contents {
        let communicator = world.communicator
        var contents = Contents()
        contents.misfit = files.mismatch
        if needsLabels {
            try world.agree {
                if let misfit = contents.misfit { throw labelFailure(misfit) }
                if let problem = files.format.noLabels { throw problem }
            }
        }
        let first = shares.first { $0.rank == communicator.rank }?.items.lowerBound ?? 0
        let (itemSize, keptSize) = (files.images.itemSize, preparation.kept.features)
        let wanted = communicator.rank == 0 ? Dataset.firstCount * itemSize : 0
        var firstItems: [UInt8] = []
        let digest = SHA256Digest()
        let scatter = DataScatter(shares: shares, world: world)
        files.images.headerBytes.withUnsafeBytes(digest.update)
        let damage = try scatter.distribute(
            files.images,
            see: { bytes in
                digest.update(bytes)
                firstItems += bytes.prefix(max(0, wanted - firstItems.count))
            },
            keep: { images, bytes in
                for (number, image) in images.enumerated() {
                    let item = UnsafeRawBufferPointer(rebasing: bytes[number * itemSize..<(number + 1) * itemSize])
                    let target = pixels + (image - first) * keptSize
                    if !files.isTransposed, keptSize == itemSize, let item = item.bindMemory(to: UInt8.self).baseAddress {
                        target.update(from: item, count: itemSize)
                    } else {
                        target.update(from: preparation.keep(files.picture(item)), count: keptSize)
                    }
                }
            })
        contents.firstImages = stride(from: 0, to: firstItems.count, by: max(1, itemSize)).flatMap { start in
            firstItems[start..<start + itemSize].withUnsafeBytes { preparation.keep(files.picture($0)) }
        }
        var damageOfLabels: FormatError?
        if let reader = files.labels {
            reader.headerBytes.withUnsafeBytes(digest.update)
            if contents.misfit == nil {
                damageOfLabels = try readLabels(files, reader, scatter, digest, &contents)
            } else if communicator.isHostLeader {
                do { try reader.readAll(digest.update) } catch let error as FormatError { damageOfLabels = error }
            }
        }
        try world.agree {
            try withFiles { if let damage = damage ?? damageOfLabels { throw damage } }
            if needsLabels, let misfit = contents.misfit { throw labelFailure(misfit) }
        }
        contents.digest = try commonDigest(communicator.isHostLeader ? digest.finish().hexadecimal : "", world)
        return contents
    }

    /// - Returns: damage of the file; the labels and what is wrong with them go to `contents`.
    private static func readLabels(
        _ files: IDXFiles, _ reader: IDXReader, _ scatter: DataScatter, _ digest: SHA256Digest, _ contents: inout Contents
    ) throws -> FormatError? {
        var seen = 0
        var misfit: String?
        var labels: [UInt8] = []
        let damage = try scatter.distribute(
            reader,
            see: { bytes in
                digest.update(bytes)
                misfit = misfit ?? files.misfit(bytes, from: seen)
                seen += bytes.count
            }, keep: { labels += $1.map { $0 &- files.firstLabel } })
        (contents.misfit, contents.labels) = (misfit, labels)
        return damage
    }

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

extension IDXFiles {
    /// An item as a picture.
    func picture(_ item: UnsafeRawBufferPointer) -> Picture {
        let (rows, columns) = (images.dimensions[1], images.dimensions[2])
        guard isTransposed else { return Picture(channels: 1, height: rows, width: columns, pixels: Array(item)) }
        let pixels = (0..<columns).flatMap { column in (0..<rows).map { item[$0 * columns + column] } }
        return Picture(channels: 1, height: columns, width: rows, pixels: pixels)
    }

    /// SHA-256 of both files, as `Dataset.digest` has it, without keeping any image.
    func digest() throws -> String {
        let digest = SHA256Digest()
        for file in [images, labels].compactMap(\.self) {
            file.headerBytes.withUnsafeBytes(digest.update)
            try file.readAll(digest.update)
        }
        return digest.finish().hexadecimal
    }
}
