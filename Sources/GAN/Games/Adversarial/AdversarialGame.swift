import Kernels
import MessagePassing
import Networks

/// A generator that makes images of noise against a discriminator that tells them from real ones (Goodfellow et al. 2014).
///
/// This file builds what a step needs. The plain step is in `AdversarialStep.swift`. `CriticSteps.swift` has several updates of
/// D, `PairedStep.swift` losses of pairs, and `JoinedPasses.swift` two passes computed as one.
final class AdversarialGame: Game {
    let context: StepContext
    let generator: Player
    let discriminator: Player
    let records: StepRecords
    var players: [Player] { [generator, discriminator] }

    let batches: Batches
    /// The classes of the rows, for networks that ask for them.
    let labels: ClassLabels?
    let perturbations: Perturbations
    let penalties: Penalties?
    let joined: JoinedPasses?
    let realRows, fakeRows, generatorRows: RowStatistics
    /// The generator's images as the discriminator sees them.
    let fakes: Matrix
    /// The generator's update under way, if any.
    var generatorUpdate: Update?

    var configuration: Configuration { context.configuration }
    var isFresh: Bool { configuration.generatorStep == .fresh }

    init(_ dataset: Dataset, _ context: StepContext) throws {
        self.context = context
        let (configuration, columns, arena) = (context.configuration, context.columns, context.arena)
        let plans = try configuration.adversarialPlayers()
        func rows() -> RowStatistics { RowStatistics(columns: columns, arena: arena) }
        (realRows, fakeRows, generatorRows) = (rows(), rows(), rows())
        let penaltyRows = arena.floats(columns)
        let rowSums = [
            RowSum(key: "loss_d_real", rows: realRows.losses), RowSum(key: "loss_d_fake", rows: fakeRows.losses),
            RowSum(key: "loss_g", rows: generatorRows.losses), RowSum(key: "d_real", rows: realRows.scores),
            RowSum(key: "d_fake", rows: fakeRows.scores), RowSum(key: "penalty", rows: penaltyRows),
        ]
        var builder = try PlayerBuilder(plans, rowSums: rowSums, context: context)
        records = builder.records
        joined = JoinedPasses(plans, context)
        discriminator = builder.player(1, areJoined: joined != nil)
        // Slots of D: real, fake, the tangents of each penalty, and a point between real and fake.
        fakes = discriminator.network.input.slot(1)
        // Fakes are made where the discriminator reads them, unless it sees them through noise or passes are joined.
        let areMadeInPlace = joined == nil && configuration.instanceNoise == 0
        generator = builder.player(0, areJoined: joined != nil, output: areMadeInPlace ? fakes : nil)
        penalties = Penalties(configuration, discriminator.network, losses: penaltyRows, columns: columns, arena: arena)
        batches = Batches(
            configuration, dataset: dataset, layout: context.layout, rank: context.world.communicator.rank,
            kernels: context.kernels, arena: arena)
        perturbations = Perturbations(
            configuration, columns: columns, firstRow: context.rows.lowerBound, kernels: context.kernels, arena: arena)
        labels = configuration.classes.map { ClassLabels(classes: $0, columns: columns, arena: arena) }
    }

    func step(_ t: Int) throws {
        if let joined {
            try joinedStep(t, joined)
        } else if configuration.loss.isPaired {
            try pairedStep(t)
        } else if configuration.criticSteps > 1 {
            try criticSteps(t)
        } else {
            try plainStep(t)
        }
        if !context.overlaps { try settle() }                                               // G ← optimiser
    }

    func settle() throws { try generatorUpdate.take()?.finish() }

    func report(_ means: BatchMeans) -> StepReport {
        let s = AdversarialStatistics(means)
        var fields = [
            ("loss_d", s.lossDiscriminator), ("loss_g", s.lossGenerator), ("loss_d_real", s.lossReal), ("loss_d_fake", s.lossFake),
        ]
        if penalties != nil { fields.append(("penalty", s.penalty)) }
        fields += [("d_real", s.scoreReal), ("d_fake", s.scoreFake)]
        return StepReport(
            line: "d_loss: \(s.lossDiscriminator.readable(4)), g_loss: \(s.lossGenerator.readable(4)), "
                + "D(x): \(s.scoreReal.fixed(2)), D(G(z)): \(s.scoreFake.fixed(2))", fields: fields)
    }

    func makeObserver(_ data: RunData, run: RunDirectory?, firstStep: Int) throws -> any GameObserver {
        try SampleObserver(self, data, run: run, firstStep: firstStep)
    }
}

/// What a step of the game computes, as means over the batch.
struct AdversarialStatistics {
    var lossReal = 0.0, lossFake = 0.0, lossGenerator = 0.0, scoreReal = 0.0, scoreFake = 0.0, penalty = 0.0

    /// The discriminator's loss.
    var lossDiscriminator: Double { lossReal + lossFake + penalty }

    init() {}

    init(_ means: BatchMeans) {
        func mean(_ key: String) -> Double { means[key] ?? .nan }
        (lossReal, lossFake, lossGenerator) = (mean("loss_d_real"), mean("loss_d_fake"), mean("loss_g"))
        (scoreReal, scoreFake, penalty) = (mean("d_real"), mean("d_fake"), mean("penalty"))
    }
}

extension Configuration {
    /// The generator, and the discriminator.
    func adversarialPlayers() throws -> [PlayerPlan] {
        let plans = try networkPlans()
        let penalties = Penalties.kinds(self)
        return [
            PlayerPlan(
                name: "generator", network: plans.generator, optimizer: optimizer(of: .generator),
                initialWeights: RandomStream.generatorWeights,
                averageDecay: averageDecay > 0 ? { averageDecay(update: $0) } : nil),
            PlayerPlan(
                name: "discriminator", network: plans.discriminator, optimizer: optimizer(of: .discriminator),
                initialWeights: RandomStream.discriminatorWeights, weightClip: weightClip > 0 ? weightClip : nil,
                updatesPerStep: criticSteps, slots: Penalties.slots(penalties), weightPasses: 2 + penalties.count, biasPasses: 2),
        ]
    }
}

extension Configuration {
    /// Floating-point operations of the matrix products of one step.
    func operationsPerStep() throws -> Int {
        switch game {
        case .gan: try adversarialOperations()
        case .classifier: try classifierOperations()
        case .cyclegan: try cycleOperations()
        }
    }

    private func adversarialOperations() throws -> Int {
        let plans = try networkPlans()
        func products(_ plan: NetworkPlan) -> [Int] { plan.layers.map(\.products).filter { $0 > 0 } }
        let d = products(plans.discriminator)
        let g = products(plans.generator)
        let dAll = d.reduce(0, +)
        let gAll = g.reduce(0, +)
        // D: two passes of forward, input gradients but for the first layer, weight gradients; with a penalty a third with
        // all input gradients, and the tangents. Then forward and all input gradients. G: forward passes, input gradients
        // but for the first layer, weight gradients.
        let penalties = Penalties.kinds(self).reduce(0) { $0 + $1.passes } * dAll / penaltyInterval
        let critic = 2 * (3 * dAll - d[0]) + penalties + gAll
        // Where rows are scored in pairs, the new D scores the real ones again.
        let generator = (generatorStep == .fresh ? 1 : 0) * gAll + (loss.isPaired ? 3 : 2) * dAll + (gAll - g[0]) + gAll
        return 2 * batchSize * (criticSteps * critic + generator)
    }
}
