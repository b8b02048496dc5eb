import Foundation
import Kernels
import MessagePassing

/// What `gan-dist bench` prints: a table, or JSON.
public func benchmark(_ configuration: Configuration, kernels: Kernels, seconds: Double, asJSON: Bool) throws -> String {
    let benchmark = Benchmark(configuration, kernels: kernels)
    let steps = try benchmark.steps(seconds: seconds)
    let bandwidths = benchmark.bandwidths()
    let products = try benchmark.products()
    let elementwise = try benchmark.elementwise()
    let operations = try configuration.operationsPerStep()
    return try asJSON
        ? json(configuration, kernels, steps, operations, bandwidths, products + elementwise)
        : table(configuration, kernels, steps, operations, bandwidths, products + elementwise)
}

private func table(
    _ configuration: Configuration, _ kernels: Kernels, _ steps: Benchmark.Steps, _ operations: Int,
    _ bandwidths: [Benchmark.Bandwidth], _ found: [Benchmark.Kernel]
) -> String {
    func percent(_ share: Double) -> String { "\((100 * share).fixed(1)) %" }
    let stepSeconds = steps.parts.reduce(0) { $0 + $1.seconds }
    var lines = [
        "\(configuration.preset), batch \(configuration.batchSize), one rank, kernels \(kernels.instructionSet.rawValue)",
        "peak of fused multiply-adds: \((steps.peak / 1e9).fixed(1)) GFLOP/s (noise: its middle half lies within "
            + "\((100 * steps.peakSpread).fixed(0)) %)",
        "whole step: \((Double(operations) / 1e6).fixed(0)) MFLOP, \(steps.stepsPerSecond.fixed(1)) steps/s, "
            + "\((steps.stepsPerSecond * Double(configuration.batchSize)).grouped) images/s, \(percent(steps.fraction)) of the peak",
    ]
    for (part, seconds) in steps.parts {
        lines.append("  \(part): \((1e6 * seconds).fixed(1)) µs, \(percent(seconds / stepSeconds))")
    }
    lines.append("bandwidth, GB/s:")
    for bandwidth in bandwidths {
        lines.append(
            "  \(bandwidth.kilobytes) KiB: read \((bandwidth.read / 1e9).fixed(1)), copy \((bandwidth.copy / 1e9).fixed(1))")
    }
    lines.append("kernels:")
    for kernel in found {
        let fraction = kernel.fraction.map { ", \(percent($0))" } ?? ""
        lines.append("  \(kernel.name): \((kernel.rate / 1e9).fixed(2)) G\(kernel.unit)\(fraction)")
    }
    return lines.joined(separator: "\n")
}

private func json(
    _ configuration: Configuration, _ kernels: Kernels, _ steps: Benchmark.Steps, _ operations: Int,
    _ bandwidths: [Benchmark.Bandwidth], _ found: [Benchmark.Kernel]
) throws -> String {
    let object: [String: Any] = [
        "preset": configuration.preset, "batch_size": configuration.batchSize, "isa": kernels.instructionSet.rawValue,
        "peak_gflops": steps.peak / 1e9, "peak_spread": steps.peakSpread, "flop_per_step": operations,
        "steps_per_second": steps.stepsPerSecond,
        "images_per_second": steps.stepsPerSecond * Double(configuration.batchSize), "fraction_of_peak": steps.fraction,
        "step_seconds": Dictionary(uniqueKeysWithValues: steps.parts.map { ("\($0.part)", $0.seconds) }),
        "bandwidths": bandwidths.map { ["kib": $0.kilobytes, "read_gbs": $0.read / 1e9, "copy_gbs": $0.copy / 1e9] },
        "kernels": found.map { kernel in
            var fields: [String: Any] = ["name": kernel.name, "rate": kernel.rate, "unit": kernel.unit]
            if let fraction = kernel.fraction { fields["fraction_of_peak"] = fraction }
            return fields
        },
    ]
    let data = try JSONSerialization.data(withJSONObject: object, options: [.prettyPrinted, .sortedKeys])
    return String(decoding: data, as: UTF8.self)
}
