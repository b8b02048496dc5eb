import Formats
import Foundation
import Testing

/// A small set of colour pictures, made anew for whoever changes it.
enum PictureData {
    /// 90 pictures of 12 × 8 in the folders cat, dog and owl; each class has a colour.
    static func make() throws -> String {
        let folder = "\(try Scratch.makeFolder())/pets"
        for (label, name) in ["cat", "dog", "owl"].enumerated() {
            try FileManager.default.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
            for number in 0..<30 {
                let pixels = (0..<12 * 8 * 3).map { sample in
                    let (pixel, channel) = (sample / 3, sample % 3)
                    let isInk = (pixel % 8 + number) % 5 < 2 || pixel / 8 % 6 == number % 6
                    return UInt8(isInk ? (channel == label ? 220 : 30 + number) : 60)
                }
                try Picture(channels: 3, height: 12, width: 8, pixels: pixels).writePNG(path: "\(folder)/\(name)/\(number).png")
            }
        }
        return folder
    }

    /// The one that most tests train on.
    static let shared = Result { try make() }
}

extension Jobs {
    /// Training on pictures of one's own.
    @Suite struct PictureJobTests {
        private static let options = ["--batch-size", "16", "--steps", "6", "--checkpoint-interval", "2", "--mirror"]

        /// A run of cgan on one rank.
        private static let trained = Result {
            let runs = try Runs()
            let outcome = try runs.start(["--preset", "cgan", "--data", PictureData.shared.get()] + options).wait()
            try #require(outcome.code == 0, "\(outcome)")
            return (runs: runs, output: outcome.output)
        }

        @Test("A run, its folder, its log and its options say which data it was")
        func names() throws {
            let (runs, output) = try Self.trained.get()
            #expect(runs.names == ["00000-cgan-pets-b16"])
            #expect(output.contains("90 images of pets in \(try PictureData.shared.get()), 12 × 8, colour, 3 classes, half of them mirrored"))
            let options = try #require(
                try JSONSerialization.jsonObject(with: readFile("\(runs.newest)/training_options.json")) as? [String: Any])
            #expect(options["dataset"] as? String == "pets")
            #expect(options["class_names"] as? [String] == ["cat", "dog", "owl"])
            #expect(options["image_size"] as? [Int] == [12, 8])
            #expect((options["channels"] as? Int, options["images"] as? Int) == (3, 90))
            #expect(options["data_path"] as? String == (try PictureData.shared.get()))
            for name in ["reals.png", "fakes-init.png"] {
                let grid = try Picture(path: "\(runs.newest)/\(name)")
                #expect(grid.channels == 3)
                // Real ones eight in a row, fakes one class a column.
                let columns = name == "reals.png" ? 8 : 3
                #expect((grid.width, grid.height) == (columns * 10 + 2, 8 * 14 + 2), "\(name)")
            }
        }

        @Test("The same weights on any number of ranks, and resumed on others", arguments: [(2, 3), (3, 1)])
        func ranks(first: Int, then: Int) throws {
            let expected = try Self.trained.get().runs.hashes()
            #expect(expected.count == 6)
            let data = try PictureData.shared.get()
            let arguments = ["--preset", "cgan", "--data", data] + Self.options
            let whole = try Runs()
            let outcome = try whole.start(ranks: first, arguments).wait()
            #expect(outcome.code == 0, "\(outcome)")
            #expect(try whole.hashes() == expected)
            let halves = try Runs()
            var half = arguments
            half[half.firstIndex(of: "6") ?? 0] = "4"
            #expect(try halves.start(ranks: first, half).wait().code == 0)
            #expect(try halves.start(ranks: then, arguments + ["--resume", "latest"]).wait().code == 0)
            #expect(halves.names.count == 1)
            #expect(try halves.hashes() == expected)
        }

        @Test("Other pictures are no place to go on")
        func otherPictures() throws {
            let runs = try Self.trained.get().runs
            let other = try PictureData.make()
            try FileManager.default.moveItem(atPath: "\(other)/owl/29.png", toPath: "\(other)/owl/290.png")
            let checkpoint = try #require(runs.checkpoints().last)
            for resume in ["latest", checkpoint] {
                let outcome = try runs.start(["--preset", "cgan", "--data", other, "--resume", resume] + Self.options).wait()
                expectRefusal(outcome, 65, [checkpoint, "was trained on", other])
            }
            let fresh = try runs.start(["--preset", "cgan", "--data", other, "--resume", "auto"] + Self.options).wait()
            #expect(fresh.code == 0 && runs.names.count == 2, "\(fresh)")
        }

        @Test("Samples in colour: a grid, an array, single files")
        func samples() throws {
            let checkpoint = try #require(try Self.trained.get().runs.checkpoints().last)
            let folder = try Scratch.makeFolder()
            func sample(_ more: String...) throws {
                let outcome = try Job.run([Program.path, "sample", "--checkpoint", checkpoint] + more)
                #expect(outcome.code == 0, "\(outcome)")
            }
            try sample("--out", "\(folder)/x.png", "--count", "10")
            try sample("--out", "\(folder)/x.npy", "--count", "10")
            try sample("--out", "\(folder)/new/x/", "--count", "10")
            let names = try FileManager.default.contentsOfDirectory(atPath: "\(folder)/new/x").sorted()
            #expect(names == (0..<10).map { "00000\($0).png" })
            let singles = try names.map { try Picture(path: "\(folder)/new/x/\($0)") }
            #expect(singles.allSatisfy { ($0.channels, $0.height, $0.width) == (3, 12, 8) })
            let grid = try Picture(path: "\(folder)/x.png")
            // One class a column.
            #expect(grid == Picture(grid: singles, columns: 3), "\(grid.width) × \(grid.height)")
            let array = try NPYReader(path: "\(folder)/x.npy")
            #expect(array.shape == [10, 3, 12, 8])
            let bytes = try array.readBytes(first: 0, count: 10 * 288, range: .minusOneToOne)
            // What a picture of nearly black or white has beyond one byte is rounded in one place.
            for (index, single) in singles.enumerated() {
                let planes = Picture(channels: 3, height: 12, width: 8, planes: Array(bytes[288 * index..<288 * index + 288]))
                #expect(zip(planes.pixels, single.pixels).allSatisfy { abs(Int($0) - Int($1)) <= 1 })
            }
            try sample("--out", "\(folder)/walk.png", "--interpolate", "--class", "2")
            let outcome = try Job.run([Program.path, "sample", "--checkpoint", checkpoint, "--out", "\(folder)/y.png", "--class", "3"])
            expectRefusal(outcome, 64, ["--class 3", "0 … 2"])
        }

        /// What is wrong with a folder, and what is said.
        struct Fault: CustomTestStringConvertible, Sendable {
            let testDescription: String
            let code: Int32
            let says: [String]
            let spoil: @Sendable (String) throws -> Void

            init(_ name: String, _ code: Int32 = 65, says: [String], _ spoil: @escaping @Sendable (String) throws -> Void) {
                (testDescription, self.code, self.says, self.spoil) = (name, code, says, spoil)
            }
        }

        static let faults = [
            Fault("cut short", says: ["pets/dog/7.png", "cut short"]) { folder in
                try write(readFile("\(folder)/dog/7.png").dropLast(30), to: "\(folder)/dog/7.png")
            },
            Fault("of another size", says: ["pets/dog/7.png is of 12 × 9 pixels", "cat/0.png of 12 × 8", "--image-size"]) { folder in
                try Picture(channels: 3, height: 12, width: 9, pixels: [UInt8](repeating: 1, count: 324))
                    .writePNG(path: "\(folder)/dog/7.png")
            },
            Fault("0 × 0", says: ["pets/owl/3.png", "0 × 0"]) { folder in try header(width: 0, height: 0, to: "\(folder)/owl/3.png") },
            Fault("a million wide", says: ["pets/owl/3.png", "1000000 × 1"]) { folder in
                try header(width: 1_000_000, height: 1, to: "\(folder)/owl/3.png")
            },
            Fault("a bomb", says: ["pets/owl/3.png", "60000 × 60000"]) { folder in
                try header(width: 60_000, height: 60_000, to: "\(folder)/owl/3.png")
            },
            Fault("text", says: ["pets/cat/9.png", "hello"]) { folder in try write("hello".utf8, to: "\(folder)/cat/9.png") },
            Fault("no picture of a class", says: ["pets/emu: no PNG or JPEG picture"]) { folder in
                try FileManager.default.createDirectory(atPath: "\(folder)/emu", withIntermediateDirectories: false)
            },
            Fault("nothing to read", 66, says: ["pets", "the folder holds 1 .txt file;"]) { folder in
                try FileManager.default.removeItem(atPath: folder)
                try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
                try write("hello".utf8, to: "\(folder)/notes.txt")
            },
            Fault("no permission", 74, says: ["pets/dog"]) { folder in
                // As root one may read everything: a link that leads nowhere is as good.
                try FileManager.default.removeItem(atPath: "\(folder)/dog/7.png")
                try FileManager.default.createSymbolicLink(atPath: "\(folder)/dog/7.png", withDestinationPath: "7.png")
            },
        ]

        /// A PNG header of these sizes with a right check value, and a chunk of pixels that is empty.
        private static func header(width: Int, height: Int, to path: String) throws {
            func number(_ value: Int) -> [UInt8] { [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) } }
            let chunk = Array("IHDR".utf8) + number(width) + number(height) + [8, 2, 0, 0, 0]
            var crc: UInt32 = 0xffff_ffff
            for byte in chunk {
                crc ^= UInt32(byte)
                for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xedb8_8320 : crc >> 1 }
            }
            let file = [0x89] + Array("PNG\r\n\u{1a}\n".utf8) + number(13) + chunk + number(Int(~crc))
            try write(file + [0, 0, 0, 0] + Array("IDAT".utf8) + [0, 0, 0, 0], to: path)
        }

        @Test("Bad pictures: one message from one rank, and nothing written", arguments: faults)
        func bad(_ fault: Fault) throws {
            let folder = try PictureData.make()
            try fault.spoil(folder)
            let runs = try Runs()
            let outcome = try runs.start(ranks: 3, ["--preset", "mlp", "--data", folder] + Self.options).wait()
            expectRefusal(outcome, fault.code, fault.says)
            #expect(runs.names == [])
        }

        @Test(
            "Ranks that see different data: 65, naming the rank",
            arguments: [
                (0, "number of images"), (1, "list of pictures"), (2, "form of the data"),
            ])
        func differentFolders(change: Int, says: String) throws {
            let one = try PictureData.make()
            var other = try PictureData.make()
            switch change {
            case 0: try FileManager.default.removeItem(atPath: "\(other)/owl/29.png")
            case 1:
                try Picture(channels: 3, height: 12, width: 8, pixels: (0..<288).map { UInt8($0 % 97) })
                    .writePNG(path: "\(other)/owl/29.png")
            default:
                other = try SmallData.make(count: 90)
            }
            let runs = try Runs()
            let job = try runs.start(
                each: [one, other].map { ["--preset", "mlp", "--data", $0] + Self.options }, hosts: "0,1")
            expectRefusal(try job.wait(), 65, [says, "rank 1"])
            #expect(runs.names == [])
        }

        @Test("Sizes in one folder: cropped and resized where that is asked for")
        func sizes() throws {
            let folder = try PictureData.make()
            try Picture(channels: 1, height: 5, width: 31, pixels: [UInt8](repeating: 99, count: 155))
                .writePNG(path: "\(folder)/cat/5.png")
            let runs = try Runs()
            let outcome = try runs.start(
                ranks: 2, ["--preset", "dcgan28", "--data", folder, "--image-size", "16"] + Self.options).wait()
            #expect(outcome.code == 0, "\(outcome)")
            for text in ["of several sizes", "cropped to squares and resized to 16 × 16", "1 of 90 pictures are grey"] {
                #expect(outcome.output.contains(text), "\(outcome.output)")
            }
            #expect(try Picture(path: "\(runs.newest)/reals.png").width == 8 * 18 + 2)
        }

        @Test("A folder of several sets: 64 lists them")
        func severalSets() throws {
            let folder = try Scratch.makeFolder()
            for tree in ["MNIST", "KMNIST"] {
                try FileManager.default.createDirectory(atPath: "\(folder)/\(tree)", withIntermediateDirectories: false)
                try FileManager.default.copyItem(atPath: SmallData.shared.get(), toPath: "\(folder)/\(tree)/raw")
            }
            let runs = try Runs()
            expectRefusal(
                try runs.train(ranks: 3, "--data", folder, "--steps", "2"), 64, ["mnist and kmnist", "--dataset mnist"])
            try runs.succeed("--data", folder, "--steps", "2", "--dataset", "kmnist")
            #expect(runs.names == ["00000-mlp-kmnist-b64"])
        }
    }
}
