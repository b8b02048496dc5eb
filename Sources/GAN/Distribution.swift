import Formats
import MessagePassing

/// Hands the items of a file to the ranks of a host that keep them: its leader alone reads.
struct Distribution {
    /// The ranks of this host and what they keep of every file: consecutive items, in order.
    let shares: [(rank: Int, items: Range<Int>)]
    let patience: Patience

    private static let chunkSize = 1 << 19

    /// Reads a file to its end and sends every rank its share, chunk by chunk. Every rank of the host calls it.
    ///
    /// - Parameters:
    ///   - see: takes everything in the order of the file, on the leader.
    ///   - keep: takes this rank's share and which items they are.
    /// - Returns: what is wrong with the file, on the leader. All messages are sent all the same, so that no rank waits for one.
    func distribute(
        _ file: IDXReader, see: (UnsafeRawBufferPointer) -> Void, keep: (Range<Int>, UnsafeRawBufferPointer) -> Void
    ) throws -> FormatError? {
        let communicator = patience.communicator
        let count = max(1, Distribution.chunkSize / file.itemSize)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count * file.itemSize, alignment: 64)
        defer { buffer.deallocate() }
        var damage: FormatError?
        func read(_ body: () throws -> Void) throws {
            guard communicator.isHostLeader, damage == nil else { return }
            do { try body() } catch let error as FormatError { damage = error }
        }
        for (rank, items) in parts(of: file) {
            for start in stride(from: items.lowerBound, to: items.upperBound, by: count) {
                let chunk = start..<min(start + count, items.upperBound)
                let bytes = UnsafeMutableRawBufferPointer(rebasing: buffer[..<(chunk.count * file.itemSize)])
                try read {
                    try file.readItems(chunk.count, into: bytes)
                    see(UnsafeRawBufferPointer(bytes))
                }
                if !communicator.isHostLeader { try patience.receive(bytes, from: shares[0].rank, tag: .data) }
                if rank == communicator.rank {
                    keep(chunk, UnsafeRawBufferPointer(bytes))
                } else if let rank {
                    try patience.send(UnsafeRawBufferPointer(bytes), to: rank, tag: .data)
                }
            }
        }
        try read { try file.finish() }
        return damage
    }

    /// What this rank goes through: the leader the whole file, the others their share.
    private func parts(of file: IDXReader) -> [(rank: Int?, items: Range<Int>)] {
        let rank = patience.communicator.rank
        guard patience.communicator.isHostLeader else { return shares.filter { $0.rank == rank } }
        let end = shares[shares.count - 1].items.upperBound
        return [(nil, 0..<shares[0].items.lowerBound)] + shares + [(nil, end..<max(end, file.dimensions[0]))]
    }
}
