import Foundation
import Kernels
import MessagePassing

/// What `gan-dist bench` prints: a table, or JSON.
///
/// - Parameter ranks: of this machine, to run beside one; 1 for none.
public func benchmark(
    _ configuration: Configuration, kernels: Kernels, seconds: Double, ranks: Int, asJSON: Bool
) throws -> String {
    let benchmark = Benchmark(configuration, kernels: kernels)
    let found = Findings(
        steps: try benchmark.steps(seconds: seconds), operations: try configuration.operationsPerStep(),
        ranks: ranks > 1 ? try benchmark.ranks(ranks, seconds: seconds) : nil, bfloat16Peak: benchmark.bfloat16Peak(),
        bandwidths: benchmark.bandwidths(), kernels: try benchmark.products() + benchmark.elementwise())
    return try asJSON ? json(configuration, kernels, found) : table(configuration, kernels, found)
}

private struct Findings {
    let steps: Benchmark.Steps
    /// Floating-point operations of a step's products.
    let operations: Int
    let ranks: Benchmark.Ranks?
    let bfloat16Peak: Double?
    let bandwidths: [Benchmark.Bandwidth]
    let kernels: [Benchmark.Kernel]
}

private func table(_ configuration: Configuration, _ kernels: Kernels, _ found: Findings) -> String {
    func percent(_ share: Double) -> String { "\((100 * share).fixed(1)) %" }
    let steps = found.steps
    let stepSeconds = steps.parts.reduce(0) { $0 + $1.seconds }
    var lines = [
        "\(configuration.preset), batch \(configuration.batchSize), one rank, kernels \(kernels.description)",
        "peak of \(kernels.hasNativeProducts ? "bf16 pairs" : "fused multiply-adds"): "
            + "\((steps.peak / 1e9).fixed(1)) GFLOP/s (noise: its middle half lies within "
            + "\((100 * steps.peakSpread).fixed(0)) %)",
        "whole step: \((Double(found.operations) / 1e6).fixed(0)) MFLOP, \(steps.stepsPerSecond.fixed(1)) steps/s, "
            + "\((steps.stepsPerSecond * Double(configuration.batchSize)).grouped) images/s, \(percent(steps.fraction)) of the peak",
    ]
    for (part, seconds) in steps.parts {
        lines.append("  \(part): \((1e6 * seconds).fixed(1)) µs, \(percent(seconds / stepSeconds))")
    }
    if let cost = steps.shardsCost {
        lines.append("  \(configuration.shards) logical shards instead of 1: \(percent(abs(cost))) \(cost < 0 ? "less" : "more")")
    }
    if let memory = steps.memory { lines.append("memory of one rank, made-up images included: \((Double(memory) / 0x1p20).fixed(0)) MiB") }
    if let ranks = found.ranks {
        let step = 1 / ranks.stepsPerSecond
        lines.append(
            "\(ranks.count) ranks: \((ranks.stepsPerSecond * Double(configuration.batchSize)).grouped) images/s, "
                + "\(ranks.speedup.fixed(2)) times one; of a step, reductions take \(percent(ranks.exposed / step)) exposed and "
                + "\(percent(ranks.hidden / step)) hidden, waiting for ranks \(percent(ranks.waiting / step))")
    }
    lines.append(
        found.bfloat16Peak.map { "peak of bf16 pairs: \(($0 / 1e9).fixed(1)) GFLOP/s" } ?? "bf16: emulated, at the rate of fp32")
    lines.append("bandwidth, GB/s:")
    for bandwidth in found.bandwidths {
        lines.append(
            "  \(bandwidth.kilobytes) KiB: read \((bandwidth.read / 1e9).fixed(1)), copy \((bandwidth.copy / 1e9).fixed(1))")
    }
    lines.append("kernels:")
    for kernel in found.kernels {
        let fraction = kernel.fraction.map { ", \(percent($0))" } ?? ""
        lines.append("  \(kernel.name): \((kernel.rate / 1e9).fixed(2)) G\(kernel.unit)\(fraction)")
    }
    return lines.joined(separator: "\n")
}

private func json(_ configuration: Configuration, _ kernels: Kernels, _ found: Findings) throws -> String {
    let steps = found.steps
    var object: [String: Any] = [
        "preset": configuration.preset, "batch_size": configuration.batchSize, "isa": kernels.instructionSet.rawValue,
        "precision": kernels.precision.rawValue, "peak_gflops": steps.peak / 1e9, "peak_spread": steps.peakSpread,
        "flop_per_step": found.operations,
        "steps_per_second": steps.stepsPerSecond,
        "images_per_second": steps.stepsPerSecond * Double(configuration.batchSize), "fraction_of_peak": steps.fraction,
        "step_seconds": Dictionary(uniqueKeysWithValues: steps.parts.map { ("\($0.part)", $0.seconds) }),
        "bandwidths": found.bandwidths.map { ["kib": $0.kilobytes, "read_gbs": $0.read / 1e9, "copy_gbs": $0.copy / 1e9] },
        "kernels": found.kernels.map { kernel in
            var fields: [String: Any] = ["name": kernel.name, "rate": kernel.rate, "unit": kernel.unit]
            if let fraction = kernel.fraction { fields["fraction_of_peak"] = fraction }
            return fields
        },
    ]
    if let memory = steps.memory { object["memory_bytes"] = memory }
    if let cost = steps.shardsCost { object["shards_cost"] = cost }
    if let peak = found.bfloat16Peak { object["bf16_peak_gflops"] = peak / 1e9 }
    if let ranks = found.ranks {
        object["ranks"] = [
            "count": Double(ranks.count), "steps_per_second": ranks.stepsPerSecond, "speedup": ranks.speedup,
            "waiting_seconds": ranks.waiting, "exposed_seconds": ranks.exposed, "hidden_seconds": ranks.hidden,
        ]
    }
    let data = try JSONSerialization.data(withJSONObject: object, options: [.prettyPrinted, .sortedKeys])
    return String(decoding: data, as: UTF8.self)
}
