import Formats
import Foundation
import Kernels
import MessagePassing
import Networks
import Testing

@testable import GAN

@Suite struct PictureTests {
    @Test(arguments: [
        (-1, 0), (1, 255), (0, 128), (-2, 0), (7, 255), (.nan, 0), (.infinity, 255), (-.infinity, 0), (-0.999, 0), (0.999, 255),
        (-0.5, 64), (0.5, 191),
    ] as [(Float, UInt8)])
    func valuesBecomeBytes(value: Float, byte: UInt8) { #expect(Pictures.byte(value) == byte) }

    /// Every byte comes back from what the trainer makes of it.
    @Test func pixelsComeBack() {
        let bytes = (0..<256).map { UInt8($0) }
        for set in InstructionSet.available {
            guard let kernels = Kernels.select(set) else { continue }
            var values = [Float](repeating: 0, count: 256)
            kernels.normalizeBytes(bytes, &values, 256, bytes)
            #expect((values[0], values[255]) == (-1, 1))
            #expect(values.map(Pictures.byte) == bytes, "\(set)")
        }
    }

    /// Eight in a row, two black pixels around each.
    @Test func gridIsThatOfMakeGrid() throws {
        let folder = try TemporaryFolder()
        let values = (0..<64 * 784).map { Float($0 / 784) / 32 - 1 }
        try Pictures.writeGrid(values, Shape(channels: 1, height: 28, width: 28), to: folder.file("grid.png"))
        let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: folder.file("grid.png"))))
        #expect(bytes.prefix(8) == [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
        // 8 · (28 + 2) + 2 pixels wide and high, of 8 bits of gray
        #expect(bytes[16..<26] == [0, 0, 0, 242, 0, 0, 0, 242, 8, 0])
        let images = (0..<64).map { Picture(channels: 1, height: 28, width: 28, pixels: Array(repeating: Pictures.byte(values[784 * $0]), count: 784)) }
        try Picture(grid: images).writePNG(path: folder.file("expected.png"))
        #expect(bytes == Array(try Data(contentsOf: URL(fileURLWithPath: folder.file("expected.png")))))
    }

    /// Rows of any length, of pictures of any side: every picture where make_grid(nrow: 3, padding: 2) puts it.
    @Test func gridsOfAnyShape() throws {
        let folder = try TemporaryFolder()
        // Six pictures of 4 × 4, each of one gray
        let grays: [UInt8] = (0..<96).map { pixel in UInt8(40 * (pixel / 16) + 10) }
        try Pictures.writeGrid(bytes: grays, Shape(channels: 1, height: 4, width: 4), columns: 3, to: folder.file("grid.png"))
        let (width, height) = (3 * 6 + 2, 2 * 6 + 2)
        var pixels = [UInt8](repeating: 0, count: width * height)
        for y in 0..<height where (2..<6).contains(y) || (8..<12).contains(y) {
            for x in 0..<width where x % 6 >= 2 { pixels[y * width + x] = UInt8(40 * (y / 7 * 3 + x / 6) + 10) }
        }
        try Picture(channels: 1, height: height, width: width, pixels: pixels).writePNG(path: folder.file("expected.png"))
        let bytes = try ["grid.png", "expected.png"].map { try Data(contentsOf: URL(fileURLWithPath: folder.file($0))) }
        #expect(bytes[0] == bytes[1])
    }

    /// A picture is a function of its noise vector: where a call starts, and how many it draws, changes none.
    @Test func picturesDoNotDependOnTheCall() throws {
        let configuration = try smallModel().fresh()
        let layout = try configuration.networkPlans().generator.layout
        let parameters = Arena().floats(layout.count)
        layout.initialise(parameters, seed: 3, stream: RandomStream.generatorWeights, kernels: .fastest)
        for set in InstructionSet.available {
            let sampler = try Sampler(configuration, kernels: try #require(Kernels.select(set)))
            sampler.load(parameters: parameters, buffers: Arena().floats(0))
            let all = try sampler.pictures(first: 0, count: 150)
            #expect(all.count == 150 * 784)
            #expect(all.allSatisfy { (-1...1).contains($0) })
            #expect(try sampler.pictures(first: 0, count: 64) == Array(all[..<(64 * 784)]))
            #expect(try sampler.pictures(first: 64, count: 70) == Array(all[(64 * 784)..<(134 * 784)]))
            #expect(try sampler.pictures(first: 149, count: 1) == Array(all[(149 * 784)...]))
            let noise = sampler.noise(first: 0, count: 150)
            #expect(noise.count == 150 && noise.allSatisfy { $0.count == 6 })
            #expect(sampler.noise(first: 70, count: 75) == Array(noise[70..<145]))
            #expect(try sampler.pictures(of: noise, 0..<150) == all)
            #expect(try sampler.pictures(of: [noise[80], noise[3]], 0..<2) == Array(all[(80 * 784)..<(81 * 784)] + all[(3 * 784)..<(4 * 784)]))
        }
    }

    /// What no program would open is refused, with the sizes and the way out.
    @Test(
        arguments: [
            (1, 28, 8, nil), (64, 64, 8, nil), (8_736, 28, 8, nil), (8_737, 28, 8, "242 × 32,792"),
            (300_000, 28, 8, "242 × 1,125,002"), (1_092, 28, 1, nil), (1_093, 28, 1, "32 × 32,792"),
            (1_093, 28, 1_000_000, "32,792 × 32"), (99_225, 28, 315, nil), (99_226, 28, 315, "9,452 × 9,482"),
            (99_856, 28, 316, "9,482 × 9,482"),
        ] as [(Int, Int, Int, String?)])
    func gridsAreBounded(count: Int, side: Int, columns: Int, size: String?) throws {
        func check() throws { try Pictures.checkGrid(of: count, Shape(channels: 1, height: side, width: side), columns: columns, path: "x.png") }
        guard let size else { return try check() }
        let error = #expect(throws: Failure.self) { try check() }
        #expect(error?.code == .usage)
        let most = columns > 1_092 ? "rows of at most 1,092" : columns == 8 ? "at most 8,736 in rows of 8" : "ask for at most "
        for text in ["--out x.png", size, ".npy", most] { #expect(error?.description.contains(text) == true, "\(text)") }
    }
}
