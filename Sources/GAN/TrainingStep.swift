import Kernels
import MessagePassing
import Networks

/// One step of adversarial training on one rank: a discriminator update and a generator update, each from gradients
/// summed over all ranks.
public final class TrainingStep {
    public let generator: Network
    public let discriminator: Network
    let generatorReducer: Reducer
    let discriminatorReducer: Reducer
    let generatorMoments: Moments
    let discriminatorMoments: Moments
    /// The reduction under way, if any.
    private var pending: Reducer?
    /// What this rank computes.
    private var part = Stopwatch.Part.other
    /// Steps that have begun, and what signals asked for in those that are settled.
    private var begun = 0
    private var settledRequests = 0
    let kernels: Kernels

    private let configuration: Configuration
    private let arena: Arena
    private let patience: Patience
    private let batches: Batches
    private let generatorSums: BatchSums
    private let discriminatorSums: BatchSums
    private let shardRows: [Range<Int>]
    private let layout: ShardLayout
    /// Whether computation goes on while a gradient is being reduced.
    private let overlaps: Bool
    /// Columns of one pass, and this rank's rows of the batch in them.
    private let columns: Int
    let rows: Range<Int>
    private let realRows: RowStatistics
    private let fakeRows: RowStatistics
    private let generatorRows: RowStatistics

    public init(
        _ configuration: Configuration, dataset: Dataset, layout: ShardLayout, patience: Patience, kernels: Kernels,
        reduction: Reducer.Algorithm, overlaps: Bool = true
    ) throws {
        let communicator = patience.communicator
        let plans = try configuration.networkPlans()
        let recordSize = TrainingStep.recordSize(layout)
        var bytes = 0
        for plan in [plans.generator, plans.discriminator] {
            bytes += Reducer.sharedBytes(
                count: plan.layout.count, recordSize: recordSize, layout: layout, communicator: communicator)
        }
        var space = try SharedSpace(communicator, byteCount: bytes)
        let arena = Arena()
        func reducer(_ plan: NetworkPlan, recordSize: Int = 0) -> (Reducer, Moments) {
            let count = plan.layout.count
            let segment = Reducer.segment(of: communicator.rank, size: communicator.size, count: count)
            let moments = Moments(segment, kernels: kernels, arena: arena)
            let reducer = Reducer(
                patience: patience, layout: layout, count: count, buckets: plan.buckets, recordSize: recordSize,
                algorithm: reduction, space: &space, treeSum: kernels.treeSum, update: moments.update)
            return (reducer, moments)
        }
        (generatorReducer, generatorMoments) = reducer(plans.generator, recordSize: recordSize)
        (discriminatorReducer, discriminatorMoments) = reducer(plans.discriminator)

        let own = layout.shards(of: communicator.rank)
        rows = layout.rows(of: own, batch: configuration.batchSize)
        let kernels = kernels.narrow(columns: rows.count)
        columns = (rows.count + kernels.columnMultiple - 1) / kernels.columnMultiple * kernels.columnMultiple
        let first = rows.lowerBound
        shardRows = own.map { shard in
            let rows = layout.rows(of: shard, batch: configuration.batchSize)
            return rows.lowerBound - first..<rows.upperBound - first
        }
        discriminator = Network(
            name: "discriminator", plan: plans.discriminator, stride: columns, slots: 2,
            parameters: discriminatorReducer.parameters, arena: arena)
        // Fakes are made where the discriminator reads them.
        generator = Network(
            name: "generator", plan: plans.generator, stride: columns, output: discriminator.input.slot(1),
            parameters: generatorReducer.parameters, arena: arena)
        let tree = TreePlan(leaves: own.map { $0..<$0 + 1 }, total: own)
        generatorSums = BatchSums(
            kernels: kernels, slots: 1, columns: columns, shards: tree.sums(shardRows),
            outputs: generatorReducer.gradients, largestInput: plans.generator.largestInput,
            largestOutput: plans.generator.largestOutput, arena: arena)
        discriminatorSums = BatchSums(
            kernels: kernels, slots: 2, columns: columns, shards: tree.sums(shardRows),
            outputs: discriminatorReducer.gradients, largestInput: plans.discriminator.largestInput,
            largestOutput: plans.discriminator.largestOutput, arena: arena)
        batches = Batches(
            configuration, dataset: dataset, layout: layout, rank: communicator.rank, kernels: kernels, arena: arena)
        realRows = RowStatistics(columns: columns, arena: arena)
        fakeRows = RowStatistics(columns: columns, arena: arena)
        generatorRows = RowStatistics(columns: columns, arena: arena)
        self.configuration = configuration
        self.arena = arena
        self.patience = patience
        self.kernels = kernels
        self.layout = layout
        self.overlaps = overlaps
    }

    /// Step number t, from 0. x are the real rows, z₁ and z₂ noise, D and G the networks; slot 0 of D's
    /// activations are the real rows, slot 1 the fake ones. The generator's new parameters may still be on their way
    /// when it returns; `settle` waits for them.
    ///
    /// - Parameter requests: what signals ask of this rank.
    /// - Throws: a failure on all ranks, naming the tensor, where a gradient is infinite or NaN; nothing is updated then.
    public func run(_ t: Int, requests: Int) throws {
        let real = pass(.real, t)
        let fake = pass(.fake, t)
        let again = pass(.generator, t)
        let d = discriminator
        let g = generator
        let fakeOutput = d.output.slot(1)
        let fakeError = d.outputError.slot(1)

        patience.stopwatch.lap(.other)
        patience.note(step: t + 1, phase: .discriminator)
        gather(t, into: d.input)                                                            // x
        forward(d, real)                                                                    // D(x)
        judge(d.output, .one, gradient: d.outputError, realRows, real)                      // L(D(x), 1)
        backward(d, real)
        try settle()                                                                        // G of step t − 1
        begun = t + 1
        noise(RandomStream.discriminatorNoise, t, into: g.input)                            // z₁
        forward(g, fake)                                                                    // G(z₁)
        forward(d, fake, slot: 1)                                                           // D(G(z₁))
        judge(fakeOutput, .zero, gradient: fakeError, fakeRows, fake)                       // L(D(G(z₁)), 0)
        backward(d, fake, slot: 1)
        try weightGradients(d, discriminatorSums, discriminatorReducer, discriminatorMoments, t)
        if overlaps { drawAgain(again, t) }                                                 // G(z₂)
        try finish(.discriminatorReduction, of: d)                                          // D ← Adam
        if !overlaps { drawAgain(again, t) }

        patience.note(step: t + 1, phase: .generator)
        forward(d, again, slot: 1)                                                          // D(G(z))
        judge(fakeOutput, .one, gradient: fakeError, generatorRows, again)                  // L(D(G(z)), 1)
        backward(d, again, slot: 1, inputError: g.outputError)
        backward(g, configuration.generatorStep == .fresh ? again : fake)
        record(requests)
        try weightGradients(g, generatorSums, generatorReducer, generatorMoments, t)
        if !overlaps { try settle() }                                                       // G ← Adam
    }

    /// Waits until the last step's parameters are everywhere.
    func settle() throws {
        guard pending != nil else { return }
        try finish(.generatorReduction, of: generator)
        for rank in 0..<layout.ranks { settledRequests |= Int(record(of: rank)[0]) }
    }

    /// What signals have asked of any rank in the steps that are settled, once.
    func takeRequests() -> Int {
        defer { settledRequests = 0 }
        return settledRequests
    }

    /// Losses and scores of the last step, over the whole batch.
    var statistics: StepStatistics {
        StepStatistics(shards: layout.shards, batch: configuration.batchSize) { shard in
            let rank = layout.rank(of: shard)
            let index = shard - layout.shards(of: rank).lowerBound
            return UnsafePointer(record(of: rank) + TrainingStep.recordHeader + StepStatistics.size * index)
        }
    }

    /// Seconds since the start that each rank has waited for others, and has spent in reductions with all of them there.
    var exchangeSeconds: [(waiting: Double, communication: Double)] {
        (0..<layout.ranks).map { (record(of: $0)[1], record(of: $0)[2]) }
    }

    // MARK: Parts of a step

    /// Lets the reduction under way go on, between blocks of long products.
    private var interlude: Interlude {
        guard overlaps, patience.communicator.size > 1 else { return .none }
        return Interlude(
            call: { context in
                guard let context else { return }
                let step = Unmanaged<TrainingStep>.fromOpaque(context).takeUnretainedValue()
                step.pending?.progress(during: step.part)
            }, context: Unmanaged.passUnretained(self).toOpaque())
    }

    private func pass(_ kind: PassKind, _ t: Int) -> Pass {
        Pass(
            kernels: kernels, columns: columns, kind: kind, seed: configuration.seed, step: t, firstRow: rows.lowerBound,
            interlude: interlude)
    }

    private func gather(_ t: Int, into x: Matrix) {
        batches.gather(step: t, into: x)
        patience.stopwatch.lap(.data)
    }

    private func noise(_ stream: UInt32, _ t: Int, into z: Matrix) {
        let key = RandomKey(seed: configuration.seed, stream: stream, step: t, firstRow: rows.lowerBound)
        kernels.randomNormals(key, z.base, configuration.latentDimension, columns, z.stride)
        patience.stopwatch.lap(.noise)
    }

    /// The generator step's fakes, of fresh noise z₂. They do not need the new discriminator: its reduction hides behind them.
    private func drawAgain(_ pass: Pass, _ t: Int) {
        guard configuration.generatorStep == .fresh else { return }
        noise(RandomStream.generatorNoise, t, into: generator.input)
        forward(generator, pass)
    }

    private func forward(_ network: Network, _ pass: Pass, slot: Int = 0) {
        part = .forward
        network.forward(pass, slot: slot)
        patience.stopwatch.lap(.forward)
    }

    private func backward(_ network: Network, _ pass: Pass, slot: Int = 0, inputError: Matrix? = nil) {
        part = .backward
        network.backward(pass, slot: slot, inputError: inputError)
        patience.stopwatch.lap(.backward)
    }

    /// The gradients of all parameters, each layer's handed to the reduction as soon as it is done.
    private func weightGradients(_ network: Network, _ sums: BatchSums, _ reducer: Reducer, _ moments: Moments, _ t: Int) throws {
        moments.constants = configuration.adam.constants(update: t + 1)
        pending = reducer
        part = .weightGradients
        sums.interlude = interlude
        try network.weightGradients(sums) { element in
            if overlaps || element == 0 { try reducer.publish(downTo: element) }
        }
        patience.stopwatch.lap(.weightGradients)
    }

    private func judge(_ outputs: Matrix, _ target: Loss.Target, gradient: Matrix, _ rows: RowStatistics, _ pass: Pass) {
        configuration.loss.apply(
            outputs, target: target, batch: configuration.batchSize, gradient: gradient, rows: rows, pass)
        patience.stopwatch.lap(.loss)
    }

    private func finish(_ phase: Phase, of network: Network) throws {
        guard let reducer = pending else { return }
        patience.note(step: begun, phase: phase)
        pending = nil
        if try !reducer.finish() { throw try nonFiniteGradient(reducer, of: network, begun - 1) }
    }

    // MARK: Records

    /// What each rank hands to all others in every step: its requests, two times, and the sums of its shards.
    private static func recordSize(_ layout: ShardLayout) -> Int { recordHeader + StepStatistics.size * layout.largestShardCount }
    private static let recordHeader = 3

    private func record(of rank: Int) -> UnsafeMutablePointer<Double> {
        generatorReducer.records + rank * TrainingStep.recordSize(layout)
    }

    private func record(_ requests: Int) {
        let record = record(of: patience.communicator.rank)
        record[0] = Double(requests)
        record[1] = patience.stopwatch.seconds(.waiting)
        record[2] = patience.stopwatch.seconds(.communication)
        for (index, rows) in shardRows.enumerated() {
            let sums = record + TrainingStep.recordHeader + StepStatistics.size * index
            func sum(_ values: UnsafeMutablePointer<Float>) -> Double {
                var total = 0.0
                for row in rows { total += Double(values[row]) }
                return total
            }
            sums[0] = sum(realRows.losses)
            sums[1] = sum(fakeRows.losses)
            sums[2] = sum(generatorRows.losses)
            sums[3] = sum(realRows.scores)
            sums[4] = sum(fakeRows.scores)
        }
    }

    private func nonFiniteGradient(_ reducer: Reducer, of network: Network, _ t: Int) throws -> Failure {
        let found = network.layout.tensors.first { tensor in
            reducer.gradients.contains { gradient in tensor.range.contains { !gradient[$0].isFinite } }
        }
        let places = try patience.allGather(Array((found?.name ?? "").utf8)).enumerated().filter { !$1.isEmpty }
        let what = places.first.map { rank, name in
            "the gradient of \(network.name).\(String(decoding: name, as: UTF8.self)) is not finite on rank \(rank)"
        }
        return Failure(
            .internalError,
            "step \(t + 1): \(what ?? "a sum of the \(network.name)'s gradients over the ranks is not finite"). The training "
                + "has diverged and nothing was written; resume from the last checkpoint or lower --lr",
            isShared: true)
    }
}

/// Adam on the segment that this rank owns, and its moments.
final class Moments {
    let segment: Range<Int>
    let first: UnsafeMutablePointer<Float>
    let second: UnsafeMutablePointer<Float>
    /// Of the next update.
    var constants = AdamConstants()
    private let kernels: Kernels

    init(_ segment: Range<Int>, kernels: Kernels, arena: Arena) {
        self.segment = segment
        self.kernels = kernels
        first = arena.floats(segment.count)
        second = arena.floats(segment.count)
    }

    /// Takes the segment's parameters one update further.
    func update(_ gradient: UnsafePointer<Float>, _ parameters: UnsafeMutablePointer<Float>) {
        kernels.adam(constants, gradient, parameters, first, second, segment.count)
    }
}

extension ShardLayout {
    /// The most shards that a rank owns.
    var largestShardCount: Int { (shards + ranks - 1) / ranks }

    func rank(of shard: Int) -> Int { (0..<ranks).first { shards(of: $0).contains(shard) } ?? 0 }
}

extension TreePlan {
    /// What a weight gradient does with the rows of each shard; `rows` are its columns within a pass, one after the other.
    func sums(_ rows: [Range<Int>]) -> [ShardSum] {
        zip(steps, rows).map { step, rows in
            ShardSum(
                count: Int32(rows.count), merges: Int32(step.merges), output: Int32(step.output ?? -1))
        }
    }
}
