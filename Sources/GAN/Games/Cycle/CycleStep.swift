import Kernels
import MessagePassing
import Networks

// The step of a CycleGAN: equations 1 to 3 of Zhu et al. (2017) with least squares, one batch of each domain.
//
// a and b are real pictures of A and B, G and F the generators, A → B and B → A, D_A and D_B the discriminators:
//
//     L(D_B) = ½ E (D_B(b) − 1)² + ½ E D_B(pool of G(a))²               and D_A alike
//     L(G, F) = E (D_B(G(a)) − 1)² + E (D_A(F(b)) − 1)²                 (1)
//               + λ E |F(G(a)) − a| + λ_B E |G(F(b)) − b|               (2)
//               + λ′ (E |G(b) − b| + E |F(a) − a|)                      identity, section 5.2
//
// What is reduced over the ranks meanwhile is in the right margin.

extension CycleGame {
    func step(_ t: Int) throws {
        toB.discriminator.begin(step: t)
        gather(t)                                                   // a, b                  | G, F of step t − 1 under way
        try judge(toB, .real, t)                                    // (D_B(b) − 1)²         |
        try judge(toA, .real, t)                                    // (D_A(a) − 1)²         |
        try settle()                                                // G, F ← optimiser
        try translate(toB, t)                                       // G(a)
        try translate(toA, t)                                       // F(b)
        try judge(toB, .fake, t)                                    // D_B(pool)²
        let updateB = try toB.discriminator.update(t, step: t)
        try judge(toA, .fake, t)                                    // D_A(pool)²            | D_B under way
        let updateA = try toA.discriminator.update(t, step: t)
        try cycle(toB, back: toA, t)                                // λ |F(G(a)) − a|       | D_A, D_B under way
        try cycle(toA, back: toB, t)                                // λ_B |G(F(b)) − b|     |
        if hasIdentity {
            try keep(toB, t)                                        // λ′ |G(b) − b|         |
            try keep(toA, t)                                        // λ′ |F(a) − a|         |
        }
        try updateB.finish()                                        // D_B ← optimiser
        try updateA.finish()                                        // D_A ← optimiser

        toA.generator.begin(step: t)
        try deceive(toA, t)                                         // (D_A(F(b)) − 1)²
        updateF = try toA.generator.update(t, step: t)
        toB.generator.begin(step: t)
        try deceive(toB, t)                                         // (D_B(G(a)) − 1)²      | F under way
        updateG = try toB.generator.update(t, step: t)
        if !context.overlaps { try settle() }                       // G, F ← optimiser
    }

    // MARK: Parts of a step

    /// G(x), and the fakes that the discriminator is shown.
    private func translate(_ way: Translation, _ t: Int) throws {
        try way.generator.forward(way.generator.pass(.fake, t), slot: Translation.forward)
        let shown = way.discriminator.network.input.slot(Translation.fake)
        context.timed(.data) {
            shown.copy(way.fakes)
            way.pool?.exchange(shown, shards: context.shardColumns, way.discriminator.pass(.fake, t))
        }
    }

    /// The discriminator's loss of real pictures or of fakes, and its gradients down to the first layer.
    private func judge(_ way: Translation, _ kind: PassKind, _ t: Int) throws {
        let (slot, losses) = kind == .real ? (Translation.real, way.realLosses) : (Translation.fake, way.fakeLosses)
        let pass = way.discriminator.pass(kind, t)
        try way.discriminator.forward(pass, slot: slot)
        score(way, slot, target: kind == .real ? 1 : 0, weight: 0.5, losses)
        try way.discriminator.backward(pass, slot: slot)
    }

    /// The cycle there and back again: its loss, and its gradients down to G(x).
    private func cycle(_ way: Translation, back: Translation, _ t: Int) throws {
        let (network, pass) = (back.generator.network, back.generator.pass(.generator, t))
        network.input.slot(Translation.cycle).copy(way.fakes)
        try back.generator.forward(pass, slot: Translation.cycle)
        compare(network, Translation.cycle, with: way.pictures, weight: way.cycleWeight, way.cycleLosses)
        let gradient = way.generator.network.outputGradient.slot(Translation.forward)
        try back.generator.backward(pass, slot: Translation.cycle, inputGradient: gradient)
    }

    /// A picture of the target domain, which should stay as it is.
    private func keep(_ way: Translation, _ t: Int) throws {
        let (network, pass) = (way.generator.network, way.generator.pass(.real, t))
        try way.generator.forward(pass, slot: Translation.identity)
        compare(
            network, Translation.identity, with: network.input.slot(Translation.identity), weight: configuration.usedIdentityWeight,
            way.identityLosses)
        try way.generator.backward(pass, slot: Translation.identity)
    }

    /// The discriminator's loss of the newest fakes, as the generator would have it, down to the generator's first layer.
    private func deceive(_ way: Translation, _ t: Int) throws {
        let pass = way.discriminator.pass(.generator, t)
        way.discriminator.network.input.slot(Translation.fake).copy(way.fakes)
        try way.discriminator.forward(pass, slot: Translation.fake)
        score(way, Translation.fake, target: 1, weight: 1, way.losses)
        try way.discriminator.backward(pass, slot: Translation.fake, inputGradient: way.fakeGradient)
        let gradient = way.generator.network.outputGradient.slot(Translation.forward)
        context.kernels.addScaled(gradient.base, way.fakeGradient.base, 1, gradient.features * gradient.stride)
        try way.generator.backward(way.generator.pass(.fake, t), slot: Translation.forward)
    }

    private func score(_ way: Translation, _ slot: Int, target: Float, weight: Float, _ losses: UnsafeMutablePointer<Float>) {
        let network = way.discriminator.network
        context.timed(.loss) {
            PatchLoss.apply(
                network.output.slot(slot), target: target, weight: weight, batch: configuration.batchSize,
                gradient: network.outputGradient.slot(slot), losses: losses, columns: context.columns)
        }
    }

    private func compare(
        _ network: Network, _ slot: Int, with pictures: Matrix, weight: Double, _ losses: UnsafeMutablePointer<Float>
    ) {
        context.timed(.loss) {
            PixelLoss.apply(
                network.output.slot(slot), pictures, weight: Float(weight), batch: configuration.batchSize,
                gradient: network.outputGradient.slot(slot), losses: losses, columns: context.columns)
        }
    }
}
