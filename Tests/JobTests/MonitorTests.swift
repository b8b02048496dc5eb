import Foundation
import Testing

extension Jobs {
    @Suite struct MonitorTests {
        /// Lines of 222 steps of 8 images.
        private static let training = ["--batch-size", "8", "--steps", "1332", "--log-interval", "6e", "--hash-interval", "0"]

        private func warnings(_ text: String) -> [String] {
            text.split(separator: "\n").map(String.init).filter { $0.hasPrefix("Warning: ") }
        }

        @Test(
            "A generator that does not move, and a discriminator that knows all: each said once, with the way out",
            arguments: [1, 3])
        func stuck(ranks: Int) throws {
            let runs = try Runs()
            let outcome = try runs.start(ranks: ranks, Self.training + ["--lr-generator", "1e-7"]).wait()
            #expect(outcome.code == 0, "\(outcome)")
            let log = try readText("\(runs.newest)/log.txt")
            let told = warnings(log)
            try #require(told.count == 2, "\(log)")
            #expect(told[0].contains("the generator is stuck") && told[0].contains("--lr-generator"), "\(told)")
            #expect(told[1].contains("the discriminator is saturated") && told[1].contains("--label-smoothing 0.1"), "\(told)")
            #expect(warnings(outcome.output) == told, "the terminal says the same")
            // Behind the line that they are about.
            let lines = log.split(separator: "\n").map(String.init)
            #expect(lines.firstIndex(of: told[0]).map { lines[$0 - 1].hasPrefix("Epoch [18/36]") } == true, "\(log)")

            let stats = try runs.stats()
            #expect(stats.count == 6)
            #expect(stats.allSatisfy { ($0["distance_fake"] as? Double ?? .nan) < ($0["distance_real"] as? Double ?? .nan) })
            #expect(stats.dropFirst().allSatisfy { ($0["probe_change"] as? Double ?? .nan) < 0.03 })
        }

        @Test("A calm run is silent")
        func calm() throws {
            let runs = try Runs()
            let outcome = try runs.start(Self.training + ["--label-smoothing", "0.1"]).wait()
            #expect(outcome.code == 0, "\(outcome)")
            #expect(warnings(outcome.output) == [])
            #expect(try warnings(readText("\(runs.newest)/log.txt")) == [])
            #expect(try runs.stats().count == 6)
        }

        @Test("Losses out of all bounds are said with every line, and at the end: nothing is learned from them")
        func divergence() throws {
            let runs = try Runs()
            let outcome = try runs.train("--steps", "20", "--lr", "1000")
            #expect(outcome.code == 0, "\(outcome)")
            let told = warnings(outcome.output)
            let last = try #require(told.last)
            #expect(last.contains("diverged"))
            #expect(told.count > 10 && told.dropLast().allSatisfy { $0.contains("nothing is learned") && $0.contains("--lr") }, "\(outcome)")
            let lines = outcome.output.split(separator: "\n").filter { $0.hasPrefix("Epoch [") }
            #expect(lines.count == 20 && !lines.contains { $0.contains(/\d{8}/) }, "large numbers by their first digits: \(outcome)")
        }

        @Test("What a probe takes is not counted among the steps")
        func cost() throws {
            let runs = try Runs()
            // Beside steps of 8 rows the probe's 64, and their distances, are long.
            try runs.succeed("--batch-size", "8", "--steps", "200", "--hash-interval", "0")
            let stats = try runs.stats()
            let steps = stats.dropFirst().compactMap { $0["step_seconds"] as? Double }.reduce(0, +)
            let seconds = stats.compactMap { $0["seconds"] as? Double }
            let all = try #require(seconds.last) - #require(seconds.first)
            #expect(steps < 0.7 * all, "\(steps) s of \(all) s are steps, with a probe after each")
        }
    }
}
