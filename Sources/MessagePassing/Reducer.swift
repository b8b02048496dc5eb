import Synchronization

/// The reduction of one network's gradients and the distribution of its new parameters.
///
/// Reduce-scatter in tree order, the optimiser on the owner of each segment, all-gather of the parameters: the same
/// bytes as an all-reduce followed by the same optimiser everywhere, for 1/R of its work. Within a host everything lies
/// in shared memory: an owner reads the others' gradients in place, and everyone reads the parameters in place. Between
/// hosts each host adds up its own subtrees first, and one of its ranks sends a segment's sums to the owner.
///
///     fill gradients → publish() → … other work … → finish { Adam on the segment } → parameters are new everywhere
///
/// A rank publishes after its last read of the old parameters, and rewrites its gradients after `finish`.
public final class Reducer {
    public typealias Floats = UnsafeMutablePointer<Float>
    /// Adds leaves in tree order and says whether every sum is finite; see the kernel of that name.
    public typealias TreeSum =
        (
            _ leaves: UnsafePointer<UnsafePointer<Float>>, _ merges: UnsafePointer<Int32>, _ leafCount: Int, _ offset: Int,
            _ out: Floats, _ count: Int, _ scratch: Floats
        ) -> Bool

    /// How gradients are added over the ranks.
    public enum Algorithm: String, Sendable, CaseIterable { case tree, mpi }

    /// The network's parameters, shared by the ranks of a host.
    public let parameters: Floats
    /// Where this rank puts its gradients, one buffer for each maximal aligned subtree of its shards.
    public let gradients: [Floats]
    /// The elements that this rank owns.
    public let segment: Range<Int>
    /// Each rank's record, `recordSize` doubles; a rank fills its own before `publish` and reads all after `finish`.
    public let records: UnsafeMutablePointer<Double>

    private let patience: Patience
    private let communicator: any Communicator
    private let layout: ShardLayout
    private let count: Int
    private let recordSize: Int
    private let algorithm: Algorithm
    private let treeSum: TreeSum
    private var round = 0
    private var pendingSum: Request?
    private var publishedAt = 0.0

    private let flags: UnsafeMutablePointer<Atomic<Int>>
    private let failedRound: UnsafeMutablePointer<Atomic<Int>>
    /// The sums of this rank's segment, as of the last `finish`: where one leaf is all there is to add, that leaf.
    public let reduced: Floats
    private let scratch: Floats
    private let ownSum: Addition
    private let remote: RemoteExchange

    /// Bytes that a reducer takes of its host's shared space.
    public static func sharedBytes(count: Int, recordSize: Int, layout: ShardLayout, communicator: any Communicator) -> Int {
        let trees = communicator.neighbours.reduce(0) { $0 + ShardLayout.subtrees(layout.shards(of: $1)).count }
        return (1 + trees) * (count * 4).roundedUp(to: 64)
            + max(64, (recordSize * communicator.size * 8).roundedUp(to: 64))
            + (communicator.size + 1) * flagStride * 8
    }

    /// - Parameters:
    ///   - count: the elements of the network's parameters, a multiple of 16.
    ///   - recordSize: doubles that each rank hands to all others with every reduction.
    public init(
        patience: Patience, layout: ShardLayout, count: Int, recordSize: Int, algorithm: Algorithm = .tree,
        space: inout SharedSpace, treeSum: @escaping TreeSum
    ) {
        precondition(count % 16 == 0, "\(count) elements are not a multiple of 16")
        self.patience = patience
        communicator = patience.communicator
        self.layout = layout
        self.count = count
        self.recordSize = recordSize
        self.algorithm = algorithm
        self.treeSum = treeSum
        let rank = communicator.rank
        let size = communicator.size

        parameters = space.take(count, of: Float.self)
        let trees = communicator.neighbours.map { neighbour in
            ShardLayout.subtrees(layout.shards(of: neighbour)).map { _ in space.take(count, of: Float.self) }
        }
        gradients = trees[rank - communicator.neighbours.lowerBound]
        records = space.take(max(1, recordSize * size), of: Double.self)
        flags = space.take(flagStride * size, of: Atomic<Int>.self)
        failedRound = space.take(flagStride, of: Atomic<Int>.self)

        let segment = { rank in Reducer.segment(of: rank, size: size, count: count) }
        self.segment = segment(rank)
        scratch = allocateZeroed(byteCount: 4 * 32 * 16).bindMemory(to: Float.self, capacity: 32 * 16)
        remote = RemoteExchange(
            patience: patience, layout: layout, segment: segment, parameters: parameters, localTrees: trees)
        if algorithm == .mpi {
            ownSum = Addition(leaves: [UnsafePointer(gradients[0] + self.segment.lowerBound)], merges: [0])
        } else {
            let start = self.segment.lowerBound
            ownSum = remote.wholeTree(own: trees.map { $0.map { UnsafePointer($0 + start) } })
        }
        reduced = ownSum.onlyLeaf.map { Floats(mutating: $0) }
            ?? allocateZeroed(byteCount: 4 * self.segment.count).bindMemory(to: Float.self, capacity: self.segment.count)
    }

    /// The elements that a rank owns.
    public func segment(of rank: Int) -> Range<Int> { Reducer.segment(of: rank, size: communicator.size, count: count) }

    private static func segment(of rank: Int, size: Int, count: Int) -> Range<Int> {
        count / 16 * rank / size * 16..<count / 16 * (rank + 1) / size * 16
    }

    /// Declares this rank's gradients complete and its reads of the parameters over.
    public func publish() throws {
        publishedAt = monotonicSeconds()
        round += 1
        if algorithm == .mpi {
            // The order of this sum is the library's, and so is its result.
            for tree in gradients.dropFirst() {
                for i in 0..<count { gradients[0][i] += tree[i] }
            }
            pendingSum = try communicator.startSum(UnsafeMutableBufferPointer(start: gradients[0], count: count))
        }
        ready(of: communicator.rank).pointee.store(round, ordering: .releasing)
    }

    /// Reduces, calls `update` with the sums of this rank's segment, and waits until all parameters are new.
    ///
    /// - Returns: false if a sum of any rank is infinite or NaN; then `update` was not called on that segment, and all
    ///   ranks return false.
    public func finish(update: (_ gradient: UnsafePointer<Float>) -> Void) throws -> Bool {
        if let request = pendingSum {
            try patience.wait(for: request)
            pendingSum = nil
        }
        for neighbour in communicator.neighbours { try wait(for: ready(of: neighbour)) }
        patience.stopwatch.lap(.waiting)
        if communicator.hosts.count > 1 {
            if algorithm == .tree { try remote.exchangeGradients(scratch: scratch, treeSum: treeSum) }
            try remote.exchangeRecords(records, recordSize: recordSize)
        }
        let isFinite = ownSum.run(treeSum, to: reduced, count: segment.count, scratch: scratch)
        patience.stopwatch.lap(communicator.size > 1 ? .communication : .optimiser)
        if isFinite {
            update(reduced)
            patience.stopwatch.lap(.optimiser)
        } else {
            failedRound.pointee.store(round, ordering: .releasing)
        }
        if communicator.hosts.count > 1, try !remote.exchangeParameters(isFinite: isFinite) {
            failedRound.pointee.store(round, ordering: .releasing)
        }
        published(of: communicator.rank).pointee.store(round, ordering: .releasing)
        for neighbour in communicator.neighbours { try wait(for: published(of: neighbour)) }
        patience.stopwatch.lap(.communication)
        patience.stopwatch.noteReduction(since: publishedAt)
        return failedRound.pointee.load(ordering: .acquiring) != round
    }

    private func wait(for flag: UnsafeMutablePointer<Atomic<Int>>) throws {
        try patience.wait { flag.pointee.load(ordering: .acquiring) >= round }
    }

    private func ready(of rank: Int) -> UnsafeMutablePointer<Atomic<Int>> { flags + flagStride * rank }
    private func published(of rank: Int) -> UnsafeMutablePointer<Atomic<Int>> { flags + flagStride * rank + 8 }
}

/// Flags of different ranks lie on cache lines of their own; adjacent lines are fetched in pairs.
private let flagStride = 16

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

    func run(_ treeSum: Reducer.TreeSum, to out: UnsafeMutablePointer<Float>, count: Int, scratch: UnsafeMutablePointer<Float>)
        -> Bool
    {
        treeSum(leaves, merges, self.count, 0, out, count, scratch)
    }
}
