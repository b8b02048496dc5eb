import Networks

/// Loss and score of each of this rank's rows in one pass.
struct RowStatistics {
    let losses: UnsafeMutablePointer<Float>
    let scores: UnsafeMutablePointer<Float>
    /// What a loss computes of the same outputs with the other sign.
    let oppositeLosses, oppositeScores: UnsafeMutablePointer<Float>

    init(columns: Int, arena: Arena) {
        losses = arena.floats(columns)
        scores = arena.floats(columns)
        (oppositeLosses, oppositeScores) = (arena.floats(columns), arena.floats(columns))
    }
}
