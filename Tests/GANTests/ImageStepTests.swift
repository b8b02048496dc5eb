import Formats
import Foundation
import Kernels
import MessagePassing
import Testing

@testable import GAN

/// Whole training steps of convolutional networks, batch normalisation and the gradient penalty among them: the same bytes
/// at any number of ranks, and the messages that statistics of the batch take.
@Suite(.timeLimit(.minutes(15))) struct ImageStepTests {
    private let folder: TemporaryFolder
    private let data: String

    init() throws {
        folder = try TemporaryFolder()
        data = try folder.writeImages(37)
    }

    /// Dumps, the checkpoint with its running statistics, and pictures.
    private func expectSame(_ a: TrainedRun, _ b: TrainedRun, steps: Int, _ what: String) throws {
        for step in 0...steps {
            let name = "dump/step-00000\(step).safetensors"
            #expect(try a.bytes(name) == b.bytes(name), "\(what), step \(step)")
        }
        for name in [Checkpoint.name(step: steps), "fakes-00000\(steps).png"] {
            #expect(try a.bytes(name) == b.bytes(name), "\(what), \(name)")
        }
    }

    @Test(arguments: [[2], [3], [4], [8], [1, 1], [2, 1], [4, 4], [3, 2], [1, 1, 1, 1], [2, 1, 1]])
    func bytesDoNotDependOnTheRanks(hosts: [Int]) throws {
        let request = try smallImageModel(["steps": 3])
        let alone = try trainedRun(request, data: data, outdir: folder.file("alone"), dumpSteps: 3)
        let many = try trainedRun(request, data: data, outdir: folder.file("many"), hosts: hosts, dumpSteps: 3)
        try expectSame(alone, many, steps: 3, "\(hosts)")
    }

    private static let variants: [(name: String, fields: @Sendable () -> [String: Any])] = [
        ("reuse", { ["generator_step": "reuse"] }),
        ("bf16", { ["precision": "bf16"] }),
        ("critic steps", { ["critic_steps": 2] }),
        (
            "penalty",
            {
                let discriminator: [[String: Any]] = [
                    [
                        "type": "conv2d", "inputs": 1, "outputs": 6, "kernel": 4, "stride": 2, "padding": 1, "bias": true,
                    ], ["type": "leaky_relu", "slope": 0.2], ["type": "dropout", "probability": 0.2],
                    ["type": "conv2d", "inputs": 6, "outputs": 1, "kernel": 4, "stride": 1, "padding": 0],
                ]
                return [
                    "discriminator": discriminator, "loss": "wasserstein", "gradient_penalty": 10, "critic_steps": 3,
                ]
            }
        ),
    ]

    @Test(arguments: variants.indices) func bytesOfVariantsDoNotDependOnTheRanks(variant: Int) throws {
        let (name, fields) = Self.variants[variant]
        let request = try smallImageModel(["steps": 2].merging(fields()) { $1 })
        let alone = try trainedRun(request, data: data, outdir: folder.file("alone"), dumpSteps: 2)
        for hosts in [[3], [2, 1], [1, 1, 1, 1]] {
            let many = try trainedRun(request, data: data, outdir: folder.file("many"), hosts: hosts, dumpSteps: 2)
            try expectSame(alone, many, steps: 2, "\(name), \(hosts)")
        }
        for set in InstructionSet.available {
            var options = RunOptions()
            options.instructionSet = set
            options.overlaps = false
            let other = try trainedRun(
                request, data: data, outdir: folder.file("other"), hosts: [1, 2], dumpSteps: 2, options: options)
            try expectSame(alone, other, steps: 2, "\(name), \(set)")
        }
    }

    /// Running statistics are part of what a run goes on from.
    @Test func resumedRunEqualsTheUninterrupted() throws {
        let whole = try trainedRun(try smallImageModel(["steps": 3]), data: data, outdir: folder.file("whole"))
        _ = try trainedRun(try smallImageModel(["steps": 1]), data: data, outdir: folder.file("parts"), hosts: [2, 1])
        var request = ConfigurationRequest()
        try request.readOptions(["steps": 3])
        let resumed = try trainedRun(request, data: data, outdir: folder.file("parts"), hosts: [4], resume: .latest)
        let name = Checkpoint.name(step: 3)
        let (a, b) = (try SafetensorsFile(path: "\(whole.path)/\(name)"), try SafetensorsFile(path: "\(resumed.path)/\(name)"))
        #expect(a.tensorNames.sorted() == b.tensorNames.sorted())
        for tensor in a.tensorNames { #expect(try a.floats(tensor) == b.floats(tensor), "\(tensor)") }
        let mean = try a.floats("generator.main.1.running_mean")
        #expect(mean.allSatisfy { $0 != 0 })
    }

    /// One exchange for each layer that normalises, pass and direction: forward and backward of the discriminator on real,
    /// on fake and on the generator's images; the generator forward for both networks' updates, or once where they share
    /// its images, and backward.
    @Test(arguments: [
        ("fresh", 1, 6 * 1 + 3 * 2), ("reuse", 1, 6 * 1 + 2 * 2), ("fresh", 2, 10 * 1 + 4 * 2),
    ])
    func countsOfMessages(generatorStep: String, criticSteps: Int, exchanges: Int) throws {
        let steps = 3
        let request = try smallImageModel([
            "steps": steps, "generator_step": generatorStep, "critic_steps": criticSteps, "batch_size": 8,
        ])
        for hosts in [[1], [3], [2, 1], [1, 2, 1]] {
            var options = RunOptions()
            options.dataFolder = data
            options.outdir = folder.file("runs")
            options.watchdog = 50
            options.isQuiet = true
            let fixed = options
            let messages = try onRanks(hosts: hosts) { communicator in
                let counting = CountingCommunicator(communicator)
                try train(request, fixed, resume: nil, communicator: counting)
                return counting.messagesOfTag[.statistics] ?? 0
            }
            var expected: [Int] = []
            for size in hosts {
                expected += [steps * exchanges * (hosts.count - 1)] + Array(repeating: 0, count: size - 1)
            }
            #expect(messages == expected, "\(hosts)")
        }
    }
}
