import Formats
import Foundation
import MessagePassing
import Networks
import Testing

@testable import GAN

/// What is found at a path, and what its files tell.
@Suite struct DataSourceTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func makeFolder(_ name: String) throws -> String {
        try FileManager.default.createDirectory(atPath: folder.file(name), withIntermediateDirectories: true)
        return folder.file(name)
    }

    private func writeIDX(_ prefix: String = "", to name: String, size: (Int, Int) = (28, 28), labels: [UInt8]? = nil, count: Int = 20) throws {
        func header(_ sizes: [Int]) -> [UInt8] { [0, 0, 8, UInt8(sizes.count)] + sizes.flatMap { [0, 0, UInt8($0 >> 8), UInt8($0 & 255)] } }
        let place = try makeFolder(name)
        let images = header([count, size.0, size.1]) + (0..<count * size.0 * size.1).map { UInt8(truncatingIfNeeded: $0 % 251) }
        try Data(images).write(to: URL(fileURLWithPath: "\(place)/\(prefix)train-images-idx3-ubyte"))
        guard let labels else { return }
        try Data(header([labels.count]) + labels).write(to: URL(fileURLWithPath: "\(place)/\(prefix)train-labels-idx1-ubyte"))
    }

    private func writePicture(_ path: String, channels: Int = 1, height: Int = 8, width: Int = 8, value: UInt8 = 7) throws {
        let path = folder.file(path)
        try FileManager.default.createDirectory(
            atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
        let pixels = [UInt8](repeating: value, count: channels * height * width)
        try Picture(channels: channels, height: height, width: width, pixels: pixels).writePNG(path: path)
    }

    private func format(_ name: String, wanted: String? = nil, preferred: String? = nil) throws -> DataFormat {
        try DataSource(path: folder.file(name), wanted: wanted, preferred: preferred).format
    }

    private func refusal(_ name: String, wanted: String? = nil) -> Failure? {
        #expect(throws: Failure.self) { _ = try format(name, wanted: wanted) }
    }

    private func expect(_ found: DataFormat, _ name: String, _ channels: Int, _ size: ImageSize?, _ classes: Int?) {
        #expect(found.name == name)
        #expect(found.channels == channels)
        #expect(found.size == size)
        #expect(found.classes == classes)
    }

    // MARK: IDX

    private let tenLabels = (0..<20).map { UInt8($0 % 10) }

    /// torchvision's trees have their names and classes; with several of them somebody must say which.
    @Test func treesAreKnown() throws {
        try writeIDX(to: "data/KMNIST/raw", labels: tenLabels)
        expect(try format("data"), "kmnist", 1, 28, 10)
        try writeIDX("emnist-letters-", to: "data/EMNIST/raw", labels: tenLabels.map { $0 + 1 })
        let error = refusal("data")
        #expect(error?.code == .usage)
        #expect(error?.description.contains("holds kmnist and emnist-letters: say which with --dataset") == true, "\(error?.description ?? "")")
        expect(try format("data", wanted: "emnist-letters"), "emnist-letters", 1, 28, 26)
        expect(try format("data", preferred: "kmnist"), "kmnist", 1, 28, 10)
        // The files of EMNIST have names of their own.
        expect(try format("data/EMNIST/raw"), "emnist-letters", 1, 28, 26)
        #expect(refusal("data", wanted: "fashion")?.code == .missingInput)
    }

    /// MNIST's names say nothing of other sizes and classes.
    @Test func ownSetsAreNamedByTheFolder() throws {
        try writeIDX(to: "digits", labels: tenLabels)
        expect(try format("digits"), "mnist", 1, 28, 10)
        expect(try format("digits", wanted: "fashion"), "fashion", 1, 28, 10)
        try writeIDX(to: "few", labels: tenLabels.map { $0 / 2 })
        expect(try format("few"), "few", 1, 28, 5)
        try writeIDX(to: "letters", labels: (0..<20).map { UInt8($0) })
        expect(try format("letters"), "letters", 1, 28, 20)
        try writeIDX(to: "tall", size: (36, 20))
        expect(try format("tall"), "tall", 1, ImageSize(height: 36, width: 20), nil)
        try writeIDX(to: "mnist", size: (36, 20), labels: tenLabels)
        expect(try format("mnist"), "mnist-folder", 1, ImageSize(height: 36, width: 20), 10)
        // One label far away is a fault of the file, not two hundred classes.
        try writeIDX(to: "broken", labels: [200] + tenLabels.dropFirst())
        expect(try format("broken"), "mnist", 1, 28, 10)
        try writeIDX(to: "broken-tall", size: (36, 20), labels: [200] + tenLabels.dropFirst())
        expect(try format("broken-tall"), "broken-tall", 1, ImageSize(height: 36, width: 20), 10)
        try writeIDX(to: "late", size: (36, 20), labels: tenLabels.map { $0 + 100 })
        let problem = try format("late").noLabels
        #expect(problem?.code == .badData && problem?.description.contains("train-labels-idx1-ubyte") == true)
    }

    /// A letter of EMNIST is turned upright, and its first class is 0.
    @Test func emnistIsTransposed() throws {
        try writeIDX("emnist-letters-", to: "data", size: (2, 3), labels: tenLabels.map { $0 + 1 })
        var model = try smallModel().fresh(for: .mnist)
        model.imageSize = ImageSize(height: 3, width: 2)
        let configuration = model
        try onRanks(hosts: [2]) { [folder] communicator in
            let world = try communicator.world()
            let source = try DataSource(path: folder.file("data"), wanted: nil, preferred: nil, world: world)
            #expect(source.format.size == ImageSize(height: 3, width: 2))
            let dataset = try Dataset(configuration, source, layout: ShardLayout(shards: 4, ranks: 2), world: world, needsLabels: true)
            let first = dataset.range.lowerBound
            #expect(Array(UnsafeBufferPointer(start: dataset.pixels, count: 6)) == [0, 3, 1, 4, 2, 5].map { UInt8(6 * first + $0) })
            #expect(dataset.labels[0] == UInt8(first % 10))
        }
    }

    // MARK: Folders of pictures

    @Test func classesAreFolders() throws {
        for (index, path) in ["b/1.png", "b/10.PNG", "a/x/3.png", "a/2.png", "a/x.png"].enumerated() {
            try writePicture("set/\(path)", value: UInt8(index))
        }
        try Data("notes".utf8).write(to: URL(fileURLWithPath: folder.file("set/a/notes.txt")))
        try Data("".utf8).write(to: URL(fileURLWithPath: folder.file("set/.DS_Store")))
        let pictures = try #require(try PictureFolder(path: folder.file("set")))
        #expect((0..<5).map(pictures.path) == ["a/2.png", "a/x.png", "a/x/3.png", "b/1.png", "b/10.PNG"])
        #expect((0..<5).map(pictures.label) == [0, 0, 0, 1, 1])
        #expect(pictures.classNames == ["a", "b"])
        #expect(pictures.notes.count == 1 && pictures.notes[0].contains("1 .txt"))
        // A run in the folder is no class.
        try writePicture("set/runs/00000-mlp-set-b8/reals.png", height: 90, width: 90)
        try Data("{}".utf8).write(to: URL(fileURLWithPath: folder.file("set/runs/00000-mlp-set-b8/training_options.json")))
        expect(try format("set"), "set", 1, 8, 2)
    }

    @Test func foldersWithoutClasses() throws {
        for number in 0..<3 { try writePicture("flat/\(number).png", channels: number == 1 ? 3 : 1) }
        let found = try format("flat")
        expect(found, "flat", 3, 8, nil)
        #expect(found.noLabels?.code == .missingInput)
        // Names that begin with a point, and what is no picture, are not looked at.
        try Data().write(to: URL(fileURLWithPath: folder.file("flat/.4.png")))
        expect(try format("flat"), "flat", 3, 8, nil)
    }

    @Test func sizesMustBeSaid() throws {
        try writePicture("set/0.png")
        try writePicture("set/1.png", height: 9)
        let found = try format("set")
        #expect(found.size == nil)
        let request = modelFile(Data(#"{"preset": "mlp"}"#.utf8))
        let error = #expect(throws: Failure.self) { try request.fresh(for: found) }
        #expect(error?.code == .badData)
        for text in ["1.png is of 9 × 8 pixels, 0.png of 8 × 8", "--image-size"] {
            #expect(error?.description.contains(text) == true, "\(error?.description ?? "")")
        }
        var sized = request
        try sized.readOptions(["image_size": "12"])
        #expect(try sized.fresh(for: found).imageSize == 12)
        // A preset that resizes anyway does not mind.
        #expect(try modelFile(Data(#"{"preset": "dcgan"}"#.utf8)).fresh(for: found).imageSize == 64)
    }

    @Test func refusals() throws {
        try writePicture("beside/a/1.png")
        try writePicture("beside/2.png")
        #expect(refusal("beside")?.description.contains("pictures lie beside folders of pictures (2.png, a/1.png)") == true)
        try writePicture("empty/a/1.png")
        _ = try makeFolder("empty/b")
        let empty = refusal("empty")
        #expect(empty?.code == .badData && empty?.description.contains("empty/b: no PNG or JPEG picture") == true)
        try writePicture("text/1.png")
        try Data("hello".utf8).write(to: URL(fileURLWithPath: folder.file("text/2.png")))
        let text = refusal("text")
        #expect(text?.code == .badData && text?.description.contains("text/2.png: ") == true)
        _ = try makeFolder("nothing")
        #expect(refusal("nothing")?.code == .missingInput)
        // Names that Swift cannot hold, and links to nowhere: nothing is left out in silence.
        let latin = "\(try makeFolder("latin/a"))/1.png"
        try Data(contentsOf: URL(fileURLWithPath: folder.file("text/1.png"))).write(to: URL(fileURLWithPath: latin))
        #expect(mkdir(Array("\(folder.file("latin"))/caf".utf8CString.dropLast()) + [CChar(bitPattern: 0xe9), 0], 0o777) == 0)
        #expect(refusal("latin")?.description.contains("not UTF-8") == true)
        try writePicture("dead/a/1.png")
        try FileManager.default.createSymbolicLink(atPath: folder.file("dead/b"), withDestinationPath: "nowhere")
        #expect(refusal("dead")?.description.contains("dead/b: a symbolic link that leads nowhere") == true)
        // A folder that leads back to itself.
        try writePicture("loop/a/1.png")
        try FileManager.default.createSymbolicLink(atPath: folder.file("loop/a/up"), withDestinationPath: "..")
        #expect(refusal("loop")?.code == .badData)
    }

    // MARK: Arrays and CIFAR-10

    /// A NumPy array of bytes, or of 64-bit integers.
    private func writeArray(_ name: String, _ shape: [Int], _ bytes: [UInt8], type: String = "|u1") throws {
        let sizes = shape.map(String.init).joined(separator: ", ") + (shape.count == 1 ? "," : "")
        var header = Array("{'descr': '\(type)', 'fortran_order': False, 'shape': (\(sizes)), }".utf8)
        header += [UInt8](repeating: 32, count: -(10 + header.count + 1) & 63) + [10]
        let data = Data([0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(header.count & 255), UInt8(header.count >> 8)] + header + bytes)
        try data.write(to: URL(fileURLWithPath: folder.file(name)))
    }

    private func integers(_ values: [Int64]) -> [UInt8] {
        values.flatMap { value in withUnsafeBytes(of: value.littleEndian) { Array($0) } }
    }

    @Test func axesOfArrays() throws {
        try writeArray("grey.npy", [2, 5, 4], (0..<40).map { $0 })
        expect(try format("grey.npy"), "grey", 1, ImageSize(height: 5, width: 4), nil)
        try writeArray("last.npy", [2, 5, 4, 3], (0..<120).map { $0 })
        expect(try format("last.npy"), "last", 3, ImageSize(height: 5, width: 4), nil)
        try writeArray("first.npy", [2, 3, 5, 4], (0..<120).map { $0 })
        expect(try format("first.npy"), "first", 3, ImageSize(height: 5, width: 4), nil)
        let (last, first) = (try ArrayFile(path: folder.file("last.npy")), try ArrayFile(path: folder.file("first.npy")))
        #expect(try last?.read(1).picture.pixels == (60..<120).map { $0 })
        #expect(try first?.read(1).picture.pixels.prefix(4) == [60, 80, 100, 61])
        for (shape, code) in [([2, 3, 4, 1], ExitCode.usage), ([2, 5, 4, 2], .badData), ([2, 20], .badData), ([0, 5, 4], .badData)] {
            try writeArray("bad.npy", shape, [UInt8](repeating: 0, count: shape.reduce(1, *)))
            #expect(refusal("bad.npy")?.code == code, "\(shape)")
        }
    }

    @Test func labelsBesideArrays() throws {
        try writeArray("x.npy", [3, 2, 2], [UInt8](repeating: 0, count: 12))
        try writeArray("labels.npy", [3], integers([0, 4, 2]), type: "<i8")
        expect(try format("x.npy"), "x", 1, 2, 5)
        for (labels, text) in [([0, -1, 2], "label 1, counted from 0, is -1"), ([0, 1, 256], "label 2"), ([0, 1], "shape [2]")] {
            try writeArray("labels.npy", [labels.count], integers(labels.map(Int64.init)), type: "<i8")
            let problem = try format("x.npy").noLabels
            #expect(problem?.code == .badData && problem?.description.contains(text) == true, "\(problem?.description ?? "")")
        }
    }

    @Test func batchesOfCIFAR() throws {
        func record(_ label: UInt8) -> [UInt8] { [label] + (0..<3_072).map { UInt8($0 / 1_024) } }
        _ = try makeFolder("set/cifar-10-batches-bin")
        for (number, labels) in [[3, 9], [7]].enumerated() as EnumeratedSequence<[[UInt8]]> {
            try Data(labels.flatMap(record)).write(
                to: URL(fileURLWithPath: folder.file("set/cifar-10-batches-bin/data_batch_\(number + 1).bin")))
        }
        expect(try format("set"), "cifar10", 3, 32, 10)
        let batches = try #require(try CIFARBatches(folder: folder.file("set")))
        #expect(batches.count == 3)
        #expect(try (0..<3).map { try batches.read($0).label } == [3, 9, 7])
        #expect(try batches.read(2).picture.pixels.prefix(6) == [0, 1, 2, 0, 1, 2])
        try Data(record(1).dropLast()).write(to: URL(fileURLWithPath: folder.file("set/cifar-10-batches-bin/data_batch_3.bin")))
        #expect(refusal("set")?.code == .badData)
    }

    /// Consecutive positions have numbers from all over, each once.
    @Test(arguments: [1, 2, 3, 10, 97, 1_000, 60_000]) func orderIsAPermutation(count: Int) {
        let order = ImageOrder(count: count)
        let numbers = (0..<count).map(order.number)
        #expect(Set(numbers).count == count && numbers.allSatisfy { 0..<count ~= $0 })
        guard count >= 1_000 else { return }
        // An eighth of the positions has as many numbers of each tenth, up to some.
        let tenths = numbers[0..<count / 8].map { $0 * 10 / count }
        for tenth in 0..<10 { #expect(abs(tenths.count { $0 == tenth } - count / 80) <= 5) }
    }
}
