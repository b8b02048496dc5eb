import Formats
import Foundation
import Kernels
import MessagePassing
import Networks

/// The state of a game as its ranks hold it together: collected on rank 0 to be written, handed out to be resumed.
struct GameState {
    let game: any Game

    private var players: [Player] { game.players }
    private var world: World { game.context.world }
    private var entries: [StateEntry] { players.map(\.plan).stateEntries }
    private var memories: [ShardMemory] { game.memories }

    /// Draws the initial weights.
    func initialise(seed: UInt64) throws {
        try draw(seed: seed)
        begin()
    }

    /// Takes over the weights that rank 0 reads from a file; `weights` is nil on other ranks. What the file lacks of running
    /// statistics is as in a run of drawn weights.
    func initialise(seed: UInt64, from weights: InitialWeights?) throws {
        try draw(seed: seed)
        for entry in InitialWeights.taken(of: players.map(\.plan)) {
            let player = players[entry.player]
            let isWeight = entry.isWeight
            let own = isWeight ? player.reducer.parameters : player.network.buffers
            let values = try received { try weights?.values(entry) ?? entry.tensor.values(in: own) }
            if !isWeight || world.communicator.isHostLeader { entry.tensor.store(values, in: own) }
        }
        try world.agree {}
        begin()
    }

    private func draw(seed: UInt64) throws {
        for player in players {
            let (network, stream, kernels) = (player.network, player.plan.initialWeights, game.context.kernels)
            if world.communicator.isHostLeader {
                network.layout.initialise(
                    player.reducer.parameters, seed: seed, stream: stream, deviation: player.plan.initialDeviation, kernels: kernels)
            }
            network.bufferLayout.initialise(network.buffers, seed: seed, stream: stream, kernels: kernels)
        }
        try world.agree {}
    }

    /// Makes what follows from the initial weights.
    private func begin() {
        for player in players {
            let segment = player.optimizer.segment
            player.network.parametersChanged()
            player.optimizer.average?.update(from: player.reducer.parameters + segment.lowerBound, count: segment.count)
        }
    }

    /// SHA-256 of the parameters of all players in their order, without padding.
    func weightsDigest() -> String {
        let digest = SHA256Digest()
        for entry in entries where entry.isWeight {
            entry.tensor.values(in: players[entry.player].reducer.parameters).withUnsafeBytes(digest.update)
        }
        return digest.finish().hexadecimal
    }

    /// Writes a checkpoint; every rank calls it, rank 0 writes. Other ranks return when they have sent their segments.
    /// - Parameter extra: further tensors, written last. They do not affect the weights of a resumed run.
    /// - Returns: why the file system could not bring all of it to disk, where it cannot.
    @discardableResult
    func save(
        to path: String, metadata: [String: String], extra: [(name: String, shape: [Int], values: [Float])] = []
    ) throws -> String? {
        guard world.communicator.rank == 0 else {
            var segments = Segments(world)
            for entry in entries { _ = try segments.whole(entry, of: players[entry.player]) }
            for memory in memories { _ = try memory.gather(world) }
            return nil
        }
        return try withFiles {
            // Not around all of it: what is collected from other ranks is collected on this thread.
            func storing<Result>(_ body: () throws -> Result) throws -> Result {
                try world.storing("writing a checkpoint", body)
            }
            let writer = try storing {
                try SafetensorsWriter(
                    file: AtomicFile(path: path),
                    tensors: entries.map { ($0.name, $0.tensor.shape) } + memories.map { ($0.plan.name, $0.plan.shape) }
                        + extra.map { ($0.name, $0.shape) }, metadata: metadata)
            }
            var segments = Segments(world)
            for entry in entries {
                let player = players[entry.player]
                let values =
                    switch entry.part {
                    case .parameters: entry.tensor.values(in: player.reducer.parameters)
                    case .buffers: entry.tensor.values(in: player.network.buffers)
                    case .moments, .average: entry.tensor.values(in: try segments.whole(entry, of: player))
                    }
                try values.withUnsafeBufferPointer { values in try storing { try writer.append(values) } }
            }
            for memory in memories {
                let values = try memory.gather(world)
                try values.withUnsafeBufferPointer { values in try storing { try writer.append(values) } }
            }
            return try storing {
                for tensor in extra { try tensor.values.withUnsafeBufferPointer(writer.append) }
                return try writer.finish()
            }
        }
    }

    /// Takes over the state that rank 0 reads from a checkpoint; `checkpoint` is nil on other ranks.
    func restore(_ checkpoint: Checkpoint?) throws {
        for entry in entries {
            let player = players[entry.player]
            let values = try receive(entry.name, count: entry.tensor.count, checkpoint)
            switch entry.part {
            case .parameters:
                if world.communicator.isHostLeader { entry.tensor.store(values, in: player.reducer.parameters) }
            case .buffers: entry.tensor.store(values, in: player.network.buffers)
            case .moments, .average:
                guard let own = player.optimizer.values(of: entry.part) else { continue }
                entry.tensor.store(values, in: own, range: player.reducer.segment)
            }
        }
        for memory in memories { memory.restore(try receive(memory.plan.name, count: memory.plan.count, checkpoint)) }
        try world.agree {}
        for player in players { player.network.parametersChanged(isResumed: true) }
    }

    private func receive(_ name: String, count: Int, _ checkpoint: Checkpoint?) throws -> [Float] {
        try received { try checkpoint?.floats(name, count: count) ?? [Float](repeating: 0, count: count) }
    }

    /// Rank 0's numbers, on all ranks; those of the others must be as many.
    private func received(_ body: () throws -> [Float]) throws -> [Float] {
        var values = try world.agree(body)
        try values.withUnsafeMutableBytes { try world.broadcast($0, from: 0) }
        return values
    }
}

/// Collects on rank 0 the buffers of which each rank holds a segment. It keeps one player's at a time, to save memory.
private struct Segments {
    private let world: World
    private var held: (player: Int, buffers: [StateEntry.Part: [Float]]) = (-1, [:])

    init(_ world: World) { self.world = world }

    /// The whole buffer that an entry is part of, on rank 0; every rank asks for the same ones in the same order.
    mutating func whole(_ entry: StateEntry, of player: Player) throws -> [Float] {
        guard let own = player.optimizer.values(of: entry.part) else { return [] }
        if held.player != entry.player { held = (entry.player, [:]) }
        if let buffer = held.buffers[entry.part] { return buffer }
        let buffer = try world.gatherSegments(own, player.reducer, count: player.network.layout.count)
        held.buffers[entry.part] = buffer
        return buffer
    }
}

extension ShardedOptimizer {
    /// This rank's segment of what a checkpoint holds in that part; nil for parts that are not the optimiser's.
    func values(of part: StateEntry.Part) -> UnsafeMutablePointer<Float>? {
        switch part {
        case .parameters, .buffers: nil
        case .moments(let index): [first, second][index]
        case .average: average
        }
    }
}

extension Player {
    /// The moving average of the parameters: a copy on rank 0, empty on other ranks, nil if none is kept. Every rank calls it.
    func gatherAverage(_ world: World) throws -> [Float]? {
        guard let average = optimizer.average else { return nil }
        return try world.gatherSegments(average, reducer, count: network.layout.count)
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
