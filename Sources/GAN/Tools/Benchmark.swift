import Foundation
import Kernels
import MessagePassing
import Networks

/// What `gan-dist bench` measures on one rank: the machine, whole steps and where their time goes, and each kernel.
///
/// Everything is measured in short windows, the peak of fused multiply-adds before and after each: whatever else runs on
/// the machine slows both or neither. Medians are stated, and the spread of the middle half of the peaks tells how noisy
/// the machine was.
struct Benchmark {
    struct Bandwidth {
        var kilobytes: Int
        /// Bytes a second read, and read and written by a copy.
        var read, copy: Double
    }

    struct Kernel {
        var name: String
        /// Floating-point operations or bytes of a call, and which of them.
        var rate: Double
        var unit: String
        /// Of the peak, for operations.
        var fraction: Double?
    }

    let configuration: Configuration
    let kernels: Kernels
    private let arena = Arena()
    private let sink: UnsafeMutablePointer<Float>

    init(_ configuration: Configuration, kernels: Kernels) {
        self.configuration = configuration
        self.kernels = kernels
        sink = arena.floats(64)
    }

    /// Floating-point operations a second.
    func peak(_ window: Double) -> Double {
        let start = monotonicSeconds()
        var operations = 0
        repeat { operations += kernels.multiplyAddPeak(2_000, sink) } while monotonicSeconds() - start < window
        return Double(operations) / (monotonicSeconds() - start)
    }

    /// Calls a second, over windows of about a millisecond, and what each window's rate was in units of the peak.
    private func rates(windows: Int = 15, _ call: () -> Void) -> (rate: Double, perPeak: Double) {
        call()
        let once = monotonicSeconds()
        call()
        let repeats = max(1, Int(1e-3 / max(monotonicSeconds() - once, 1e-9)))
        var rates: [Double] = []
        var perPeak: [Double] = []
        for _ in 0..<windows {
            let before = peak(2e-4)
            let start = monotonicSeconds()
            for _ in 0..<repeats { call() }
            let rate = Double(repeats) / (monotonicSeconds() - start)
            rates.append(rate)
            perPeak.append(rate / ((before + peak(2e-4)) / 2))
        }
        return (rates.median, perPeak.median)
    }

    // MARK: The machine

    /// The peak of pairs of bf16, where the CPU multiplies pairs: whether that pays or not.
    func bfloat16Peak() -> Double? {
        guard Kernels.hasNativeBFloat16, let fp32 = Kernels.select(kernels.instructionSet) else { return nil }
        let pairs = fp32.rounding(to: .bf16, usesNative: true)
        guard pairs.hasNativeProducts else { return nil }
        let native = Benchmark(configuration, kernels: pairs)
        return (0..<15).map { _ in native.peak(2e-3) }.median
    }

    /// From what the first-level cache holds to what none does.
    func bandwidths() -> [Bandwidth] {
        [16, 256, 4_096, 131_072].map { kilobytes in
            let count = kilobytes * 256
            let x = arena.floats(count)
            // Pages that were never written are all the same one.
            x.update(repeating: 1, count: count)
            let windows = kilobytes > 10_000 ? 3 : 15
            let read = rates(windows: windows) { kernels.read(x, count, sink) }
            // Half of it to the other half, so that a copy works on as many bytes as a read.
            let copy = rates(windows: windows) { (x + count / 2).update(from: x, count: count / 2) }
            return Bandwidth(kilobytes: kilobytes, read: read.rate * 4 * Double(count), copy: copy.rate * 4 * Double(count))
        }
    }

    // MARK: Kernels

    /// Forward, input gradient and weight gradient of each linear layer at the preset's batch, as a step calls them.
    func products() throws -> [Kernel] {
        let rows = configuration.batchSize.paddedToVectors
        let layout = ShardLayout(shards: configuration.shards, ranks: 1)
        let shards = (0..<configuration.shards).map { layout.rows(of: $0, batch: configuration.batchSize) }
        let tree = TreePlan(leaves: (0..<configuration.shards).map { $0..<$0 + 1 }, total: 0..<configuration.shards)
        let pass = Pass(kernels: kernels, columns: rows, kind: .fake, seed: 0, step: 0, firstRow: 0)
        return try configuration.playerPlans().flatMap { player in
            player.network.layers.flatMap(\.simpleLayers).filter { $0.products > 0 }.flatMap { layer in
                let count = layer.tensors.reduce(0) { $0 + $1.count.paddedToVectors }
                let parameters = arena.floats(count)
                let memory = LayerMemory(parameters: parameters, needs: layer.needs, columns: rows, arena: arena)
                let x = arena.matrix(features: layer.inputs, stride: rows)
                let y = arena.matrix(features: layer.outputs, stride: rows)
                for i in 0..<layer.inputs * rows { x.base[i] = Float(i % 17) / 17 - 0.5 }
                for i in 0..<count { parameters[i] = Float(i % 13) / 13 - 0.5 }
                let sums = BatchSums(
                    kernels: kernels, passes: 1, columns: rows, shards: tree.sums(shards), ownsFirstShard: true,
                    outputs: [arena.floats(count)], needs: layer.needs, arena: arena)
                let operations = Double(2 * layer.products * configuration.batchSize)
                let calls: [(String, () -> Void)] = [
                    ("forward", { try? layer.forward(x, y, memory, pass) }),
                    ("input gradient", { layer.inputGradient(y, x, x: x, memory, pass) }),
                    ("weight gradient", { layer.weightGradient(y, x: x, offset: 0, memory, sums) }),
                ]
                return calls.map { name, call in
                    let found = rates(call)
                    return Kernel(
                        name: "\(player.name) \(layer.inputs) → \(layer.outputs) \(name)", rate: found.rate * operations,
                        unit: "FLOP/s", fraction: found.perPeak * operations)
                }
            }
        }
    }

    /// The kernels that touch each element once, on as much as the preset's largest layer has.
    func elementwise() throws -> [Kernel] {
        let rows = configuration.batchSize.paddedToVectors
        let features = configuration.image.features
        let count = features * rows
        let parameters = try configuration.playerPlans().last?.network.layout.count ?? 0
        let (x, y) = (arena.floats(count), arena.floats(count))
        let state = (0..<4).map { _ in arena.floats(parameters) }
        let constants = Adam(learningRate: 2e-4, beta1: 0.9, beta2: 0.999, epsilon: 1e-8).constants(update: 1)
        let key = RandomKey(seed: 0, stream: RandomStream.sampleNoise)
        let calls: [(String, Double, String, () -> Void)] = [
            ("Adam, 28 bytes a parameter", Double(28 * parameters), "B/s",
             { kernels.adam(constants, state[0], state[1], state[2], state[3], parameters) }),
            ("tanh", Double(count), "elements/s", { kernels.tanh(x, features, rows, rows) }),
            ("leaky ReLU backward", Double(count), "elements/s", { kernels.leakyReLUBackward(x, y, features, rows, rows, 0.2) }),
            ("normal noise", Double(count), "elements/s", { kernels.randomNormals(key, x, features, rows, rows) }),
            ("dropout", Double(count), "elements/s", { kernels.dropout(key, y, features, rows, rows, .max, 1) }),
            ("transpose", Double(count), "elements/s", { kernels.transpose(x, rows, features, rows, y, features) }),
        ]
        return calls.map { Kernel(name: $0, rate: rates($3).rate * $1, unit: $2, fraction: nil) }
    }
}

extension [Double] {
    var median: Double { isEmpty ? 0 : sorted()[count / 2] }
}
