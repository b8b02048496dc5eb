import Formats
import Foundation
import Kernels
import MessagePassing
import Networks

/// Writes what went into a step and what came out of it, `dump/step-000001.safetensors`, so that a user can compare it
/// with PyTorch: `real` [B, side²], or [B, 1, side, side] for a discriminator of images, `z_d` and `z_g` [B, latent], dropout
/// masks `mask.<pass>.<layer>` [B, features] or [B, C, H, W] of the discriminator and `generator.mask.…` of the generator,
/// whatever else is random (`labels_…`, `targets_…`, `noise.<pass>`, `epsilon` of a gradient penalty), gradients as reduced
/// `grad.<tensor>`, the parameters after the update, and running statistics after the step. Where a step has several critic
/// updates, what is one's ends in `.1`, `.2`, …. With instance noise `real` includes it, as D sees it. What a step did not use
/// is not there: no `z_g` and `noise.generator` where it scores the same fakes again, no noise that has decreased to nothing.
final class Dump {
    let folder: String
    private let step: TrainingStep
    private let world: World
    private let configuration: Configuration
    private var tensors: [(name: String, shape: [Int], values: [Float])] = []
    private var isWriter: Bool { world.communicator.rank == 0 }

    init(step: TrainingStep, world: World, folder: String) {
        self.step = step
        self.world = world
        self.folder = folder
        configuration = step.configuration
    }

    /// Collects what belongs to update number u of the discriminator; every rank calls it.
    func noteDiscriminator(update u: Int) throws {
        let suffix = configuration.criticSteps > 1 ? ".\(u % configuration.criticSteps + 1)" : ""
        let real = try gatherReal()
        let labels = try gatherLabels()
        let gradients = try gatherGradients(step.discriminator, step.discriminatorReducer)
        guard isWriter else { return }
        let first = tensors.count
        add("real", imageShape, real)
        if step.labels != nil { add("labels_real", [], labels.map(Float.init)) }
        add("z_d", [configuration.latentDimension], noise(RandomStream.discriminatorNoise, u))
        for kind in [PassKind.real, .fake] {
            let pass = pass(kind, u)
            addMasks("mask", step.discriminator, pass)
            addNoise(pass, t: u / configuration.criticSteps)
            addTargets(kind == .real ? .one : .zero, pass)
        }
        addMasks("generator.mask", step.generator, pass(.fake, u))
        if configuration.gradientPenalty > 0 {
            addMasks("mask", step.discriminator, pass(.penalty, u))
            add("epsilon", [], Array(GradientPenalty.mix(pass(.penalty, u)).prefix(configuration.batchSize)))
        }
        tensors += gradients
        addParameters(step.discriminator, step.discriminatorReducer)
        for index in first..<tensors.count { tensors[index].name += suffix }
    }

    /// Writes the file of the state after `count` steps; every rank calls it, rank 0 writes. With 0 it holds the initial
    /// parameters alone.
    func write(after count: Int) throws {
        if count > 0 {
            let gradients = try gatherGradients(step.generator, step.generatorReducer)
            if isWriter {
                if configuration.generatorStep == .fresh {
                    add("z_g", [configuration.latentDimension], noise(RandomStream.generatorNoise, count - 1))
                    addMasks("generator.mask", step.generator, pass(.generator, count - 1))
                    if step.labels != nil { add("labels_g", [], drawnLabels(count - 1)) }
                    addNoise(pass(.generator, count - 1), t: count - 1)
                }
                addMasks("mask", step.discriminator, pass(.generator, count - 1))
                tensors += gradients
            }
        }
        guard isWriter else { return }
        addParameters(step.generator, step.generatorReducer)
        if count == 0 { addParameters(step.discriminator, step.discriminatorReducer) }
        for network in [step.generator, step.discriminator] {
            for tensor in network.bufferLayout.tensors {
                tensors.append(("\(network.name).\(tensor.name)", tensor.shape, tensor.values(in: network.buffers)))
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
        tensors = []
    }

    /// An image as the discriminator takes it.
    private var imageShape: [Int] {
        let side = configuration.imageSize
        if configuration.discriminator.first?.description is LinearDescription { return [side * side] }
        return [1, side, side]
    }

    /// Adds a tensor [B, shape].
    private func add(_ name: String, _ shape: [Int], _ values: [Float]) {
        tensors.append((name, [configuration.batchSize] + shape, values))
    }

    private func addParameters(_ network: Network, _ reducer: Reducer) {
        for tensor in network.layout.tensors {
            tensors.append(("\(network.name).\(tensor.name)", tensor.shape, tensor.values(in: reducer.parameters)))
        }
    }

    private func gatherGradients(
        _ network: Network, _ reducer: Reducer
    ) throws -> [(name: String, shape: [Int], values: [Float])] {
        let values = try world.gatherSegments(reducer.reduced, reducer, count: network.layout.count)
        guard isWriter else { return [] }
        return network.layout.tensors.map { ("grad.\(network.name).\($0.name)", $0.shape, $0.values(in: values)) }
    }

    private func pass(_ kind: PassKind, _ number: Int) -> Pass {
        Pass(
            kernels: step.kernels, columns: configuration.batchSize.paddedToVectors, kind: kind, seed: configuration.seed,
            step: number, firstRow: 0)
    }

    /// [B, side²] on rank 0: the columns of the real rows are still in the discriminator's input.
    private func gatherReal() throws -> [Float] {
        let size = configuration.pixelCount
        let x = step.discriminator.input
        var own = [Float](repeating: 0, count: step.rows.count * size)
        for row in 0..<step.rows.count {
            for pixel in 0..<size { own[row * size + pixel] = x.base[pixel * x.stride + row] }
        }
        let parts = try world.allGather(own.withUnsafeBytes { Array($0) })
        return parts.flatMap { part in part.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) } }
    }

    /// [B] on rank 0; nothing without classes.
    private func gatherLabels() throws -> [UInt8] {
        guard let labels = step.labels else { return [] }
        return try world.allGather(Array(UnsafeBufferPointer(start: labels.real, count: step.rows.count))).flatMap(\.self)
    }

    /// [B]
    private func drawnLabels(_ t: Int) -> [Float] {
        let pass = pass(.generator, t)
        let labels = ClassLabels(columns: pass.columns, arena: Arena(usesHugePages: false))
        labels.draw(pass)
        return (0..<configuration.batchSize).map { Float(labels.drawn[$0]) }
    }

    /// [B, latent]
    private func noise(_ stream: UInt32, _ number: Int) -> [Float] {
        normals(RandomKey(seed: configuration.seed, stream: stream, step: number), count: configuration.latentDimension)
    }

    /// [B, count]
    private func normals(_ key: RandomKey, count: Int) -> [Float] {
        rows(of: count) { x, columns in step.kernels.randomNormals(key, x.base, count, columns, x.stride) }
    }

    /// The noise of step t, from 0.
    private func addNoise(_ pass: Pass, t: Int) {
        guard configuration.instanceNoise(step: t, stepsPerEpoch: step.stepsPerEpoch) > 0 else { return }
        let key = RandomKey(seed: pass.seed, stream: RandomStream.instanceNoise(pass.kind), step: pass.step)
        add("noise.\(pass.kind)", imageShape, normals(key, count: configuration.pixelCount))
    }

    private func addTargets(_ target: Loss.Target, _ pass: Pass) {
        let perturbations = Perturbations(
            configuration, columns: pass.columns, firstRow: 0, kernels: step.kernels, arena: Arena(usesHugePages: false))
        guard let targets = perturbations.targets(target, pass) else { return }
        add("targets_\(pass.kind)", [], (0..<configuration.batchSize).map { targets[$0] })
    }

    private func addMasks(_ prefix: String, _ network: Network, _ pass: Pass) {
        for case let dropout as Dropout in network.layers.flatMap(\.simpleLayers) {
            let values = rows(of: dropout.inputs) { x, columns in
                x.base.update(repeating: 1, count: dropout.inputs * x.stride)
                dropout.applyMask(x, pass)
            }
            let (shape, count) = (dropout.shape, dropout.inputs)
            add(
                "\(prefix).\(pass.kind).\(dropout.path)",
                shape.pixels == 1 ? [count] : [shape.channels, shape.height, shape.width],
                values.indices.map { values[$0 / count * count + shape.place($0 % count)] })
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
