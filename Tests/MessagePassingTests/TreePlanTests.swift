import MessagePassing
import Testing

/// The parentheses of every reduction, written out as text, are those of the balanced binary tree over the shards.
@Suite struct TreePlanTests {
    /// `((0+1)+(2+3))`
    static func balanced(_ shards: Range<Int>) -> String {
        if shards.count == 1 { return "\(shards.lowerBound)" }
        let middle = (shards.lowerBound + shards.upperBound) / 2
        return "(\(balanced(shards.lowerBound..<middle))+\(balanced(middle..<shards.upperBound)))"
    }

    /// Adds `leaves` as the kernel does: each leaf to the `merges` sums before it, latest first.
    static func run(_ leaves: [String], merges: [Int]) -> [String] {
        var kept: [String] = []
        for (leaf, merges) in zip(leaves, merges) {
            var sum = leaf
            for _ in 0..<merges { sum = "(\(kept.removeLast())+\(sum))" }
            kept.append(sum)
        }
        return kept
    }

    /// All ways to split `ranks` consecutive ranks into hosts.
    static func splits(_ ranks: Int) -> [[Range<Int>]] {
        (0..<1 << (ranks - 1)).map { cuts in
            var hosts: [Range<Int>] = []
            var start = 0
            for end in 1...ranks where end == ranks || cuts >> (end - 1) & 1 == 1 {
                hosts.append(start..<end)
                start = end
            }
            return hosts
        }
    }

    /// What the ranks' kernels leave: the sums of each rank's maximal subtrees.
    private func forest(_ layout: ShardLayout, _ rank: Int) -> [String] {
        let own = layout.shards(of: rank)
        let plan = TreePlan(leaves: own.map { $0..<$0 + 1 }, total: own)
        let sums = Self.run(own.map { "\($0)" }, merges: plan.steps.map(\.merges))
        #expect(plan.outputs == ShardLayout.subtrees(own))
        #expect(plan.steps.compactMap(\.output) == Array(plan.outputs.indices))
        #expect(sums == plan.outputs.map(Self.balanced))
        return sums
    }

    @Test(arguments: [1, 2, 4, 8, 16, 32, 64])
    func oneHostAddsTheBalancedTree(shards: Int) {
        for ranks in 1...shards {
            let layout = ShardLayout(shards: shards, ranks: ranks)
            let leaves = (0..<ranks).flatMap { forest(layout, $0) }
            let plan = layout.sum(of: 0..<ranks)
            #expect(plan.outputs == [0..<shards])
            #expect(Self.run(leaves, merges: plan.steps.map(\.merges)) == [Self.balanced(0..<shards)], "\(ranks) ranks")
        }
    }

    /// Each host adds up its own maximal subtrees, the owner of a segment the rest, however the ranks are split.
    @Test(arguments: [1, 2, 4, 8])
    func everySplitIntoHostsAddsTheBalancedTree(shards: Int) {
        for ranks in 1...shards {
            let layout = ShardLayout(shards: shards, ranks: ranks)
            for hosts in Self.splits(ranks) {
                var ranges: [Range<Int>] = []
                var sums: [String] = []
                for host in hosts {
                    let leaves = host.flatMap { forest(layout, $0) }
                    let plan = layout.sum(of: host)
                    for (number, output) in plan.outputs.enumerated() {
                        let steps = zip(plan.steps, leaves).filter { output.contains($0.0.leaf.lowerBound) }
                        #expect(steps.last?.0.output == number)
                        let sum = Self.run(steps.map(\.1), merges: steps.map(\.0.merges))
                        #expect(sum == [Self.balanced(output)], "\(ranks) ranks on \(hosts)")
                        sums += sum
                    }
                    ranges += plan.outputs
                }
                let plan = TreePlan(leaves: ranges, total: 0..<shards)
                #expect(
                    Self.run(sums, merges: plan.steps.map(\.merges)) == [Self.balanced(0..<shards)],
                    "\(ranks) ranks on \(hosts)")
            }
        }
    }

    @Test func refusesLeavesThatDoNotCover() async {
        await #expect(processExitsWith: .failure) { _ = TreePlan(leaves: [0..<2], total: 0..<4) }
    }
}
