import Kernels
import MessagePassing
import Networks

/// The step of a GAN as a textbook has it, to be read first: one rank, the kernels' plain twins, one operation after the
/// other. Nothing is hidden behind anything, joined or skipped. Tests hold the fast steps to its bytes.
///
/// x are real images, z noise, D and G the networks. D's slot 0 holds the real rows, slot 1 the fake ones. A matrix is
/// [features, columns]; a column holds a row of the batch.
final class ReferenceStep: ReferenceGame {
    let generator, discriminator: ReferencePlayer
    var players: [ReferencePlayer] { [generator, discriminator] }
    private let configuration: Configuration
    private let kernels: Kernels
    private let arena = Arena()
    private let layout: ShardLayout
    private let stepsPerEpoch: Int
    private let batches: Batches
    private let perturbations: Perturbations
    private let penalties: Penalties?
    private let labels: ClassLabels?
    private let real, fake, other: RowStatistics
    private let columns: Int

    init(_ configuration: Configuration, _ dataset: Dataset) throws {
        self.configuration = configuration
        kernels = configuration.precision == .fp32 ? .reference : .bfloat16Reference
        layout = ShardLayout(shards: configuration.shards, ranks: 1)
        columns = configuration.batchSize.paddedToVectors
        let plans = try configuration.adversarialPlayers()
        generator = ReferencePlayer(plans[0], configuration, layout, kernels, arena)
        discriminator = ReferencePlayer(plans[1], configuration, layout, kernels, arena)
        batches = Batches(configuration, dataset: dataset, layout: layout, rank: 0, kernels: kernels, arena: arena)
        perturbations = Perturbations(configuration, columns: columns, firstRow: 0, kernels: kernels, arena: arena)
        penalties = Penalties(
            configuration, discriminator.network, losses: arena.floats(columns), columns: columns, arena: arena)
        labels = configuration.classes.map { [columns, arena] in ClassLabels(classes: $0, columns: columns, arena: arena) }
        real = RowStatistics(columns: columns, arena: arena)
        fake = RowStatistics(columns: columns, arena: arena)
        other = RowStatistics(columns: columns, arena: arena)
        stepsPerEpoch = configuration.stepsPerEpoch(images: dataset.count)
    }

    /// Step number t, from 0.
    func run(_ t: Int) throws {
        let (d, g) = (discriminator.network, generator.network)
        let scale = configuration.learningRateScale(step: t, stepsPerEpoch: stepsPerEpoch)
        for u in configuration.criticSteps * t..<configuration.criticSteps * (t + 1) {
            let (realPass, fakePass) = (pass(discriminator, .real, u), pass(discriminator, .fake, u))
            batches.gather(step: u, into: d.input)                                          // x
            if let labels { batches.labels(step: u, into: labels.real) }
            try generate(RandomStream.discriminatorNoise, pass(generator, .fake, u))        // G(z₁)
            try score(realPass, slot: 0, t)                                                 // D(x)
            try score(fakePass, slot: 1, t)                                                 // D(G(z₁))
            if configuration.loss.isPaired {
                applyPairLoss(.discriminator, real, fake, fakePass)                         // L(D(x) − D(G(z₁)))
            } else {
                applyLoss(.one, slot: 0, real, realPass)                                    // L(D(x), 1)
                applyLoss(.zero, slot: 1, fake, fakePass)                                   // L(D(G(z₁)), 0)
            }
            try d.backward(realPass)
            try d.backward(fakePass, slot: 1)
            let passes = try penalties?.add(update: u) { pass(discriminator, $0, u) }       // P(∇D)
            try discriminator.update(u, learningRateScale: scale, passes: passes)           // D ← optimiser
        }

        let last = configuration.criticSteps * (t + 1) - 1
        let isFresh = configuration.generatorStep == .fresh
        let dPass = pass(discriminator, .generator, t)
        let gPass = pass(generator, isFresh ? .generator : .fake, isFresh ? t : last)
        if isFresh {
            labels?.draw(dPass)
            try generate(RandomStream.generatorNoise, gPass)                                // G(z₂)
            perturbations.addNoise(to: d.input.slot(1), dPass, sigma: noise(t))
        }
        if configuration.loss.isPaired { try d.forward(pass(discriminator, .real, last)) }  // D(x)
        try d.forward(dPass, slot: 1)                                                       // D(G(z₂))
        if configuration.loss.isPaired {
            applyPairLoss(.generator, real, other, dPass)                                   // L(D(G(z₂)) − D(x))
        } else {
            applyLoss(.one, slot: 1, other, dPass)                                          // L(D(G(z₂)), 1)
        }
        try d.backward(dPass, slot: 1, inputGradient: g.outputGradient)
        try g.backward(gPass)
        try generator.update(t, learningRateScale: scale)                                   // G ← optimiser
    }

    private func pass(_ player: ReferencePlayer, _ kind: PassKind, _ number: Int) -> Pass {
        Pass(
            kernels: kernels, columns: columns, kind: kind, seed: configuration.seed, step: number, firstRow: 0,
            statistics: player.statistics, shardColumns: layout.rows(batch: configuration.batchSize),
            labels: labels?.of(kind, isFresh: configuration.generatorStep == .fresh))
    }

    private func generate(_ stream: UInt32, _ pass: Pass) throws {
        let (z, images) = (generator.network.input, generator.network.output)
        let key = RandomKey(seed: configuration.seed, stream: stream, step: pass.step)
        kernels.randomNormals(key, z.base, z.features, columns, z.stride)
        try generator.network.forward(pass)
        discriminator.network.input.slot(1).base.update(from: images.base, count: images.features * images.stride)
    }

    private func score(_ pass: Pass, slot: Int, _ t: Int) throws {
        perturbations.addNoise(to: discriminator.network.input.slot(slot), pass, sigma: noise(t))
        try discriminator.network.forward(pass, slot: slot)
    }

    private func noise(_ t: Int) -> Float { configuration.instanceNoise(step: t, stepsPerEpoch: stepsPerEpoch) }

    private func applyLoss(_ target: Loss.Target, slot: Int, _ rows: RowStatistics, _ pass: Pass) {
        let d = discriminator.network
        configuration.loss.apply(
            d.output.slot(slot), target: target, targets: perturbations.targets(target, pass), batch: configuration.batchSize,
            gradient: d.outputGradient.slot(slot), rows: rows, pass)
    }

    private func applyPairLoss(_ role: NetworkRole, _ real: RowStatistics, _ fake: RowStatistics, _ pass: Pass) {
        let d = discriminator.network
        configuration.loss.applyPairs(
            of: role, outputs: d.output, gradient: d.outputGradient, batch: configuration.batchSize, real: real, fake: fake, pass)
    }
}
