import Networks

/// Loss and score of each of this rank's rows in one pass.
struct RowStatistics {
    let losses: UnsafeMutablePointer<Float>
    let scores: UnsafeMutablePointer<Float>

    init(columns: Int, arena: Arena) {
        losses = arena.floats(columns)
        scores = arena.floats(columns)
    }
}
