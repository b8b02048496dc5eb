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
            let parameters = players[entry.player].reducer.parameters
            for piece in entry.pieces { entry.tensor.ordered(Array(parameters, piece)).withUnsafeBytes(digest.update) }
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
            try forEachPiece { _ in }
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
            var block: [Float] = []
            block.reserveCapacity(GameState.blockSize + pieceSize)
            try forEachPiece { piece in
                block += piece
                guard block.count >= GameState.blockSize else { return }
                try block.withUnsafeBufferPointer { block in try storing { try writer.append(block) } }
                block.removeAll(keepingCapacity: true)
            }
            return try storing {
                try block.withUnsafeBufferPointer(writer.append)
                for tensor in extra { try tensor.values.withUnsafeBufferPointer(writer.append) }
                return try writer.finish()
            }
        }
    }

    /// Elements that are written at once: each write starts a thread.
    private static let blockSize = 1 << 16

    /// Hands all that a checkpoint holds of the game to `body`, in its order and PyTorch's; every rank calls it, and on others
    /// than rank 0 the pieces are empty. Of what the ranks hold in segments there is never more than a piece on rank 0.
    private func forEachPiece(_ body: ([Float]) throws -> Void) throws {
        for entry in entries {
            for piece in entry.pieces { try body(entry.tensor.ordered(collect(entry, piece))) }
        }
        for memory in memories {
            for piece in memory.pieces { try body(world.collect(memory.segments, piece)) }
        }
    }

    /// Elements of the buffer that an entry is part of, on rank 0; nothing on others.
    private func collect(_ entry: StateEntry, _ elements: Range<Int>) throws -> [Float] {
        let player = players[entry.player]
        let isWriter = world.communicator.rank == 0
        switch entry.part {
        case .parameters: return isWriter ? Array(player.reducer.parameters, elements) : []
        case .buffers: return isWriter ? Array(player.network.buffers, elements) : []
        case .moments, .average:
            guard let own = player.optimizer.values(of: entry.part) else { return [] }
            return try world.collect(player.segments(own), elements)
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

/// The most elements of a piece of the state, unless a row of a tensor is longer.
private let pieceSize = 1 << 13

extension StateEntry {
    /// Where its pieces lie in the player's buffer of its part.
    fileprivate var pieces: [Range<Int>] {
        tensor.pieces(of: pieceSize).map { tensor.offset + $0.lowerBound..<tensor.offset + $0.upperBound }
    }
}

extension ShardMemory {
    fileprivate var pieces: [Range<Int>] {
        stride(from: 0, to: plan.count, by: pieceSize).map { $0..<min($0 + pieceSize, plan.count) }
    }
}

extension [Float] {
    /// Some elements of a buffer.
    fileprivate init(_ buffer: UnsafePointer<Float>, _ elements: Range<Int>) {
        self.init(UnsafeBufferPointer(start: buffer + elements.lowerBound, count: elements.count))
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
