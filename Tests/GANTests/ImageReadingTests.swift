import Formats
import Foundation
import Kernels
import MessagePassing
import Networks
import Testing

@testable import GAN

/// What ranks keep of images that are read one by one.
@Suite(.timeLimit(.minutes(15))) struct ImageReadingTests {
    struct Kept: Sendable {
        let range: Range<Int>
        let pixels, labels, firstImages: [UInt8]
        let digest: String
    }

    private let folder: TemporaryFolder

    /// 70 pictures of 6 × 5 in three folders, picture i of a colour of its own, (i, 2 i, 255 − i).
    init() throws {
        folder = try TemporaryFolder()
        for number in 0..<70 {
            let place = folder.file("set/\(number / 25)")
            try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
            try picture(number).writePNG(path: "\(place)/\(String(format: "%03d", number)).png")
        }
    }

    private func picture(_ number: Int) -> Picture {
        let colour = [UInt8(number), UInt8(2 * number), UInt8(255 - number)]
        return Picture(channels: 3, height: 6, width: 5, pixels: (0..<30).flatMap { _ in colour })
    }

    private func kept(_ hosts: [Int], side: ImageSize, channels: Int = 3) throws -> [Kept] {
        let path = folder.file("set")
        var configuration = try smallModel(["batch_size": 10]).fresh(for: .mnist)
        (configuration.imageSize, configuration.channels) = (side, channels)
        let wanted = configuration
        return try onRanks(hosts: hosts) { communicator in
            let world = try communicator.world()
            let source = try DataSource(path: path, wanted: nil, preferred: nil, world: world)
            let dataset = try Dataset(
                wanted, source, layout: ShardLayout(shards: 4, ranks: communicator.size), world: world, needsLabels: true)
            let size = dataset.range.count * dataset.preparation.kept.features
            return Kept(
                range: dataset.range, pixels: Array(UnsafeBufferPointer(start: dataset.pixels, count: size)),
                labels: dataset.labels, firstImages: dataset.firstImages, digest: dataset.digest)
        }
    }

    /// Together the ranks hold every image once, with its class, in the order of positions; the digest is that of the files.
    @Test(arguments: [[1], [3], [2, 1]]) func everyImageIsKept(hosts: [Int]) throws {
        let ranks = try kept(hosts, side: ImageSize(height: 6, width: 5))
        #expect(ranks.flatMap { Array($0.range) } == Array(0..<70))
        let order = ImageOrder(count: 70)
        let numbers = (0..<70).map(order.number)
        #expect(ranks.flatMap(\.pixels) == numbers.flatMap { picture($0).pixels })
        #expect(ranks.flatMap(\.labels) == numbers.map { UInt8($0 / 25) })
        #expect(ranks[0].firstImages == numbers.prefix(64).flatMap { picture($0).pixels })
        #expect(ranks.dropFirst().allSatisfy { $0.firstImages.isEmpty })

        let digest = SHA256Digest()
        for number in 0..<70 {
            let pixels = SHA256Digest()
            picture(number).pixels.withUnsafeBytes(pixels.update)
            let path = "\(number / 25)/\(String(format: "%03d", number)).png"
            let entry = Array(path.utf8) + [0] + Array("\(number / 25)".utf8) + [0] + pixels.finish()
            entry.withUnsafeBytes(digest.update)
        }
        let expected = digest.finish().hexadecimal
        #expect(ranks.allSatisfy { $0.digest == expected })
    }

    /// Smaller, larger and grey: what is made of pictures, at once or for each batch, is what Pillow's steps make of them.
    @Test(arguments: [(3, 1), (3, 3), (5, 3), (12, 3), (12, 1)]) func picturesBecomeImages(side: Int, channels: Int) throws {
        let ranks = try kept([2], side: ImageSize(side: side), channels: channels)
        let order = ImageOrder(count: 70)
        let expected = (0..<64).flatMap { position in
            picture(order.number(at: position)).converted(toChannels: channels).croppedToSquare().resized(height: side, width: side).pixels
        }
        #expect(ranks[0].firstImages == expected)
        // What makes larger is not kept.
        #expect(ranks[0].pixels.count == ranks[0].range.count * channels * min(side, 5) * min(side, 5))
        #expect(try kept([1], side: ImageSize(height: 6, width: 5))[0].digest == ranks[0].digest)
    }

    /// One bad file among many, in the middle of what some rank reads: one failure, the same on all ranks.
    @Test(arguments: [[1], [3], [1, 2]]) func oneBadFile(hosts: [Int]) throws {
        let path = folder.file("set/1/040.png")
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        try bytes.dropLast(20).write(to: URL(fileURLWithPath: path))
        let error = #expect(throws: Failure.self) { _ = try kept(hosts, side: ImageSize(height: 6, width: 5)) }
        #expect(error?.code == .badData)
        #expect(error?.description.contains("set/1/040.png: ") == true, "\(error?.description ?? "")")
    }

    /// Ranks that see other lists of pictures say so before anything is read.
    @Test func otherFolder() throws {
        let other = try TemporaryFolder()
        try FileManager.default.createDirectory(atPath: other.file("set/0"), withIntermediateDirectories: true)
        try picture(0).writePNG(path: other.file("set/0/a.png"))
        let paths = [folder.file("set"), other.file("set")]
        let error = #expect(throws: Failure.self) {
            _ = try onRanks(hosts: [1, 1]) { communicator in
                try DataSource(
                    path: paths[communicator.rank], wanted: nil, preferred: nil, world: communicator.world()
                ).format.name
            }
        }
        #expect(error?.code == .badData)
        #expect(error?.description.contains("number of images") == true, "\(error?.description ?? "")")
    }

    /// What a batch shows: pixels, classes, and each image mirrored or not by its row's word, at any number of ranks.
    @Test func batchesAreMirrored() throws {
        let half = try folder.writeImages(40, to: "idx")
        func rows(_ ranks: Int, mirror: Bool) throws -> [[Float]] {
            try onRanks(hosts: [ranks]) { communicator in
                let configuration = try smallModel(["batch_size": 16, "mirror": mirror]).fresh(for: .mnist)
                let layout = ShardLayout(shards: 4, ranks: communicator.size)
                let world = try communicator.world()
                let source = try DataSource(path: half, wanted: nil, preferred: nil, world: world)
                let dataset = try Dataset(configuration, source, layout: layout, world: world)
                let arena = Arena()
                let batches = Batches(
                    configuration, dataset: dataset, layout: layout, rank: communicator.rank, kernels: .fastest, arena: arena)
                let x = arena.matrix(features: 784, stride: 16)
                batches.gather(step: 3, into: x)
                let count = layout.rows(of: layout.shards(of: communicator.rank), batch: 16).count
                return (0..<count).map { row in (0..<784).map { x.base[$0 * x.stride + row] } }
            }.flatMap(\.self)
        }
        let plain = try rows(1, mirror: false)
        let mirrored = try rows(1, mirror: true)
        #expect(try rows(3, mirror: true) == mirrored)
        func flipped(_ image: [Float]) -> [Float] { (0..<28).flatMap { row in image[28 * row..<28 * row + 28].reversed() } }
        let key = RandomKey(seed: 81_985_529_216_486_895, stream: RandomStream.mirror, step: 3)
        var words = [UInt32](repeating: 0, count: 64)
        words.withUnsafeMutableBufferPointer { if let base = $0.baseAddress { Kernels.fastest.randomWords(key, base, 1, 16, 16) } }
        var turned = 0
        for row in 0..<16 {
            let isTurned = words[row] >= 1 << 31
            #expect(mirrored[row] == (isTurned ? flipped(plain[row]) : plain[row]), "row \(row)")
            turned += isTurned ? 1 : 0
        }
        #expect(1..<16 ~= turned)
    }
}
