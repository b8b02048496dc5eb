import Kernels
import MessagePassing
import Networks

/// How one network's gradients are summed over the batch. Usually each rank sums over its own rows, and the reduction adds the
/// ranks up. If all layers allow it (`sumsProductsOnly`) and the reduction is the tree, each rank of a host computes only a part
/// of every gradient, but for the rows of the whole host.
struct GradientSums {
    let plan: NetworkPlan
    let layout: ShardLayout
    let communicator: any Communicator
    let batch: Int
    let reduction: Reducer.Algorithm
    /// How many passes are summed into the gradients of weights, and how many of these, the first ones, into those of biases.
    let passes, biasPasses: Int
    /// Doubles that each rank hands to all others with a reduction.
    let recordSize: Int

    private var sharesRows: Bool { plan.sharesRows && communicator.localRanks.count > 1 && reduction == .tree }
    private var hostRows: Range<Int> { layout.rows(of: layout.shards(of: communicator.localRanks), batch: batch) }
    private var sharedFloats: Int { sharesRows ? SharedRows.floats(of: plan.needs, slots: passes, rows: hostRows.count) : 0 }

    /// Bytes of the host's shared space.
    var sharedBytes: Int {
        (4 * sharedFloats).roundedUp(to: 64)
            + Reducer.sharedBytes(
                count: plan.layout.count, recordSize: recordSize, sharesGradients: sharesRows, layout: layout,
                communicator: communicator)
    }

    /// - Parameter number: of the player.
    func reducer(
        _ number: Int, _ world: World, _ kernels: Kernels, space: inout SharedSpace, update: @escaping Reducer.Update
    ) -> Reducer {
        Reducer(
            world: world, number: number, layout: layout, count: plan.layout.count, buckets: plan.buckets, recordSize: recordSize,
            sharesGradients: sharesRows, algorithm: reduction, space: &space, treeSum: kernels.treeSum, update: update)
    }

    /// - Parameter columns: of a pass of this rank's rows.
    func batchSums(
        into reducer: Reducer, _ kernels: Kernels, columns: Int, space: inout SharedSpace, arena: Arena
    ) -> BatchSums {
        let ranks = communicator.localRanks
        let own = layout.shards(of: communicator.rank)
        let shards = sharesRows ? layout.shards(of: ranks) : own
        let rows = layout.rows(of: own, batch: batch)
        let first = hostRows.lowerBound
        let floats = sharedFloats
        let shared = sharesRows
            ? SharedRows(
                rows: rows.lowerBound - first..<rows.upperBound - first, of: hostRows.count,
                elements: Reducer.segment(of: communicator.rank - ranks.lowerBound, size: ranks.count, count: plan.layout.count),
                space: space.take(floats, of: Float.self), capacity: floats)
            : nil
        return BatchSums(
            kernels: kernels, passes: passes, biasPasses: biasPasses, columns: columns,
            shards: TreePlan(leaves: shards.map { $0..<$0 + 1 }, total: shards)
                .sums(shards.map { layout.rows(of: $0, batch: batch) }),
            ownsFirstShard: own.lowerBound == 0, outputs: reducer.gradients, shared: shared, needs: plan.needs, arena: arena)
    }
}
