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
    let generatorOptimizer: ShardedOptimizer
    let discriminatorOptimizer: ShardedOptimizer
    /// The reduction under way, if any.
    private var pending: Reducer?
    /// What this rank computes.
    private var part = Stopwatch.Part.other
    /// Steps that have begun, and what signals asked for in those that are settled.
    private var begun = 0
    private var settledRequests = 0
    let kernels: Kernels
    /// Told the number of each of the discriminator's updates once it is everywhere, for those who look into a step.
    var afterDiscriminatorUpdate: ((_ update: Int) throws -> Void)?

    let configuration: Configuration
    private let arena: Arena
    let world: World
    private let batches: Batches
    let stepsPerEpoch: Int
    private let generatorSums: BatchSums
    private let discriminatorSums: BatchSums
    private var generatorStatistics: BatchStatistics?
    private var discriminatorStatistics: BatchStatistics?
    let penalty: GradientPenalty?
    let perturbations: Perturbations
    let shardRows: [Range<Int>]
    let layout: ShardLayout
    /// Whether computation goes on while a gradient is being reduced. One rank has nothing to hide, and its optimiser finds
    /// gradients still in the cache.
    private let overlaps: Bool
    /// Columns of one pass, and this rank's rows of the batch in them.
    private let columns: Int
    let rows: Range<Int>
    /// The classes of the rows, for networks that ask for them.
    let labels: ClassLabels?
    /// The generator's images as the discriminator sees them.
    private let fakes: Matrix
    private let joined: JoinedPasses?
    /// Slots of the generator's own step in the discriminator, and of the discriminator's fakes in the generator.
    var generatorStepSlot: Int { joined == nil ? 1 : 0 }
    var fakeSlot: Int { joined != nil && configuration.generatorStep == .fresh ? 1 : 0 }
    let realRows: RowStatistics
    let fakeRows: RowStatistics
    let generatorRows: RowStatistics

    public init(
        _ configuration: Configuration, dataset: Dataset, layout: ShardLayout, world: World, kernels: Kernels,
        reduction: Reducer.Algorithm, overlaps: Bool = true
    ) throws {
        let communicator = world.communicator
        let plans = try configuration.networkPlans()
        let recordSize = TrainingStep.recordSize(layout)
        let capacity = max(plans.generator.needs.statistics, plans.discriminator.needs.statistics)
        let hasPenalty = configuration.gradientPenalty > 0
        func gradientSums(_ plan: NetworkPlan, slots: Int, biasSlots: Int, recordSize: Int = 0) -> GradientSums {
            GradientSums(
                plan: plan, layout: layout, communicator: communicator, batch: configuration.batchSize, reduction: reduction,
                slots: slots, biasSlots: biasSlots, recordSize: recordSize)
        }
        let generatorGradients = gradientSums(plans.generator, slots: 1, biasSlots: 1, recordSize: recordSize)
        let discriminatorGradients = gradientSums(plans.discriminator, slots: hasPenalty ? 3 : 2, biasSlots: 2)
        var space = try SharedSpace(
            communicator,
            byteCount: ShardSums.sharedBytes(capacity: capacity, layout: layout, communicator: communicator)
                + generatorGradients.sharedBytes + discriminatorGradients.sharedBytes)
        let arena = Arena()
        func moments(_ role: NetworkRole, _ plan: NetworkPlan) -> ShardedOptimizer {
            let isCritic = role == .discriminator
            return ShardedOptimizer(
                Reducer.segment(of: communicator.rank, size: communicator.size, count: plan.layout.count),
                optimizer: configuration.optimizer(of: role),
                clip: isCritic && configuration.weightClip > 0 ? configuration.weightClip : nil,
                averageDecay: !isCritic && configuration.averageDecay > 0 ? { configuration.averageDecay(update: $0) } : nil,
                kernels: kernels, arena: arena)
        }
        generatorOptimizer = moments(.generator, plans.generator)
        discriminatorOptimizer = moments(.discriminator, plans.discriminator)
        generatorReducer = generatorGradients.reducer(world, kernels, space: &space, update: generatorOptimizer.update)
        discriminatorReducer = discriminatorGradients.reducer(
            world, kernels, space: &space, update: discriminatorOptimizer.update)
        let shardSums = ShardSums(world: world, layout: layout, capacity: capacity, space: &space)

        let own = layout.shards(of: communicator.rank)
        rows = layout.rows(of: own, batch: configuration.batchSize)
        let columns = (rows.count + kernels.columnMultiple - 1) / kernels.columnMultiple * kernels.columnMultiple
        self.columns = columns
        let first = rows.lowerBound
        let shardRows = own.map { shard in
            let rows = layout.rows(of: shard, batch: configuration.batchSize)
            return rows.lowerBound - first..<rows.upperBound - first
        }
        self.shardRows = shardRows
        joined = JoinedPasses(
            configuration, plans: [plans.generator, plans.discriminator], rows: rows.count, columns: columns,
            communicator: communicator, kernels: kernels, arena: arena)
        let joins = joined != nil
        // Slots: real, fake, and with a penalty the change of the point between them, and the point.
        discriminator = Network(
            name: "discriminator", plan: plans.discriminator, stride: columns, slots: hasPenalty ? 4 : 2, areJoined: joins,
            parameters: discriminatorReducer.parameters, arena: arena)
        discriminatorOptimizer.finishGradient = discriminator.finishGradient
        fakes = discriminator.input.slot(1)
        // Fakes are made where the discriminator reads them, unless it sees them through noise or passes are joined.
        generator = Network(
            name: "generator", plan: plans.generator, stride: columns, slots: joins ? 2 : 1, areJoined: joins,
            output: joins || configuration.instanceNoise > 0 ? nil : fakes, parameters: generatorReducer.parameters, arena: arena)
        penalty = hasPenalty
            ? GradientPenalty(configuration, discriminator, columns: columns, arena: arena) : nil
        let slotColumns = joins ? columns / 2 : columns
        generatorSums = generatorGradients.batchSums(
            into: generatorReducer, kernels, columns: slotColumns, space: &space, arena: arena)
        discriminatorSums = discriminatorGradients.batchSums(
            into: discriminatorReducer, kernels, columns: slotColumns, space: &space, arena: arena)
        batches = Batches(
            configuration, dataset: dataset, layout: layout, rank: communicator.rank, kernels: kernels, arena: arena)
        stepsPerEpoch = configuration.stepsPerEpoch(images: dataset.count)
        perturbations = Perturbations(configuration, columns: columns, firstRow: first, kernels: kernels, arena: arena)
        labels = configuration.isConditional ? ClassLabels(columns: columns, arena: arena) : nil
        realRows = RowStatistics(columns: columns, arena: arena)
        fakeRows = RowStatistics(columns: columns, arena: arena)
        generatorRows = RowStatistics(columns: columns, arena: arena)
        self.configuration = configuration
        self.arena = arena
        self.world = world
        self.kernels = kernels
        self.layout = layout
        self.overlaps = overlaps && communicator.size > 1
        func statistics(_ plan: NetworkPlan) -> BatchStatistics? {
            guard plan.needs.statistics > 0 else { return nil }
            return BatchStatistics(
                batch: configuration.batchSize, shardRows: shardRows, columns: columns, needs: plan.needs, arena: arena
            ) { [unowned self] shards, count, totals in
                try shardSums.sum(shards, count: count, to: totals, during: part) {
                    if overlaps { pending?.progress(during: .waiting) }
                }
            }
        }
        generatorStatistics = statistics(plans.generator)
        discriminatorStatistics = statistics(plans.discriminator)
    }

    /// Step number t, from 0: so many updates of the discriminator as there are critic steps, then one of the generator.
    /// The generator's new parameters may still be on their way when it returns; `settle` waits for them.
    ///
    /// - Parameter requests: what signals ask of this rank.
    /// - Throws: a failure on all ranks, naming the tensor, where a gradient is infinite or NaN; nothing is updated then.
    public func run(_ t: Int, requests: Int) throws {
        for update in configuration.criticSteps * t..<configuration.criticSteps * (t + 1) {
            try updateDiscriminator(update, step: t)
        }
        try updateGenerator(t, requests: requests)
    }

    /// Update number u of the discriminator, from 0. x are the real rows, z₁ noise, D and G the networks; slot 0 of D's
    /// activations are the real rows, slot 1 the fake ones.
    private func updateDiscriminator(_ u: Int, step t: Int) throws {
        let (d, g) = (discriminator, generator)
        let real = pass(.real, u, of: d)
        let fake = pass(.fake, u, of: d)
        world.stopwatch.lap(.other)
        world.note(step: t + 1, phase: .discriminator)
        gather(u, into: d.input)                                                            // x
        if let joined {
            try begin(t)                                                                    // G of step t − 1
            try generateBoth(t, joined)                                                         // G(z₁), G(z₂)
            try forward(d, real)                                                            // D(x), D(G(z₁))
            applyLoss(d.output, .one, gradient: d.outputGradient, realRows, real)                  // L(D(x), 1)
            joined.widen(d.output.slot(1), d.outputGradient.slot(1)) { outputs, gradient in
                applyLoss(outputs, .zero, gradient: gradient, fakeRows, fake)                   // L(D(G(z₁)), 0)
            }
            try backward(d, real)
        } else {
            let isFirst = u % configuration.criticSteps == 0
            if isFirst {
                try learnReal(real, t)                                                      // L(D(x), 1)
                try begin(t)                                                                // G of step t − 1
            }
            try generate(RandomStream.discriminatorNoise, pass(.fake, u, of: g))                // G(z₁)
            if !isFirst {
                try finish(.discriminatorReduction, of: d)                                  // D of update u − 1
                try learnReal(real, t)                                                      // L(D(x), 1)
            }
            perturbations.addNoise(to: fakes, fake, sigma: noise(t))
            try forward(d, fake, slot: 1)                                                   // D(G(z₁))
            applyLoss(d.output.slot(1), .zero, gradient: d.outputGradient.slot(1), fakeRows, fake)  // L(D(G(z₁)), 0)
            try backward(d, fake, slot: 1)
        }
        if let penalty {
            part = .backward
            try penalty.add(pass(.penalty, u, of: d))                                       // λ (‖∇D(x̂)‖ − 1)²
            world.stopwatch.lap(.backward)
        }
        try weightGradients(d, discriminatorSums, discriminatorReducer, discriminatorOptimizer, update: u + 1)
        if let afterDiscriminatorUpdate {
            try finish(.discriminatorReduction, of: d)
            try afterDiscriminatorUpdate(u)
        }
    }

    /// The generator's update of step t: z₂ is fresh noise, or the last of z₁.
    private func updateGenerator(_ t: Int, requests: Int) throws {
        let (d, g) = (discriminator, generator)
        let isFresh = configuration.generatorStep == .fresh
        let isToGenerate = isFresh && joined == nil
        let slot = generatorStepSlot
        let again = pass(.generator, t, of: d)
        if isFresh { labels?.draw(again) }
        // Fakes of fresh noise do not need the new discriminator: its reduction hides behind them.
        if isToGenerate, overlaps { try generate(RandomStream.generatorNoise, pass(.generator, t, of: g)) }  // G(z₂)
        try finish(.discriminatorReduction, of: d)                                          // D ← optimiser
        if isToGenerate, !overlaps { try generate(RandomStream.generatorNoise, pass(.generator, t, of: g)) }

        world.note(step: t + 1, phase: .generator)
        joined?.copy(g.output, to: d.input)
        if isFresh { perturbations.addNoise(to: fakes, again, sigma: noise(t)) }
        try forward(d, again, slot: slot)                                                   // D(G(z₂))
        applyLoss(d.output.slot(slot), .one, gradient: d.outputGradient.slot(slot), generatorRows, again)  // L(D(G(z₂)), 1)
        try backward(d, again, slot: slot, inputGradient: g.outputGradient)
        let last = configuration.criticSteps * (t + 1) - 1
        try backward(g, isFresh ? pass(.generator, t, of: g) : pass(.fake, last, of: g))
        record(requests)
        try weightGradients(g, generatorSums, generatorReducer, generatorOptimizer, update: t + 1)
        if !overlaps { try settle() }                                                       // G ← optimiser
    }

    /// Whether the sums of both networks' gradients can be read after a step, for those who look into it.
    var keepsGradients = false {
        didSet {
            generatorReducer.keepsSums = keepsGradients
            discriminatorReducer.keepsSums = keepsGradients
        }
    }

    /// Step t needs the generator of the step before.
    private func begin(_ t: Int) throws {
        try settle()
        begun = t + 1
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

    // MARK: Parts of a step

    /// Lets the reduction under way go on, between blocks of long products.
    private var interlude: Interlude {
        guard overlaps else { return .none }
        return Interlude(
            call: { context in
                guard let context else { return }
                let step = Unmanaged<TrainingStep>.fromOpaque(context).takeUnretainedValue()
                step.pending?.progress(during: step.part)
            }, context: Unmanaged.passUnretained(self).toOpaque())
    }

    private func pass(_ kind: PassKind, _ number: Int, of network: Network) -> Pass {
        Pass(
            kernels: kernels, columns: columns, kind: kind, seed: configuration.seed, step: number, firstRow: rows.lowerBound,
            interlude: interlude, statistics: network === generator ? generatorStatistics : discriminatorStatistics,
            shardColumns: shardRows, labels: labels(kind))
    }

    /// The classes of a pass's rows: fakes are of those of the real images beside them, the generator's own are drawn.
    private func labels(_ kind: PassKind) -> UnsafePointer<UInt8>? {
        guard let labels else { return nil }
        return UnsafePointer(kind == .generator && configuration.generatorStep == .fresh ? labels.drawn : labels.real)
    }

    private func gather(_ update: Int, into x: Matrix) {
        batches.gather(step: update, into: x)
        if let labels { batches.labels(step: update, into: labels.real) }
        world.stopwatch.lap(.data)
    }

    private func noise(_ t: Int) -> Float { configuration.instanceNoise(step: t, stepsPerEpoch: stepsPerEpoch) }

    private func learnReal(_ pass: Pass, _ t: Int) throws {
        perturbations.addNoise(to: discriminator.input, pass, sigma: noise(t))
        try forward(discriminator, pass)                                                    // D(x)
        applyLoss(discriminator.output, .one, gradient: discriminator.outputGradient, realRows, pass)
        try backward(discriminator, pass)
    }

    /// Images of noise z₁, in `fakes`, and of z₂ if they are others.
    private func generateBoth(_ t: Int, _ joined: JoinedPasses) throws {
        let (z, images) = (generator.input, generator.output)
        joined.fillNoise(noiseKey(RandomStream.discriminatorNoise, t), into: z.slot(fakeSlot))
        if fakeSlot != 0 { joined.fillNoise(noiseKey(RandomStream.generatorNoise, t), into: z) }
        world.stopwatch.lap(.noise)
        try forward(generator, pass(.generator, t, of: generator))
        joined.copy(images.slot(fakeSlot), to: fakes)
    }

    private func noiseKey(_ stream: UInt32, _ step: Int) -> RandomKey {
        RandomKey(seed: configuration.seed, stream: stream, step: step, firstRow: rows.lowerBound)
    }

    /// Images of noise z, in `fakes`.
    private func generate(_ stream: UInt32, _ pass: Pass) throws {
        let z = generator.input
        kernels.randomNormals(noiseKey(stream, pass.step), z.base, configuration.latentDimension, columns, z.stride)
        world.stopwatch.lap(.noise)
        try forward(generator, pass)
        if generator.output.base != fakes.base {
            fakes.base.update(from: generator.output.base, count: fakes.features * fakes.stride)
        }
    }

    private func forward(_ network: Network, _ pass: Pass, slot: Int = 0) throws {
        part = .forward
        try network.forward(pass, slot: slot)
        world.stopwatch.lap(.forward)
    }

    private func backward(_ network: Network, _ pass: Pass, slot: Int = 0, inputGradient: Matrix? = nil) throws {
        part = .backward
        try network.backward(pass, slot: slot, inputGradient: inputGradient)
        world.stopwatch.lap(.backward)
    }

    /// The gradients of all parameters, each layer's handed to the reduction as soon as it is done.
    private func weightGradients(
        _ network: Network, _ sums: BatchSums, _ reducer: Reducer, _ moments: ShardedOptimizer, update: Int
    ) throws {
        moments.number = update
        moments.learningRateScale = configuration.learningRateScale(step: begun - 1, stepsPerEpoch: stepsPerEpoch)
        pending = reducer
        part = .weightGradients
        sums.interlude = interlude
        let statistics = network === generator ? generatorStatistics : discriminatorStatistics
        try network.weightGradients(
            sums, statistics: statistics, meet: { try reducer.meet(during: .weightGradients) },
            afterLayer: { element in if overlaps || element == 0 { try reducer.publish(downTo: element) } })
        world.stopwatch.lap(.weightGradients)
    }

    private func applyLoss(_ outputs: Matrix, _ target: Loss.Target, gradient: Matrix, _ rows: RowStatistics, _ pass: Pass) {
        configuration.loss.apply(
            outputs, target: target, targets: perturbations.targets(target, pass), batch: configuration.batchSize,
            gradient: gradient, rows: rows, pass)
        world.stopwatch.lap(.loss)
    }

    private func finish(_ phase: Phase, of network: Network) throws {
        guard let reducer = pending else { return }
        world.note(step: begun, phase: phase)
        pending = nil
        if try !reducer.finish() { throw try nonFiniteGradient(reducer, of: network, begun - 1) }
        network.parametersChanged()
    }
}
