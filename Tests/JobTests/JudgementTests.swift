import Foundation
import Testing

extension Jobs {
    /// Whether the measures tell good pictures from bad ones, on MNIST: each fault shows in the measures that are to show it.
    @Suite(.enabled(if: RealData.isThere, "no MNIST in data/")) struct JudgementTests {
        private static let side = 28
        private static let size = side * side
        private static let count = 2_000

        /// Pictures [N, 28, 28] and their classes.
        private struct Pictures {
            var pixels: [UInt8]
            var labels: [UInt8]
            var count: Int { labels.count }

            /// The first of a part of MNIST.
            init(_ part: String, _ count: Int) throws {
                let folder = "\(RealData.folder)/MNIST/raw/\(part)"
                pixels = [UInt8](try readFile("\(folder)-images-idx3-ubyte").dropFirst(16).prefix(count * size))
                labels = [UInt8](try readFile("\(folder)-labels-idx1-ubyte").dropFirst(8).prefix(count))
            }

            init(pixels: [UInt8], labels: [UInt8]) { (self.pixels, self.labels) = (pixels, labels) }

            subscript(numbers: [Int]) -> Pictures {
                Pictures(
                    pixels: numbers.flatMap { pixels[$0 * size..<($0 + 1) * size] }, labels: numbers.map { labels[$0] })
            }

            /// Each pixel anew, from its picture and place; those beyond the edge are black.
            func redrawn(_ pixel: (_ at: (_ y: Int, _ x: Int) -> Int, _ y: Int, _ x: Int) -> Int) -> Pictures {
                var new = self
                for start in stride(from: 0, to: pixels.count, by: size) {
                    func at(_ y: Int, _ x: Int) -> Int {
                        (0..<side).contains(y) && (0..<side).contains(x) ? Int(pixels[start + y * side + x]) : 0
                    }
                    for y in 0..<side {
                        for x in 0..<side { new.pixels[start + y * side + x] = UInt8(min(255, max(0, pixel(at, y, x)))) }
                    }
                }
                return new
            }

            /// By the filter 1, 2, 1 in both directions, or as if over pixels `step` apart.
            func blurred(_ step: Int) -> Pictures {
                redrawn { at, y, x in (at(y - step, x) + 2 * at(y, x) + at(y + step, x)) / 4 }
                    .redrawn { at, y, x in (at(y, x - step) + 2 * at(y, x) + at(y, x + step)) / 4 }
            }

            func write(_ part: String, to folder: String) throws {
                try JobTests.write(SmallData.header(3, [count, side, side]) + pixels, to: "\(folder)/\(part)-images-idx3-ubyte")
                try JobTests.write(SmallData.header(1, [count]) + labels, to: "\(folder)/\(part)-labels-idx1-ubyte")
            }
        }

        @Test("Each fault of pictures shows in the measures that are to show it, and worse pictures have worse figures")
        func judgement() throws {
            let data = try Scratch.makeFolder()
            let all = try Pictures("train", 14_000)
            let training = all[Array(0..<10_000)]
            try training.write("train", to: data)
            try Pictures("t10k", Self.count).write("t10k", to: data)

            let runs = try Runs()
            let trained = try Job.run(
                [
                    "mpirun", "-np", "2", Program.path, "train", "--preset", "classifier28", "--data", data, "--epochs", "4",
                    "--outdir", runs.outdir,
                ], limit: 240)
            try #require(trained.code == 0, "\(trained)")
            let extractor = try #require(runs.checkpoints().last)

            let cache = try Scratch.makeFolder()
            func evaluate(_ pictures: Pictures) throws -> [String: Double] {
                let folder = try Scratch.makeFolder()
                try pictures[Array(0..<Self.count)].write("train", to: folder)
                let outcome = try Job.run(
                    [
                        Program.path, "evaluate", "--pictures", folder, "--extractor", extractor, "--data", data, "--images",
                        "\(Self.count)", "--json",
                    ], environment: Job.environment(["XDG_CACHE_HOME": cache]))
                try #require(outcome.code == 0, "\(outcome)")
                let figures = try #require(JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
                return figures.compactMapValues { $0 as? Double }
            }
            let other = all[Array(10_000..<12_000)]
            let good = try evaluate(other)
            let blurred = try evaluate(other.blurred(1))
            let moreBlurred = try evaluate(other.blurred(1).blurred(2))
            var seed: UInt32 = 1
            let noised = try evaluate(
                other.redrawn { at, y, x in
                    seed = seed &* 1_664_525 &+ 1_013_904_223
                    return at(y, x) + Int(seed >> 24) % 121 - 60
                })
            let shifted = try evaluate(other.redrawn { at, y, x in at(y - 3, x - 3) })
            let withoutOnes = try evaluate(all[(10_000..<14_000).filter { all.labels[$0] != 1 }])
            let halfAlike = try evaluate(other[(0..<Self.count).map { $0 % 2 == 0 ? 0 : $0 }])
            let twenty = try evaluate(other[(0..<Self.count).map { $0 % 20 }])
            let alike = try evaluate(other[[Int](repeating: 0, count: Self.count)])
            let memorised = try evaluate(training)

            func value(_ figures: [String: Double], _ key: String) -> Double { figures[key] ?? .nan }
            /// Values of a measure by which pictures are better first.
            func ascending(_ key: String, _ sets: [String: Double]..., sourceLocation: SourceLocation = #_sourceLocation) {
                let values = sets.map { value($0, key) }
                #expect(zip(values, values.dropFirst()).allSatisfy { $0 < $1 }, "\(key) \(values)", sourceLocation: sourceLocation)
            }
            // Unseen pictures are as good as real ones can be, and pictures by heart no better.
            for figures in [good, memorised] {
                #expect(value(figures, "fid") < 1.5 * value(good, "fid_floor"))
                for key in ["precision", "recall", "coverage"] {
                    #expect(value(figures, key) > 0.95 * value(good, "\(key)_floor"), "\(key)")
                }
                #expect(value(figures, "class_kl") < 0.01)
            }
            for key in ["fid", "kid"] {
                ascending(key, good, blurred, noised, moreBlurred, alike)
                ascending(key, good, withoutOnes, twenty, halfAlike, alike)
                ascending(key, good, blurred, shifted)
            }
            // What does not look real.
            for key in ["precision", "density"] {
                ascending(key, moreBlurred, good)
                ascending(key, shifted, noised, good)
            }
            // What is missing.
            ascending("recall", alike, halfAlike, withoutOnes, good)
            ascending("coverage", alike, twenty, halfAlike, withoutOnes, good)
            ascending("class_kl", good, withoutOnes, halfAlike, alike)
            #expect(value(withoutOnes, "class_kl") > 20 * value(good, "class_kl"))
            #expect(value(twenty, "recall") < 0.05)
            ascending("classifier_score", alike, shifted, moreBlurred, noised, good)
            // What was learned by heart.
            #expect(value(memorised, "nearest") < 0.001)
            #expect(value(good, "nearest") > 0.9)
        }
    }
}
