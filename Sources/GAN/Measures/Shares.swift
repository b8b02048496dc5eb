import MessagePassing

// How ranks that hold the same pictures share the work of a measure. What is shared out are elements of the result, never
// the terms of a sum: each sum goes over all pictures in index order, whoever computes it. So measures depend neither on the
// number of ranks nor on that of shards.

extension World {
    /// This rank's part of items that take equal work.
    func share(of count: Int) -> Range<Int> {
        count * communicator.rank / communicator.size..<count * (communicator.rank + 1) / communicator.size
    }

    /// The values of all ranks, by rank.
    func gather<Value: BitwiseCopyable>(_ values: [Value]) throws -> [Value] {
        guard communicator.size > 1 else { return values }
        return try allGather(values.withUnsafeBytes { Array($0) }).flatMap { bytes in
            bytes.withUnsafeBytes { bytes in
                (0..<bytes.count / MemoryLayout<Value>.stride).map {
                    bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Value>.stride, as: Value.self)
                }
            }
        }
    }

    /// This rank's items of 0 ..< count whose work grows or falls with their number: dealt to the ranks to and fro.
    func dealt(_ count: Int) -> [Int] { dealt(count, to: communicator.rank) }

    private func dealt(_ count: Int, to rank: Int) -> [Int] {
        let size = communicator.size
        return (0..<count).filter { min($0 % (2 * size), 2 * size - 1 - $0 % (2 * size)) == rank }
    }

    /// What the ranks have computed of items dealt to them, [items, width], in the order of all items.
    func gatherDealt(_ values: [Double], of count: Int, width: Int = 1) throws -> [Double] {
        let gathered = try gather(values)
        var ordered = [Double](repeating: 0, count: count * width)
        let items = (0..<communicator.size).flatMap { dealt(count, to: $0) }
        for (place, item) in items.enumerated() {
            for i in 0..<width { ordered[item * width + i] = gathered[place * width + i] }
        }
        return ordered
    }
}
