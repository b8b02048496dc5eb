import Formats
import Foundation
import Testing

@Suite struct ResizeTests {
    /// A picture in two sizes, as `resize.py` wrote it.
    struct Case: Decodable, CustomTestStringConvertible {
        let name: String
        let channels: Int
        let from, to: [Int]
        let pixels, resized: Data

        var testDescription: String { "\(name) \(from) to \(to)" }

        static let all = Result {
            let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("resize.json")
            return try JSONDecoder().decode([Case].self, from: Data(contentsOf: path))
        }
    }

    @Test func bytesAreThoseOfPillow() throws {
        let cases = try Case.all.get()
        #expect(cases.count == 14)
        for test in cases {
            let image = Picture(channels: test.channels, height: test.from[1], width: test.from[0], pixels: Array(test.pixels))
            let resized = image.resized(height: test.to[1], width: test.to[0])
            #expect([resized.width, resized.height] == test.to)
            #expect(resized.pixels == Array(test.resized), "\(test.testDescription)")
        }
    }

    @Test func sameSizeIsTheSameImage() {
        let image = Picture(channels: 1, height: 51, width: 5, pixels: (0...254).map { UInt8($0) })
        #expect(image.resized(height: 51, width: 5) == image)
    }
}
