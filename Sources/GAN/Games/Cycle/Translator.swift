import Kernels
import Networks

/// A trained generator of a CycleGAN: it translates pictures of one domain by themselves.
final class Translator {
    /// Which way.
    enum Target: String, CaseIterable, Sendable { case b, a }

    /// Pictures of one call.
    static let batchSize = 32

    let input, output: Shape
    private let network: Network
    private let arena = Arena(usesHugePages: false)
    private let kernels: Kernels
    private let parameters: UnsafeMutablePointer<Float>
    /// Number of the player.
    private let player: Int

    init(_ configuration: Configuration, to target: Target, kernels: Kernels) throws {
        self.kernels = kernels
        player = target == .b ? 0 : 1
        let (name, plan) = try configuration.cyclePlans()[player]
        (input, output) = (plan.input, plan.output)
        parameters = arena.floats(plan.layout.count)
        network = Network(
            name: name, plan: plan, stride: Translator.batchSize, parameters: parameters, keepsGradients: false, arena: arena)
    }

    /// Takes over a generator's parameters and running statistics.
    func load(parameters: UnsafePointer<Float>, buffers: UnsafePointer<Float>) {
        self.parameters.update(from: parameters, count: network.layout.count)
        network.buffers.update(from: buffers, count: network.bufferLayout.count)
        network.parametersChanged()
    }

    /// Takes over a checkpoint's.
    func load(_ checkpoint: Checkpoint) throws {
        for entry in try checkpoint.entries where entry.player == player && (entry.part == .parameters || entry.part == .buffers) {
            let values = try checkpoint.floats(entry.name, count: entry.tensor.count)
            entry.tensor.store(values, in: entry.part == .parameters ? parameters : network.buffers)
        }
        network.parametersChanged(isResumed: true)
    }

    /// Pictures [n, H, W, C] in −1 … 1, translated.
    func translate(_ pictures: [Float]) throws -> [Float] {
        precondition(pictures.count % input.features == 0, "\(pictures.count) numbers of \(input)")
        let count = pictures.count / input.features
        var translated: [Float] = []
        translated.reserveCapacity(count * output.features)
        for first in stride(from: 0, to: count, by: Translator.batchSize) {
            let columns = min(Translator.batchSize, count - first)
            let (x, y) = (network.input, network.output)
            for column in 0..<columns {
                for feature in 0..<input.features {
                    x.base[feature * x.stride + column] = pictures[(first + column) * input.features + feature]
                }
            }
            try network.forward(
                Pass(
                    kernels: kernels, columns: Translator.batchSize, kind: .fake, seed: 0, step: 0, firstRow: first,
                    isTraining: false))
            for column in 0..<columns {
                for feature in 0..<output.features { translated.append(y.base[feature * y.stride + column]) }
            }
        }
        return translated
    }

    /// Bytes of pictures as the networks take them.
    static func normalised(_ bytes: [UInt8]) -> [Float] { bytes.map { Float($0) / 127.5 - 1 } }
}
