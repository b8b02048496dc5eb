import Formats
import Foundation
import MessagePassing
import Networks
import Testing

@testable import GAN
@testable import Kernels

/// A dump holds what its step used and nothing else: the random numbers that the kernels were asked for while the step ran.
@Suite(.timeLimit(.minutes(15))) struct DumpUseTests {
    /// Notes the streams and steps of the random numbers that kernels draw.
    private final class Recorder: @unchecked Sendable {
        private let lock = NSLock()
        private var keys: Set<[UInt32]> = []
        private var isPaused = false

        func note(_ key: RandomKey) {
            lock.withLock { if !isPaused { _ = keys.insert([key.stream, key.step]) } }
        }

        func take() -> [(stream: UInt32, step: Int)] {
            lock.withLock {
                defer { keys = [] }
                return keys.map { ($0[0], Int($0[1])) }
            }
        }

        func pausing(_ body: () throws -> Void) rethrows {
            lock.withLock { isPaused = true }
            defer { lock.withLock { isPaused = false } }
            try body()
        }

        func listening(to kernels: Kernels) -> Kernels {
            var listening = kernels
            listening.randomWords = { self.note($0); kernels.randomWords($0, $1, $2, $3, $4) }
            listening.randomNormals = { self.note($0); kernels.randomNormals($0, $1, $2, $3, $4) }
            listening.dropout = { self.note($0); kernels.dropout($0, $1, $2, $3, $4, $5, $6) }
            return listening
        }
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var change: @Sendable (inout Configuration) -> Void = { _ in }

        init(_ name: String, _ change: @escaping @Sendable (inout Configuration) -> Void) {
            (testDescription, self.change) = (name, change)
        }
    }

    static let perturbations: [Case] = [
        Case("nothing") { _ in },
        Case("the same fakes again") { $0.generatorStep = .reuse },
        Case("instance noise") { $0.instanceNoise = 0.2 },
        Case("instance noise on the same fakes again") {
            $0.instanceNoise = 0.2
            $0.generatorStep = .reuse
        },
        // Nothing of it is left in the second step.
        Case("decreasing instance noise") {
            $0.instanceNoise = 0.2
            $0.instanceNoiseDecay = .steps(1)
        },
        Case("mixed instance noise") { ($0.instanceNoise, $0.mixesInstanceNoise) = (0.2, true) },
        Case("label smoothing, several updates of the critic") {
            $0.loss = .bce
            $0.labelSmoothing = 0.1
            $0.criticSteps = 2
        },
        Case("label flips on the same fakes again, several updates of the critic") {
            $0.loss = .mse
            $0.labelFlip = 0.2
            $0.criticSteps = 3
            $0.generatorStep = .reuse
            $0.instanceNoise = 0.1
        },
        Case("a gradient penalty") {
            ($0.weightClip, $0.spectralNorm, $0.gradientPenalty, $0.criticSteps) = (0, false, 10, 2)
        },
        Case("an average, rmsprop") {
            ($0.averageDecay, $0.averageRamp, $0.optimizer) = (0.9, true, .rmsprop)
        },
    ]

    @Test(arguments: ganPresets, perturbations) func holdsWhatTheStepUsed(preset: String, remedy: Case) throws {
        var configuration = try mnistPreset(preset)
        configuration.batchSize = 8
        configuration.generator = narrow(configuration.generator, inputs: configuration.latentDimension)
        configuration.discriminator = narrow(configuration.discriminator, inputs: 1)
        try configuration.validate()
        remedy.change(&configuration)
        // Some perturbations are not for all presets.
        guard (try? configuration.validate()) != nil else { return }
        try check(configuration, steps: 2)
    }

    /// A preset's layers, at most three features or channels wide but for what comes out.
    private func narrow(_ layers: [LayerSpecification], inputs: Int) -> [LayerSpecification] {
        let last = layers.lastIndex(where: \.isAffine)
        var (channels, isImage) = (inputs, inputs == 1)
        return layers.enumerated().map { index, layer in
            switch layer.description {
            case let linear as LinearDescription:
                let before = isImage ? linear.inputs : channels
                channels = index == last ? linear.outputs : min(linear.outputs, 3)
                isImage = false
                return .linear(inputs: before, outputs: channels, hasBias: linear.hasBias)
            case var convolution as ConvolutionDescription:
                convolution.inputs = channels
                if index != last { convolution.outputs = min(convolution.outputs, 3) }
                channels = convolution.outputs
                return .convolution(convolution)
            case is BatchNormalizationDescription: return .batchNormalization(channels: channels)
            case let label as LabelDescription:
                channels += label.count
                return layer
            case let reshape as ReshapeDescription:
                (channels, isImage) = (reshape.channels, false)
                return layer
            default: return layer
            }
        }
    }

    /// Dropout in either network, in every pass, with a penalty too.
    @Test(arguments: perturbations) func masks(remedy: Case) throws {
        var configuration = try smallModel().fresh()
        configuration.generator.insert(.dropout(probability: 0.5), at: 2)
        remedy.change(&configuration)
        try check(configuration, steps: 2)
    }

    @Test func everyRemedyIsTried() throws {
        for remedy in Self.perturbations {
            let isTried =
                try ganPresets.contains { name in
                    var configuration = try mnistPreset(name)
                    remedy.change(&configuration)
                    return (try? configuration.validate()) != nil
                }
            #expect(isTried, "\(remedy)")
        }
    }

    private func check(_ configuration: Configuration, steps: Int) throws {
        let folder = try TemporaryFolder()
        let layout = ShardLayout(shards: configuration.shards, ranks: 1)
        let world = try World(SoloCommunicator(), limit: 0)
        let dataset = try Dataset(
            configuration, folder: try folder.writeImages(40), layout: layout, world: world,
            needsLabels: configuration.isConditional)
        let recorder = Recorder()
        let game = try configuration.makeGame(
            RunData(training: dataset), layout: layout, world: world, kernels: recorder.listening(to: Kernels.fastest), reduction: .tree)
        try GameState(game: game).initialise(seed: configuration.seed)
        let dump = Dump(game, folder: folder.path)
        for player in game.players {
            player.reducer.keepsSums = true
            player.afterUpdate = { update in try recorder.pausing { try dump.note(player, update: update) } }
        }
        for t in 0..<steps {
            _ = recorder.take()
            try game.run(t, requests: 0)
            let used = recorder.take()
            try recorder.pausing {
                try game.settled()
                try dump.write(after: t + 1)
            }
            let file = try SafetensorsFile(path: "\(folder.path)/step-00000\(t + 1).safetensors")
            let outputs = ["grad.", "generator.main.", "discriminator.main."]
            let inputs = file.tensorNames.filter { name in !outputs.contains { name.hasPrefix($0) } }
            let expected = inputNames(configuration, t, used)
            #expect(Set(inputs).subtracting(expected) == [], "in the dump of step \(t + 1), and not used")
            #expect(expected.subtracting(inputs) == [], "used in step \(t + 1), and not in the dump")
        }
    }

    /// The names of what a step used.
    private func inputNames(_ configuration: Configuration, _ t: Int, _ used: [(stream: UInt32, step: Int)]) -> Set<String> {
        let updates = configuration.criticSteps
        func suffix(_ update: Int) -> String { updates > 1 ? ".\(update % updates + 1)" : "" }
        let own = updates * t..<updates * (t + 1)
        var names = Set(own.map { "real" + suffix($0) })
        if configuration.isConditional { names.formUnion(own.map { "labels_real" + suffix($0) }) }
        for (stream, number) in used {
            // What is the generator's step's is numbered by steps.
            let isOfUpdate: Bool
            let name: String
            switch stream {
            case RandomStream.shuffle: continue
            case RandomStream.discriminatorNoise: (name, isOfUpdate) = ("z_d", true)
            case RandomStream.generatorNoise: (name, isOfUpdate) = ("z_g", false)
            case RandomStream.generatorLabels: (name, isOfUpdate) = ("labels_g", false)
            case RandomStream.realFlips: (name, isOfUpdate) = ("targets_real", true)
            case RandomStream.fakeFlips: (name, isOfUpdate) = ("targets_fake", true)
            case RandomStream.penaltyMix: (name, isOfUpdate) = ("epsilon", true)
            case 20...22:
                (name, isOfUpdate) = (["noise_level.real", "noise_level.fake", "noise_level.generator"][Int(stream) - 20], stream != 22)
            case 16...18: (name, isOfUpdate) = (["noise.real", "noise.fake", "noise.generator"][Int(stream) - 16], stream != 18)
            case 256...:
                let masks = [
                    "mask.real", "mask.fake", "mask.generator", "mask.penalty", "generator.mask.fake", "generator.mask.generator",
                ]
                let kind = Int(stream) / 256 - 1
                name = (masks.indices.contains(kind) ? masks[kind] : "?") + ".\(stream % 256)"
                isOfUpdate = ![2, 5].contains(kind)
            default: (name, isOfUpdate) = ("stream \(stream)", false)
            }
            #expect(isOfUpdate ? own.contains(number) : number == t, "\(name) of \(number) in step \(t)")
            names.insert(name + (isOfUpdate ? suffix(number) : ""))
        }
        return names
    }
}
