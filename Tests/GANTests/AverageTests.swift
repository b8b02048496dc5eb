import Formats
import Foundation
import Kernels
import MessagePassing
import Networks
import Testing

@testable import GAN

/// The generator's moving average, with a ramp and without, against double precision.
@Suite(.timeLimit(.minutes(15))) struct AverageTests {
    /// min(d, (1 + t) / (10 + t)) in update t, from 1; d without a ramp.
    @Test func decayOfAnUpdate() throws {
        var configuration = try mnistPreset("dcgan28")
        #expect((configuration.averageDecay, configuration.averageRamp) == (0.999, true))
        let decays = [1, 2, 90, 8_989, 8_990, 8_991, 1 << 40].map { configuration.averageDecay(update: $0) }
        let expected: [Double] = [2.0 / 11, 3.0 / 12, 91.0 / 100, 8_990.0 / 8_999, 0.999, 0.999, 0.999]
        #expect(decays == expected)
        configuration.averageRamp = false
        #expect([1, 2, 90].map { configuration.averageDecay(update: $0) } == [0.999, 0.999, 0.999])
        for preset in try Preset.names.map(mnistPreset) { #expect(preset.averageRamp == (preset.averageDecay > 0), "\(preset.preset)") }
    }

    /// A run's average from the parameters of its dumps. Float by float an average is a rounding away from the exact one.
    @Test(arguments: [false, true], [nil, [3], [2, 1]] as [[Int]?])
    func equalsDouble(hasRamp: Bool, hosts: [Int]?) throws {
        let folder = try TemporaryFolder()
        let (steps, decay) = (9, 0.6)
        let request = try smallModel(["ema": decay, "ema_ramp": hasRamp, "steps": steps, "lr": 0.01])
        let run = try trainedRun(
            request, data: try folder.writeImages(30), outdir: folder.file("runs"), hosts: hosts, dumpSteps: steps)
        let checkpoint = try SafetensorsFile(path: "\(run.path)/\(Checkpoint.name(step: steps))")
        for name in ["generator.main.0.weight", "generator.main.2.bias"] {
            var average = try run.dump(0).floats(name).map(Double.init)
            for t in 1...steps {
                let kept = hasRamp ? min(decay, Double(1 + t) / Double(10 + t)) : decay
                average = zip(average, try run.dump(t).floats(name)).map { kept * $0 + (1 - kept) * Double($1) }
            }
            let found = try checkpoint.floats("ema." + name)
            #expect(found.count == average.count)
            let scale = average.reduce(0) { max($0, abs($1)) }
            for (a, b) in zip(found, average) { #expect(abs(Double(a) - b) < 1e-6 * scale, "\(name)") }
        }
    }

    /// A ramp counts the updates of the whole training: a resumed run's average is the uninterrupted run's.
    @Test(arguments: [(nil, [3]), ([2, 1], nil), ([1, 3], [4])] as [([Int]?, [Int]?)])
    func resumedAverageIsTheUninterrupted(first: [Int]?, second: [Int]?) throws {
        let folder = try TemporaryFolder()
        let data = try folder.writeImages(37)
        func model(_ steps: Int) throws -> ConfigurationRequest {
            try smallModel(["ema": 0.9, "ema_ramp": true, "steps": steps, "lr": 0.01])
        }
        let whole = try trainedRun(try model(7), data: data, outdir: folder.file("whole"))
        _ = try trainedRun(try model(3), data: data, outdir: folder.file("parts"), hosts: first)
        let resumed = try trainedRun(try model(7), data: data, outdir: folder.file("parts"), hosts: second, resume: .latest)
        let name = Checkpoint.name(step: 7)
        let hashes = try [whole, resumed].map { try Checkpoint(path: "\($0.path)/\(name)").hash(state: true) }
        #expect(hashes[0] == hashes[1])
        #expect(try whole.bytes("fakes-000007.png") == resumed.bytes("fakes-000007.png"))
    }

    /// The average is drawn, the generator itself if one asks for it; without an average they are the same.
    @Test func rawSamplesAreTheGenerators() throws {
        let folder = try TemporaryFolder()
        let data = try folder.writeImages(30)
        func pictures(_ fields: [String: Any], isRaw: Bool, _ name: String) throws -> [UInt8] {
            let outdir = folder.file(name)
            let run = try trainedRun(try smallModel(["steps": 3].merging(fields) { $1 }), data: data, outdir: outdir)
            let out = folder.file("\(name).npy")
            try writeSamples(checkpoint: "\(run.path)/\(Checkpoint.name(step: 3))", seed: nil, isRaw: isRaw, to: out) { _, _ in
                try SampleRequest(count: 3, grid: nil, isWalk: false, label: nil, classes: nil)
            }
            return Array(try Data(contentsOf: URL(fileURLWithPath: out)))
        }
        let plain = try pictures([:], isRaw: false, "plain")
        #expect(try pictures([:], isRaw: true, "plain-raw") == plain)
        // An average changes nothing of the generator itself.
        #expect(try pictures(["ema": 0.9], isRaw: true, "raw") == plain)
        #expect(try pictures(["ema": 0.9], isRaw: false, "average") != plain)
    }
}
