extension AdversarialGame {
    /// A step with several updates of the discriminator, numbered from `criticSteps` · t, and then one of the generator. While an
    /// update is reduced, the next one's images and fakes are made, which do not need it.
    func criticSteps(_ t: Int) throws {
        let updates = configuration.criticSteps * t..<configuration.criticSteps * (t + 1)
        discriminator.begin(step: t)
        gather(updates.lowerBound)                                  // x                     | G of step t − 1 under way
        try learn(.real, updates.lowerBound, step: t)               // L(D(x), 1)            |
        try settle()                                                // G ← optimiser
        try generate(.fake, updates.lowerBound)                     // G(z₁)
        var update = try finishCritic(updates.lowerBound, step: t)
        for u in updates.dropFirst() {
            discriminator.begin(step: t)
            gather(u)                                               // x                     | D under way
            try generate(.fake, u)                                  // G(z₁)                 |
            try update.finish()                                     // D ← optimiser
            try learn(.real, u, step: t)                            // L(D(x), 1)
            update = try finishCritic(u, step: t)
        }
        try generatorStep(t, after: update)
    }

    private func finishCritic(_ u: Int, step t: Int) throws -> Update {
        try learn(.fake, u, step: t)                                // L(D(G(z₁)), 0)
        try penalise(u)                                             // P(∇D)
        return try discriminator.update(u, step: t)
    }
}
