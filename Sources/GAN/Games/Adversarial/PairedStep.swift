import Networks

extension AdversarialGame {
    /// A step whose loss looks at a real and a fake row together: both are scored before either has a gradient, and the
    /// generator's loss needs D(x) of the new D.
    func pairedStep(_ t: Int) throws {
        let updates = configuration.criticSteps * t..<configuration.criticSteps * (t + 1)
        discriminator.begin(step: t)
        gather(updates.lowerBound)                                  // x                     | G of step t − 1 under way
        try settle()                                                // G ← optimiser
        try generate(.fake, updates.lowerBound)                     // G(z₁)
        var update = try learnPairs(updates.lowerBound, step: t)
        for u in updates.dropFirst() {
            discriminator.begin(step: t)
            gather(u)                                               // x                     | D under way
            try generate(.fake, u)                                  // G(z₁)                 |
            try update.finish()                                     // D ← optimiser
            update = try learnPairs(u, step: t)
        }

        let (real, pass) = (discriminatorPass(.real, updates.upperBound - 1), discriminatorPass(.generator, t))
        if isFresh {
            labels?.draw(pass)
            try generate(.generator, t)                             // G(z₂)                 | D under way
        }
        try update.finish()                                         // D ← optimiser
        generator.begin(step: t)
        if isFresh { perturbations.addNoise(to: fakes, pass, sigma: noise(t)) }
        try discriminator.forward(real)                             // D(x)
        try discriminator.forward(pass, slot: 1)                    // D(G(z₂))
        applyPairLoss(.generator, pass)                             // L(D(G(z₂)) − D(x))
        try descend(t, through: pass)
    }

    private func learnPairs(_ u: Int, step t: Int) throws -> Update {
        let (real, fake) = (discriminatorPass(.real, u), discriminatorPass(.fake, u))
        try score(real, slot: 0, step: t)                           // D(x)
        try score(fake, slot: 1, step: t)                           // D(G(z₁))
        applyPairLoss(.discriminator, fake)                         // L(D(x) − D(G(z₁)))
        try discriminator.backward(real)
        try discriminator.backward(fake, slot: 1)
        try penalise(u)                                             // P(∇D)
        return try discriminator.update(u, step: t)
    }

    private func applyPairLoss(_ role: NetworkRole, _ pass: Pass) {
        let network = discriminator.network
        context.timed(.loss) {
            configuration.loss.applyPairs(
                of: role, outputs: network.output, gradient: network.outputGradient, batch: configuration.batchSize,
                real: realRows, fake: role == .discriminator ? fakeRows : generatorRows, pass)
        }
    }
}
