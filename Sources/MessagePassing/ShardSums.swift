import Synchronization

/// Sums over all logical shards in tree order, in double precision, of a few numbers that every rank needs at once: one
/// message from each host to each other one.
///
/// Each rank puts its shards' numbers where all ranks of its host read them; the first rank of each host exchanges them
/// with those of other hosts. Two buffers take turns. When a rank fills one again, all ranks have filled the other, so that
/// nobody reads this one any more.
public final class ShardSums {
    private let world: World
    private let layout: ShardLayout
    private let capacity: Int
    /// [2, shards, capacity]
    private let numbers: UnsafeMutablePointer<Double>
    /// How many rounds each rank has published, and each host's first rank has completed.
    private let published: UnsafeMutablePointer<Atomic<Int>>
    private let completed: UnsafeMutablePointer<Atomic<Int>>
    private var round = 0
    private let otherHosts: [Range<Int>]
    /// The messages of a round, in memory that is kept.
    private var requests: [Request] = []
    private static let flagStride = 16

    /// Bytes that this takes of its host's shared space.
    public static func sharedBytes(capacity: Int, layout: ShardLayout, communicator: any Communicator) -> Int {
        (2 * layout.shards * capacity * 8).roundedUp(to: 64) + (communicator.size + 1) * flagStride * 8
    }

    /// - Parameter capacity: the most numbers of a shard.
    public init(world: World, layout: ShardLayout, capacity: Int, space: inout SharedSpace) {
        self.world = world
        self.layout = layout
        self.capacity = capacity
        numbers = space.take(2 * layout.shards * capacity, of: Double.self)
        published = space.take(ShardSums.flagStride * world.communicator.size, of: Atomic<Int>.self)
        completed = space.take(ShardSums.flagStride, of: Atomic<Int>.self)
        otherHosts = world.communicator.hosts.filter { $0 != world.communicator.localRanks }
        requests.reserveCapacity(2 * otherHosts.count)
    }

    /// totals[i] = the sum over all shards of their number i.
    /// - Parameters:
    ///   - own: the numbers of this rank's shards, [shards, count].
    ///   - part: what this rank has been doing since the stopwatch's last lap.
    ///   - progress: called while others are waited for.
    public func sum(
        _ own: UnsafePointer<Double>, count: Int, to totals: UnsafeMutablePointer<Double>, during part: Stopwatch.Part,
        progress: () -> Void
    ) throws {
        precondition(count <= capacity, "\(count) numbers of a shard, room for \(capacity)")
        let communicator = world.communicator
        let buffer = numbers + round % 2 * layout.shards * capacity
        round += 1
        let shards = layout.shards(of: communicator.rank)
        (buffer + shards.lowerBound * count).update(from: own, count: shards.count * count)
        if communicator.size > 1 {
            world.stopwatch.lap(part)
            try exchange(buffer, count: count, progress)
        }
        for i in 0..<count { totals[i] = tree(0..<layout.shards, buffer + i, count) }
    }

    private func exchange(_ buffer: UnsafeMutablePointer<Double>, count: Int, _ progress: () -> Void) throws {
        let communicator = world.communicator
        published[ShardSums.flagStride * communicator.rank].store(round, ordering: .releasing)
        func wait(_ isDone: () throws -> Bool) throws {
            try world.wait {
                progress()
                return try isDone()
            }
        }
        try wait { communicator.localRanks.allSatisfy { isPublished($0) } }
        world.stopwatch.lap(.waiting)
        guard communicator.hosts.count > 1 else { return }
        if communicator.isHostLeader {
            func bytes(_ host: Range<Int>) -> UnsafeMutableRawBufferPointer {
                let shards = layout.shards(of: host)
                return UnsafeMutableRawBufferPointer(
                    start: buffer + shards.lowerBound * count, count: 8 * shards.count * count)
            }
            requests.removeAll(keepingCapacity: true)
            for host in otherHosts {
                requests.append(try communicator.startReceive(bytes(host), from: host.lowerBound, tag: .statistics))
            }
            let own = UnsafeRawBufferPointer(bytes(communicator.localRanks))
            for host in otherHosts {
                requests.append(try communicator.startSend(own, to: host.lowerBound, tag: .statistics))
            }
            for request in requests { try wait { try communicator.isComplete(request) } }
            completed.pointee.store(round, ordering: .releasing)
        } else {
            try wait { completed.pointee.load(ordering: .acquiring) >= round }
        }
        world.stopwatch.lap(.communication)
    }

    private func isPublished(_ rank: Int) -> Bool {
        published[ShardSums.flagStride * rank].load(ordering: .acquiring) >= round
    }

    private func tree(_ shards: Range<Int>, _ numbers: UnsafePointer<Double>, _ stride: Int) -> Double {
        if shards.count == 1 { return numbers[shards.lowerBound * stride] }
        let middle = (shards.lowerBound + shards.upperBound) / 2
        return tree(shards.lowerBound..<middle, numbers, stride) + tree(middle..<shards.upperBound, numbers, stride)
    }
}
