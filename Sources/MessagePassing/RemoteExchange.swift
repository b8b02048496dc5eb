/// The part of a reduction that crosses hosts. For each segment that another host owns, one rank of this host adds up
/// the host's own gradients and sends the sums of its maximal subtrees to the owner; the owner sends the new parameters
/// back to that rank, which writes them to its host's shared memory. All messages are under way at once.
final class RemoteExchange {
    typealias Floats = UnsafeMutablePointer<Float>

    /// A segment of another host that this rank looks after.
    private struct Ward {
        let owner: Int
        let segment: Range<Int>
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

    private let patience: Patience
    private let communicator: any Communicator
    private let layout: ShardLayout
    private let parameters: Floats
    private let segment: Range<Int>
    private let ownParameters: Floats
    private var wards: [Ward] = []
    private var peers: [Int: Peer] = [:]
    private var requests: [Request] = []

    init(
        patience: Patience, layout: ShardLayout, segment: (Int) -> Range<Int>, parameters: Floats, localTrees: [[Floats]]
    ) {
        self.patience = patience
        self.layout = layout
        self.parameters = parameters
        communicator = patience.communicator
        let hosts = communicator.hosts
        let host = communicator.host
        let rank = communicator.rank
        self.segment = segment(rank)
        ownParameters = RemoteExchange.buffer(self.segment.count + 1)
        guard hosts.count > 1 else { return }

        let plan = layout.sum(of: hosts[host])
        let trees = localTrees.flatMap { $0 }
        for (other, ranks) in hosts.enumerated() where other != host {
            let subtrees = ShardLayout.subtrees(layout.shards(of: ranks))
            peers[other] = Peer(
                delegate: RemoteExchange.delegate(for: rank, among: ranks), subtrees: subtrees,
                incoming: RemoteExchange.buffer(self.segment.count * subtrees.count))
            for owner in ranks where RemoteExchange.delegate(for: owner, among: hosts[host]) == rank {
                let ward = segment(owner)
                let sums = plan.outputs.map { output in
                    let steps = zip(plan.steps, trees).filter { output.contains($0.0.leaf.lowerBound) }
                    return Addition(
                        leaves: steps.map { UnsafePointer($0.1 + ward.lowerBound) }, merges: steps.map { Int32($0.0.merges) })
                }
                wards.append(
                    Ward(
                        owner: owner, segment: ward, sums: sums,
                        outgoing: RemoteExchange.buffer(ward.count * sums.count),
                        newParameters: RemoteExchange.buffer(ward.count + 1)))
            }
        }
        requests.reserveCapacity(4 * (wards.count + peers.count) + 8)
    }

    /// The sum of a segment over all shards: the trees of this host's ranks, `own`, and the sums that other hosts send.
    func wholeTree(own: [[UnsafePointer<Float>]]) -> Addition {
        var leaves: [(range: Range<Int>, values: UnsafePointer<Float>)] = []
        for (index, ranks) in communicator.hosts.enumerated() {
            if let peer = peers[index] {
                for (number, subtree) in peer.subtrees.enumerated() {
                    leaves.append((subtree, UnsafePointer(peer.incoming + number * segment.count)))
                }
            } else {
                for (rank, trees) in zip(ranks, own) {
                    leaves += zip(ShardLayout.subtrees(layout.shards(of: rank)), trees).map { ($0, $1) }
                }
            }
        }
        let plan = TreePlan(leaves: leaves.map(\.range), total: 0..<layout.shards)
        return Addition(leaves: leaves.map(\.values), merges: plan.steps.map { Int32($0.merges) })
    }

    /// Sends this host's sums of other hosts' segments, and receives theirs of this rank's segment.
    func exchangeGradients(scratch: Floats, treeSum: Reducer.TreeSum) throws {
        for peer in peers.values {
            try receive(peer.incoming, segment.count * peer.subtrees.count, from: peer.delegate, .gradients)
        }
        for ward in wards {
            for (number, sum) in ward.sums.enumerated() {
                // Whether the sums are finite is the owner's to find.
                _ = sum.run(treeSum, to: ward.outgoing + number * ward.segment.count, count: ward.segment.count, scratch: scratch)
            }
            try send(ward.outgoing, ward.segment.count * ward.sums.count, to: ward.owner, .gradients)
        }
        try finish()
    }

    /// Sends the new parameters of this rank's segment to the other hosts, and receives those of its wards.
    /// - Returns: whether all owners concerned had finite gradients; the last element of each message says it.
    func exchangeParameters(isFinite: Bool) throws -> Bool {
        for ward in wards { try receive(ward.newParameters, ward.segment.count + 1, from: ward.owner, .parameters) }
        ownParameters.update(from: parameters + segment.lowerBound, count: segment.count)
        ownParameters[segment.count] = isFinite ? 1 : 0
        for peer in peers.values { try send(ownParameters, segment.count + 1, to: peer.delegate, .parameters) }
        try finish()
        var allFinite = true
        for ward in wards {
            (parameters + ward.segment.lowerBound).update(from: ward.newParameters, count: ward.segment.count)
            if ward.newParameters[ward.segment.count] != 1 { allFinite = false }
        }
        return allFinite
    }

    /// Hosts' leaders hand each other the records of their hosts.
    func exchangeRecords(_ records: UnsafeMutablePointer<Double>, recordSize: Int) throws {
        guard communicator.isHostLeader, recordSize > 0 else { return }
        func bytes(of ranks: Range<Int>) -> UnsafeMutableRawBufferPointer {
            UnsafeMutableRawBufferPointer(start: records + ranks.lowerBound * recordSize, count: 8 * ranks.count * recordSize)
        }
        for ranks in communicator.hosts where ranks != communicator.neighbours {
            requests.append(try communicator.startReceive(bytes(of: ranks), from: ranks.lowerBound, tag: .records))
            requests.append(
                try communicator.startSend(
                    UnsafeRawBufferPointer(bytes(of: communicator.neighbours)), to: ranks.lowerBound, tag: .records))
        }
        try finish()
    }

    /// The rank of a host that looks after the segment of `owner` on another host.
    private static func delegate(for owner: Int, among ranks: Range<Int>) -> Int {
        ranks.lowerBound + owner % ranks.count
    }

    private static func buffer(_ count: Int) -> Floats {
        allocateZeroed(byteCount: 4 * count).bindMemory(to: Float.self, capacity: count)
    }

    private func send(_ values: Floats, _ count: Int, to rank: Int, _ tag: Tag) throws {
        requests.append(
            try communicator.startSend(UnsafeRawBufferPointer(start: values, count: 4 * count), to: rank, tag: tag))
    }

    private func receive(_ values: Floats, _ count: Int, from rank: Int, _ tag: Tag) throws {
        requests.append(
            try communicator.startReceive(UnsafeMutableRawBufferPointer(start: values, count: 4 * count), from: rank, tag: tag))
    }

    private func finish() throws {
        for request in requests { try patience.wait(for: request) }
        requests.removeAll(keepingCapacity: true)
    }
}
