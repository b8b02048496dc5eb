import Kernels
import MessagePassing
import Networks

// The step of a generative adversarial network: Algorithm 1 of Goodfellow et al. (2014), with one update of each network.
// x are real images, z noise, D and G the networks. D's slot 0 holds the real rows, slot 1 the fake ones. What is reduced
// over the ranks meanwhile is in the right margin.

extension AdversarialGame {
    func plainStep(_ t: Int) throws {
        discriminator.begin(step: t)
        gather(t)                                                   // x                     | G of step t − 1 under way
        try learn(.real, t, step: t)                                // L(D(x), 1)            |
        try settle()                                                // G ← optimiser
        try generate(.fake, t)                                      // G(z₁)
        try learn(.fake, t, step: t)                                // L(D(G(z₁)), 0)
        try penalise(t)                                             // P(∇D)
        let update = try discriminator.update(t, step: t)
        try generatorStep(t, after: update)
    }

    /// The generator's half of a step: z₂ is fresh noise, or the last z₁ again.
    /// - Parameter update: the discriminator's last one, under way.
    func generatorStep(_ t: Int, after update: consuming Update) throws {
        let pass = discriminatorPass(.generator, t)
        if isFresh { labels?.draw(pass) }
        if isFresh, context.overlaps { try generate(.generator, t) }   // G(z₂)              | D under way
        try update.finish()                                         // D ← optimiser
        if isFresh, !context.overlaps { try generate(.generator, t) }  // G(z₂)

        generator.begin(step: t)
        if isFresh { perturbations.addNoise(to: fakes, pass, sigma: noise(t)) }
        try discriminator.forward(pass, slot: 1)                    // D(G(z₂))
        applyLoss(.one, slot: 1, generatorRows, pass)               // L(D(G(z₂)), 1)
        try descend(t, through: pass)
    }

    /// From the gradient of D's output in slot 1 down to the images and through the generator.
    func descend(_ t: Int, through pass: Pass) throws {
        try discriminator.backward(pass, slot: 1, inputGradient: generator.network.outputGradient)
        let last = configuration.criticSteps * (t + 1) - 1
        try generator.backward(isFresh ? generatorPass(.generator, t) : generatorPass(.fake, last))
        generatorUpdate = try generator.update(t, step: t)
    }

    // MARK: Parts of a step

    /// x, the real images of an update of the discriminator by its number u from 0, and their classes.
    func gather(_ u: Int) {
        context.timed(.data) {
            batches.gather(step: u, into: discriminator.network.input)
            if let labels { batches.labels(step: u, into: labels.real) }
        }
    }

    /// Writes G(z) to `fakes`. Of kind `.fake`, z is z₁ of D's update `number`; of kind `.generator`, z₂ of step `number`.
    func generate(_ kind: PassKind, _ number: Int) throws {
        let (z, kernels) = (generator.network.input, context.kernels)
        context.timed(.noise) {
            kernels.randomNormals(noiseKey(kind, number), z.base, configuration.latentDimension, context.columns, z.stride)
        }
        try generator.forward(generatorPass(kind, number))
        let images = generator.network.output
        if images.base != fakes.base { fakes.base.update(from: images.base, count: fakes.features * fakes.stride) }
    }

    /// The discriminator's outputs for real or fake rows, their loss, and its gradients down to the first layer.
    func learn(_ kind: PassKind, _ u: Int, step t: Int) throws {
        let (slot, pass) = (kind == .real ? 0 : 1, discriminatorPass(kind, u))
        try score(pass, slot: slot, step: t)
        applyLoss(kind == .real ? .one : .zero, slot: slot, kind == .real ? realRows : fakeRows, pass)
        try discriminator.backward(pass, slot: slot)
    }

    /// D's output for the images in a slot, which it sees through noise.
    func score(_ pass: Pass, slot: Int, step t: Int) throws {
        perturbations.addNoise(to: discriminator.network.input.slot(slot), pass, sigma: noise(t))
        try discriminator.forward(pass, slot: slot)
    }

    /// The loss of D's outputs in a slot, and its gradient.
    func applyLoss(_ target: Loss.Target, slot: Int, _ rows: RowStatistics, _ pass: Pass) {
        let network = discriminator.network
        applyLoss(network.output.slot(slot), target, gradient: network.outputGradient.slot(slot), rows, pass)
    }

    func applyLoss(_ outputs: Matrix, _ target: Loss.Target, gradient: Matrix, _ rows: RowStatistics, _ pass: Pass) {
        context.timed(.loss) {
            configuration.loss.apply(
                outputs, target: target, targets: perturbations.targets(target, pass), batch: configuration.batchSize,
                gradient: gradient, rows: rows, pass)
        }
    }

    /// The penalties of D's slope that are due in an update of it.
    func penalise(_ u: Int) throws {
        guard let penalties else { return }
        discriminator.weightPasses = try context.timed(.backward) { try penalties.add(update: u) { discriminatorPass($0, u) } }
    }

    func noise(_ t: Int) -> Float { configuration.instanceNoise(step: t, stepsPerEpoch: context.stepsPerEpoch) }

    func noiseKey(_ kind: PassKind, _ number: Int) -> RandomKey {
        RandomKey(
            seed: configuration.seed, stream: kind == .fake ? RandomStream.discriminatorNoise : RandomStream.generatorNoise,
            step: number, firstRow: context.rows.lowerBound)
    }

    func discriminatorPass(_ kind: PassKind, _ number: Int) -> Pass {
        discriminator.pass(kind, number, labels: labels?.of(kind, isFresh: isFresh))
    }

    func generatorPass(_ kind: PassKind, _ number: Int) -> Pass {
        generator.pass(kind, number, labels: labels?.of(kind, isFresh: isFresh))
    }
}
