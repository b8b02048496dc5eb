/// A planned sum of leaves in tree order.
final class Addition {
    private let leaves: UnsafeMutablePointer<UnsafePointer<Float>>
    private let merges: UnsafeMutablePointer<Int32>
    private let count: Int

    init(leaves: [UnsafePointer<Float>], merges: [Int32]) {
        precondition(leaves.count == merges.count, "\(leaves.count) leaves, \(merges.count) merges")
        count = leaves.count
        self.leaves = .allocate(capacity: count)
        self.leaves.initialize(from: leaves, count: count)
        self.merges = .allocate(capacity: count)
        self.merges.initialize(from: merges, count: count)
    }

    deinit {
        leaves.deallocate()
        merges.deallocate()
    }

    /// The sum itself where there is nothing to add.
    var onlyLeaf: UnsafePointer<Float>? { count == 1 ? leaves[0] : nil }

    /// Adds some elements of the leaves.
    /// - Returns: whether all sums are finite.
    func run(
        _ treeSum: Reducer.TreeSum, to out: UnsafeMutablePointer<Float>, _ range: Range<Int>,
        scratch: UnsafeMutablePointer<Float>
    ) -> Bool {
        treeSum(leaves, merges, count, range.lowerBound, out, range.count, scratch)
    }
}
