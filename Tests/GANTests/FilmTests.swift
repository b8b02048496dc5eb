import Formats
import Foundation
import MessagePassing
import Testing

@testable import GAN

/// Films of a run's grids, and of walks.
@Suite(.timeLimit(.minutes(15))) struct FilmTests {
    private let folder: TemporaryFolder
    private let run: TrainedRun

    init() throws {
        folder = try TemporaryFolder()
        run = try trainedRun(
            smallModel(["batch_size": 10, "steps": 4, "sample_interval": 1]), data: folder.writeImages(30), outdir: folder.file("runs"))
    }

    private func request(_ out: String) -> AnimationRequest { AnimationRequest(run: run.path, out: folder.file(out)) }

    private func count(_ text: String, in name: String) throws -> Int {
        let bytes = try Data(contentsOf: URL(fileURLWithPath: folder.file(name)))
        var (found, start) = (0, bytes.startIndex)
        while let range = bytes.range(of: Data(text.utf8), in: start..<bytes.endIndex) { (found, start) = (found + 1, range.upperBound) }
        return found
    }

    private func animated(_ request: AnimationRequest) throws -> [String] {
        var told: [String] = []
        try animate(request) { told.append($0) }
        return told
    }

    @Test func gridsInTheOrderOfSteps() throws {
        #expect(try RunDirectory(path: run.path).grids().map { ($0 as NSString).lastPathComponent } == [
            "fakes-init.png", "fakes-000001.png", "fakes-000002.png", "fakes-000003.png", "fakes-000004.png",
        ])
        #expect(try animated(request("x.png")) == ["\(folder.file("x.png")): 5 grids of \(run.path)"])
        #expect(try count("fcTL", in: "x.png") == 5)
        #expect(try Picture(path: folder.file("x.png")) == Picture(path: "\(run.path)/fakes-init.png"))
        var few = request("few.png")
        few.frames = 3
        #expect(try animated(few).last?.contains("3 grids") == true)
        #expect(try count("fcTL", in: "few.png") == 3)
        var numbered = request("x.gif")
        (numbered.run, numbered.outdir) = ("0", folder.file("runs"))
        _ = try animated(numbered)
        #expect(try count("GIF89a", in: "x.gif") == 1)
    }

    @Test func gridsThatDoNotFitAreLeftOut() throws {
        try Data("no picture".utf8).write(to: URL(fileURLWithPath: "\(run.path)/fakes-000002.png"))
        try Picture(channels: 1, height: 3, width: 3, pixels: [UInt8](repeating: 1, count: 9)).writePNG(path: "\(run.path)/fakes-000001.png")
        let told = try animated(request("x.png"))
        #expect(told.count == 3 && told.dropLast().allSatisfy { $0.hasPrefix("Warning: ") }, "\(told)")
        #expect(try count("fcTL", in: "x.png") == 3)
    }

    /// A grid whose header is whole, and the rest is not.
    @Test func gridsThatAreCutShortAreLeftOut() throws {
        let path = URL(fileURLWithPath: "\(run.path)/fakes-000002.png")
        try Data(contentsOf: path).prefix(200).write(to: path)
        let told = try animated(request("x.png"))
        #expect(told.count == 2 && told[0].hasPrefix("Warning: \(run.path)/fakes-000002.png: "), "\(told)")
    }

    @Test func gridsOfTheRunAreNotReplaced() throws {
        let before = try Data(contentsOf: URL(fileURLWithPath: "\(run.path)/fakes-000002.png"))
        for out in ["\(run.path)/fakes-000002.png", "\(run.path)/../\((run.path as NSString).lastPathComponent)/fakes-000002.png"] {
            expectUsage("a grid of the run") { _ = try animated(AnimationRequest(run: run.path, out: out)) }
        }
        #expect(try Data(contentsOf: URL(fileURLWithPath: "\(run.path)/fakes-000002.png")) == before)
    }

    @Test func walks() throws {
        var walk = request("walk.png")
        walk.frames = 6
        try animateWalk(walk, grid: "2x3") { _ in }
        #expect(try count("fcTL", in: "walk.png") == 6)
        let first = try Picture(path: folder.file("walk.png"))
        #expect(first.height == 62 && first.width == 92)
        // It begins with the pictures that sample draws.
        try writeSamples(checkpoint: "\(run.path)/\(Checkpoint.name(step: 4))", seed: nil, to: folder.file("grid.png")) { _, _ in
            try SampleRequest(grid: "2x3")
        }
        #expect(try first == Picture(path: folder.file("grid.png")))
    }

    @Test func whatMakesNoSense() throws {
        expectUsage(".gif or .png") { _ = try animated(AnimationRequest(run: run.path, out: "x.mp4")) }
        for (key, text) in [(\AnimationRequest.framesPerSecond, "--fps"), (\.hold, "--hold")] as [(WritableKeyPath<AnimationRequest, Double>, String)] {
            var wrong = request("x.gif")
            wrong[keyPath: key] = -1
            expectUsage(text) { _ = try animated(wrong) }
        }
        var wrong = request("x.gif")
        wrong.frames = 1
        expectUsage("--frames 1") { _ = try animated(wrong) }
        let empty = folder.file("empty")
        try FileManager.default.createDirectory(atPath: empty, withIntermediateDirectories: true)
        for name in [empty, folder.file("none")] {
            let error = #expect(throws: Failure.self) { _ = try animated(AnimationRequest(run: name, out: folder.file("x.gif"))) }
            #expect(error?.code == .missingInput)
        }
        #expect(!FileManager.default.fileExists(atPath: folder.file("x.gif")))
    }
}
