import Foundation
import Testing

/// Folders for a test run, removed when this process ends.
enum Scratch {
    private static let root: String = {
        let path = URL(fileURLWithPath: NSTemporaryDirectory()).appendingPathComponent("gan-dist-jobs-\(getpid())").path
        atexit { try? FileManager.default.removeItem(atPath: Scratch.root) }
        return path
    }()

    static func makeFolder() throws -> String {
        let path = "\(root)/\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    /// Paths and contents of everything under a folder, to see that nothing was touched.
    static func snapshot(_ folder: String) -> [String: Data] {
        let names = (try? FileManager.default.subpathsOfDirectory(atPath: folder)) ?? []
        return Dictionary(
            uniqueKeysWithValues: names.map { ($0, FileManager.default.contents(atPath: "\(folder)/\($0)") ?? Data()) })
    }
}

func readFile(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }

func readText(_ path: String) throws -> String { String(decoding: try readFile(path), as: UTF8.self) }

func write(_ bytes: some Sequence<UInt8>, to path: String) throws {
    try Data(bytes).write(to: URL(fileURLWithPath: path))
}

/// Small data sets in IDX files.
enum SmallData {
    static let count = 300

    /// 300 images of blocks; another `salt` gives other images.
    static func make(count: Int = count, labels: Int? = nil, salt: Int = 0) throws -> String {
        let folder = try Scratch.makeFolder()
        try write(images(count: count, salt: salt), to: "\(folder)/train-images-idx3-ubyte")
        try write(self.labels(count: labels ?? count), to: "\(folder)/train-labels-idx1-ubyte")
        return folder
    }

    /// The one that most tests train on.
    static let shared = Result { try make() }

    static func images(count: Int, side: Int = 28, salt: Int = 0) -> [UInt8] {
        var bytes = header(3, [count, side, side])
        bytes.reserveCapacity(bytes.count + count * side * side)
        for image in 0..<count {
            for y in 0..<side {
                for x in 0..<side {
                    let isInk = (x / 4 + image) % 7 == 0 || (y / 4 + image / 7) % 7 == 0
                    bytes.append(isInk ? UInt8(truncatingIfNeeded: 128 + image * 5 + x + y + salt) : 0)
                }
            }
        }
        return bytes
    }

    static func labels(count: Int) -> [UInt8] { header(1, [count]) + (0..<count).map { UInt8($0 % 10) } }

    static func header(_ dimensions: UInt8, _ sizes: [Int]) -> [UInt8] {
        [0, 0, 8, dimensions] + sizes.flatMap { size in [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: size >> $0) } }
    }
}
