import Formats
import Foundation
import Kernels
import MessagePassing
import Networks

/// Writes what went into a step and what came out of it, `dump/step-000001.safetensors`, so that a user can compare it
/// with PyTorch: `real` [B, side²], `z_d` and `z_g` [B, latent], dropout masks `mask.<pass>.<layer>` [B, features] of the
/// discriminator and `generator.mask.…` of the generator, gradients as reduced `grad.<tensor>`, and the parameters after the update.
struct Dump {
    let configuration: Configuration
    let step: TrainingStep
    let patience: Patience
    let folder: String

    /// Writes the file of the state after `count` steps; every rank calls it, rank 0 writes. With 0 it holds the initial
    /// parameters alone.
    func write(after count: Int) throws {
        var tensors: [(name: String, shape: [Int], values: [Float])] = []
        let isWriter = patience.communicator.rank == 0
        if count > 0 {
            let batch = configuration.batchSize
            let real = try gatherReal()
            let generator = try patience.gatherSegments(
                step.generatorReducer.reduced, step.generatorReducer, count: step.generator.layout.count)
            let discriminator = try patience.gatherSegments(
                step.discriminatorReducer.reduced, step.discriminatorReducer, count: step.discriminator.layout.count)
            if isWriter {
                tensors.append(("real", [batch, configuration.pixelCount], real))
                tensors.append(("z_d", [batch, configuration.latentDimension], noise(RandomStream.discriminatorNoise, count - 1)))
                if configuration.generatorStep == .fresh {
                    tensors.append(("z_g", [batch, configuration.latentDimension], noise(RandomStream.generatorNoise, count - 1)))
                }
                tensors += masks(count - 1)
                for (network, values) in [(step.generator, generator), (step.discriminator, discriminator)] {
                    for tensor in network.layout.tensors {
                        tensors.append(("grad.\(network.name).\(tensor.name)", tensor.shape, Array(values[tensor.range])))
                    }
                }
            }
        }
        guard isWriter else { return }
        for (network, reducer) in [(step.generator, step.generatorReducer), (step.discriminator, step.discriminatorReducer)] {
            for tensor in network.layout.tensors {
                let values = UnsafeBufferPointer(start: reducer.parameters + tensor.offset, count: tensor.count)
                tensors.append(("\(network.name).\(tensor.name)", tensor.shape, Array(values)))
            }
        }
        try withFiles {
            let file = try AtomicFile(path: "\(folder)/step-\(count.padded(to: 6)).safetensors")
            let writer = try SafetensorsWriter(
                file: file, tensors: tensors.map { ($0.name, $0.shape) },
                metadata: ["step": "\(count)", "configuration": try configuration.json()])
            for tensor in tensors { try tensor.values.withUnsafeBufferPointer(writer.append) }
            try writer.finish()
        }
    }

    /// [B, side²] on rank 0: the columns of the real rows are still in the discriminator's input.
    private func gatherReal() throws -> [Float] {
        let size = configuration.pixelCount
        let x = step.discriminator.input
        var own = [Float](repeating: 0, count: step.rows.count * size)
        for row in 0..<step.rows.count {
            for pixel in 0..<size { own[row * size + pixel] = x.base[pixel * x.stride + row] }
        }
        let parts = try patience.allGather(own.withUnsafeBytes { Array($0) })
        return parts.flatMap { part in part.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) } }
    }

    /// [B, latent]
    private func noise(_ stream: UInt32, _ t: Int) -> [Float] {
        rows(of: configuration.latentDimension) { x, columns in
            let key = RandomKey(seed: configuration.seed, stream: stream, step: t)
            step.kernels.randomNormals(key, x.base, configuration.latentDimension, columns, x.stride)
        }
    }

    private func masks(_ t: Int) -> [(name: String, shape: [Int], values: [Float])] {
        let places = PassKind.allCases.map { ("mask", step.discriminator, $0) }
            + [PassKind.fake, .generator].map { ("generator.mask", step.generator, $0) }
        return places.flatMap { prefix, network, kind in
            network.layers.compactMap { layer in
                guard let dropout = layer as? Dropout else { return nil }
                let values = rows(of: dropout.inputs) { x, columns in
                    x.base.update(repeating: 1, count: dropout.inputs * x.stride)
                    let pass = Pass(
                        kernels: step.kernels, columns: columns, kind: kind, seed: configuration.seed, step: t, firstRow: 0)
                    dropout.applyMask(x, pass)
                }
                return ("\(prefix).\(kind).\(dropout.index)", [configuration.batchSize, dropout.inputs], values)
            }
        }
    }

    /// [B, features] from a feature-major matrix that `fill` writes.
    private func rows(of features: Int, _ fill: (Matrix, _ columns: Int) -> Void) -> [Float] {
        let stride = configuration.batchSize.paddedToVectors
        var values = [Float](repeating: 0, count: features * stride + 16)
        values.withUnsafeMutableBufferPointer {
            if let base = $0.baseAddress { fill(Matrix(base, features: features, stride: stride), stride) }
        }
        return (0..<configuration.batchSize).flatMap { row in (0..<features).map { values[$0 * stride + row] } }
    }
}
