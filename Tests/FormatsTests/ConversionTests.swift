import Formats
import Foundation
import Testing

@Suite struct ConversionTests {
    /// A picture and what Pillow makes of it, as `conversions.py` wrote it.
    struct Case: Decodable {
        let channels, height, width: Int
        let pixels, grey, colour, square: Data

        var picture: Picture { Picture(channels: channels, height: height, width: width, pixels: Array(pixels)) }
    }

    let cases: [Case]

    init() throws {
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("conversions.json")
        cases = try JSONDecoder().decode([Case].self, from: Data(contentsOf: path))
        try #require(cases.count == 10)
    }

    @Test func greyAndColourAreThoseOfPillow() {
        for test in cases {
            let (height, width) = (test.height, test.width)
            let grey = Picture(channels: 1, height: height, width: width, pixels: Array(test.grey))
            let colour = Picture(channels: 3, height: height, width: width, pixels: Array(test.colour))
            #expect(test.picture.converted(toChannels: 1) == grey, "\(test)")
            #expect(test.picture.converted(toChannels: 3) == colour, "\(test)")
        }
    }

    @Test func everyGreyStaysWhatItIs() {
        let grey = Picture(channels: 1, height: 16, width: 16, pixels: (0...255).map { UInt8($0) })
        #expect(grey.converted(toChannels: 3).converted(toChannels: 1) == grey)
    }

    @Test func squaresAreThoseOfTorchvision() {
        for test in cases {
            let side = min(test.height, test.width)
            let square = Picture(channels: test.channels, height: side, width: side, pixels: Array(test.square))
            #expect(test.picture.croppedToSquare() == square, "\(test)")
        }
    }
}
