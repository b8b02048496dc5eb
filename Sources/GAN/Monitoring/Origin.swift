import MessagePassing
import Networks

/// Numbers that a step has computed: where they are, and what a message calls them.
struct Stage {
    let name: String
    let isFinite: () -> Bool

    private init(_ name: String, isFinite: @escaping () -> Bool) {
        self.name = name
        self.isFinite = isFinite
    }

    /// The rows of the batch in a matrix; what lies past them belongs to nobody.
    private init(_ name: String, _ x: Matrix, rows: Int) {
        self.init(name) {
            (0..<x.features).allSatisfy { feature in (0..<rows).allSatisfy { x.base[feature * x.stride + $0].isFinite } }
        }
    }

    static func parameters(_ player: Player) -> [Stage] {
        player.network.layout.tensors.map { tensor in
            Stage("the parameter \(player.name).\(tensor.name)") {
                tensor.range.allSatisfy { player.reducer.parameters[$0].isFinite }
            }
        }
    }

    /// - Parameters:
    ///   - rows: this rank's, as many as its batch has.
    ///   - what: what they are, for the message.
    static func outputs(_ player: Player, slot: Int, rows: Int, _ what: String) -> [Stage] {
        let network = player.network
        return network.layers.indices.map { layer in
            let name = "the output of \(player.name) layer \(network.layerNumbers[layer]) (\(what))"
            return Stage(name, network.activation(of: layer).slot(slot), rows: rows)
        }
    }

    /// Last layer first.
    static func gradients(_ player: Player, slot: Int, rows: Int, _ what: String) -> [Stage] {
        let network = player.network
        return network.layers.indices.reversed().map { layer in
            let name = "the output gradient of \(player.name) layer \(network.layerNumbers[layer]) (\(what))"
            return Stage(name, network.outputGradient(of: layer).slot(slot), rows: rows)
        }
    }
}

extension Game {
    /// Does a part of a step; where a gradient is not finite, throws a failure that tells where that came from.
    func diagnosed(_ body: () throws -> Void) throws {
        do { try body() } catch let error as NonFiniteGradient { throw try failure(error) }
    }

    /// What a reduction that was not finite ends the run with. Every rank calls it.
    private func failure(_ error: NonFiniteGradient) throws -> Failure {
        let (player, world) = (players[error.player], context.world)
        let found = player.network.layout.tensors.first { tensor in
            player.reducer.gradients.contains { gradient in tensor.range.contains { !gradient[$0].isFinite } }
        }
        let places = try world.allGather(Array((found?.name ?? "").utf8)).enumerated().filter { !$1.isEmpty }
        let what = places.first.map { rank, name in
            "the gradient of \(player.name).\(String(decoding: name, as: UTF8.self)) is not finite on rank \(rank)"
        }
        let origin = try nonFiniteOrigin(of: player).map { "first seen in \($0)" }
        return Failure(
            .internalError,
            "step \(error.step + 1): \(what ?? "a sum of the \(player.name)'s gradients over the ranks is not finite"), "
                + "\(origin ?? "though all that it is made of is"). The training has diverged, and no checkpoint of "
                + "this step was written; start a new run with a lower --lr, with --init-from to begin with an earlier checkpoint",
            isShared: true)
    }

    /// Where what made a player's gradient first stopped being finite on any rank, in the order of computation; nil where
    /// it was finite up to the products that make the gradient. Every rank calls it, after the reduction that failed.
    func nonFiniteOrigin(of player: Player) throws -> String? {
        let stages = stages(of: player)
        let own = stages.firstIndex { !$0.isFinite() } ?? stages.count
        // The list is the same on all ranks.
        let all = try context.world.allGather(Array("\(own)".utf8))
        let first = all.map { Int(String(decoding: $0, as: UTF8.self)) ?? stages.count }
        guard let earliest = first.min(), earliest < stages.count, let rank = first.firstIndex(of: earliest) else { return nil }
        return "\(stages[earliest].name) on rank \(rank)"
    }
}
