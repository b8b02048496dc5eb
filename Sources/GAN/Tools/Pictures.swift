import Formats
import MessagePassing

/// Pictures as files: rows of them with two black pixels around each, as torchvision's `make_grid` lays them out.
public enum Pictures {
    /// Cairo and Firefox, and with them most viewers, open no longer side.
    private static let longestSide = 32_767
    /// Pillow warns of a decompression bomb beyond.
    private static let mostPixels = 89_478_485

    /// Refuses a grid that would be too large to be looked at.
    static func checkGrid(of count: Int, side: Int, columns: Int, path: String) throws {
        let columns = min(columns, count)
        let rows = (count + columns - 1) / columns
        let (width, height) = count == 1 ? (side, side) : (columns * (side + 2) + 2, rows * (side + 2) + 2)
        guard max(width, height) > longestSide || width * height > mostPixels else { return }
        func grouped(_ number: Int) -> String { Double(number).grouped }
        throw Failure(
            .usage,
            "--out \(path): a grid of \(grouped(count)) pictures would be \(grouped(width)) × \(grouped(height)) pixels, which "
                + "viewers do not open (\(grouped(longestSide)) a side and \(grouped(mostPixels)) in all are the most); ask for fewer "
                + "pictures, for a square with --grid, or for an .npy array")
    }

    /// Writes values in [−1, 1], side² a picture.
    public static func writeGrid(_ values: [Float], side: Int, columns: Int = 8, to path: String) throws {
        try writeGrid(bytes: values.map(byte), side: side, columns: columns, to: path)
    }

    /// Writes bytes, side² a picture.
    static func writeGrid(bytes: [UInt8], side: Int, columns: Int = 8, to path: String) throws {
        let images = stride(from: 0, to: bytes.count, by: side * side).map {
            GrayImage(width: side, height: side, pixels: Array(bytes[$0..<$0 + side * side]))
        }
        try withFiles { try GrayImage(grid: images, columns: columns).writePNG(path: path) }
    }

    /// −1 is black, 1 is white; what lies outside is cut off, and NaN is black.
    static func byte(_ value: Float) -> UInt8 {
        let scaled = (value + 1) * 127.5
        return scaled >= 255 ? 255 : scaled > 0 ? UInt8(scaled.rounded()) : 0
    }
}
