import CPNG
import Formats
import Testing

@Suite struct GrayImageTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// The pixels of a PNG file, decoded by libpng.
    private func decode(_ png: [UInt8]) throws -> GrayImage {
        var image = png_image()
        image.version = UInt32(PNG_IMAGE_VERSION)
        try #require(png_image_begin_read_from_memory(&image, png, png.count) != 0)
        #expect(image.format == UInt32(PNG_FORMAT_GRAY))
        var pixels = [UInt8](repeating: 0, count: Int(image.width * image.height))
        try #require(png_image_finish_read(&image, nil, &pixels, 0, nil) != 0)
        return GrayImage(width: Int(image.width), height: Int(image.height), pixels: pixels)
    }

    @Test func writesPNG() throws {
        let image = GrayImage(width: 5, height: 300, pixels: (0..<1500).map { UInt8($0 % 251) })
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

    @Test func reportsWhereItCannotBeWritten() {
        let image = GrayImage(width: 1, height: 1, pixels: [1])
        expectError(.io, "cannot be created: the folder") { try image.writePNG(path: folder.file("absent/image.png")) }
    }

    private func tile(_ value: UInt8, width: Int = 3, height: Int = 2) -> GrayImage {
        GrayImage(width: width, height: height, pixels: [UInt8](repeating: value, count: width * height))
    }

    /// `make_grid(torch.stack([...]), nrow=2, padding=1)` of three images of 2 x 3.
    @Test func laysOutAGridAsTorchvision() {
        let grid = GrayImage(grid: [tile(1), tile(2), tile(3)], columns: 2, padding: 1)
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
        let grid = GrayImage(grid: Array(repeating: tile(9, width: 28, height: 28), count: 64))
        #expect((grid.width, grid.height) == (242, 242))
        #expect(grid.pixels.count { $0 == 9 } == 64 * 784)
    }

    @Test func fewImagesMakeFewColumns() {
        #expect(GrayImage(grid: [tile(1), tile(2)]).width == 2 * 5 + 2)
        #expect(GrayImage(grid: [tile(1)]) == tile(1))
    }

    @Test func rowsOfAnImageKeepTheirOrder() {
        let image = GrayImage(width: 2, height: 2, pixels: [1, 2, 3, 4])
        let grid = GrayImage(grid: [image, image], padding: 0)
        #expect(grid.pixels == [1, 2, 1, 2, 3, 4, 3, 4])
    }
}
