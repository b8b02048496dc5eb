import Formats
import Foundation
import Kernels
import MessagePassing
import Networks

/// Writes what went into a step and what came out of it, `dump/step-000001.safetensors`, so that a user can compare it
/// with PyTorch: what the game says of each update's inputs, gradients as reduced `grad.<tensor>`, the parameters after the
/// update, and running statistics after the step. Where a step updates a player several times, what is one update's ends in
/// `.1`, `.2`, …. What a step did not use is not there.
final class Dump {
    let folder: String
    private let game: any Game
    private let configuration: Configuration
    private var world: World { game.context.world }
    private var tensors: [(name: String, shape: [Int], values: [Float])] = []
    var isWriter: Bool { world.communicator.rank == 0 }

    init(_ game: any Game, folder: String) {
        self.game = game
        self.folder = folder
        configuration = game.context.configuration
    }

    /// Begins or ends to collect what each update of a player brings.
    func observe(_ isOn: Bool) {
        for player in game.players {
            player.reducer.keepsSums = isOn
            player.afterUpdate = isOn ? { [unowned self, unowned player] in try note(player, update: $0) } : nil
        }
    }

    /// Collects what belongs to an update of a player, by its number from 0; every rank calls it.
    func note(_ player: Player, update: Int) throws {
        let first = tensors.count
        try game.addInputs(ofUpdate: update, of: player, to: self)
        let values = try world.collect(player.segments(player.reducer.reduced))
        guard isWriter else { return }
        tensors += player.network.layout.tensors.map { ("grad.\(player.name).\($0.name)", $0.shape, $0.values(in: values)) }
        addParameters(player)
        let updates = player.plan.updatesPerStep
        guard updates > 1 else { return }
        for index in first..<tensors.count { tensors[index].name += ".\(update % updates + 1)" }
    }

    /// Writes the file of the state after `count` steps; every rank calls it, rank 0 writes. With 0 it holds the initial
    /// parameters alone.
    func write(after count: Int) throws {
        guard isWriter else { return }
        if count == 0 { game.players.forEach(addParameters) }
        for player in game.players {
            for tensor in player.network.bufferLayout.tensors {
                tensors.append(("\(player.name).\(tensor.name)", tensor.shape, tensor.values(in: player.network.buffers)))
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

    // MARK: What a game adds

    /// Adds a tensor [B, shape].
    func add(_ name: String, _ shape: [Int], _ values: [Float]) {
        tensors.append((name, [configuration.batchSize] + shape, values))
    }

    private func addParameters(_ player: Player) {
        for tensor in player.network.layout.tensors {
            tensors.append(("\(player.name).\(tensor.name)", tensor.shape, tensor.values(in: player.reducer.parameters)))
        }
    }

    /// A pass of the whole batch, for random numbers.
    func pass(_ kind: PassKind, _ number: Int) -> Pass {
        Pass(
            kernels: game.context.kernels, columns: configuration.batchSize.paddedToVectors, kind: kind, seed: configuration.seed,
            step: number, firstRow: 0)
    }

    /// [B, features] on rank 0, of the first columns of each rank's matrix.
    func gatherRows(of x: Matrix, _ rows: Int) throws -> [Float] {
        var own = [Float](repeating: 0, count: rows * x.features)
        for row in 0..<rows {
            for feature in 0..<x.features { own[row * x.features + feature] = x.base[feature * x.stride + row] }
        }
        let parts = try world.allGather(own.withUnsafeBytes { Array($0) })
        return parts.flatMap { part in part.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) } }
    }

    /// [B] on rank 0, of each rank's rows.
    func gather(_ own: UnsafePointer<UInt8>, _ rows: Int) throws -> [UInt8] {
        try world.allGather(Array(UnsafeBufferPointer(start: own, count: rows))).flatMap(\.self)
    }

    /// [B, count]
    func normals(_ key: RandomKey, _ count: Int) -> [Float] {
        rows(of: count) { x, columns in game.context.kernels.randomNormals(key, x.base, count, columns, x.stride) }
    }

    /// Dropout masks of a pass: `<prefix>.<pass>.<layer>` [B, features] or [B, C, H, W].
    func addMasks(_ prefix: String, _ network: Network, _ pass: Pass) {
        for case let dropout as Dropout in network.layers.flatMap(\.simpleLayers) {
            let values = rows(of: dropout.inputs) { x, columns in
                x.base.update(repeating: 1, count: dropout.inputs * x.stride)
                dropout.applyMask(x, pass)
            }
            let (shape, count) = (dropout.shape, dropout.inputs)
            add(
                "\(prefix).\(pass.kind).\(dropout.path)",
                shape.pixels == 1 ? [count] : [shape.channels, shape.height, shape.width], shape.inOrder(values))
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
