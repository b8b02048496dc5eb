import Formats
import Foundation
import Testing

/// A file and what is in it, as `pictures.py` wrote them.
struct PictureCase: Decodable, CustomTestStringConvertible {
    let name: String
    let file, pixels: Data
    let channels, height, width, tolerance: Int
    let traits: [String]

    var testDescription: String { name }
    var bytes: [UInt8] { Array(file) }

    var expectedTraits: PictureTraits {
        let known: [String: PictureTraits] = [
            "palette": .palette, "interlaced": .interlaced, "sixteenBits": .sixteenBits, "alpha": .alpha,
        ]
        return PictureTraits(traits.compactMap { known[$0] })
    }

    static let all = Result {
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("pictures.json")
        return try JSONDecoder().decode([PictureCase].self, from: Data(contentsOf: path))
    }

    static func named(_ name: String) throws -> PictureCase {
        try #require(all.get().first { $0.name == name }, "\(name)")
    }

    func expect(_ picture: Picture) {
        #expect(picture.shape == [channels, height, width], "\(name)")
        let error = zip(picture.pixels, pixels).map { abs(Int($0) - Int($1)) }.max()
        #expect(error ?? 256 <= tolerance, "\(name)")
    }
}

@Suite struct PictureFileTests {
    let folder: TemporaryFolder
    let cases: [PictureCase]

    init() throws {
        folder = try TemporaryFolder()
        cases = try PictureCase.all.get()
        try #require(cases.count == 75)
    }

    @Test func samplesAreThoseOfPillow() throws {
        for test in cases { test.expect(try Picture(path: folder.write(test.bytes))) }
    }

    @Test func headersTellShapesAndTraits() throws {
        for test in cases {
            let header = try PictureHeader(path: folder.write(test.bytes))
            #expect(header.shape == [test.channels, test.height, test.width], "\(test.name)")
            #expect(header.traits == test.expectedTraits, "\(test.name)")
        }
    }

    @Test func threadsDoNotDisturbEachOther() throws {
        let cases = cases
        let paths = try cases.enumerated().map { try folder.write($1.bytes, to: "\($0)") }
        DispatchQueue.concurrentPerform(iterations: 8 * paths.count) { iteration in
            let index = iteration * 7 % paths.count
            do { cases[index].expect(try Picture(path: paths[index])) } catch { Issue.record(error) }
        }
    }

    @Test(arguments: [1, 3]) func whatIsWrittenIsRead(channels: Int) throws {
        let pixels = (0..<channels * 35).map { UInt8($0 * 2) }
        let picture = Picture(channels: channels, height: 5, width: 7, pixels: pixels)
        try picture.writePNG(path: folder.file("picture.jpeg"))
        #expect(try Picture(path: folder.file("picture.jpeg")) == picture)
    }

    /// Longer than what is read at once.
    @Test func longFilesAreRead() throws {
        var state: UInt32 = 1
        let pixels = (0..<3 * 120 * 130).map { _ in
            state = state &* 1_664_525 &+ 1_013_904_223
            return UInt8(state >> 24)
        }
        let picture = Picture(channels: 3, height: 120, width: 130, pixels: pixels)
        try picture.writePNG(path: folder.file("picture"))
        #expect(try folder.read("picture").count > 1 << 14)
        #expect(try Picture(path: folder.file("picture")) == picture)
    }

    @Test(arguments: ["PNG type 0, 8 bits, 11 x 9", "JPEG L quality=75 progressive=True, 19 x 33"])
    func whatFollowsTheEndIsIgnored(name: String) throws {
        let test = try PictureCase.named(name)
        test.expect(try Picture(path: folder.write(test.bytes + Array("more".utf8))))
    }
}
