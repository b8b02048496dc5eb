/// The order in which aligned subtrees are added up to larger ones: after each leaf it is merged with as many of the
/// earlier, still unmerged subtrees as are its siblings. This is a binary counter over the leaves.
public struct TreePlan: Sendable {
    public struct Step: Sendable {
        public var leaf: Range<Int>
        /// How many earlier subtrees are added after this leaf, latest first.
        public var merges = 0
        /// The number of the result if the sum is then one of the maximal subtrees, or nil if it waits for its sibling.
        public var output: Int?
    }

    public let steps: [Step]
    /// The results: the maximal aligned subtrees of the total.
    public let outputs: [Range<Int>]

    /// - Parameter leaves: aligned subtrees that cover `total` in order.
    public init(leaves: [Range<Int>], total: Range<Int>) {
        outputs = ShardLayout.subtrees(total)
        var steps: [Step] = []
        var waiting: [Range<Int>] = []
        for leaf in leaves {
            var step = Step(leaf: leaf)
            var sum = leaf
            while !outputs.contains(sum), let sibling = waiting.last,
                sibling.count == sum.count, sibling.lowerBound % (2 * sum.count) == 0, sibling.upperBound == sum.lowerBound
            {
                waiting.removeLast()
                sum = sibling.lowerBound..<sum.upperBound
                step.merges += 1
            }
            step.output = outputs.firstIndex(of: sum)
            if step.output == nil { waiting.append(sum) }
            steps.append(step)
        }
        precondition(waiting.isEmpty, "leaves \(leaves) do not cover \(total)")
        self.steps = steps
    }
}
