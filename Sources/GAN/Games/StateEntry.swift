import Networks

/// A tensor of a game's state: its name in a checkpoint, and where it lies.
///
/// `stateEntries` is the one list of them, in a checkpoint's order: parameters of all players, their running statistics, what
/// their optimisers keep of each parameter, and their moving averages. Whoever writes, reads, checks or hashes a state walks
/// it.
struct StateEntry {
    /// What of a player it is part of.
    enum Part: Hashable {
        case parameters
        /// Running statistics, the same on every rank.
        case buffers
        /// One of the optimiser's moments, by its index. Each rank holds only its segment of it; so it is with `average`.
        case moments(Int)
        case average
    }

    let name: String
    /// Its shape, and its place in the player's buffer of that part.
    let tensor: Tensor
    /// Number of the player.
    let player: Int
    let part: Part

    /// Whether `weights_sha256` is over it.
    var isWeight: Bool { part == .parameters }
}

extension [PlayerPlan] {
    var stateEntries: [StateEntry] {
        func entries(_ body: (_ number: Int, _ plan: PlayerPlan) -> [StateEntry]) -> [StateEntry] {
            enumerated().flatMap(body)
        }
        func parameters(_ number: Int, _ plan: PlayerPlan, _ part: StateEntry.Part, prefix: String = "") -> [StateEntry] {
            plan.network.layout.tensors.map {
                StateEntry(name: "\(prefix)\(plan.name).\($0.name)", tensor: $0, player: number, part: part)
            }
        }
        return entries { parameters($0, $1, .parameters) }
            + entries { number, plan in
                plan.network.bufferLayout.tensors.map {
                    StateEntry(name: "\(plan.name).\($0.name)", tensor: $0, player: number, part: .buffers)
                }
            }
            + entries { number, plan in
                plan.network.layout.tensors.flatMap { tensor in
                    plan.optimizer.moments.enumerated().map { index, moment in
                        StateEntry(
                            name: "\(plan.optimizer.name).\(plan.name).\(tensor.name).\(moment)", tensor: tensor, player: number,
                            part: .moments(index))
                    }
                }
            }
            + entries { $1.averageDecay == nil ? [] : parameters($0, $1, .average, prefix: "ema.") }
    }
}
