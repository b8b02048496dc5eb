import Formats
import Foundation
import MessagePassing
import Testing

@testable import GAN

/// What ranks keep of a data set.
@Suite(.timeLimit(.minutes(15))) struct DatasetTests {
    struct Kept: Sendable {
        let range: Range<Int>
        let pixels, labels, firstImages: [UInt8]
        let digest: String
    }

    private let folder: TemporaryFolder
    private let data: String

    init() throws {
        folder = try TemporaryFolder()
        data = try folder.writeImages(75)
    }

    private func kept(side: Int, hosts: [Int]) throws -> [Kept] {
        let data = data
        return try onRanks(hosts: hosts) { communicator in
            let configuration = try smallModel(["batch_size": 10], side: side).fresh()
            let layout = ShardLayout(shards: 4, ranks: communicator.size)
            let dataset = try Dataset(configuration, folder: data, layout: layout, world: communicator.world())
            let pixels = UnsafeBufferPointer(start: dataset.pixels, count: dataset.range.count * dataset.preparation.kept.features)
            return Kept(
                range: dataset.range, pixels: Array(pixels), labels: dataset.labels, firstImages: dataset.firstImages,
                digest: dataset.digest)
        }
    }

    private func images(side: Int = 28) throws -> [UInt8] {
        let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: "\(data)/train-images-idx3-ubyte"))).dropFirst(16)
        return (0..<75).flatMap { image in
            let pixels = Array(bytes.dropFirst(784 * image).prefix(784))
            return Picture(channels: 1, height: 28, width: 28, pixels: pixels).resized(height: side, width: side).pixels
        }
    }

    /// Together the ranks hold every image once, with its label; the first ones are there in the size that is asked for.
    @Test(arguments: [28, 12, 33], [[1], [3], [2, 1], [1, 1, 2]])
    func everyImageIsKept(side: Int, hosts: [Int]) throws {
        let ranks = try kept(side: side, hosts: hosts)
        let images = try images(side: side)
        #expect(ranks.flatMap { Array($0.range) } == Array(0..<75))
        // What becomes smaller does so at once.
        #expect(ranks.flatMap(\.pixels) == (try self.images(side: min(side, 28))))
        #expect(ranks.flatMap(\.labels) == (0..<75).map { UInt8($0 % 10) })
        #expect(ranks[0].firstImages == Array(images.prefix(64 * side * side)))
        #expect(ranks.dropFirst().allSatisfy { $0.firstImages.isEmpty })
    }

    private func digestOfFiles() throws -> String {
        let digest = SHA256Digest()
        for name in ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"] {
            try Data(contentsOf: URL(fileURLWithPath: "\(data)/\(name)")).withUnsafeBytes(digest.update)
        }
        return digest.finish().hexadecimal
    }

    /// The digest is that of the files, whatever becomes of the images.
    @Test func digestIsThatOfTheFiles() throws {
        let expected = try digestOfFiles()
        for ranks in [try kept(side: 28, hosts: [1]), try kept(side: 12, hosts: [2, 1])] {
            #expect(ranks.allSatisfy { $0.digest == expected })
        }
    }

    private func opened(hosts: [Int], needsLabels: Bool) throws -> [[String]] {
        let data = data
        return try onRanks(hosts: hosts) { communicator in
            let layout = ShardLayout(shards: 4, ranks: communicator.size)
            return try Dataset(
                try smallModel().fresh(), folder: data, layout: layout, world: communicator.world(),
                needsLabels: needsLabels
            ).warnings
        }
    }

    /// Labels that do not fit the images are refused where labels are used; where they are not, rank 0 warns once, and the
    /// digest is that of the files all the same.
    @Test(
        arguments: [[1], [3], [1, 2]],
        [
            ([8, 1, 0, 0, 0, 76], 76, "holds 76 labels, "), ([8, 1, 0, 0, 0, 74], 74, "holds 74 labels, "),
            ([8, 2, 0, 0, 0, 75, 0, 0, 0, 2], 150, "holds 75 × 2 labels, "),
            ([8, 2, 0, 0, 0, 75, 0, 0, 0, 0], 0, "holds 75 × 0 labels, "),
            ([8, 1, 0, 0, 0, 75], 75, "label 61, counted from 0, is 200; 0 … 9 are expected"),
        ] as [([UInt8], Int, String)])
    func labelsAreChecked(hosts: [Int], labels: (header: [UInt8], count: Int, says: String)) throws {
        let (images, path) = ("\(data)/train-images-idx3-ubyte", "\(data)/train-labels-idx1-ubyte")
        #expect(try opened(hosts: hosts, needsLabels: true).allSatisfy(\.isEmpty))
        #expect(try opened(hosts: hosts, needsLabels: false).allSatisfy(\.isEmpty))

        var bytes = [0, 0] + labels.header + (0..<labels.count).map { UInt8($0 % 10) }
        if labels.count == 75 { bytes[8 + 61] = 200 }
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        let error = #expect(throws: Failure.self) { _ = try opened(hosts: hosts, needsLabels: true) }
        #expect(error?.code == .badData)
        let warnings = try opened(hosts: hosts, needsLabels: false)
        #expect(warnings[0].count == 1 && warnings.dropFirst().allSatisfy(\.isEmpty), "\(warnings)")
        for text in [error?.description ?? "", warnings[0].first ?? ""] {
            #expect(text.contains(path) && text.contains(labels.says), "\(text)")
            if labels.count != 75 { #expect(text.contains("\(images) 75 images"), "\(text)") }
        }
        let expected = try digestOfFiles()
        #expect(try kept(side: 28, hosts: hosts).allSatisfy { $0.digest == expected })
    }

    /// Images and labels come from one folder: that of a torchvision tree, where both are there.
    @Test func imagesAndLabelsComeFromOneFolder() throws {
        let tree = "\(data)/MNIST/raw"
        try FileManager.default.createDirectory(atPath: tree, withIntermediateDirectories: true)
        let digest = try kept(side: 28, hosts: [1])[0].digest
        let other = try folder.writeImages(40, to: "other")
        try FileManager.default.copyItem(atPath: "\(other)/train-images-idx3-ubyte", toPath: "\(tree)/train-images-idx3-ubyte")
        #expect(try kept(side: 28, hosts: [1])[0].digest == digest)
        try FileManager.default.copyItem(atPath: "\(other)/train-labels-idx1-ubyte", toPath: "\(tree)/train-labels-idx1-ubyte")
        #expect(try kept(side: 28, hosts: [1])[0].labels.count == 40)
    }

    /// The other usual name is read, and what bears the name and is no file is passed over.
    @Test func otherNamesAreFound() throws {
        let digest = try kept(side: 28, hosts: [1])[0].digest
        for (kind, dimensions) in [("images", 3), ("labels", 1)] {
            let name = "\(data)/train-\(kind)-idx\(dimensions)-ubyte"
            try FileManager.default.moveItem(atPath: name, toPath: "\(data)/train-\(kind).idx\(dimensions)-ubyte")
            try FileManager.default.createDirectory(atPath: name, withIntermediateDirectories: false)
            try FileManager.default.createSymbolicLink(atPath: name + ".gz", withDestinationPath: "nowhere")
        }
        #expect(try kept(side: 28, hosts: [1])[0].digest == digest)
    }

    /// An epoch is at least one step, of as many batches as there are critic steps.
    @Test(arguments: [(76, 1, "a batch of 76; lower --batch-size"), (38, 2, "the 2 batches of a step, each of 38; lower")])
    func tooFewImagesAreRefused(batchSize: Int, criticSteps: Int, text: String) throws {
        func open(_ batchSize: Int) throws {
            let data = data
            try onRanks(hosts: [2]) { communicator in
                let configuration = try smallModel(["batch_size": batchSize, "critic_steps": criticSteps]).fresh()
                _ = try Dataset(
                    configuration, folder: data, layout: ShardLayout(shards: 4, ranks: 2), world: communicator.world())
            }
        }
        try open(batchSize - 1)
        let error = #expect(throws: Failure.self) { try open(batchSize) }
        #expect(error?.code == .badData)
        #expect(error?.description.contains("75 images, fewer than \(text)") == true, "\(error?.description ?? "")")
    }

    /// A run at another side: what it trains on, draws and leaves, the same at any number of ranks.
    @Test func runsFollowTheSide() throws {
        let runs = try [1, 3].map { ranks in
            try trainedRun(
                smallModel(["steps": 3], side: 12), data: data, outdir: folder.file("runs-\(ranks)"), hosts: [ranks], dumpSteps: 3)
        }
        let dump = try runs[0].dump(3)
        #expect(dump.tensors["real"]?.shape == [8, 144])
        #expect(dump.tensors["grad.generator.main.2.weight"]?.shape == [144, 10])
        let images = try images(side: 12)
        let rows = try dump.floats("real").map(Pictures.byte)
        for row in 0..<8 {
            let pixels = Array(rows[144 * row..<144 * (row + 1)])
            #expect((0..<75).contains { pixels == Array(images[144 * $0..<144 * ($0 + 1)]) }, "row \(row)")
        }
        // 8 · (12 + 2) + 2 pixels wide and high
        for name in ["reals.png", "fakes-init.png", "fakes-000003.png"] {
            #expect(try runs[0].bytes(name)[16..<24] == [0, 0, 0, 114, 0, 0, 0, 114], "\(name)")
        }
        for name in ["reals.png", "fakes-000003.png", "dump/step-000003.safetensors", "checkpoint-000000003.safetensors"] {
            #expect(try runs[0].bytes(name) == runs[1].bytes(name), "\(name)")
        }
        #expect(try runs[0].lines("log.txt").contains { $0.contains("resized to 12 × 12") })
    }
}
