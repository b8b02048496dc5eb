import Formats
import Foundation
import Testing

@testable import GAN

/// Whole training steps against PyTorch: `VENV/bin/python pytorch_step.py .build/debug/gan-dist pytorch_step.json` made the
/// expected values, in double precision, from the images, noise and masks of the program's dumps.
@Suite(.timeLimit(.minutes(15))) struct StepTests {
    struct Expected: Decodable, Sendable {
        struct Tensor: Decodable, Sendable {
            var largest: Double, norm: Double, sum: Double
            var elements: [String: Double]
        }
        struct Step: Decodable, Sendable {
            var statistics: [String: Double]
            var tensors: [String: Tensor]
        }
        struct Case: Decodable, Sendable, CustomTestStringConvertible {
            var name: String
            var steps: [Step]
            var testDescription: String { name }
        }
        var images: Int
        var cases: [Case]
    }

    static let expected = expectations(in: "pytorch_step.json")
    /// The same of CycleGANs, by `pytorch_cycle.py`.
    static let expectedCycles = expectations(in: "pytorch_cycle.json")

    private static func file(_ name: String) -> URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: name)
    }

    private static func expectations(in name: String) -> Expected {
        do {
            return try JSONDecoder().decode(Expected.self, from: Data(contentsOf: file(name)))
        } catch { preconditionFailure("\(file(name).path): \(error)") }
    }

    /// The model that PyTorch was given.
    private func model(_ name: String, in file: String) throws -> ConfigurationRequest {
        let object = try JSONSerialization.jsonObject(with: Data(contentsOf: Self.file(file))) as? [String: Any]
        let cases = try #require(object?["cases"] as? [[String: Any]])
        let configuration = try #require(cases.first { $0["name"] as? String == name }?["configuration"])
        return modelFile(try JSONSerialization.data(withJSONObject: configuration))
    }

    /// The sum of this tensor's elements, the norm, and elements whose gradients are not tiny.
    private func compare(_ values: [Float], _ exact: Expected.Tensor, _ name: String) {
        let (sum, squares) = values.reduce((0.0, 0.0)) { ($0.0 + Double($1), $0.1 + Double($1) * Double($1)) }
        // PyTorch's own single precision is this far from its double precision.
        let tolerance = name.hasPrefix("grad.") ? 5e-6 : 1e-6
        #expect(abs(squares.squareRoot() - exact.norm) <= 1e-5 * exact.norm, "norm of \(name)")
        #expect(abs(sum - exact.sum) <= 1e-5 * exact.norm * Double(values.count).squareRoot(), "sum of \(name)")
        for (index, value) in exact.elements {
            guard let index = Int(index), values.indices.contains(index) else {
                Issue.record("\(name) has no element \(index)")
                continue
            }
            let found = Double(values[index])
            #expect(abs(found - value) <= tolerance * exact.largest, "\(name)[\(index)]: \(found), PyTorch \(value)")
        }
    }

    @Test(arguments: expected.cases, [nil, [3], [2, 1]] as [[Int]?])
    func stepsEqualPyTorch(test: Expected.Case, hosts: [Int]?) throws {
        try steps(of: test, try model(test.name, in: "pytorch_step.json"), hosts)
    }

    /// Four networks and three kinds of loss, with a pool that has a memory from the second step on.
    @Test(arguments: expectedCycles.cases, [nil, [3], [2, 1]] as [[Int]?])
    func cyclesEqualPyTorch(test: Expected.Case, hosts: [Int]?) throws {
        try steps(of: test, try model(test.name, in: "pytorch_cycle.json"), hosts, isCycle: true)
    }

    private func steps(of test: Expected.Case, _ model: ConfigurationRequest, _ hosts: [Int]?, isCycle: Bool = false) throws {
        let folder = try TemporaryFolder()
        let data = try folder.writeImages(Self.expected.images)
        var options = RunOptions()
        options.secondDataFolder = isCycle ? data : nil
        let run = try trainedRun(
            model, data: data, outdir: folder.file("runs"), hosts: hosts, dumpSteps: test.steps.count, options: options)
        let stats = try run.stats()
        #expect(stats.count == test.steps.count)
        let checkpoint = try SafetensorsFile(path: "\(run.path)/\(Checkpoint.name(step: test.steps.count))")
        for (index, step) in test.steps.enumerated() {
            let dump = try run.dump(index + 1)
            for (name, exact) in step.tensors {
                // Running statistics are in the checkpoint alone.
                compare(try (dump.tensors[name] == nil ? checkpoint : dump).floats(name), exact, name)
            }
            for (name, exact) in step.statistics {
                let found = try #require(stats[index][name] as? Double)
                #expect(abs(found - exact) < 1e-6, "\(name) of step \(index + 1): \(found), PyTorch \(exact)")
            }
        }
    }
}
