import CPNG
import Formats
import Testing

@Suite struct PictureTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// The picture in a PNG file, decoded by libpng.
    private func decode(_ png: [UInt8]) throws -> Picture {
        var image = png_image()
        image.version = UInt32(PNG_IMAGE_VERSION)
        try #require(png_image_begin_read_from_memory(&image, png, png.count) != 0)
        let channels = image.format == UInt32(PNG_FORMAT_GRAY) ? 1 : 3
        #expect(image.format == (channels == 1 ? UInt32(PNG_FORMAT_GRAY) : UInt32(PNG_FORMAT_RGB)))
        let size = Int(image.width * image.height)
        var samples = [UInt8](repeating: 0, count: size * channels)
        try #require(png_image_finish_read(&image, nil, &samples, 0, nil) != 0)
        return Picture(channels: channels, height: Int(image.height), width: Int(image.width), pixels: samples)
    }

    @Test func writesPNG() throws {
        let image = Picture(channels: 1, height: 300, width: 5, pixels: (0..<1500).map { UInt8($0 % 251) })
        try image.writePNG(path: folder.file("image.png"))
        let png = try folder.read("image.png")
        // Signature, then IHDR: 5 x 300, depth 8, gray.
        #expect(
            png[..<29] == [
                0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52, 0, 0, 0, 5, 0, 0,
                1, 44, 8, 0, 0, 0, 0,
            ])
        #expect(try decode(png) == image)
        #expect(try folder.names == ["image.png"])
    }

    @Test func writesColour() throws {
        let image = Picture(channels: 3, height: 7, width: 5, pixels: (0..<105).map { UInt8(2 * $0) })
        try image.writePNG(path: folder.file("image.png"))
        let png = try folder.read("image.png")
        #expect(png[24...25] == [8, 2], "depth 8, RGB")
        #expect(try decode(png) == image)
    }

    @Test func reportsWhereItCannotBeWritten() {
        let image = Picture(channels: 1, height: 1, width: 1, pixels: [1])
        expectError(.io, "cannot be created: the folder") { try image.writePNG(path: folder.file("absent/image.png")) }
    }

    private func tile(_ value: UInt8, width: Int = 3, height: Int = 2) -> Picture {
        Picture(channels: 1, height: height, width: width, pixels: [UInt8](repeating: value, count: width * height))
    }

    /// `make_grid(torch.stack([...]), nrow=2, padding=1)` of three images of 2 x 3.
    @Test func laysOutAGridAsTorchvision() {
        let grid = Picture(grid: [tile(1), tile(2), tile(3)], columns: 2, padding: 1)
        #expect((grid.width, grid.height) == (9, 7))
        #expect(
            grid.pixels == [
                0, 0, 0, 0, 0, 0, 0, 0, 0,
                0, 1, 1, 1, 0, 2, 2, 2, 0,
                0, 1, 1, 1, 0, 2, 2, 2, 0,
                0, 0, 0, 0, 0, 0, 0, 0, 0,
                0, 3, 3, 3, 0, 0, 0, 0, 0,
                0, 3, 3, 3, 0, 0, 0, 0, 0,
                0, 0, 0, 0, 0, 0, 0, 0, 0,
            ])
    }

    @Test func gridsOf64DigitsAre242Pixels() {
        let grid = Picture(grid: Array(repeating: tile(9, width: 28, height: 28), count: 64))
        #expect((grid.width, grid.height) == (242, 242))
        #expect(grid.pixels.count { $0 == 9 } == 64 * 784)
    }

    @Test func fewImagesMakeFewColumns() {
        #expect(Picture(grid: [tile(1), tile(2)]).width == 2 * 5 + 2)
        #expect(Picture(grid: [tile(1)]) == tile(1))
    }

    @Test func rowsOfAnImageKeepTheirOrder() {
        let image = Picture(channels: 1, height: 2, width: 2, pixels: [1, 2, 3, 4])
        let grid = Picture(grid: [image, image], padding: 0)
        #expect(grid.pixels == [1, 2, 1, 2, 3, 4, 3, 4])
    }

    /// Each channel of a coloured grid is the grid of that channel.
    @Test func gridsOfColours() {
        func channel(_ channel: Int, of picture: Picture) -> Picture {
            Picture(
                channels: 1, height: picture.height, width: picture.width,
                pixels: stride(from: channel, to: picture.pixels.count, by: 3).map { picture.pixels[$0] })
        }
        let images = (0..<3).map { index in
            Picture(channels: 3, height: 2, width: 3, pixels: (0..<18).map { UInt8(18 * index + $0 + 1) })
        }
        let grid = Picture(grid: images, columns: 2, padding: 1)
        for number in 0..<3 {
            #expect(channel(number, of: grid) == Picture(grid: images.map { channel(number, of: $0) }, columns: 2, padding: 1))
        }
    }

    @Test func planesBecomePixels() {
        let picture = Picture(channels: 3, height: 1, width: 2, planes: [1, 2, 3, 4, 5, 6])
        #expect(picture.pixels == [1, 3, 5, 2, 4, 6])
        #expect(Picture(channels: 1, height: 1, width: 2, planes: [1, 2]).pixels == [1, 2])
    }
}
