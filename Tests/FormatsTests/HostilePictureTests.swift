import CZlib
import Formats
import Foundation
import Testing

/// What is no picture, or a damaged one, or claims to be more than it is.
@Suite struct HostilePictureTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Expects that neither the header nor the picture is read.
    private func expectRefusal(of bytes: [UInt8], _ text: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let path = try folder.write(bytes, to: "picture.png")
        expectError(.invalid, text, sourceLocation: sourceLocation) { _ = try PictureHeader(path: path) }
        expectError(.invalid, text, sourceLocation: sourceLocation) { _ = try Picture(path: path) }
    }

    @Test(
        arguments: [
            ("", "an empty file"), ("GIF89a...", "found GIF; convert it to PNG"), ("RIFF....WEBPVP8 ", "found WebP"),
            ("BM......", "found BMP"), ("II*\0....", "found TIFF"), ("MM\0*....", "found TIFF"),
            ("\0\0\0\u{1c}ftypavif", "found AVIF"), ("\n<!DOCTYPE HTML>\n<html>", "(HTML)"), ("<html lang=en>", "(HTML)"),
            ("not a picture, but a long text", "begins with \"not a picture, but a\""),
            ("\u{1b}[31m", "begins with \"\\u{1B}[31m\""),
            ("P5 1 1 255 x", "begins with \"P5 1 1 255 x\""),
        ])
    func otherFilesAreNamed(text: String, message: String) throws {
        try expectRefusal(of: Array(text.utf8), message)
    }

    @Test func whatIsNoFileIsRefused() throws {
        try #require(mkfifo(folder.file("pipe"), 0o666) == 0)
        for read in [{ _ = try PictureHeader(path: $0) }, { _ = try Picture(path: $0) }] as [(String) throws -> Void] {
            expectError(.invalid, "expected a regular file, found a folder") { try read(folder.path) }
            expectError(.invalid, "expected a regular file, found a pipe") { try read(folder.file("pipe")) }
            expectError(.missing) { try read(folder.file("absent.png")) }
        }
    }

    // MARK: PNG

    private static let pngs = [
        "PNG type 0, 1 bits, interlaced, tRNS, 11 x 9", "PNG type 2, 8 bits, 11 x 9", "PNG type 3, 4 bits, tRNS, 11 x 9",
        "PNG type 6, 16 bits, interlaced, 11 x 9",
    ]

    @Test(arguments: pngs) func shortPNGIsRefused(name: String) throws {
        let bytes = try PictureCase.named(name).bytes
        for count in 4..<bytes.count {
            let path = try folder.write(Array(bytes[..<count]))
            expectError(.invalid, "cut short after \(count) bytes; fetch it again") { _ = try Picture(path: path) }
        }
    }

    /// Check values cover all that signature and lengths do not.
    @Test(arguments: pngs) func everyDamagedByteOfPNGIsFound(name: String) throws {
        var bytes = try PictureCase.named(name).bytes
        for index in bytes.indices {
            bytes[index] ^= 0x10
            let path = try folder.write(bytes)
            expectError(.invalid) { _ = try Picture(path: path) }
            bytes[index] ^= 0x10
        }
    }

    /// The file with another header, whose check value is right.
    private func png(
        width: UInt32 = 9, height: UInt32 = 11, depth: UInt8 = 8, colorType: UInt8 = 2, compression: UInt8 = 0,
        interlacing: UInt8 = 0
    ) throws -> [UInt8] {
        func bytes(_ number: UInt32) -> [UInt8] { [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) } }
        var file = try PictureCase.named("PNG type 2, 8 bits, 11 x 9").bytes
        let header =
            Array("IHDR".utf8) + bytes(width) + bytes(height) + [depth, colorType, compression, 0, interlacing]
        file.replaceSubrange(12..<33, with: header + bytes(UInt32(crc32(0, header, 17))))
        return file
    }

    @Test func impossibleHeadersOfPNGAreRefused() throws {
        let path = try folder.write(png(), to: "whole")
        #expect(try Picture(path: path).width == 9)
        try expectRefusal(of: png(width: 0), "expected a picture that has pixels, found a header of 0 × 11")
        try expectRefusal(of: png(height: 0), "found a header of 9 × 0")
        try expectRefusal(of: png(width: 65_536, height: 1), "at most 65535 pixels a side, found a header of 65536 × 1")
        try expectRefusal(of: png(width: .max, height: .max), "at most 65535 pixels a side")
        try expectRefusal(of: png(width: 20_000, height: 20_000), "at most 89478485 pixels")
        try expectRefusal(of: png(width: 9_000, height: 9_000), "in a file of this length")
        try expectRefusal(of: png(depth: 3), "colour type 2 of 3 bits")
        try expectRefusal(of: png(colorType: 5), "colour type 5 of 8 bits")
        try expectRefusal(of: png(compression: 1), "that PNG does not know")
        try expectRefusal(of: png(interlacing: 2), "that PNG does not know")
    }

    @Test func contradictionsInPNGAreRefused() throws {
        expectError(.invalid, "damaged (libpng: Not enough image data)") {
            _ = try Picture(path: folder.write(png(height: 12)))
        }
        expectError(.invalid, "PLTE") { _ = try Picture(path: folder.write(png(colorType: 3))) }
        let text = try png().flatMap { $0 == 0x0d ? [] : [$0] }
        try expectRefusal(of: text + [0, 0], "line ends that a transfer as text has changed")
    }

    // MARK: JPEG

    private static let jpegs = [
        "JPEG RGB quality=80 subsampling=4:2:0 progressive=False, 21 x 35",
        "JPEG RGB quality=80 subsampling=4:4:4 progressive=True, 21 x 35", "JPEG L quality=75 progressive=True, 19 x 33",
    ]

    @Test(arguments: jpegs) func shortJPEGIsRefused(name: String) throws {
        let bytes = try PictureCase.named(name).bytes
        for count in 2..<bytes.count {
            let path = try folder.write(Array(bytes[..<count]))
            expectError(.invalid, "cut short after \(count) bytes; fetch it again") { _ = try Picture(path: path) }
        }
    }

    /// JPEG has no check values: what is damaged is a picture, or refused.
    @Test(arguments: jpegs) func damagedJPEGHarmsNobody(name: String) throws {
        var bytes = try PictureCase.named(name).bytes
        for index in stride(from: 0, to: bytes.count, by: 3) {
            bytes[index] ^= UInt8(1 << (index % 8))
            let path = try folder.write(bytes)
            do { _ = try Picture(path: path) } catch let error as FormatError { #expect(error.kind == .invalid, "\(error)") }
            bytes[index] ^= UInt8(1 << (index % 8))
        }
    }

    /// A file that ends after its frame header.
    private func jpeg(
        marker: UInt8 = 0xc0, precision: UInt8 = 8, width: UInt16 = 1, height: UInt16 = 1, channels: UInt8 = 1
    ) -> [UInt8] {
        let sizes = [UInt8(height >> 8), UInt8(height & 255), UInt8(width >> 8), UInt8(width & 255)]
        let frame: [UInt8] = [precision] + sizes + [channels] + (0..<channels).flatMap { [$0 + 1, 0x11, 0] as [UInt8] }
        return [0xff, 0xd8, 0xff, marker, 0, UInt8(frame.count + 2)] + frame + [0xff, 0xd9]
    }

    @Test func headersOfJPEGThatAreNotReadAreRefused() throws {
        #expect(try PictureHeader(path: folder.write(jpeg(width: 3, height: 2, channels: 3))).width == 3)
        try expectRefusal(of: jpeg(channels: 4), "found one of 4 channels (CMYK); convert it to RGB")
        try expectRefusal(of: jpeg(channels: 2), "found one of 2 channels")
        try expectRefusal(of: jpeg(precision: 12), "found samples of 12 bits; convert it to 8 bits")
        for marker in [0xc3, 0xc5, 0xcb, 0xcf] as [UInt8] {
            try expectRefusal(of: jpeg(marker: marker), "a lossless or hierarchical one; convert it to PNG")
        }
        try expectRefusal(of: jpeg(height: 0), "expected a picture that has pixels")
        try expectRefusal(of: jpeg(width: 65_535, height: 65_535), "at most 89478485 pixels")
        try expectRefusal(of: jpeg(width: 9_000, height: 9_000), "in a file of this length")
        try expectRefusal(of: [0xff, 0xd8, 0xff, 0xd9], "no frame header")
        try expectRefusal(of: [0xff, 0xd8, 0xff, 0xe0, 0, 1, 0, 0], "a segment of 1 bytes")
        let path = try folder.write(jpeg())
        expectError(.invalid, "damaged (libjpeg: ") { _ = try Picture(path: path) }
    }

    @Test func scansBeyondNumberAreRefused() throws {
        let test = try PictureCase.named("JPEG L quality=75 progressive=True, 19 x 33")
        let last = try #require(test.bytes.indices.dropLast().last { test.bytes[$0] == 0xff && test.bytes[$0 + 1] == 0xda })
        let (beginning, scan) = (test.bytes[..<last], test.bytes[last...].dropLast(2))
        for (count, isRefused) in [(400, false), (501, true)] {
            let bytes = beginning + (0..<count).flatMap { _ in scan } + [0xff, 0xd9]
            let path = try folder.write(Array(bytes))
            if isRefused {
                expectError(.invalid, "at most 500 scans") { _ = try Picture(path: path) }
            } else {
                #expect(try Picture(path: path).width == 33)
            }
        }
    }

    /// As with Pillow, a gap in the data is gray.
    @Test func gapsAreAcceptedInJPEG() throws {
        let bytes = try PictureCase.named("JPEG RGB quality=80 subsampling=4:2:0 progressive=False, 21 x 35").bytes
        let picture = try Picture(path: folder.write(Array(bytes.dropLast(20) + [0xff, 0xd9])))
        #expect(picture.shape == [3, 21, 35])
    }
}
