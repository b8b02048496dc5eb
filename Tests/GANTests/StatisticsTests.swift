import Foundation
import Kernels
import MessagePassing
import Networks
import Testing

@testable import GAN

/// Losses and scores: how they are summed, and how they are told.
@Suite(.timeLimit(.minutes(15))) struct StatisticsTests {
    /// The balanced tree over the shards, written out.
    @Test func shardsAreAddedAsATree() {
        let keys = ["loss_d_real", "loss_d_fake", "loss_g", "d_real", "d_fake", "penalty"]
        var sums = [Double](repeating: 0, count: 8 * keys.count)
        for i in sums.indices { sums[i] = Double(i * i % 37) * 0.1 + pow(10, Double(i % 13)) }
        sums.withUnsafeBufferPointer { sums in
            let base = sums.baseAddress!
            let statistics = AdversarialStatistics(BatchMeans(keys, shards: 8, batch: 100) { base + keys.count * $0 })
            func tree(_ field: Int) -> Double {
                func s(_ shard: Int) -> Double { sums[keys.count * shard + field] }
                return (((s(0) + s(1)) + (s(2) + s(3))) + ((s(4) + s(5)) + (s(6) + s(7)))) / 100
            }
            #expect(statistics.lossReal == tree(0))
            #expect(statistics.lossFake == tree(1))
            #expect(statistics.lossGenerator == tree(2))
            #expect(statistics.scoreReal == tree(3))
            #expect(statistics.scoreFake == tree(4))
            #expect(statistics.penalty == tree(5))
        }
    }

    @Test(arguments: [nil, [3]] as [[Int]?]) func logLinesHaveTheirForm(hosts: [Int]?) throws {
        let folder = try TemporaryFolder()
        let run = try trainedRun(
            try smallModel(["steps": 11, "log_interval": 2, "hash_interval": 3]), data: try folder.writeImages(40),
            outdir: folder.file("runs"), hosts: hosts)
        let form =
            #/Epoch \[(\d+)/(\d+)\], Step \[(\d+)/(\d+)\], d_loss: -?\d+\.\d{4}, g_loss: -?\d+\.\d{4}, D\(x\): -?\d+\.\d\d, D\(G\(z\)\): -?\d+\.\d\d, \d{1,3}(,\d{3})* images/s/#
        let lines = try run.lines("log.txt").filter { $0.hasPrefix("Epoch") }
        let places = try lines.map { line in
            let match = try #require(line.wholeMatch(of: form), "\(line)")
            return [match.1, match.2, match.3, match.4].compactMap { Int($0) }
        }
        // Steps are counted anew in each epoch of five, and the last step is always told.
        #expect(places == [[1, 3, 2, 5], [1, 3, 4, 5], [2, 3, 2, 5], [2, 3, 4, 5], [3, 3, 1, 5]])

        let stats = try run.stats()
        #expect(stats.compactMap { $0["step"] as? Int } == [2, 3, 4, 6, 7, 9, 11])
        #expect(stats.compactMap { $0["epoch"] as? Int } == [1, 1, 1, 2, 2, 2, 3])
        let hashed = stats.filter { $0["weights_sha256"] != nil }.compactMap { $0["step"] as? Int }
        #expect(hashed == [3, 6, 9, 11])
        for object in stats {
            let fields = [
                "loss_d", "loss_g", "loss_d_real", "loss_d_fake", "d_real", "d_fake", "images_per_second", "seconds",
                "step_seconds",
            ]
            for field in ["waiting_seconds", "communication_seconds"] {
                let seconds = object[field] as? [Double] ?? []
                #expect(seconds.count == (hosts ?? [1]).reduce(0, +) && seconds.allSatisfy { $0 >= 0 }, "\(field) of each rank: \(seconds)")
            }
            for field in fields { #expect((object[field] as? Double)?.isFinite == true, "\(field)") }
            let number = { (field: String) in object[field] as? Double ?? .nan }
            #expect(abs(number("loss_d") - number("loss_d_real") - number("loss_d_fake")) < 1e-12)
            #expect((0...1).contains(number("d_real")) && (0...1).contains(number("d_fake")))
        }
    }

    @Test func exampleOfTheDesign() {
        let form = #/Epoch \[3/20\], Step \[400/937\], d_loss: 0\.7162, g_loss: 1\.9267, D\(x\): 0\.76, D\(G\(z\)\): 0\.25, 31,200 images/s/#
        let line = "Epoch [3/20], Step [400/937], d_loss: \(0.71621.fixed(4)), g_loss: \(1.92668.fixed(4)), "
            + "D(x): \(0.7551.fixed(2)), D(G(z)): \(0.2549.fixed(2)), \(31_200.4.grouped) images/s"
        #expect(line.wholeMatch(of: form) != nil)
    }

    @Test(arguments: [
        (0.0, "0"), (0.4, "0"), (999.5, "1,000"), (1_234_567, "1,234,567"), (-1_234, "-1,234"), (999, "999"), (.infinity, "inf"),
    ])
    func numbersAreGrouped(value: Double, text: String) { #expect(value.grouped == text) }

    /// Files of a run: options, log, numbers, pictures, checkpoints.
    @Test func runHoldsItsFiles() throws {
        let folder = try TemporaryFolder()
        let data = try folder.writeImages(40)
        let request = try smallModel(["steps": 10, "sample_interval": 4, "checkpoint_interval": "1e", "keep": 2])
        let run = try trainedRun(request, data: data, outdir: folder.file("runs"))
        #expect(run.path.hasSuffix("/runs/00000-mlp-b8"))
        #expect(
            try run.names == [
                "checkpoint-000000005.safetensors", "checkpoint-000000010.safetensors", "fakes-000004.png", "fakes-000008.png",
                "fakes-000010.png", "fakes-init.png", "lock", "log.txt", "reals.png", "report.html", "stats.jsonl", "status.json",
                "training_options.json",
            ])
        let second = try trainedRun(request, data: data, outdir: folder.file("runs"))
        #expect(second.path.hasSuffix("/runs/00001-mlp-b8"))
        #expect(try run.bytes("checkpoint-000000010.safetensors") == second.bytes("checkpoint-000000010.safetensors"))
        // What it holds is a model file.
        let options = try Data(contentsOf: URL(fileURLWithPath: "\(run.path)/training_options.json"))
        #expect(try modelFile(options).fresh() == request.fresh())
        let object = try JSONSerialization.jsonObject(with: options) as? [String: Any]
        #expect(object?["images"] as? Int == 40)
        #expect((object?["data_sha256"] as? String)?.count == 64)
        #expect(object?["version"] as? String == Version.current)
    }
}
