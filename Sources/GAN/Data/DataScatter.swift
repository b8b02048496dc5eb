import Formats
import MessagePassing

/// Hands the items of a file to the ranks of a host that keep them: its leader alone reads.
struct DataScatter {
    /// The ranks of this host and what they keep of every file: consecutive items, in order.
    let shares: [(rank: Int, items: Range<Int>)]
    let world: World

    private static let chunkSize = 1 << 19

    /// Reads a file to its end and sends every rank its share, chunk by chunk. Every rank of the host calls it.
    ///
    /// - Parameters:
    ///   - see: takes everything in the order of the file, on the leader.
    ///   - keep: takes this rank's share and which items they are.
    /// - Returns: what is wrong with the file, on the leader. Ranks whose share did not come are told, so that none waits for it.
    func distribute(
        _ file: IDXReader, see: (UnsafeRawBufferPointer) -> Void, keep: (Range<Int>, UnsafeRawBufferPointer) -> Void
    ) throws -> FormatError? {
        let communicator = world.communicator
        let count = max(1, DataScatter.chunkSize / max(1, file.itemSize))
        // A byte after the items says whether they are good.
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count * file.itemSize + 1, alignment: 64)
        defer { buffer.deallocate() }
        var damage: FormatError?
        func read(_ body: () throws -> Void) throws {
            guard communicator.isHostLeader, damage == nil else { return }
            do { try body() } catch let error as FormatError { damage = error }
        }
        for (rank, items) in parts(of: file) {
            for start in stride(from: items.lowerBound, to: items.upperBound, by: count) {
                let chunk = start..<min(start + count, items.upperBound)
                let size = chunk.count * file.itemSize
                let bytes = UnsafeMutableRawBufferPointer(rebasing: buffer[..<size])
                let message = UnsafeMutableRawBufferPointer(rebasing: buffer[...size])
                try read {
                    try file.readItems(chunk.count, into: bytes)
                    see(UnsafeRawBufferPointer(bytes))
                }
                if communicator.isHostLeader {
                    message[size] = damage == nil ? 1 : 0
                } else {
                    try world.receive(message, from: shares[0].rank, tag: .data)
                }
                let isGood = message[size] == 1
                if let rank, rank != communicator.rank {
                    try world.send(UnsafeRawBufferPointer(message), to: rank, tag: .data)
                } else if rank != nil, isGood {
                    keep(chunk, UnsafeRawBufferPointer(bytes))
                }
                if !isGood { break }
            }
        }
        try read { try file.finish() }
        return damage
    }

    /// What this rank goes through: the leader the whole file, the others their share.
    private func parts(of file: IDXReader) -> [(rank: Int?, items: Range<Int>)] {
        let rank = world.communicator.rank
        guard world.communicator.isHostLeader else { return shares.filter { $0.rank == rank } }
        let end = shares[shares.count - 1].items.upperBound
        return [(nil, 0..<shares[0].items.lowerBound)] + shares + [(nil, end..<max(end, file.dimensions[0]))]
    }
}
