import MessagePassing
import Testing

/// Shards, rows and images for every number of ranks up to V, every V up to 64.
@Suite struct ShardLayoutTests {
    static let layouts = [1, 2, 4, 8, 16, 32, 64].flatMap { shards in
        (1...shards).map { ShardLayout(shards: shards, ranks: $0) }
    }

    /// Whether the ranges follow each other from 0 to `end`.
    private func cover(_ ranges: [Range<Int>], end: Int) -> Bool {
        var next = 0
        for range in ranges {
            guard range.lowerBound == next else { return false }
            next = range.upperBound
        }
        return next == end
    }

    @Test func shardsAreCoveredInBalance() {
        for layout in Self.layouts {
            let own = (0..<layout.ranks).map { layout.shards(of: $0) }
            #expect(cover(own, end: layout.shards), "\(layout)")
            let counts = own.map(\.count)
            #expect((counts.min() ?? 0) == layout.shards / layout.ranks, "\(layout)")
            #expect((counts.max() ?? 0) == (layout.shards + layout.ranks - 1) / layout.ranks, "\(layout)")
        }
    }

    @Test func consecutiveRanksOwnConsecutiveShards() {
        for layout in Self.layouts where layout.shards <= 16 {
            for first in 0..<layout.ranks {
                for last in first..<layout.ranks {
                    let whole = layout.shards(of: first..<last + 1)
                    #expect(whole.lowerBound == layout.shards(of: first).lowerBound)
                    #expect(whole.upperBound == layout.shards(of: last).upperBound)
                }
            }
        }
    }

    /// Rows are those of ⌊B·v/V⌋, and images are owned in proportion to them, at every number of ranks the same.
    @Test func rowsAndImagesAreCoveredInProportion() {
        for shards in [1, 2, 4, 8, 16, 32, 64] {
            let layout = ShardLayout(shards: shards, ranks: 1)
            for batch in [shards, shards + 1, 2 * shards - 1, 100, 1_000] where batch >= shards {
                let rows = (0..<shards).map { layout.rows(of: $0, batch: batch) }
                #expect(cover(rows, end: batch))
                #expect(rows.allSatisfy { $0.count == batch / shards || $0.count == (batch + shards - 1) / shards })
                #expect(layout.rows(of: 0..<shards, batch: batch) == 0..<batch)
                for count in [batch, batch + 1, 60_000] {
                    let images = (0..<shards).map { layout.images(of: $0, batch: batch, images: count) }
                    #expect(cover(images, end: count))
                    for (images, rows) in zip(images, rows) {
                        let share = Double(count) * Double(rows.count) / Double(batch)
                        #expect(abs(Double(images.count) - share) < 1, "\(shards) shards, batch \(batch), \(count) images")
                        #expect(images.count >= rows.count)
                    }
                }
            }
        }
    }

    @Test func examplesOfTheDesign() {
        let layout = ShardLayout(shards: 8, ranks: 3)
        #expect((0..<3).map { layout.shards(of: $0) } == [0..<2, 2..<5, 5..<8])
        #expect((0..<3).map { ShardLayout.subtrees(layout.shards(of: $0)).count } == [1, 2, 2])
        #expect(ShardLayout.subtrees(2..<5) == [2..<4, 4..<5])
        #expect((0..<8).map { layout.rows(of: $0, batch: 100).count } == [12, 13, 12, 13, 12, 13, 12, 13])
    }

    /// Every range of up to 64 shards: covered by aligned subtrees, no two of which are halves of a larger one.
    @Test func subtreesAreMaximal() {
        for start in 0..<64 {
            for end in start + 1...64 {
                let subtrees = ShardLayout.subtrees(start..<end)
                #expect(subtrees.first?.lowerBound == start && subtrees.last?.upperBound == end)
                for subtree in subtrees {
                    #expect(subtree.count.nonzeroBitCount == 1 && subtree.lowerBound % subtree.count == 0)
                }
                for (left, right) in zip(subtrees, subtrees.dropFirst()) {
                    #expect(left.upperBound == right.lowerBound)
                    #expect(left.count != right.count || left.lowerBound % (2 * left.count) != 0)
                }
                #expect(subtrees.count <= 12)
            }
        }
    }

    @Test func refusesWhatIsNoLayout() async {
        await #expect(processExitsWith: .failure) { _ = ShardLayout(shards: 6, ranks: 1) }
        await #expect(processExitsWith: .failure) { _ = ShardLayout(shards: 8, ranks: 9) }
        await #expect(processExitsWith: .failure) { _ = ShardLayout(shards: 8, ranks: 0) }
    }
}
