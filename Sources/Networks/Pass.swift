import Kernels

/// One pass of some rows of the batch through a network.
public struct Pass {
    public let kernels: Kernels
    /// Columns to compute, a multiple of the kernels' `columnMultiple`; those past the batch's rows hold anything finite.
    public let columns: Int
    public let kind: PassKind
    public let seed: UInt64
    /// From 0.
    public let step: Int
    /// The global row of the batch in the first column.
    public let firstRow: Int
    /// Whether dropout is active.
    public let isTraining: Bool
    /// What products call between blocks of their work.
    public let interlude: Interlude
    /// Sums over the whole batch, for layers that normalise by them.
    public let statistics: BatchStatistics?
    /// The columns of each of this rank's logical shards; nil where all columns are one.
    public let shardColumns: [Range<Int>]?
    /// The class of each column, for layers that ask for it.
    public let labels: UnsafePointer<UInt8>?

    public init(
        kernels: Kernels, columns: Int, kind: PassKind, seed: UInt64, step: Int, firstRow: Int, isTraining: Bool = true,
        interlude: Interlude = .none, statistics: BatchStatistics? = nil, shardColumns: [Range<Int>]? = nil,
        labels: UnsafePointer<UInt8>? = nil
    ) {
        self.kernels = kernels
        self.columns = columns
        self.kind = kind
        self.seed = seed
        self.step = step
        self.firstRow = firstRow
        self.isTraining = isTraining
        self.interlude = interlude
        self.statistics = statistics
        self.shardColumns = shardColumns
        self.labels = labels
    }

    /// The class of a column; of those past the batch's rows any.
    func label(_ column: Int) -> Int {
        guard let labels else { preconditionFailure("a layer asks for labels where there are none") }
        return Int(labels[column])
    }
}
