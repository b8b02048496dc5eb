import Foundation
import Testing

@testable import GAN

/// What the monitor says of made-up trainings: pictures of 64 pixels, 64 a probe.
@Suite(.timeLimit(.minutes(15))) struct MonitorTests {
    private static let size = 64

    /// Pictures whose mean distance is about `distance`, all brighter by `level`.
    private static func probe(distance: Float, level: Float = 0) -> [Float] {
        // Each of two kinds of picture has half of the pixels; pairs of one kind are alike.
        let step = distance * 127 / 64 / Float(size).squareRoot()
        return (0..<64).flatMap { picture in
            (0..<size).map { _ in level + (picture % 2 == 0 ? step / 2 : -step / 2) }
        }
    }

    /// Lines of a training, and the steps at which something is said.
    private struct Told {
        var monitor: TrainingMonitor
        var warnings: [(step: Int, text: String)] = []
        var step = 0
        private var isRaised = false

        init(_ fields: [String: Any] = [:], firstStep: Int = 0) throws {
            var configuration = try smallModel(fields).fresh()
            configuration.imageSize = 8
            // Real images lie about 4 from each other.
            let real = MonitorTests.probe(distance: 4).map { UInt8((($0 + 1) * 127.5).rounded()) }
            monitor = TrainingMonitor(configuration, realImages: real, firstStep: firstStep)
            step = firstStep
        }

        /// `count` lines, `every` steps apart; the probe moves to and fro by `movement`.
        mutating func lines(
            _ count: Int, every: Int = 200, d: Double = 1, g: Double = 1, penalty: Double = 0, distance: Float = 4,
            movement: Float = 0.2
        ) {
            for _ in 0..<count {
                step += every
                isRaised.toggle()
                var statistics = AdversarialStatistics()
                (statistics.lossReal, statistics.lossFake) = (d / 4, 3 * d / 4)
                (statistics.lossGenerator, statistics.penalty) = (g, penalty)
                let fakes = MonitorTests.probe(distance: distance, level: isRaised ? movement : 0)
                warnings += monitor.look(step: step, statistics, fakes: fakes).warnings.map { (step, $0) }
            }
        }

        /// Expects that exactly this was said: at a step, with all of these parts.
        func expect(_ expected: [(step: Int, parts: [String])], sourceLocation: SourceLocation = #_sourceLocation) {
            #expect(warnings.map(\.step) == expected.map(\.step), "\(warnings)", sourceLocation: sourceLocation)
            for (warning, expected) in zip(warnings, expected) {
                for part in expected.parts { #expect(warning.text.contains(part), "\(warning)", sourceLocation: sourceLocation) }
            }
        }
    }

    // MARK: Figures

    @Test func variety() {
        #expect(Diversity([0, 0, 3, 4], size: 2) == Diversity(spread: 1.75, distance: 5))
        // Distances 5, 10 and 5; standard deviations √6 and √(32/3).
        let three = Diversity([0, 0, 3, 4, 6, 8], size: 2)
        #expect(abs(three.distance - 20 / 3.0) < 1e-6)
        #expect(abs(three.spread - (6.squareRoot() + (32 / 3.0).squareRoot()) / 2) < 1e-6)
        #expect(Diversity([1, 2], size: 2) == Diversity(spread: 0, distance: 0))
        #expect(Diversity([], size: 2) == Diversity(spread: 0, distance: 0))
        #expect(Diversity.change(from: [0, 1, -1], to: [0.5, 1, -2]) == 0.5)
    }

    @Test func fieldsOfALine() throws {
        var told = try Told()
        func fields(_ distance: Float, level: Float) throws -> [String: Double] {
            let report = told.monitor.look(step: 1, AdversarialStatistics(), fakes: Self.probe(distance: distance, level: level))
            return try #require(try JSONSerialization.jsonObject(with: Data("{\(report.fields)}".utf8)) as? [String: Double])
        }
        let first = try fields(2, level: 0)
        #expect(Set(first.keys) == ["spread_fake", "spread_real", "distance_fake", "distance_real"])
        func isNear(_ field: String, _ value: Double) -> Bool { abs((first[field] ?? .nan) - value) < 0.02 * value }
        // 64 · 32 / 2 = 1,024 of 2,016 pairs differ, by √64 of what a pixel differs.
        let pixel = 2.0 * 127 / 64 / 8
        #expect(isNear("spread_fake", pixel / 2) && isNear("distance_fake", pixel * 8 * 1_024 / 2_016))
        #expect(isNear("spread_real", pixel) && isNear("distance_real", pixel * 16 * 1_024 / 2_016))
        #expect(abs(try #require(try fields(2, level: 0.25)["probe_change"]) - 0.25) < 1e-6)
    }

    // MARK: States

    /// What ordinary runs look like: losses of recipes that work, pictures that are all alike for a long while.
    @Test(arguments: [
        ("bce", 0.04, 5.5), ("bce", 1.2, 0.7), ("mse", 0.009, 1.3), ("hinge", 0.0035, 1.8), ("wasserstein", -125, -60),
    ])
    func calmRunsAreSilent(loss: String, d: Double, g: Double) throws {
        var told = try Told(["loss": loss])
        told.lines(24, d: d, g: g, distance: 0.3)
        told.lines(50, d: d, g: g, distance: 1.4)
        told.lines(50, every: 937, d: d, g: g, distance: 4)
        told.expect([])
    }

    @Test(arguments: [("bce", 0.019, true), ("mse", 0.0049, true), ("hinge", 0, false)])
    func saturation(loss: String, d: Double, takesTargets: Bool) throws {
        var told = try Told(["loss": loss])
        told.lines(3)
        told.lines(2, d: d)
        told.lines(1)
        told.lines(50, d: d, penalty: 0.5)
        // A line that is none of it does not end it.
        told.lines(2)
        told.lines(5, d: d)
        told.lines(3)
        told.lines(3, d: d)
        let perturbations = [
            "--instance-noise 0.1", "--lr-discriminator", "--spectral-norm", "--gradient-penalty 10 with --loss wasserstein",
        ]
        told.expect([(1_800, ["the discriminator is saturated"] + perturbations), (200 * 69, [])])
        #expect(told.warnings.allSatisfy { $0.text.contains("--label-smoothing 0.1") == takesTargets })
    }

    @Test func wassersteinKnowsNoSaturation() throws {
        var told = try Told(["loss": "wasserstein"])
        told.lines(20, d: 0)
        told.expect([])
    }

    /// A discriminator that is ahead at first.
    @Test func saturationOfTheFirstSteps() throws {
        var told = try Told()
        told.lines(4, d: 0.001)
        told.lines(10)
        told.expect([])
    }

    /// Lines that follow one upon the other are not judged; what counts are steps, from where this process began.
    @Test func closeLines() throws {
        var told = try Told(firstStep: 10_000)
        told.lines(100, every: 10, d: 0.01)
        told.expect([(10_600, ["saturated"])])
    }

    @Test func standstill() throws {
        var told = try Told()
        told.lines(4, g: 9, movement: 0.2)
        told.lines(10, g: 9, movement: 0.001)
        told.expect([(200 * 7, ["the generator is stuck", "no more than 0.0010 a pixel", "(9.00)", "--lr-generator"])])
    }

    /// The same at the end of a training that went well, and in lines that are close.
    @Test func standstillIsOfBadGeneratorsAndOfManySteps() throws {
        var told = try Told()
        told.lines(10, g: 1, movement: 0)
        told.lines(100, every: 10, g: 9, movement: 0.002)
        told.expect([])
    }

    @Test func collapse() throws {
        var told = try Told()
        told.lines(5, distance: 0.3)
        told.lines(5, distance: 3)
        told.lines(10, distance: 0.9)
        told.expect([(200 * 13, ["the samples collapse: 0.9", "--minibatch-discrimination", "--spectral-norm", "--lr-generator"])])
    }

    /// Pictures that never differed: with time it is no beginning any more.
    @Test func collapseFromTheStart() throws {
        var told = try Told()
        told.lines(60, distance: 0.9)
        told.expect([(5_400, ["the samples collapse"])])
    }

    @Test(arguments: [("bce", 101.0, 1.0), ("mse", 1, 1e9), ("hinge", 1, -500), ("bce", .nan, 1), ("bce", .infinity, 1)])
    func divergence(loss: String, d: Double, g: Double) throws {
        var told = try Told(["loss": loss])
        told.lines(3, every: 1)
        told.lines(20, every: 100, d: d, g: g, distance: 0.1, movement: 0)
        // The discriminator would be saturated, the generator stuck; it is the losses that matter.
        told.lines(1, d: 0, g: g == 1 ? 9 : g, distance: 0.1, movement: 0)
        let parts = ["nothing is learned", "d_loss \(d.readable(1)), g_loss \(g.readable(1))", "Lower --lr"]
        told.expect((0..<20).map { (103 + 100 * $0, parts) } + (g == 1 ? [] : [(2_203, ["nothing is learned"])]))
    }

    @Test func unboundedCritics() throws {
        var told = try Told(["loss": "wasserstein"])
        told.lines(5, d: -900, g: 900)
        told.lines(5, d: -1_100, g: 900)
        told.expect((0..<5).map { (1_200 + 200 * $0, ["--gradient-penalty 10 or --weight-clip 0.01"]) })
    }

    /// Lines of a run have the figures, with lines of hashes in between that have not.
    @Test(arguments: [nil, [2, 1]] as [[Int]?]) func linesOfARun(hosts: [Int]?) throws {
        let folder = try TemporaryFolder()
        let run = try trainedRun(
            try smallModel(["steps": 7, "log_interval": 2, "hash_interval": 3, "sample_interval": 4]),
            data: try folder.writeImages(100), outdir: folder.file("runs"), hosts: hosts)
        let stats = try run.stats()
        let watched = stats.filter { $0["spread_fake"] != nil }
        #expect(stats.compactMap { $0["step"] as? Int } == [2, 3, 4, 6, 7])
        #expect(watched.compactMap { $0["step"] as? Int } == [2, 4, 6, 7])
        for field in ["spread_fake", "spread_real", "distance_fake", "distance_real"] {
            #expect(watched.allSatisfy { ($0[field] as? Double ?? 0) > 0 }, "\(field): \(watched)")
        }
        #expect(watched.map { $0["probe_change"] != nil } == [false, true, true, true])
        #expect(watched.dropFirst().allSatisfy { ($0["probe_change"] as? Double ?? 0) > 0 })
        #expect(try !run.lines("log.txt").contains { $0.hasPrefix("Warning") })
    }

    /// A grid holds the same pictures whether the monitor has drawn them or not, and an average's are its own.
    @Test(arguments: [0, 0.5]) func gridsOfProbes(average: Double) throws {
        let folder = try TemporaryFolder()
        let data = try folder.writeImages(100)
        let grids = try [1, 100].map { interval in
            let request = try smallModel(["steps": 5, "log_interval": interval, "sample_interval": 2, "ema": average])
            return try trainedRun(request, data: data, outdir: folder.file("runs")).bytes("fakes-000004.png")
        }
        #expect(grids[0] == grids[1])
    }
}
