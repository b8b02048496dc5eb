import Foundation
import GAN
import Testing

/// What `--dump-steps` writes, and what it is made of.
@Suite(.timeLimit(.minutes(15))) struct DumpTests {
    @Test func holdsWhatTheStepUsed() throws {
        let folder = try TemporaryFolder()
        let run = try trainedRun(
            try smallModel(), data: try folder.writeImages(30), outdir: folder.file("runs"), dumpSteps: 2)
        let parameters = [
            "discriminator.main.0.bias", "discriminator.main.0.weight", "discriminator.main.3.bias", "discriminator.main.3.weight",
            "generator.main.0.bias", "generator.main.0.weight", "generator.main.2.bias", "generator.main.2.weight",
        ]
        #expect(try run.dump(0).tensorNames.sorted() == parameters)
        let inputs = ["mask.fake.2", "mask.generator.2", "mask.real.2", "real", "z_d", "z_g"]
        let dump = try run.dump(2)
        #expect(dump.tensorNames.sorted() == (parameters + parameters.map { "grad.\($0)" } + inputs).sorted())
        #expect(dump.tensors["real"]?.shape == [8, 784])
        #expect(dump.tensors["z_d"]?.shape == [8, 6])
        #expect(dump.tensors["mask.real.2"]?.shape == [8, 8])
        #expect(dump.tensors["grad.generator.main.2.weight"]?.shape == [784, 10])
        let masks = try dump.floats("mask.generator.2")
        #expect(masks.allSatisfy { $0 == 0 || $0 == Float(1 / 0.7) })
        #expect(!FileManager.default.fileExists(atPath: "\(run.path)/dump/step-000003.safetensors"))
    }

    @Test func reuseHasNoSecondNoise() throws {
        let folder = try TemporaryFolder()
        let run = try trainedRun(
            try smallModel(["generator_step": "reuse"]), data: try folder.writeImages(30), outdir: folder.file("runs"),
            dumpSteps: 1)
        #expect(try run.dump(1).tensors["z_g"] == nil)
    }

    /// `cd ../KernelsTests; python3 philox.py 81985529216486895 3 0 0 1 6`, then `… 3 1 5 1 6` and `… 4 1 7 1 6`:
    /// the noise of steps 1 and 2, which count from 0 there.
    @Test func noiseFollowsNumPy() throws {
        let folder = try TemporaryFolder()
        let run = try trainedRun(
            try smallModel(), data: try folder.writeImages(30), outdir: folder.file("runs"), hosts: [2, 1], dumpSteps: 2)
        let expected: [(dump: Int, name: String, row: Int, z: [Double])] = [
            (1, "z_d", 0, [-1.323599829, -0.186386575, 1.498470281, 0.531874925, -1.334947376, 0.089813522]),
            (2, "z_d", 5, [-0.683644467, -0.342159962, 1.113765571, 0.681190087, 0.606852905, -0.38022733]),
            (2, "z_g", 7, [0.072129292, -0.314668566, -1.31407189, -0.052313908, -0.070938461, 2.848274607]),
        ]
        for (number, name, row, z) in expected {
            let found = try run.dump(number).floats(name)[6 * row..<6 * row + 6]
            for (x, y) in zip(found, z) { #expect(abs(Double(x) - y) < 1e-6, "\(name) of step \(number)") }
        }
    }

    /// The whole dump of a step, gradients and all, has the same bytes at any number of ranks.
    @Test(arguments: [[2], [3], [4], [1, 1], [2, 1], [1, 3], [1, 1, 1, 1]])
    func bytesDoNotDependOnTheRanks(hosts: [Int]) throws {
        let folder = try TemporaryFolder()
        let data = try folder.writeImages(37)
        let request = try smallModel(["batch_size": 10, "steps": 3])
        let alone = try trainedRun(request, data: data, outdir: folder.file("alone"), dumpSteps: 3)
        let many = try trainedRun(request, data: data, outdir: folder.file("many"), hosts: hosts, dumpSteps: 3)
        for step in 0...3 {
            let name = "dump/step-00000\(step).safetensors"
            #expect(try alone.bytes(name) == many.bytes(name), "step \(step)")
        }
        let checkpoint = "checkpoint-000000003.safetensors"
        #expect(try alone.bytes(checkpoint) == many.bytes(checkpoint))
        #expect(try alone.bytes("fakes-000003.png") == many.bytes("fakes-000003.png"))
        #expect(try alone.bytes("reals.png") == many.bytes("reals.png"))
    }
}
