/// The part of a reduction that crosses hosts. For each segment that another host owns, one rank of this host adds up
/// the host's own gradients and sends the sums of its maximal subtrees to the owner; the owner sends the new parameters
/// back to that rank, which writes them to its host's shared memory. A segment's sums go bucket by bucket, as soon as the
/// host has them. Nothing here waits; all messages may be under way at once.
final class RemoteExchange {
    typealias Floats = UnsafeMutablePointer<Float>

    /// A segment of another host that this rank looks after.
    private struct RemoteSegment {
        let owner: Int
        let segment: Range<Int>
        /// The segment by buckets, in the order of sending: the last first.
        let pieces: [Range<Int>]
        /// One sum for each maximal subtree of this host, and where the sums lie, one behind the other.
        let sums: [Addition]
        let outgoing: Floats
        let newParameters: Floats
    }

    /// Another host, as the owner of a segment sees it.
    private struct Peer {
        let delegate: Int
        let subtrees: [Range<Int>]
        let incoming: Floats
    }

    private let world: World
    private let communicator: any Communicator
    private let gradientsTag, parametersTag, recordsTag: Tag
    private let layout: ShardLayout
    private let parameters: Floats
    /// The ranks of this host that write gradients together.
    private let sources: [Range<Int>]
    private let segment: Range<Int>
    private let ownParameters: Floats
    private let records: UnsafeMutablePointer<Double>
    private let recordSize: Int
    private var remoteSegments: [RemoteSegment] = []
    private var peers: [Int: Peer] = [:]
    /// How many pieces of each remote segment have been sent in this round.
    private var sentPieces: [Int] = []
    private let ownPieces: [Range<Int>]
    private var incomingGradients: [Request] = []
    private var incoming: [Request] = []
    private var outgoing: [Request] = []

    init(
        world: World, number: Int, layout: ShardLayout, sharesGradients: Bool, segment: (Int) -> Range<Int>, buckets: [Range<Int>],
        parameters: Floats, records: UnsafeMutablePointer<Double>, recordSize: Int, localTrees: [[Floats]]
    ) {
        self.world = world
        gradientsTag = .gradients.of(reduction: number)
        parametersTag = .parameters.of(reduction: number)
        recordsTag = .records.of(reduction: number)
        self.layout = layout
        self.parameters = parameters
        communicator = world.communicator
        sources = communicator.localRanks.sources(sharesGradients)
        let hosts = communicator.hosts
        let host = communicator.host
        let rank = communicator.rank
        self.segment = segment(rank)
        self.records = records
        self.recordSize = recordSize
        let pieces = { (segment: Range<Int>) in
            buckets.reversed().map { $0.clamped(to: segment) }.filter { !$0.isEmpty }
        }
        ownPieces = pieces(self.segment)
        ownParameters = RemoteExchange.buffer(self.segment.count + 1)
        guard hosts.count > 1 else { return }

        let plan = layout.sum(of: hosts[host], sharesGradients: sharesGradients)
        let trees = localTrees.flatMap { $0 }
        for (other, ranks) in hosts.enumerated() where other != host {
            let subtrees = ShardLayout.subtrees(layout.shards(of: ranks))
            peers[other] = Peer(
                delegate: RemoteExchange.delegate(for: rank, among: ranks), subtrees: subtrees,
                incoming: RemoteExchange.buffer(self.segment.count * subtrees.count))
            for owner in ranks where RemoteExchange.delegate(for: owner, among: hosts[host]) == rank {
                let segment = segment(owner)
                let sums = plan.outputs.map { output in
                    let steps = zip(plan.steps, trees).filter { output.contains($0.0.leaf.lowerBound) }
                    return Addition(
                        leaves: steps.map { UnsafePointer($0.1 + segment.lowerBound) }, merges: steps.map { Int32($0.0.merges) })
                }
                remoteSegments.append(
                    RemoteSegment(
                        owner: owner, segment: segment, pieces: pieces(segment), sums: sums,
                        outgoing: RemoteExchange.buffer(segment.count * sums.count),
                        newParameters: RemoteExchange.buffer(segment.count + 1)))
            }
        }
        sentPieces = Array(repeating: 0, count: remoteSegments.count)
        incomingGradients.reserveCapacity(peers.values.reduce(0) { $0 + ownPieces.count * $1.subtrees.count })
        incoming.reserveCapacity(remoteSegments.count + hosts.count)
        outgoing.reserveCapacity(remoteSegments.reduce(0) { $0 + $1.pieces.count * $1.sums.count } + 2 * hosts.count)
    }

    /// The sum of a segment over all shards: the trees of this host's sources, `own`, and the sums that other hosts send.
    func wholeTree(own: [[UnsafePointer<Float>]]) -> Addition {
        var leaves: [(range: Range<Int>, values: UnsafePointer<Float>)] = []
        for index in communicator.hosts.indices {
            if let peer = peers[index] {
                for (number, subtree) in peer.subtrees.enumerated() {
                    leaves.append((subtree, UnsafePointer(peer.incoming + number * segment.count)))
                }
            } else {
                for (ranks, trees) in zip(sources, own) {
                    leaves += zip(ShardLayout.subtrees(layout.shards(of: ranks)), trees).map { ($0, $1) }
                }
            }
        }
        let plan = TreePlan(leaves: leaves.map(\.range), total: 0..<layout.shards)
        return Addition(leaves: leaves.map(\.values), merges: plan.steps.map { Int32($0.merges) })
    }

    /// Begins a round: receives whatever others send.
    func begin(receivesGradients: Bool) throws {
        for index in sentPieces.indices { sentPieces[index] = 0 }
        for peer in peers.values where receivesGradients {
            for piece in ownPieces {
                for number in peer.subtrees.indices {
                    let place = peer.incoming + number * segment.count + (piece.lowerBound - segment.lowerBound)
                    incomingGradients.append(try receive(place, piece.count, from: peer.delegate, gradientsTag))
                }
            }
        }
        for remote in remoteSegments {
            incoming.append(try receive(remote.newParameters, remote.segment.count + 1, from: remote.owner, parametersTag))
        }
    }

    /// Sends what this host has the sums of.
    /// - Parameter isReady: whether a rank has published down to an element.
    func sendSums(
        _ part: Stopwatch.Part, _ treeSum: Reducer.TreeSum, scratch: Floats, isReady: (_ rank: Int, _ element: Int) -> Bool
    ) throws {
        for (index, remote) in remoteSegments.enumerated() {
            while sentPieces[index] < remote.pieces.count {
                let piece = remote.pieces[sentPieces[index]]
                guard communicator.localRanks.allSatisfy({ isReady($0, piece.lowerBound) }) else { break }
                world.stopwatch.lap(part)
                let offset = piece.lowerBound - remote.segment.lowerBound
                for (number, sum) in remote.sums.enumerated() {
                    let place = remote.outgoing + number * remote.segment.count + offset
                    // Whether the sums are finite is the owner's to find.
                    _ = sum.run(treeSum, to: place, offset..<offset + piece.count, scratch: scratch)
                    outgoing.append(try send(place, piece.count, to: remote.owner, gradientsTag))
                }
                sentPieces[index] += 1
                world.stopwatch.lap(.communication)
            }
        }
    }

    /// Whether all hosts' sums for this rank's segment have arrived, and this rank has sent those for its remote segments.
    func haveGradientsArrived() throws -> Bool {
        guard zip(sentPieces, remoteSegments).allSatisfy({ $0 >= $1.pieces.count }) else { return false }
        return try areComplete(&incomingGradients)
    }

    /// Sends the new parameters of this rank's segment to the other hosts, and for a leader its host's records to theirs.
    func sendParametersAndRecords(isFinite: Bool) throws {
        guard !peers.isEmpty else { return }
        ownParameters.update(from: parameters + segment.lowerBound, count: segment.count)
        ownParameters[segment.count] = isFinite ? 1 : 0
        for peer in peers.values {
            outgoing.append(try send(ownParameters, segment.count + 1, to: peer.delegate, parametersTag))
        }
        guard communicator.isHostLeader, recordSize > 0 else { return }
        func bytes(of ranks: Range<Int>) -> UnsafeMutableRawBufferPointer {
            UnsafeMutableRawBufferPointer(start: records + ranks.lowerBound * recordSize, count: 8 * ranks.count * recordSize)
        }
        for ranks in communicator.hosts where ranks != communicator.localRanks {
            incoming.append(try communicator.startReceive(bytes(of: ranks), from: ranks.lowerBound, tag: recordsTag))
            let own = UnsafeRawBufferPointer(bytes(of: communicator.localRanks))
            outgoing.append(try communicator.startSend(own, to: ranks.lowerBound, tag: recordsTag))
        }
    }

    /// Copies the new parameters of this rank's remote segments to shared memory, once all messages of the round are through.
    /// - Returns: whether all owners concerned had finite gradients, as the last element of each message says; nil
    ///   while something is under way.
    func takeParametersAndRecords() throws -> Bool? {
        guard try areComplete(&incoming), try areComplete(&outgoing) else { return nil }
        var allFinite = true
        for remote in remoteSegments {
            (parameters + remote.segment.lowerBound).update(from: remote.newParameters, count: remote.segment.count)
            if remote.newParameters[remote.segment.count] != 1 { allFinite = false }
        }
        return allFinite
    }

    /// The rank of a host that looks after the segment of `owner` on another host.
    private static func delegate(for owner: Int, among ranks: Range<Int>) -> Int {
        ranks.lowerBound + owner % ranks.count
    }

    private static func buffer(_ count: Int) -> Floats {
        allocateZeroed(byteCount: 4 * count).bindMemory(to: Float.self, capacity: count)
    }

    private func send(_ values: Floats, _ count: Int, to rank: Int, _ tag: Tag) throws -> Request {
        try communicator.startSend(UnsafeRawBufferPointer(start: values, count: 4 * count), to: rank, tag: tag)
    }

    private func receive(_ values: Floats, _ count: Int, from rank: Int, _ tag: Tag) throws -> Request {
        try communicator.startReceive(UnsafeMutableRawBufferPointer(start: values, count: 4 * count), from: rank, tag: tag)
    }

    /// Drops the requests that are complete and says whether all were.
    private func areComplete(_ requests: inout [Request]) throws -> Bool {
        while let first = requests.first {
            guard try communicator.isComplete(first) else { return false }
            requests.removeFirst()
        }
        return true
    }
}
