import Kernels
import MessagePassing
import Networks

/// Both passes of each network in the columns of one, where a rank has so few rows that half of every vector would stay
/// empty: the discriminator scores real and fake rows at once, and the generator makes the fakes of both updates at once.
/// What is made of a column depends on that column alone, so that its bits are the same.
///
/// D's slot 0 holds the real rows and slot 1 G(z₁). In the generator's half of the step, D's slot 0 holds the rows that it
/// scores. G's slot 0 holds G(z₂) and slot 1 G(z₁). If the step scores the same fakes again, G's slot 0 holds G(z₁) and slot 1
/// is not used.
struct JoinedPasses {
    /// Columns of each pass.
    private let columns: Int
    private let kernels: Kernels
    private let noise, outputs, gradient: Matrix

    /// - Returns: nil where passes cannot be joined: the rows do not fit in half of the columns, a layer is not columnwise, or
    ///   noise, a penalty, a paired loss or another critic step comes between them. With several hosts passes stay apart too, so
    ///   that reductions hide behind them.
    init?(_ plans: [PlayerPlan], _ context: StepContext) {
        let (configuration, columns, communicator) = (context.configuration, context.columns, context.world.communicator)
        guard columns % 16 == 0, context.rows.count <= columns / 2, plans.allSatisfy({ $0.network.isColumnwise }),
            configuration.criticSteps == 1, configuration.instanceNoise == 0, Penalties.kinds(configuration).isEmpty,
            !configuration.loss.isPaired, communicator.localRanks.count == communicator.size
        else { return nil }
        self.columns = columns / 2
        kernels = context.kernels
        noise = context.arena.matrix(features: configuration.latentDimension, stride: columns)
        outputs = context.arena.matrix(features: 1, stride: columns)
        gradient = context.arena.matrix(features: 1, stride: columns)
    }

    /// Fills a slot with noise.
    func fillNoise(_ key: RandomKey, into z: Matrix) {
        kernels.randomNormals(key, noise.base, noise.features, noise.stride, noise.stride)
        copy(noise, to: z)
    }

    /// Copies a slot to another.
    func copy(_ x: Matrix, to y: Matrix) {
        precondition(x.features == y.features, "\(x.features) features for \(y.features)")
        kernels.copyColumns(x.base, x.stride, x.features, columns, y.base, y.stride)
    }

    /// Calls `body` with a slot's outputs, copied to memory with a full pass's columns, and copies the gradient that it makes back.
    func widen(_ output: Matrix, _ outputGradient: Matrix, _ body: (_ outputs: Matrix, _ gradient: Matrix) -> Void) {
        copy(output, to: outputs)
        body(outputs, gradient)
        copy(gradient, to: outputGradient)
    }
}

extension AdversarialGame {
    /// The slot of G(z₁) in the generator.
    var fakeSlot: Int { joined != nil && isFresh ? 1 : 0 }
    /// The slot of the generator's own step in the discriminator.
    var generatorStepSlot: Int { joined == nil ? 1 : 0 }

    /// The plain step with joined passes.
    func joinedStep(_ t: Int, _ joined: JoinedPasses) throws {
        let (d, g) = (discriminator.network, generator.network)
        let (real, fake) = (discriminatorPass(.real, t), discriminatorPass(.fake, t))
        discriminator.begin(step: t)
        gather(t)                                                   // x                     | G of step t − 1 under way
        try settle()                                                // G ← optimiser
        context.timed(.noise) {
            joined.fillNoise(noiseKey(.fake, t), into: g.input.slot(fakeSlot))
            if fakeSlot != 0 { joined.fillNoise(noiseKey(.generator, t), into: g.input) }
        }
        try generator.forward(generatorPass(.generator, t))         // G(z₁), G(z₂)
        joined.copy(g.output.slot(fakeSlot), to: fakes)
        try discriminator.forward(real)                             // D(x), D(G(z₁))
        applyLoss(.one, slot: 0, realRows, real)                    // L(D(x), 1)
        joined.widen(d.output.slot(1), d.outputGradient.slot(1)) { outputs, gradient in
            applyLoss(outputs, .zero, gradient: gradient, fakeRows, fake)  // L(D(G(z₁)), 0)
        }
        try discriminator.backward(real)
        try discriminator.update(t, step: t).finish()               // D ← optimiser

        let pass = discriminatorPass(.generator, t)
        generator.begin(step: t)
        joined.copy(g.output, to: d.input)
        try discriminator.forward(pass)                             // D(G(z₂))
        applyLoss(.one, slot: 0, generatorRows, pass)               // L(D(G(z₂)), 1)
        try discriminator.backward(pass, inputGradient: g.outputGradient)
        try generator.backward(isFresh ? generatorPass(.generator, t) : generatorPass(.fake, t))
        generatorUpdate = try generator.update(t, step: t)
    }
}
