import Foundation
import Testing

/// A way to spoil a data set, and what the trainer says of it.
struct Damage: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let code: Int32
    let says: [String]
    /// Spoils the data set in a folder.
    let apply: @Sendable (String) throws -> Void

    init(
        _ name: String, _ code: Int32 = 65, says: [String],
        _ apply: @escaping @Sendable (_ images: String, _ labels: String) throws -> Void
    ) {
        testDescription = name
        self.code = code
        self.says = says
        self.apply = { try apply("\($0)/train-images-idx3-ubyte", "\($0)/train-labels-idx1-ubyte") }
    }

    static let all = [
        Damage("no images", 66, says: ["train-images-idx3-ubyte", "launch/fetch-mnist"]) { images, _ in try remove(images) },
        Damage("wrong magic", says: ["train-images-idx3-ubyte", "magic", "00 00 0d 03"]) { images, _ in
            try edit(images) { $0[2] = 0x0d }
        },
        Damage("labels with a wrong magic", says: ["train-labels-idx1-ubyte", "magic"]) { _, labels in
            try edit(labels) { $0[0] = 1 }
        },
        Damage("header cut short", says: ["train-images-idx3-ubyte", "ends after"]) { images, _ in
            try edit(images) { $0 = $0.prefix(9) }
        },
        Damage("empty file", says: ["train-images-idx3-ubyte", "ends after 0"]) { images, _ in try edit(images) { $0 = Data() } },
        Damage("shorter than its header says", says: ["train-images-idx3-ubyte", "235200", "235199"]) { images, _ in
            try edit(images) { $0.removeLast() }
        },
        Damage("longer than its header says", says: ["train-images-idx3-ubyte", "235200", "235201"]) { images, _ in
            try edit(images) { $0.append(0) }
        },
        Damage("a header that overflows", says: ["train-images-idx3-ubyte"]) { images, _ in
            try edit(images) { $0.replaceSubrange(4..<16, with: [UInt8](repeating: 0xff, count: 12)) }
        },
        Damage("gzip cut short", says: ["train-images-idx3-ubyte.gz"]) { images, _ in
            try compress(images) { $0 = $0.prefix($0.count / 2) }
        },
        Damage("gzip with one flipped bit", says: ["train-images-idx3-ubyte.gz"]) { images, _ in
            try compress(images) { $0[$0.count / 2] ^= 4 }
        },
        Damage("gzip with a wrong check value", says: ["train-images-idx3-ubyte.gz"]) { images, _ in
            try compress(images) { $0[$0.count - 8] ^= 1 }
        },
        Damage("labels in a gzip cut short", says: ["train-labels-idx1-ubyte.gz"]) { _, labels in
            try compress(labels) { $0.removeLast(3) }
        },
        Damage("0 images", says: ["no images"]) { images, labels in
            try write(SmallData.images(count: 0), to: images)
            try write(SmallData.labels(count: 0), to: labels)
        },
        Damage("images of no pixels", says: ["train-images-idx3-ubyte", "[0, 28]"]) { images, _ in
            try write(SmallData.header(3, [300, 0, 28]), to: images)
        },
        Damage("labels in the place of images", says: ["train-images-idx3-ubyte", "height × width"]) { images, _ in
            try write(SmallData.labels(count: 300), to: images)
        },
        Damage("fewer images than the batch", says: ["63 images", "batch of 64", "--batch-size"]) { images, labels in
            try write(SmallData.images(count: 63), to: images)
            try write(SmallData.labels(count: 63), to: labels)
        },
    ]

    private static func remove(_ path: String) throws { try FileManager.default.removeItem(atPath: path) }

    private static func edit(_ path: String, _ body: (inout Data) -> Void) throws {
        var data = try readFile(path)
        body(&data)
        try write(Data(data), to: path)
    }

    private static func compress(_ path: String, _ body: (inout Data) -> Void) throws {
        let outcome = try Job.run(["gzip", path])
        try #require(outcome.code == 0)
        try edit(path + ".gz", body)
    }
}

extension Jobs {
    @Suite struct BadDataTests {
        @Test("Damaged data end every rank with the same code and one message", arguments: Damage.all)
        func damage(_ damage: Damage) throws {
            let data = try SmallData.make()
            try damage.apply(data)
            let before = Scratch.snapshot(data)
            let runs = try Runs()
            let outcome = try runs.trainEachToItsEnd(ranks: 3, ["--preset", "mlp", "--data", data, "--steps", "2"])
            expectRefusal(outcome, damage.code, damage.says)
            #expect(runs.names == [], "nothing is written")
            #expect(Scratch.snapshot(data) == before, "the data are not touched")
        }

        @Test("Labels are missing: 66 where they are used, and nothing where not")
        func noLabels() throws {
            let data = try SmallData.make()
            try FileManager.default.removeItem(atPath: "\(data)/train-labels-idx1-ubyte")
            let runs = try Runs()
            let outcome = try runs.trainEachToItsEnd(ranks: 3, ["--preset", "cgan", "--data", data, "--steps", "2"])
            expectRefusal(outcome, 66, ["preset cgan needs the classes", "no train-labels-idx1-ubyte", "launch/fetch-mnist"])
            #expect(runs.names == [], "nothing is written")
            try runs.succeed(ranks: 3, "--preset", "mlp", "--data", data, "--steps", "2")
        }

        @Test("A shape that a preset cannot make: 64, with the option that makes it fit")
        func shape() throws {
            let data = try SmallData.make()
            try write(SmallData.images(count: 300, side: 27), to: "\(data)/train-images-idx3-ubyte")
            let runs = try Runs()
            let outcome = try runs.train(ranks: 2, "--preset", "dcgan28", "--data", data, "--steps", "2")
            expectRefusal(outcome, 64, ["preset dcgan28", "27 × 27", "--image-size 28"])
            #expect(runs.names == [])
            try runs.succeed("--preset", "mlp", "--data", data, "--steps", "2")
        }

        @Test("A data folder that is not there: 66, with the command that fetches it", arguments: [1, 3])
        func missingFolder(ranks: Int) throws {
            let runs = try Runs()
            let outcome = try runs.train(ranks: ranks, "--preset", "mlp", "--data", "/nonexistent/data", "--steps", "2")
            expectRefusal(outcome, 66, ["/nonexistent/data", "launch/fetch-mnist", "--data"])
            #expect(runs.names == [])
        }

        @Test("Missing Fashion-MNIST names the way to fetch that")
        func missingFashion() throws {
            let outcome = try Runs().train(
                "--preset", "mlp", "--dataset", "fashion", "--data", Scratch.makeFolder(), "--steps", "2")
            expectRefusal(outcome, 66, ["FashionMNIST/raw", "launch/fetch-mnist --dataset fashion"])
        }

        @Test("Plain files, gzip and torchvision's folders train alike")
        func layouts() throws {
            let plain = try SmallData.make()
            let packed = try SmallData.make()
            for name in ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"] {
                #expect(try Job.run(["gzip", "\(packed)/\(name)"]).code == 0)
            }
            let tree = try Scratch.makeFolder()
            try FileManager.default.createDirectory(atPath: "\(tree)/MNIST", withIntermediateDirectories: true)
            try FileManager.default.copyItem(atPath: plain, toPath: "\(tree)/MNIST/raw")
            let hashes = try [plain, packed, tree].map { data in
                let runs = try Runs()
                try runs.succeed("--preset", "mlp", "--data", data, "--steps", "2")
                return try runs.hashes()
            }
            #expect(hashes[0].count == 2)
            #expect(hashes == [hashes[0], hashes[0], hashes[0]])
        }

        @Test("Data that differ between hosts: 65, naming the rank and its host")
        func differentData() throws {
            let runs = try Runs()
            let other = try SmallData.make(salt: 1)
            let job = try runs.start(
                each: [["--preset", "mlp", "--steps", "2"], ["--preset", "mlp", "--steps", "2", "--data", other]], hosts: "0,1")
            expectRefusal(try job.wait(), 65, ["data of rank 1", "differ", "SHA-256", "process"])
            #expect(runs.names == [])
        }

        @Test("Another number of images on one host: 65, naming the rank")
        func differentCount() throws {
            let runs = try Runs()
            let other = try SmallData.make(count: 301)
            let job = try runs.start(
                each: [["--preset", "mlp", "--steps", "2"], ["--preset", "mlp", "--steps", "2", "--data", other]], hosts: "0,1")
            expectRefusal(try job.wait(), 65, ["number of images", "rank 1", "301", "300"])
            #expect(runs.names == [])
        }

        @Test(
            "Data missing or damaged on one host only: all ranks end with its code, naming the rank",
            arguments: [(66, true), (65, false)])
        func damageOnOneHost(code: Int32, isMissing: Bool) throws {
            let runs = try Runs()
            let other = try SmallData.make()
            let images = "\(other)/train-images-idx3-ubyte"
            try isMissing
                ? FileManager.default.removeItem(atPath: images)
                : write([0, 0, 9, 3] + (try readFile(images)).dropFirst(4), to: images)
            let good = ["--preset", "mlp", "--steps", "2"]
            let outcome = try runs.start(each: [good, good, good + ["--data", other]], hosts: "0,0,1").wait()
            expectRefusal(outcome, code, ["rank 2", other])
            #expect(runs.names == [])
        }
    }
}
