import Formats
import Foundation
import Kernels
import MessagePassing
import Networks

/// The state of a run as its ranks hold it together: collected on rank 0 to be written, handed out to be resumed.
struct TrainingState {
    let step: TrainingStep
    let world: World

    private struct Part {
        let name: String
        let network: Network
        let reducer: Reducer
        let moments: ShardedOptimizer
    }

    private var parts: [Part] {
        [
            Part(name: "generator", network: step.generator, reducer: step.generatorReducer, moments: step.generatorOptimizer),
            Part(
                name: "discriminator", network: step.discriminator, reducer: step.discriminatorReducer,
                moments: step.discriminatorOptimizer),
        ]
    }

    /// Draws the initial weights.
    func initialise(seed: UInt64) throws {
        for (part, stream) in zip(parts, [RandomStream.generatorWeights, RandomStream.discriminatorWeights]) {
            if world.communicator.isHostLeader {
                part.network.layout.initialise(part.reducer.parameters, seed: seed, stream: stream, kernels: step.kernels)
            }
            part.network.bufferLayout.initialise(part.network.buffers, seed: seed, stream: stream, kernels: step.kernels)
        }
        try world.agree {}
        for part in parts {
            let segment = part.moments.segment
            part.network.parametersChanged()
            part.moments.average?.update(from: part.reducer.parameters + segment.lowerBound, count: segment.count)
        }
    }

    /// SHA-256 of the parameters, generator then discriminator, without padding.
    func weightsDigest() -> String {
        let digest = SHA256Digest()
        for part in parts {
            for tensor in part.network.layout.tensors {
                tensor.values(in: part.reducer.parameters).withUnsafeBytes(digest.update)
            }
        }
        return digest.finish().hexadecimal
    }

    /// The generator's parameters to draw samples with: their average, if one is kept, as a copy on rank 0. Every rank
    /// calls it.
    func sampledParameters() throws -> [Float]? {
        guard let average = step.generatorOptimizer.average else { return nil }
        return try world.gatherSegments(average, step.generatorReducer, count: step.generator.layout.count)
    }

    /// Writes a checkpoint; every rank calls it, rank 0 writes. On other ranks it returns at once.
    /// - Parameter extra: tensors that no resumed run needs for its weights, behind all others.
    /// - Returns: why the file system could not bring all of it to disk, where it cannot.
    @discardableResult
    func save(
        to path: String, metadata: [String: String], configuration: Configuration,
        extra: [(name: String, shape: [Int], values: [Float])] = []
    ) throws -> String? {
        let isWriter = world.communicator.rank == 0
        func gather(_ part: Part, _ own: UnsafePointer<Float>) throws -> [Float] {
            try world.gatherSegments(own, part.reducer, count: part.network.layout.count)
        }
        guard isWriter else {
            for part in parts { for moments in part.moments.parts { _ = try gather(part, moments.values) } }
            _ = try sampledParameters()
            return nil
        }
        return try withFiles {
            // Not around all of it: what is collected from other ranks is collected on this thread.
            func storing<Result>(_ body: () throws -> Result) throws -> Result {
                try world.storing("writing a checkpoint", body)
            }
            let writer = try storing {
                let file = try AtomicFile(path: path)
                return try SafetensorsWriter(
                    file: file, tensors: Checkpoint.tensors(configuration) + extra.map { ($0.name, $0.shape) }, metadata: metadata)
            }
            func append(_ tensor: Tensor, _ buffer: UnsafePointer<Float>) throws {
                try tensor.values(in: buffer).withUnsafeBufferPointer { values in try storing { try writer.append(values) } }
            }
            for part in parts { for tensor in part.network.layout.tensors { try append(tensor, part.reducer.parameters) } }
            for part in parts { for tensor in part.network.bufferLayout.tensors { try append(tensor, part.network.buffers) } }
            for part in parts {
                // One network at a time: the moments of both would be the most that rank 0 ever holds.
                let moments = try part.moments.parts.map { try gather(part, $0.values) }
                for tensor in part.network.layout.tensors { for buffer in moments { try append(tensor, buffer) } }
            }
            if let average = try sampledParameters() {
                for tensor in step.generator.layout.tensors { try append(tensor, average) }
            }
            return try storing {
                for tensor in extra { try tensor.values.withUnsafeBufferPointer(writer.append) }
                return try writer.finish()
            }
        }
    }

    /// Takes over the state that rank 0 reads from a checkpoint; `checkpoint` is nil on other ranks.
    func restore(_ checkpoint: Checkpoint?) throws {
        for part in parts {
            for tensor in part.network.bufferLayout.tensors {
                tensor.store(try receive("\(part.name).\(tensor.name)", tensor, checkpoint), in: part.network.buffers)
            }
            for tensor in part.network.layout.tensors {
                let name = "\(part.name).\(tensor.name)"
                let values = try receive(name, tensor, checkpoint)
                if world.communicator.isHostLeader { tensor.store(values, in: part.reducer.parameters) }
                for moments in part.moments.parts {
                    let values = try receive("\(part.moments.optimizer.name).\(name).\(moments.name)", tensor, checkpoint)
                    tensor.store(values, in: moments.values, range: part.reducer.segment)
                }
                if let average = part.moments.average {
                    tensor.store(try receive("ema.\(name)", tensor, checkpoint), in: average, range: part.reducer.segment)
                }
            }
        }
        try world.agree {}
        for part in parts { part.network.parametersChanged(isResumed: true) }
    }

    private func receive(_ name: String, _ tensor: Tensor, _ checkpoint: Checkpoint?) throws -> [Float] {
        var values = try world.agree {
            try checkpoint?.floats(name, count: tensor.count) ?? [Float](repeating: 0, count: tensor.count)
        }
        try values.withUnsafeMutableBytes { try world.broadcast($0, from: 0) }
        return values
    }
}

extension World {
    /// On rank 0 the whole of a buffer of which each rank holds its segment; on others nothing.
    func gatherSegments(_ own: UnsafePointer<Float>, _ reducer: Reducer, count: Int) throws -> [Float] {
        let bytes = UnsafeRawBufferPointer(start: own, count: 4 * reducer.segment.count)
        guard communicator.rank == 0 else {
            try send(bytes, to: 0, tag: .state)
            return []
        }
        var whole = [Float](repeating: 0, count: count)
        try whole.withUnsafeMutableBytes { target in
            target.copyMemory(from: bytes)
            for rank in 0..<communicator.size where rank > 0 {
                let segment = reducer.segment(of: rank)
                try receive(
                    UnsafeMutableRawBufferPointer(rebasing: target[4 * segment.lowerBound..<4 * segment.upperBound]),
                    from: rank, tag: .state)
            }
        }
        return whole
    }
}

extension Int {
    /// With leading zeros.
    func padded(to width: Int) -> String {
        let digits = String(self)
        return String(repeating: "0", count: Swift.max(0, width - digits.count)) + digits
    }
}
