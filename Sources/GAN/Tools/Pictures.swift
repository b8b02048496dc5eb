import Formats
import MessagePassing
import Networks

/// Pictures as files: rows of them with two black pixels around each, as torchvision's `make_grid` lays them out.
public enum Pictures {
    /// Cairo and Firefox, and with them most viewers, open no longer side.
    private static let longestSide = 32_767
    /// Pillow warns of a decompression bomb beyond.
    private static let mostPixels = 89_478_485

    /// Refuses a grid that would be too large to be looked at, before anything is drawn, and says how many pictures fit.
    static func checkGrid(of count: Int, _ image: Shape, columns: Int, path: String) throws {
        let columns = min(columns, count)
        let rows = (count + columns - 1) / columns
        let (width, height) =
            count == 1 ? (image.width, image.height) : (columns * (image.width + 2) + 2, rows * (image.height + 2) + 2)
        guard max(width, height) > longestSide || width * height > mostPixels else { return }
        func grouped(_ number: Int) -> String { Double(number).grouped }
        let fits = width > longestSide ? 0 : columns * ((min(longestSide, mostPixels / width) - 2) / (image.height + 2))
        let advice =
            fits > 0
            ? "at most \(grouped(fits)) in rows of \(grouped(columns))" : "rows of at most \(grouped((longestSide - 2) / (image.width + 2)))"
        throw Failure(
            .usage,
            "--out \(path): a grid of \(grouped(count)) pictures would be \(grouped(width)) × \(grouped(height)) pixels, which "
                + "viewers do not open (\(grouped(longestSide)) a side and \(grouped(mostPixels)) in all are the most); ask for \(advice), for a "
                + "square with --grid, for an .npy array, or for a folder of single pictures")
    }

    /// Writes values in [−1, 1], [pictures, H, W, C].
    public static func writeGrid(_ values: [Float], _ image: Shape, columns: Int = 8, to path: String) throws {
        try writeGrid(bytes: values.map(byte), image, columns: columns, to: path)
    }

    /// A grid of values in [−1, 1], [pictures, H, W, C].
    static func grid(_ values: [Float], _ image: Shape, columns: Int) -> Picture {
        Picture(grid: pictures(values.map(byte), image), columns: columns)
    }

    /// Writes bytes, [pictures, H, W, C].
    static func writeGrid(bytes: [UInt8], _ image: Shape, columns: Int = 8, to path: String) throws {
        try withFiles { try Picture(grid: pictures(bytes, image), columns: columns).writePNG(path: path) }
    }

    /// Writes values in [−1, 1], [pictures, H, W, C], as files of their numbers, `000000.png`, in a folder.
    static func writeSingly(_ values: [Float], _ image: Shape, first: Int, to folder: String) throws {
        try withFiles {
            for (index, picture) in pictures(values.map(byte), image).enumerated() {
                try picture.writePNG(path: "\(folder)/\((first + index).padded(to: 6)).png")
            }
        }
    }

    private static func pictures(_ bytes: [UInt8], _ image: Shape) -> [Picture] {
        stride(from: 0, to: bytes.count, by: image.features).map {
            Picture(
                channels: image.channels, height: image.height, width: image.width,
                pixels: Array(bytes[$0..<$0 + image.features]))
        }
    }

    /// −1 is black, 1 is white; what lies outside is cut off, and NaN is black.
    static func byte(_ value: Float) -> UInt8 {
        let scaled = (value + 1) * 127.5
        return scaled >= 255 ? 255 : scaled > 0 ? UInt8(scaled.rounded()) : 0
    }
}
