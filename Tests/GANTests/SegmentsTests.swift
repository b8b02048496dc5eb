import MessagePassing
import Testing

@testable import GAN

/// What each rank holds a segment of, collected on rank 0.
@Suite(.timeLimit(.minutes(15))) struct SegmentsTests {
    @Test(arguments: [[1], [2], [3, 1], [1, 1, 1, 1]]) func anyElementsAreCollected(hosts: [Int]) throws {
        // The last but one rank holds nothing.
        let bounds = [0, 7, 64, 64, 100]
        let collected = try onRanks(hosts: hosts) { communicator in
            let world = try communicator.world()
            let (rank, size) = (communicator.rank, communicator.size)
            let elements = { (rank: Int) in bounds[rank]..<(rank == size - 1 ? 100 : bounds[rank + 1]) }
            // With one more, so that there is memory of an empty segment too.
            return try (elements(rank).map(Float.init) + [.nan]).withUnsafeBufferPointer { own in
                guard let base = own.baseAddress else { preconditionFailure("an array without memory") }
                let segments = Segments(own: base, count: 100, elements: elements)
                return [try world.collect(segments)] + (try [0..<7, 3..<4, 5..<9, 6..<65, 64..<100, 99..<100, 40..<40].map {
                    try world.collect(segments, $0)
                })
            }
        }
        let wanted = [0..<100, 0..<7, 3..<4, 5..<9, 6..<65, 64..<100, 99..<100, 40..<40]
        #expect(collected[0] == wanted.map { $0.map(Float.init) })
        for rank in collected.indices.dropFirst() { #expect(collected[rank] == wanted.map { _ in [] }, "rank \(rank)") }
    }
}
