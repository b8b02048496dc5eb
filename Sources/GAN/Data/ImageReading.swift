import Dispatch
import Formats
import Foundation
import MessagePassing
import Networks
import Synchronization

// Reading images one by one: each rank those of its own shards, on all its cores.

extension Dataset {
    /// Images that a rank reads before the ranks look whether all goes well.
    private static let chunkSize = 1_024

    static func read(
        _ source: any ImageSource, into pixels: UnsafeMutablePointer<UInt8>, _ range: Range<Int>, of ranges: [Range<Int>],
        _ preparation: Preparation, needsLabels: Bool, _ world: World
    ) throws -> Contents {
        var contents = Contents()
        contents.misfit = source.misfit
        if needsLabels {
            try world.agree {
                if let misfit = source.misfit { throw labelFailure(misfit) }
                if let problem = source.format.noLabels { throw problem }
            }
        }
        let order = ImageOrder(count: source.count)
        let size = preparation.kept.features
        let cores = ProcessInfo.processInfo.activeProcessorCount
        let threads = max(1, cores / world.communicator.localRanks.count)
        let kept = KeptImages(range: range, size: size, pixels: pixels)
        defer { kept.records.deallocate() }
        // As many rounds on every rank.
        let rounds = ranges.map { ($0.count + chunkSize - 1) / chunkSize }.max() ?? 0
        for round in 0..<rounds {
            let start = min(range.lowerBound + round * chunkSize, range.upperBound)
            let chunk = start..<min(start + chunkSize, range.upperBound)
            try world.agree {
                try Signals.endIfAsked(while: "pictures were being read")
                try withFiles {
                    try world.storing("reading pictures", because: DataSource.reason) {
                        try inParallel(chunk, threads: threads) { position in
                            let (picture, label) = try source.read(order.number(at: position))
                            kept.store(position, ImageRecord(picture, label), preparation.keep(picture))
                        }
                    }
                }
            }
        }
        let own = UnsafeBufferPointer(start: kept.records, count: range.count)
        if source.format.classes != nil { contents.labels = own.map { UInt8($0.label ?? 0) } }
        contents.firstImages = try world.agree {
            guard world.communicator.rank == 0 else { return [] }
            return try withFiles {
                try world.storing("reading pictures", because: DataSource.reason) {
                    try (0..<min(Dataset.firstCount, source.count)).flatMap {
                        preparation.keep(try source.read(order.number(at: $0)).picture)
                    }
                }
            }
        }
        contents.digest = try digest(of: own, ranges, source, order, world)
        return contents
    }

    /// Runs `body` for each position, on several threads.
    /// - Throws: the failure of the lowest position that failed on a thread.
    private static func inParallel(
        _ positions: Range<Int>, threads: Int, _ body: @Sendable (_ position: Int) throws -> Void
    ) throws {
        let failures = Mutex<[(position: Int, error: any Error)]>([])
        withoutActuallyEscaping(body) { body in
            DispatchQueue.concurrentPerform(iterations: threads) { thread in
                for position in stride(from: positions.lowerBound + thread, to: positions.upperBound, by: threads) {
                    do {
                        try body(position)
                    } catch {
                        failures.withLock { $0.append((position, error)) }
                        return
                    }
                }
            }
        }
        let first = failures.withLock { $0.min { $0.position < $1.position } }
        if let first { throw first.error }
    }

    /// The digest of the whole set, on every rank.
    private static func digest(
        of own: UnsafeBufferPointer<ImageRecord>, _ ranges: [Range<Int>], _ source: any ImageSource, _ order: ImageOrder, _ world: World
    ) throws -> String {
        let rank = world.communicator.rank
        var digest = [UInt8](repeating: 0, count: 64)
        if rank == 0 {
            let all = UnsafeMutableBufferPointer<ImageRecord>.allocate(capacity: source.count)
            defer { all.deallocate() }
            for (other, range) in ranges.enumerated() {
                let part = UnsafeMutableBufferPointer(rebasing: all[range])
                if other == 0 {
                    _ = part.initialize(from: own)
                } else {
                    try world.receive(UnsafeMutableRawBufferPointer(part), from: other, tag: .data)
                }
            }
            var positions = [Int](repeating: 0, count: source.count)
            for position in 0..<source.count { positions[order.number(at: position)] = position }
            let sum = ImageDigest()
            for image in 0..<source.count { sum.add(all[positions[image]], path: source.path(of: image)) }
            digest = Array(sum.finish().utf8)
        } else {
            try world.send(UnsafeRawBufferPointer(own), to: 0, tag: .data)
        }
        try digest.withUnsafeMutableBytes { try world.broadcast($0, from: 0) }
        return String(decoding: digest, as: UTF8.self)
    }
}

/// Where threads put what they read, each at its own place.
private struct KeptImages: @unchecked Sendable {
    let range: Range<Int>
    /// Bytes of an image.
    let size: Int
    let pixels: UnsafeMutablePointer<UInt8>
    let records: UnsafeMutablePointer<ImageRecord>

    init(range: Range<Int>, size: Int, pixels: UnsafeMutablePointer<UInt8>) {
        (self.range, self.size, self.pixels) = (range, size, pixels)
        records = .allocate(capacity: max(1, range.count))
    }

    func store(_ position: Int, _ record: ImageRecord, _ bytes: [UInt8]) {
        precondition(range.contains(position) && bytes.count == size, "\(bytes.count) bytes at \(position), \(size) in \(range)")
        let index = position - range.lowerBound
        (records + index).initialize(to: record)
        (pixels + index * size).update(from: bytes, count: size)
    }
}

/// What the digest of a set takes of an image, as ranks send it to each other.
struct ImageRecord {
    /// SHA-256 of the picture as its file holds it: [H, W, C] bytes.
    private let pixels: (UInt64, UInt64, UInt64, UInt64)
    private let number: Int32

    var label: Int? { number < 0 ? nil : Int(number) }
    var hash: [UInt8] { withUnsafeBytes(of: pixels) { Array($0) } }

    init(_ picture: Picture, _ label: Int?) {
        let digest = SHA256Digest()
        picture.pixels.withUnsafeBytes(digest.update)
        pixels = digest.finish().withUnsafeBytes { $0.loadUnaligned(as: (UInt64, UInt64, UInt64, UInt64).self) }
        number = Int32(label ?? -1)
    }
}

/// SHA-256 over, image by image in order: its path in the data's folder, a zero byte, its label in decimal digits (none without
/// labels), a zero byte, and the 32 bytes of SHA-256 of its pixels, [H, W, C], as its file holds it.
struct ImageDigest {
    private let digest = SHA256Digest()

    func add(_ record: ImageRecord, path: String) {
        let bytes = Array(path.utf8) + [0] + Array((record.label.map(String.init) ?? "").utf8) + [0] + record.hash
        bytes.withUnsafeBytes(digest.update)
    }

    func finish() -> String { digest.finish().hexadecimal }
}
