import Foundation
import Testing

@testable import GAN

/// Spectral normalisation of transposed convolutions and of layers without a bias in whole runs.
@Suite(.timeLimit(.minutes(15))) struct SpectralRunTests {
    private func model(_ fields: [String: Any] = [:]) throws -> ConfigurationRequest {
        func convolution(
            _ type: String, _ inputs: Int, _ outputs: Int, kernel: Int, stride: Int, padding: Int, bias: Bool
        ) -> [String: Any] {
            [
                "type": type, "inputs": inputs, "outputs": outputs, "kernel": kernel, "stride": stride, "padding": padding,
                "bias": bias,
            ]
        }
        let leaky: [String: Any] = ["type": "leaky_relu", "slope": 0.2]
        let discriminator: [[String: Any]] = [
            convolution("conv2d", 1, 3, kernel: 4, stride: 2, padding: 1, bias: true), leaky,
            convolution("conv_transpose2d", 3, 4, kernel: 4, stride: 2, padding: 1, bias: true), leaky,
            convolution("conv2d", 4, 6, kernel: 8, stride: 1, padding: 0, bias: true), leaky,
            convolution("conv_transpose2d", 6, 3, kernel: 2, stride: 1, padding: 0, bias: false), leaky,
            ["type": "reshape", "channels": 12, "height": 1, "width": 1],
            ["type": "linear", "inputs": 12, "outputs": 7, "bias": false], leaky,
            ["type": "linear", "inputs": 7, "outputs": 1],
        ]
        return try smallImageModel(
            ["discriminator": discriminator, "spectral_norm": true, "loss": "hinge", "steps": 4].merging(fields) { $1 })
    }

    /// The same bytes at any number of ranks, and after a resume: u and v of transposed convolutions are in the checkpoint.
    @Test(arguments: [[2], [3], [4], [1, 1], [2, 1], [1, 3]]) func bytesDoNotDependOnTheRanks(hosts: [Int]) throws {
        let folder = try TemporaryFolder()
        let data = try folder.writeImages(37)
        let alone = try trainedRun(try model(), data: data, outdir: folder.file("alone"))
        let many = try trainedRun(try model(), data: data, outdir: folder.file("many"), hosts: hosts)
        let name = Checkpoint.name(step: 4)
        #expect(try alone.bytes(name) == many.bytes(name))
        _ = try trainedRun(try model(["steps": 2]), data: data, outdir: folder.file("parts"), hosts: hosts)
        let resumed = try trainedRun(try model(), data: data, outdir: folder.file("parts"), resume: .latest)
        let hashes = try [alone, resumed].map { try Checkpoint(path: "\($0.path)/\(name)").hash(state: true) }
        #expect(hashes[0] == hashes[1])
        #expect(try alone.stats().allSatisfy { ($0["loss_d"] as? Double)?.isFinite == true })
    }
}
