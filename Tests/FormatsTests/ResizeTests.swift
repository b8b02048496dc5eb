import Formats
import Foundation
import Testing

@Suite struct ResizeTests {
    /// An image in two sizes, as `resize.py` wrote it.
    struct Case: Decodable, CustomTestStringConvertible {
        let name: String
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
        #expect(cases.count == 11)
        for test in cases {
            let image = GrayImage(width: test.from[0], height: test.from[1], pixels: Array(test.pixels))
            let resized = image.resized(width: test.to[0], height: test.to[1])
            #expect([resized.width, resized.height] == test.to)
            #expect(resized.pixels == Array(test.resized), "\(test.testDescription)")
        }
    }

    @Test func sameSizeIsTheSameImage() {
        let image = GrayImage(width: 5, height: 51, pixels: (0...254).map { UInt8($0) })
        #expect(image.resized(width: 5, height: 51) == image)
    }
}
