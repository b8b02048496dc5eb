import Synchronization

/// The reduction of one network's gradients and the distribution of its new parameters.
///
/// It is a reduce-scatter in tree order, then the optimiser on each segment's owner, then an all-gather of the parameters.
/// An all-reduce and the whole optimiser on each of the R ranks would give the same bytes, for R times the optimiser's
/// work. Within a host everything lies
/// in shared memory: an owner reads the others' gradients in place, and everyone reads the parameters in place. Between
/// hosts each host adds up its own subtrees first, and one of its ranks sends a segment's sums to the owner, bucket by
/// bucket as they become complete.
///
///     last layer's gradients → publish(downTo:) → … → first layer's gradients → publish(downTo: 0)
///     → other work, with progress(during:) now and then → finish() → parameters are new everywhere
///
/// A rank publishes after its last read of the old parameters, and rewrites its gradients after `finish`.
///
/// The other way, the ranks of a host share one set of gradient buffers. After `meet` each rank computes a part of every
/// gradient, for the rows of all of them. Nothing is then left to add within the host.
public final class Reducer {
    public typealias Floats = UnsafeMutablePointer<Float>
    /// Adds leaves in tree order and says whether every sum is finite; see the kernel of that name.
    public typealias TreeSum =
        (
            _ leaves: UnsafePointer<UnsafePointer<Float>>, _ merges: UnsafePointer<Int32>, _ leafCount: Int, _ offset: Int,
            _ out: Floats, _ count: Int, _ scratch: Floats
        ) -> Bool
    /// The optimiser on some elements of this rank's segment; it may change the gradient.
    public typealias Update = (_ gradient: Floats, _ parameters: Floats, _ elements: Range<Int>) -> Void

    /// How gradients are added over the ranks.
    public enum Algorithm: String, Sendable, CaseIterable { case tree, mpi }

    /// The network's parameters, shared by the ranks of a host.
    public let parameters: Floats
    /// Where this rank puts its gradients, one buffer for each maximal aligned subtree of its shards, or of its host's.
    public let gradients: [Floats]
    /// The elements that this rank owns.
    public let segment: Range<Int>
    /// Each rank's record, `recordSize` doubles; a rank fills its own before `publish` and reads all after `finish`.
    public let records: UnsafeMutablePointer<Double>

    private let world: World
    private let communicator: any Communicator
    private let layout: ShardLayout
    private let count: Int
    private let recordSize: Int
    private let algorithm: Algorithm
    private let treeSum: TreeSum
    private let update: Update
    private var round = 0
    private var stage = Stage.finished
    private var pendingSum: Request?
    private var publishedAt = 0.0
    private var lastProgress = 0.0
    /// What went wrong in `progress`; `finish` throws it.
    private var failure: (any Error)?

    private enum Stage {
        /// Gradients are being published, of this rank and of others.
        case reducing
        /// This rank's segment is done; parameters are under way between hosts.
        case distributing
        /// This rank has nothing left to do.
        case finished
    }

    private let flags: UnsafeMutablePointer<Atomic<Int>>
    private let failedRound: UnsafeMutablePointer<Atomic<Int>>
    /// The sums of this rank's segment, whole after `finish` if `keepsSums` is set. With a single leaf it is that leaf's memory
    /// and always whole. `update` may have changed them.
    public let reduced: Floats
    /// Whether `reduced` keeps the whole segment. Otherwise every stretch overwrites the one before, to stay in the cache.
    public var keepsSums = false
    private let scratch: Floats
    private let ownSum: Addition
    private let remote: RemoteExchange

    /// Bytes that a reducer takes of its host's shared space.
    public static func sharedBytes(
        count: Int, recordSize: Int, sharesGradients: Bool = false, layout: ShardLayout, communicator: any Communicator
    ) -> Int {
        let trees = communicator.localRanks.sources(sharesGradients).reduce(0) {
            $0 + ShardLayout.subtrees(layout.shards(of: $1)).count
        }
        return (1 + trees) * (count * 4).roundedUp(to: 64)
            + max(64, (recordSize * communicator.size * 8).roundedUp(to: 64))
            + (communicator.size + 1) * flagStride * 8
    }

    /// - Parameters:
    ///   - number: tells it from others that are under way at the same time, the same on all ranks.
    ///   - count: the elements of the network's parameters, a multiple of 16.
    ///   - buckets: where parts begin that are sent one by one, ascending multiples of 16, the first 0.
    ///   - recordSize: doubles that each rank hands to all others with every reduction.
    ///   - sharesGradients: whether the ranks of a host write one set of gradients, each a part of it.
    ///   - update: called with the sums of this rank's segment, a stretch at a time, up to one that is infinite or NaN.
    public init(
        world: World, number: Int = 0, layout: ShardLayout, count: Int, buckets: [Int] = [0], recordSize: Int,
        sharesGradients: Bool = false, algorithm: Algorithm = .tree, space: inout SharedSpace,
        treeSum: @escaping TreeSum, update: @escaping Update
    ) {
        precondition(count % 16 == 0, "\(count) elements are not a multiple of 16")
        precondition(!sharesGradients || algorithm == .tree, "shared gradients are added in tree order only")
        self.world = world
        communicator = world.communicator
        self.layout = layout
        self.count = count
        self.recordSize = recordSize
        self.algorithm = algorithm
        self.treeSum = treeSum
        self.update = update
        let rank = communicator.rank
        let size = communicator.size

        parameters = space.take(count, of: Float.self)
        let trees = communicator.localRanks.sources(sharesGradients).map { ranks in
            ShardLayout.subtrees(layout.shards(of: ranks)).map { _ in space.take(count, of: Float.self) }
        }
        gradients = trees[sharesGradients ? 0 : rank - communicator.localRanks.lowerBound]
        records = space.take(max(1, recordSize * size), of: Double.self)
        flags = space.take(flagStride * size, of: Atomic<Int>.self)
        failedRound = space.take(flagStride, of: Atomic<Int>.self)

        let segment = { rank in Reducer.segment(of: rank, size: size, count: count) }
        self.segment = segment(rank)
        scratch = allocateZeroed(byteCount: 4 * 32 * 16).bindMemory(to: Float.self, capacity: 32 * 16)
        remote = RemoteExchange(
            world: world, number: number, layout: layout, sharesGradients: sharesGradients, segment: segment,
            buckets: zip(buckets, buckets.dropFirst() + [count]).map { $0..<$1 }, parameters: parameters, records: records,
            recordSize: recordSize, localTrees: trees)
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

    /// The elements that a rank of `size` owns of `count`, a multiple of 16.
    public static func segment(of rank: Int, size: Int, count: Int) -> Range<Int> {
        count / 16 * rank / size * 16..<count / 16 * (rank + 1) / size * 16
    }

    /// Says that this rank has laid out its rows in shared memory, and that it reads the old parameters no more. Returns when
    /// all ranks of the host have said so.
    /// - Parameter part: what this rank has been doing since the stopwatch's last lap.
    public func meet(during part: Stopwatch.Part) throws {
        world.stopwatch.lap(part)
        try publish(downTo: count)
        try world.wait { communicator.localRanks.allSatisfy { isReady($0, count) } }
        world.stopwatch.lap(.waiting)
        publishedAt = monotonicSeconds()
    }

    /// Declares this rank's gradients complete from an element on, and its reads of the parameters over.
    public func publish(downTo element: Int) throws {
        if stage == .finished {
            round += 1
            stage = .reducing
            publishedAt = monotonicSeconds()
            try remote.begin(receivesGradients: algorithm == .tree)
        }
        if element == 0, algorithm == .mpi {
            // The order of this sum is the library's, and so is its result.
            for tree in gradients.dropFirst() {
                for i in 0..<count { gradients[0][i] += tree[i] }
            }
            pendingSum = try communicator.startSum(UnsafeMutableBufferPointer(start: gradients[0], count: count))
        }
        ready(of: communicator.rank).pointee.store(mark(element), ordering: .releasing)
    }

    /// Does what of the reduction can be done now, without waiting for anyone.
    /// - Parameter part: what this rank has been doing since the stopwatch's last lap.
    public func progress(during part: Stopwatch.Part) {
        guard stage != .finished, failure == nil else { return }
        if communicator.hosts.count > 1 {
            // Asking after messages takes some microseconds.
            let now = monotonicSeconds()
            guard now - lastProgress > 50e-6 else { return }
            lastProgress = now
        }
        do { try advance(part) } catch { failure = error }
    }

    /// Completes the reduction: returns when all parameters are new.
    ///
    /// - Returns: false if a sum of any rank is infinite or NaN; then that segment was not updated from there on, and all
    ///   ranks return false.
    public func finish() throws -> Bool {
        if let failure { throw failure }
        let awaited = monotonicSeconds()
        let communication = world.stopwatch.seconds(.communication)
        while stage == .reducing, !communicator.localRanks.allSatisfy({ isReady($0, 0) }) {
            try world.wait {
                try advance(.waiting)
                return stage != .reducing || communicator.localRanks.allSatisfy { isReady($0, 0) }
            }
            world.stopwatch.lap(.waiting)
        }
        try world.wait {
            try advance(.communication)
            return stage == .finished
        }
        for rank in communicator.localRanks {
            let flag = published(of: rank)
            try world.wait { flag.pointee.load(ordering: .acquiring) >= round }
        }
        world.stopwatch.lap(.communication)
        world.stopwatch.noteReduction(
            since: publishedAt, awaited: awaited, seconds: world.stopwatch.seconds(.communication) - communication)
        return failedRound.pointee.load(ordering: .acquiring) != round
    }

    private func advance(_ part: Stopwatch.Part) throws {
        if stage == .reducing {
            if algorithm == .tree { try remote.sendSums(part, treeSum, scratch: scratch, isReady: isReady) }
            guard communicator.localRanks.allSatisfy({ isReady($0, 0) }), try haveGradientsArrived() else { return }
            world.stopwatch.lap(part)
            let isFinite = updateSegment()
            if !isFinite { failedRound.pointee.store(round, ordering: .releasing) }
            try remote.sendParametersAndRecords(isFinite: isFinite)
            stage = .distributing
        }
        if stage == .distributing, let isFinite = try remote.takeParametersAndRecords() {
            if !isFinite { failedRound.pointee.store(round, ordering: .releasing) }
            published(of: communicator.rank).pointee.store(round, ordering: .releasing)
            stage = .finished
        }
    }

    /// Adds up and updates this rank's segment, a stretch at a time: the optimiser finds the sums in the cache.
    /// - Returns: whether all sums are finite.
    private func updateSegment() -> Bool {
        let stretch = 8192
        let isKept = keepsSums || ownSum.onlyLeaf != nil
        var (adding, isFinite) = (0.0, true)
        for start in stride(from: 0, to: segment.count, by: stretch) {
            let part = start..<min(start + stretch, segment.count)
            let before = monotonicSeconds()
            let sums = isKept ? reduced + start : reduced
            isFinite = ownSum.run(treeSum, to: sums, part, scratch: scratch)
            adding += monotonicSeconds() - before
            guard isFinite else { break }
            let first = segment.lowerBound + start
            update(sums, parameters + first, first..<first + part.count)
        }
        world.stopwatch.lap(ownSum.onlyLeaf == nil ? .communication : .optimiser, seconds: adding, rest: .optimiser)
        return isFinite
    }

    private func haveGradientsArrived() throws -> Bool {
        if algorithm == .tree { return try remote.haveGradientsArrived() }
        guard let request = pendingSum else { return true }
        guard try communicator.isComplete(request) else { return false }
        pendingSum = nil
        return true
    }

    /// How far a rank has published, as a number that only grows.
    private func mark(_ element: Int) -> Int { round << 40 | (count - element) }

    /// Whether a rank of this host has published down to an element in this round.
    private func isReady(_ rank: Int, _ element: Int) -> Bool {
        ready(of: rank).pointee.load(ordering: .acquiring) >= mark(element)
    }

    private func ready(of rank: Int) -> UnsafeMutablePointer<Atomic<Int>> { flags + flagStride * rank }
    private func published(of rank: Int) -> UnsafeMutablePointer<Atomic<Int>> { flags + flagStride * rank + 8 }
}

extension Range<Int> {
    /// Groups of ranks that write one set of gradients: each rank by itself, or all ranks of the host.
    func sources(_ sharesGradients: Bool) -> [Range<Int>] { sharesGradients ? [self] : map { $0..<$0 + 1 } }
}

/// Flags of different ranks lie on cache lines of their own; adjacent lines are fetched in pairs.
private let flagStride = 16
