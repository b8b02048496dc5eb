import Formats
import Foundation
import MessagePassing
import Testing

@testable import GAN

/// Which pictures are held out for testing, and how few of them are read.
@Suite(.timeLimit(.minutes(15))) struct DataSplitTests {
    struct Kept: Sendable {
        let description: String
        let isPublished: Bool
        let range: Range<Int>
        let images, labels: [UInt8]
        let digest: String
    }

    private let folder: TemporaryFolder
    private let size = ImageSize(height: 2, width: 3)

    init() throws { folder = try TemporaryFolder() }

    private func url(_ name: String) throws -> URL {
        let url = URL(fileURLWithPath: folder.file(name))
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        return url
    }

    private func idx(_ sizes: [Int], _ bytes: [UInt8]) -> Data {
        Data([0, 0, 8, UInt8(sizes.count)] + sizes.flatMap { [0, 0, UInt8($0 >> 8), UInt8($0 & 255)] } + bytes)
    }

    /// Pixel p of image i is 7 i + p.
    private func pixels(_ image: Int) -> [UInt8] { (0..<6).map { UInt8(truncatingIfNeeded: 7 * image + $0) } }

    private func writeImages(_ name: String, _ images: Range<Int>, size: ImageSize? = nil) throws {
        let size = size ?? self.size
        try idx([images.count, size.height, size.width], images.flatMap(pixels)).write(to: try url(name))
    }

    private func writeLabels(_ name: String, _ labels: [UInt8]) throws { try idx([labels.count], labels).write(to: try url(name)) }

    private func labels(_ count: Int) -> [UInt8] { (0..<count).map { UInt8($0 % 4) } }

    /// A set of 40 training images.
    private func writeTraining(_ name: String = "set", prefix: String = "", firstLabel: UInt8 = 0) throws {
        try writeImages("\(name)/\(prefix)train-images-idx3-ubyte", 0..<40)
        try writeLabels("\(name)/\(prefix)train-labels-idx1-ubyte", labels(40).map { $0 + firstLabel })
    }

    private func split(_ name: String) throws -> DataSplit { try DataSource(path: folder.file(name)).split() }

    private func refusal(_ name: String) -> Failure? { #expect(throws: Failure.self) { _ = try split(name) } }

    private func kept(
        _ name: String, hosts: [Int] = [1], heldOut: Bool = true, side: ImageSize? = nil, channels: Int = 1,
        needsLabels: Bool = false
    ) throws -> [Kept] {
        let path = folder.file(name)
        var model = try smallModel(["batch_size": 10]).fresh(for: .mnist)
        (model.imageSize, model.channels) = (side ?? size, channels)
        let configuration = model
        return try onRanks(hosts: hosts) { communicator in
            let world = try communicator.world()
            let source = try DataSource(path: path, wanted: nil, preferred: nil, world: world)
            let layout = ShardLayout(shards: 4, ranks: communicator.size)
            let split = try source.split(world: world)
            // Parts may be read again.
            let part = heldOut ? split.heldOut : split.training
            _ = try Dataset(configuration, part, layout: layout, world: world, inBatches: false)
            let dataset = try Dataset(
                configuration, part, layout: layout, world: world, needsLabels: needsLabels, inBatches: false)
            let images = (0..<dataset.range.count).flatMap {
                Array(UnsafeBufferPointer(start: dataset.image($0), count: configuration.image.features))
            }
            return Kept(
                description: split.description, isPublished: split.isPublished, range: dataset.range, images: images,
                labels: dataset.labels, digest: dataset.digest)
        }
    }

    // MARK: Test parts

    /// Test images beside the training images, under each of their names, and fewer than a batch or a shard each.
    @Test(arguments: ["t10k-images-idx3-ubyte", "t10k-images-idx3-ubyte.gz", "t10k-images.idx3-ubyte"], [[1], [3], [1, 2]])
    func testFilesAreHeldOut(name: String, hosts: [Int]) throws {
        try writeTraining()
        try writeImages("set/t10k-images-idx3-ubyte", 50..<53)
        let path = folder.file("set/t10k-images-idx3-ubyte")
        if name.hasSuffix(".gz") {
            let gzip = try Process.run(URL(fileURLWithPath: "/usr/bin/env"), arguments: ["gzip", path])
            gzip.waitUntilExit()
        } else if name.contains(".") {
            try FileManager.default.moveItem(atPath: path, toPath: folder.file("set/\(name)"))
        }
        #expect(FileManager.default.fileExists(atPath: folder.file("set/\(name)")))
        try writeLabels("set/t10k-labels-idx1-ubyte", [2, 0, 3])
        let ranks = try kept("set", hosts: hosts, needsLabels: true)
        let isSplit = ranks.allSatisfy { $0.isPublished && $0.description == "3 test images of set" }
        #expect(isSplit, "\(ranks[0].description)")
        #expect(ranks.flatMap { Array($0.range) } == [0, 1, 2])
        #expect(ranks.flatMap(\.images) == (50..<53).flatMap(pixels))
        #expect(ranks.flatMap(\.labels) == [2, 0, 3])

        let training = try kept("set", hosts: hosts, heldOut: false, needsLabels: true)
        #expect(training.flatMap(\.images) == (0..<40).flatMap(pixels))
        let digest = SHA256Digest()
        for name in ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"] {
            try Data(contentsOf: try url("set/\(name)")).withUnsafeBytes(digest.update)
        }
        #expect(training[0].digest == digest.finish().hexadecimal)
    }

    /// EMNIST's test images have names of their own; they are turned and their first class is 0, as in the training images.
    @Test func testFilesOfEMNIST() throws {
        try writeTraining(prefix: "emnist-letters-", firstLabel: 1)
        try writeImages("set/emnist-letters-test-images-idx3-ubyte", 7..<9)
        try writeLabels("set/emnist-letters-test-labels-idx1-ubyte", [26, 1])
        let ranks = try kept("set", side: ImageSize(height: 3, width: 2), needsLabels: true)
        #expect(ranks[0].description == "2 test images of emnist-letters")
        #expect(ranks[0].images == (7..<9).flatMap { image in [0, 3, 1, 4, 2, 5].map { pixels(image)[$0] } })
        #expect(ranks[0].labels == [25, 0])
    }

    /// A part of another shape, or of nothing, is refused; labels are missed where they are needed.
    @Test func testFilesThatDoNotFit() throws {
        try writeTraining()
        try writeImages("set/t10k-images-idx3-ubyte", 0..<4, size: ImageSize(height: 3, width: 2))
        let shape = refusal("set")
        #expect(shape?.code == .badData)
        for text in ["t10k-images-idx3-ubyte: images of shape [3, 2]", "[2, 3] is expected", "train-images-idx3-ubyte"] {
            #expect(shape?.description.contains(text) == true, "\(shape?.description ?? "")")
        }
        try writeImages("set/t10k-images-idx3-ubyte", 0..<0)
        #expect(refusal("set")?.code == .badData)

        try writeImages("set/t10k-images-idx3-ubyte", 0..<4)
        #expect(try kept("set")[0].labels.isEmpty)
        let missing = #expect(throws: Failure.self) { _ = try kept("set", hosts: [2], needsLabels: true) }
        #expect(missing?.code == .missingInput && missing?.description.contains("no t10k-labels-idx1-ubyte or") == true)
        try writeLabels("set/t10k-labels-idx1-ubyte", [0, 1, 5, 2])
        let foreign = #expect(throws: Failure.self) { _ = try kept("set", hosts: [2], needsLabels: true) }
        #expect(foreign?.code == .badData)
        #expect(foreign?.description.contains("label 2, counted from 0, is 5; 0 … 3 are expected") == true)
    }

    @Test func testBatchOfCIFAR() throws {
        func records(_ labels: [UInt8]) -> Data { Data(labels.flatMap { [$0] + [UInt8](repeating: 9 * $0, count: 3_072) }) }
        try records((0..<40).map { $0 % 3 }).write(to: try url("set/data_batch_1.bin"))
        let own = try split("set")
        #expect(own.description == "every tenth picture of each class, 3 of 40")
        #expect(try numbers(own.heldOut) == ["data_batch_1.bin 0", "data_batch_1.bin 1", "data_batch_1.bin 2"])
        try records([8, 1]).write(to: try url("set/test_batch.bin"))
        let ranks = try kept("set", hosts: [2], side: 32, channels: 3, needsLabels: true)
        #expect(ranks.flatMap(\.labels).sorted() == [1, 8])
        #expect(ranks.allSatisfy { $0.description == "2 test images of cifar10" })
        #expect(try split("set").training.fingerprint == DataSource(path: folder.file("set")).fingerprint)
        try Data().write(to: try url("set/test_batch.bin"))
        #expect(refusal("set")?.code == .badData)
    }

    /// Ranks that see different parts say so.
    @Test func partsAreTheSameOnAllRanks() throws {
        for name in ["a", "b"] { try writeTraining(name) }
        try writeImages("b/t10k-images-idx3-ubyte", 0..<4)
        let error = #expect(throws: Failure.self) {
            try onRanks(hosts: [1, 1]) { [folder] communicator in
                let world = try communicator.world()
                let path = folder.file(communicator.rank == 0 ? "a" : "b")
                _ = try DataSource(path: path, wanted: "fashion", preferred: nil, world: world).split(world: world)
            }
        }
        #expect(error?.code == .badData)
        #expect(error?.description.contains("4 test images of fashion") == true, "\(error?.description ?? "")")
    }

    // MARK: Every tenth

    /// The path and the class of each image of a source that is read one by one.
    private func numbers(_ source: DataSource) throws -> [String] {
        guard case .images(let images) = source.files else { return [] }
        return try (0..<images.count).map { image in
            let label = try images.label(of: image)
            #expect(try images.read(image).label == label)
            return ([images.path(of: image)] + (label.map { ["\($0)"] } ?? [])).joined(separator: " ")
        }
    }

    /// IDX files alone: of uneven classes, which are not sorted, image 9, 19, … of each; at any number of ranks.
    @Test(arguments: [[1], [3], [1, 2]]) func idxFilesAlone(hosts: [Int]) throws {
        // Classes of 24, 10 and 9 images.
        let classes: [UInt8] = (0..<43).map { $0 % 2 == 0 && $0 < 20 ? 1 : $0 % 2 == 1 && $0 < 18 ? 2 : 0 }
        try writeImages("set/train-images-idx3-ubyte", 0..<43)
        try writeLabels("set/train-labels-idx1-ubyte", classes)
        var seen = [0, 0, 0]
        let expected = (0..<43).filter { image in
            seen[Int(classes[image])] += 1
            return seen[Int(classes[image])] % 10 == 0
        }
        #expect(expected.map { classes[$0] } == [1, 0, 0])
        func images(_ ranks: [Kept]) -> [[UInt8]] {
            let all = ranks.flatMap(\.images)
            return stride(from: 0, to: all.count, by: 6).map { Array(all[$0..<$0 + 6]) }
        }
        let heldOut = try kept("set", hosts: hosts, needsLabels: true)
        #expect(heldOut[0].description == "every tenth picture of each class, 3 of 43")
        #expect(Set(images(heldOut)) == Set(expected.map(pixels)))
        #expect(heldOut.flatMap(\.labels).sorted() == [0, 0, 1])
        let training = try kept("set", hosts: hosts, heldOut: false, needsLabels: true)
        #expect(images(training).count == 40)
        #expect(Set(images(training) + images(heldOut)) == Set((0..<43).map(pixels)))
        #expect(training.flatMap { Array($0.range) } == Array(0..<40))
        let alone = try kept("set", heldOut: false)
        #expect(training.flatMap(\.images) == alone[0].images && training[0].digest == alone[0].digest)

        // Without labels that could be used every tenth of all is taken.
        try writeLabels("set/train-labels-idx1-ubyte", Array(classes.dropLast()))
        let split = try split("set")
        #expect(split.description == "every tenth picture, 4 of 43")
        #expect(split.heldOut.format.noLabels?.code == .badData)
    }

    @Test func foldersOfPictures() throws {
        func write(_ name: String) throws {
            let picture = Picture(channels: 1, height: 4, width: 4, pixels: [UInt8](repeating: 3, count: 16))
            try picture.writePNG(path: try url(name).path)
        }
        for number in 0..<21 { try write("set/b/\(10 + number).png") }
        for number in 0..<9 { try write("set/a/\(number).png") }
        for number in 0..<10 { try write("set/c/\(number).png") }
        let classes = try split("set")
        #expect(try numbers(classes.heldOut) == ["b/19.png 1", "b/29.png 1", "c/9.png 2"])
        #expect(classes.training.count == 37 && !classes.isPublished)
        #expect(classes.training.classNames == ["a", "b", "c"])
        let prints = [classes.training, classes.heldOut, try DataSource(path: folder.file("set"))].map { $0.fingerprint ?? "" }
        #expect(Set(prints).count == 3 && prints.allSatisfy { $0.hasSuffix(prints[2]) })
        let flat = try split("set/b")
        #expect(try numbers(flat.heldOut) == ["19.png", "29.png"])
        #expect(flat.description == "every tenth picture, 2 of 21")
        let unlabelled = #expect(throws: Failure.self) { _ = try kept("set/b", hosts: [2], side: 4, needsLabels: true) }
        #expect(unlabelled?.code == .missingInput)
        let few = refusal("set/a")
        #expect(few?.code == .badData && few?.description.contains("no class has ten") == true, "\(few?.description ?? "")")
    }

    @Test func arrays() throws {
        func array(_ name: String, _ shape: String, _ bytes: [UInt8]) throws {
            var header = Array("{'descr': '|u1', 'fortran_order': False, 'shape': \(shape), }".utf8)
            header += [UInt8](repeating: 32, count: -(10 + header.count + 1) & 63) + [10]
            try Data([0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(header.count), 0] + header + bytes).write(to: try url(name))
        }
        try array("set/x.npy", "(30, 2, 3)", (0..<30).flatMap(pixels))
        #expect(try split("set/x.npy").description == "every tenth picture, 3 of 30")
        try array("set/labels.npy", "(30,)", (0..<30).map { $0 < 19 ? 1 : 0 })
        let ranks = try kept("set/x.npy", hosts: [3], needsLabels: true)
        #expect(ranks[0].description == "every tenth picture of each class, 2 of 30")
        let images = ranks.flatMap(\.images)
        #expect(Set([Array(images.prefix(6)), Array(images.suffix(6))]) == Set([pixels(9), pixels(28)]))
        #expect(ranks.flatMap(\.labels).sorted() == [0, 1])
    }

    // MARK: Images

    /// Images have the configuration's size and channels, whatever is kept of the pictures.
    @Test(arguments: [1, 2, 5], [1, 3]) func imagesHaveTheirSize(side: Int, channels: Int) throws {
        try writeTraining()
        try writeImages("set/t10k-images-idx3-ubyte", 0..<8)
        let tested = try kept("set", side: ImageSize(side: side), channels: channels)[0].images
        let expected = (0..<8).flatMap { image in
            Picture(channels: 1, height: 2, width: 3, pixels: pixels(image)).croppedToSquare()
                .resized(height: side, width: side).converted(toChannels: channels).pixels
        }
        #expect(tested == expected)
    }
}
