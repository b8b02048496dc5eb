import Foundation
import Kernels
import MessagePassing
import Networks

/// What `gan-dist bench` prints: the peak of fused multiply-adds, the rate of each product of a step, and whole steps on
/// one rank, the last two as fractions of the peak that was measured between them.
///
/// Peak and steps are measured in turn in short windows; medians are stated, and the spread of the middle half of the
/// peaks, since a shared machine's speed drifts.
public func benchmark(_ configuration: Configuration, kernels: Kernels, seconds: Double, asJSON: Bool) throws -> String {
    let patience = try Patience(SoloCommunicator(), limit: 0)
    let layout = ShardLayout(shards: configuration.shards, ranks: 1)
    let dataset = Dataset(synthetic: 64 * configuration.batchSize)
    let step = try TrainingStep(
        configuration, dataset: dataset, layout: layout, patience: patience, kernels: kernels, reduction: .tree)
    try TrainingState(step: step, patience: patience).initialise(seed: configuration.seed)

    let arena = Arena()
    let sink = arena.floats(64)
    func peak(_ window: Double) -> Double {
        let start = monotonicSeconds()
        var operations = 0
        repeat { operations += kernels.multiplyAddPeak(2_000, sink) } while monotonicSeconds() - start < window
        return Double(operations) / (monotonicSeconds() - start)
    }
    // Windows of a few milliseconds, peak and step in turn: whatever else runs on the machine slows both or neither.
    let window = 2e-3
    var t = 0
    func stepRate() throws -> Double {
        let start = monotonicSeconds()
        var count = 0
        repeat {
            _ = try step.run(t, requests: 0)
            t += 1
            count += 1
        } while monotonicSeconds() - start < window
        return Double(count) / (monotonicSeconds() - start)
    }
    _ = peak(window)
    _ = try stepRate()
    var peaks: [Double] = []
    var rates: [Double] = []
    var fractions: [Double] = []
    let operations = try Double(configuration.operationsPerStep())
    let end = monotonicSeconds() + seconds
    repeat {
        let before = peak(window)
        let rate = try stepRate()
        peaks.append(before)
        rates.append(rate)
        fractions.append(rate * operations / ((before + peak(window)) / 2))
    } while monotonicSeconds() < end
    let products = try productRates(configuration, kernels: kernels) { peak(2e-4) }
    let median = (peak: peaks.median, rate: rates.median, fraction: fractions.median)
    let sorted = peaks.sorted()
    let noise = (sorted[sorted.count * 3 / 4] - sorted[sorted.count / 4]) / median.peak
    if asJSON {
        let object: [String: Any] = [
            "preset": configuration.preset, "isa": kernels.instructionSet.rawValue, "peak_gflops": median.peak / 1e9,
            "peak_spread": noise, "flop_per_step": operations, "steps_per_second": median.rate,
            "images_per_second": median.rate * Double(configuration.batchSize), "fraction_of_peak": median.fraction,
            "products": products.map { ["name": $0.name, "gflops": $0.rate / 1e9, "fraction_of_peak": $0.fraction] },
        ]
        let data = try JSONSerialization.data(withJSONObject: object, options: [.prettyPrinted, .sortedKeys])
        return String(decoding: data, as: UTF8.self)
    }
    var lines = [
        "\(configuration.preset), one rank, kernels \(kernels.instructionSet.rawValue)",
        "peak of fused multiply-adds: \((median.peak / 1e9).fixed(1)) GFLOP/s (middle half within \((100 * noise).fixed(0)) %)",
        "whole step: \((operations / 1e6).fixed(0)) MFLOP, \(median.rate.fixed(1)) steps/s, "
            + "\((median.rate * Double(configuration.batchSize)).grouped) images/s, "
            + "\((100 * median.fraction).fixed(1)) % of the peak",
        "products:",
    ]
    for product in products {
        lines.append("  \(product.name): \((product.rate / 1e9).fixed(1)) GFLOP/s, \((100 * product.fraction).fixed(1)) %")
    }
    return lines.joined(separator: "\n")
}

extension Configuration {
    /// Floating-point operations of the matrix products of one step.
    func operationsPerStep() throws -> Int {
        let plans = try networkPlans()
        func weights(_ plan: NetworkPlan) -> [Int] { plan.layers.filter { !$0.tensors.isEmpty }.map { $0.inputs * $0.outputs } }
        let d = weights(plans.discriminator)
        let g = weights(plans.generator)
        let dAll = d.reduce(0, +)
        let gAll = g.reduce(0, +)
        // D: two passes of forward, input gradients but for the first layer, weight gradients; then forward and all
        // input gradients. G: one or two forward passes, input gradients but for the first layer, weight gradients.
        let discriminator = 2 * (3 * dAll - d[0]) + 2 * dAll
        let generator = (generatorStep == .fresh ? 2 : 1) * gAll + (gAll - g[0]) + gAll
        return 2 * batchSize * (discriminator + generator)
    }
}

/// Forward, input gradient and weight gradient of each linear layer at the preset's batch, as a step calls them.
private func productRates(
    _ configuration: Configuration, kernels: Kernels, peak: () -> Double
) throws -> [(name: String, rate: Double, fraction: Double)] {
    let arena = Arena()
    let rows = configuration.batchSize.paddedToVectors
    let workspace = arena.floats(Product.workspaceCount)
    let layout = ShardLayout(shards: configuration.shards, ranks: 1)
    let shards = (0..<configuration.shards).map { layout.rows(of: $0, batch: configuration.batchSize) }
    let tree = TreePlan(leaves: (0..<configuration.shards).map { $0..<$0 + 1 }, total: 0..<configuration.shards)
    let plans = try configuration.networkPlans()
    var result: [(String, Double, Double)] = []
    for (network, plan) in [("generator", plans.generator), ("discriminator", plans.discriminator)] {
        for layer in plan.layers where !layer.tensors.isEmpty {
            let count = layer.tensors.reduce(0) { $0 + $1.count.paddedToVectors }
            let parameters = arena.floats(count)
            let x = arena.matrix(features: layer.inputs, stride: rows)
            let y = arena.matrix(features: layer.outputs, stride: rows)
            let gradient = arena.floats(count)
            for i in 0..<layer.inputs * rows { x.base[i] = Float(i % 17) / 17 - 0.5 }
            for i in 0..<count { parameters[i] = Float(i % 13) / 13 - 0.5 }
            let sums = BatchSums(
                kernels: kernels, slots: 1, columns: rows, shards: tree.sums(shards), outputs: [gradient],
                largestInput: layer.inputs, arena: arena)
            let pass = Pass(kernels: kernels, columns: rows, kind: .fake, seed: 0, step: 0, firstRow: 0)
            let operations = Double(2 * layer.inputs * layer.outputs * configuration.batchSize)
            let calls: [(String, () -> Void)] = [
                ("forward", { layer.forward(x, y, parameters: parameters, workspace: workspace, pass) }),
                ("input gradient", { layer.inputGradient(y, x, x: x, parameters: parameters, workspace: workspace, pass) }),
                ("weight gradient", { layer.weightGradient(y, x: x, offset: 0, sums) }),
            ]
            for (name, call) in calls {
                let repeats = kernels.instructionSet == .portable ? 1 : max(1, Int(2e7 / operations))
                var rates: [Double] = []
                var fractions: [Double] = []
                for _ in 0..<15 {
                    let reference = peak()
                    let start = monotonicSeconds()
                    for _ in 0..<repeats { call() }
                    rates.append(operations * Double(repeats) / (monotonicSeconds() - start))
                    fractions.append(rates[rates.count - 1] / reference)
                }
                result.append(
                    ("\(network) \(layer.inputs) → \(layer.outputs) \(name)", rates.median, fractions.median))
            }
        }
    }
    return result
}

extension [Double] {
    var median: Double { isEmpty ? 0 : sorted()[count / 2] }
}
