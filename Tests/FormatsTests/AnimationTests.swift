import CZlib
import Formats
import Foundation
import Testing

/// What is written is read by decoders of the tests' own; Tests/Launch/test_animate.py has Pillow read it.
@Suite struct AnimationTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Frames of noise, of one level, and of slopes: strings of all lengths for the compressor.
    private func frames(channels: Int, height: Int = 90, width: Int = 110) -> [Picture] {
        var state: UInt32 = 1
        func noise() -> UInt8 {
            state = state &* 1_664_525 &+ 1_013_904_223
            return UInt8(state >> 24)
        }
        let count = channels * height * width
        let rows = [(0..<count).map { _ in noise() }, [UInt8](repeating: 7, count: count), (0..<count).map { UInt8($0 / channels % 256) }]
        return rows.map { Picture(channels: channels, height: height, width: width, pixels: $0) }
    }

    private func write(_ writer: any AnimationWriter, _ frames: [Picture], seconds: [Double]) throws {
        for (frame, seconds) in zip(frames, seconds) { try writer.append(frame, seconds: seconds) }
        try writer.finish()
    }

    @Test(arguments: [(1, 1), (90, 110), (1, 300)]) func greyFramesOfGIFComeBack(height: Int, width: Int) throws {
        let frames = frames(channels: 1, height: height, width: width)
        try write(try GIFWriter(path: folder.file("x.gif")), frames, seconds: [0.1, 0.1, 2])
        let film = try GIF(try folder.read("x.gif"))
        #expect(film.height == height && film.width == width)
        #expect(film.frames.map(\.delay) == [10, 10, 200])
        for (frame, picture) in zip(film.frames, frames) {
            #expect(frame.indices.flatMap { film.palette[3 * Int($0)..<3 * Int($0) + 3] } == picture.pixels.flatMap { [$0, $0, $0] })
        }
    }

    /// Each channel is at most half a level away: 26 of red and blue, 22 of green.
    @Test func coloursOfGIFAreTheNearest() throws {
        let frames = frames(channels: 3)
        try write(try GIFWriter(path: folder.file("x.gif")), frames, seconds: [0.1, 0.1, 0.1])
        let film = try GIF(try folder.read("x.gif"))
        #expect(film.frames.count == 3)
        for (frame, picture) in zip(film.frames, frames) {
            let shown = frame.indices.flatMap { film.palette[3 * Int($0)..<3 * Int($0) + 3] }
            let differences = zip(shown, picture.pixels).map { abs(Int($0) - Int($1)) }
            let most = (0..<3).map { channel in stride(from: channel, to: differences.count, by: 3).map { differences[$0] }.max() ?? 0 }
            #expect(most[0] <= 26 && most[1] <= 22 && most[2] <= 26, "\(most)")
        }
    }

    /// 30 frames a second are 3 or 4 hundredths each, and a second in all.
    @Test func roundedTimesAddUp() throws {
        let frames = Array(repeating: frames(channels: 1, height: 2, width: 2)[0], count: 30)
        try write(try GIFWriter(path: folder.file("x.gif")), frames, seconds: Array(repeating: 1 / 30, count: 30))
        let delays = try GIF(try folder.read("x.gif")).frames.map(\.delay)
        #expect(Set(delays) == [3, 4])
        #expect(delays.reduce(0, +) == 100)
    }

    @Test(arguments: [1, 3]) func framesOfPNGComeBack(channels: Int) throws {
        let frames = frames(channels: channels)
        try write(try AnimatedPNGWriter(path: folder.file("x.png"), frames: 3), frames, seconds: [0.1, 0.25, 2])
        // A program that knows no animations shows the first frame.
        #expect(try Picture(path: folder.file("x.png")) == frames[0])
        let chunks = try chunks(try folder.read("x.png"))
        #expect(chunks.first?.type == "IHDR" && chunks.last?.type == "IEND")
        #expect(chunks[1].type == "acTL" && chunks[1].data == [0, 0, 0, 3, 0, 0, 0, 0])
        let ordered = chunks.filter { ["fcTL", "fdAT"].contains($0.type) }
        #expect(ordered.map { Int($0.data[3]) | Int($0.data[2]) << 8 } == Array(0..<ordered.count))
        let controls = chunks.filter { $0.type == "fcTL" }
        #expect(controls.map { Int($0.data[20]) << 8 | Int($0.data[21]) } == [100, 250, 2_000])
        // Each frame as a file of its own.
        for number in 0..<3 {
            let start = try #require(chunks.indices.filter { chunks[$0].type == "fcTL" }.dropFirst(number).first) + 1
            let data = chunks[start...].prefix { $0.type == "IDAT" || $0.type == "fdAT" }
            #expect(data.allSatisfy { $0.type == (number == 0 ? "IDAT" : "fdAT") } && !data.isEmpty)
            var single = Array(try folder.read("x.png")[..<33])
            for chunk in data { single += bytes("IDAT", Array(chunk.data.dropFirst(number == 0 ? 0 : 4))) }
            #expect(try Picture(path: folder.write(single + bytes("IEND", []), to: "\(number).png")) == frames[number])
        }
    }

    @Test func unfinishedFilmsLeaveNothing() throws {
        do { try GIFWriter(path: folder.file("x.gif")).append(frames(channels: 1)[0], seconds: 1) }
        do { try AnimatedPNGWriter(path: folder.file("x.png"), frames: 2).append(frames(channels: 1)[0], seconds: 1) }
        #expect(try folder.names == [])
        expectError(.io, "cannot be created") { _ = try GIFWriter(path: folder.file("none/x.gif")) }
    }

    private func chunks(_ png: [UInt8]) throws -> [(type: String, data: [UInt8])] {
        var found: [(type: String, data: [UInt8])] = []
        var offset = 8
        while offset < png.count {
            let length = png[offset..<offset + 4].reduce(0) { $0 << 8 | Int($1) }
            let chunk = (String(decoding: png[offset + 4..<offset + 8], as: UTF8.self), Array(png[offset + 8..<offset + 8 + length]))
            try #require(bytes(chunk.0, chunk.1) == Array(png[offset..<offset + 12 + length]), "length and check value of \(chunk.0)")
            found.append(chunk)
            offset += 12 + length
        }
        return found
    }

    private func bytes(_ type: String, _ data: [UInt8]) -> [UInt8] {
        func number(_ value: Int) -> [UInt8] { [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) } }
        let content = Array(type.utf8) + data
        return number(data.count) + content + number(Int(crc32(0, content, UInt32(content.count))))
    }
}

/// A GIF as its specification has it: whole frames of one palette.
private struct GIF {
    struct Frame {
        let delay: Int
        let indices: [UInt8]
    }

    let width, height: Int
    let palette: [UInt8]
    private(set) var frames: [Frame] = []

    init(_ bytes: [UInt8]) throws {
        var offset = 13 + 768
        func number(_ at: Int) -> Int { Int(bytes[at]) | Int(bytes[at + 1]) << 8 }
        try #require(bytes.starts(with: Array("GIF89a".utf8)) && bytes[10] == 0xf7)
        (width, height) = (number(6), number(8))
        palette = Array(bytes[13..<offset])
        func blocks() -> [UInt8] {
            var data: [UInt8] = []
            while bytes[offset] != 0 {
                data += bytes[offset + 1...offset + Int(bytes[offset])]
                offset += 1 + Int(bytes[offset])
            }
            offset += 1
            return data
        }
        var delay = 0
        while bytes[offset] != 0x3b {
            switch bytes[offset] {
            case 0x21:
                let kind = bytes[offset + 1]
                offset += 2
                let data = blocks()
                if kind == 0xf9 { delay = Int(data[1]) | Int(data[2]) << 8 }
            case 0x2c:
                let place = [1, 3, 5, 7].map { number(offset + $0) }
                try #require(place[0] == 0 && place[1] == 0 && place[2] == width && place[3] == height)
                try #require(bytes[offset + 9] == 0 && bytes[offset + 10] == 8)
                offset += 11
                frames.append(Frame(delay: delay, indices: try GIF.decompress(blocks(), count: width * height)))
            default: throw CocoaError(.fileReadCorruptFile)
            }
        }
        try #require(offset == bytes.count - 1)
    }

    private static func decompress(_ data: [UInt8], count: Int) throws -> [UInt8] {
        var strings: [[UInt8]] = []
        var (width, bit, last) = (9, 0, [UInt8]())
        var output: [UInt8] = []
        func clear() -> [[UInt8]] { (0..<256).map { [UInt8($0)] } + [[], []] }
        strings = clear()
        while true {
            var code = 0
            for place in 0..<width { code |= Int(data[(bit + place) / 8] >> UInt8((bit + place) % 8) & 1) << place }
            bit += width
            if code == 257 { break }
            if code == 256 {
                (strings, width, last) = (clear(), 9, [])
                continue
            }
            try #require(code < strings.count || code == strings.count && !last.isEmpty, "code \(code) of \(strings.count)")
            let string = code < strings.count ? strings[code] : last + [last[0]]
            if !last.isEmpty, strings.count < 4_096 { strings.append(last + [string[0]]) }
            if strings.count == 1 << width, width < 12 { width += 1 }
            output += string
            last = string
        }
        try #require(output.count == count)
        return output
    }
}
