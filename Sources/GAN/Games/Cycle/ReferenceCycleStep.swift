import Kernels
import MessagePassing
import Networks

/// The step of a CycleGAN as a textbook has it; see `ReferenceStep`, and `CycleStep.swift` for its letters.
final class ReferenceCycleStep: ReferenceGame {
    /// G, F, D_A, D_B.
    let players: [ReferencePlayer]
    private let configuration: Configuration
    private let kernels: Kernels
    private let arena = Arena()
    private let layout: ShardLayout
    private let batchesA, batchesB: Batches
    private let poolA, poolB: FakePool?
    private let losses: UnsafeMutablePointer<Float>
    private let columns, stepsPerEpoch: Int

    init(_ configuration: Configuration, _ data: RunData) throws {
        guard let second = data.second else { preconditionFailure("a CycleGAN without a second domain") }
        self.configuration = configuration
        kernels = configuration.precision == .fp32 ? .reference : .bfloat16Reference
        layout = ShardLayout(shards: configuration.shards, ranks: 1)
        columns = configuration.batchSize.paddedToVectors
        players = try configuration.cyclePlayers().map { [layout, kernels, arena] in
            ReferencePlayer($0, configuration, layout, kernels, arena)
        }
        batchesA = Batches(configuration, dataset: data.training, layout: layout, rank: 0, kernels: kernels, arena: arena)
        batchesB = Batches(configuration, dataset: second, .second, layout: layout, rank: 0, kernels: kernels, arena: arena)
        (poolA, poolB) = FakePool.pair(configuration, layout: layout, rank: 0, columns: columns, arena: arena)
        losses = arena.floats(columns)
        stepsPerEpoch = configuration.stepsPerEpoch(images: data.count)
    }

    func run(_ t: Int) throws {
        let (g, f, dA, dB) = (players[0].network, players[1].network, players[2].network, players[3].network)
        let (real, fake) = (Translation.real, Translation.fake)
        let (there, back, stay) = (Translation.forward, Translation.cycle, Translation.identity)
        let scale = configuration.learningRateScale(step: t, stepsPerEpoch: stepsPerEpoch)
        func pass(_ kind: PassKind) -> Pass {
            Pass(
                kernels: kernels, columns: columns, kind: kind, seed: configuration.seed, step: t, firstRow: 0,
                shardColumns: layout.rows(batch: configuration.batchSize))
        }

        batchesA.gather(step: t, into: g.input)                                             // a
        batchesB.gather(step: t, into: f.input)                                             // b
        try g.forward(pass(.fake), slot: there)                                             // G(a)
        try f.forward(pass(.fake), slot: there)                                             // F(b)
        for (d, player, pictures, fakes, pool) in [
            (dA, 2, g.input, f.output, poolA), (dB, 3, f.input, g.output, poolB),
        ] {
            d.input.slot(real).copy(pictures)
            d.input.slot(fake).copy(fakes)
            pool?.exchange(d.input.slot(fake), shards: layout.rows(batch: configuration.batchSize), pass(.fake))
            for (slot, target) in [(real, Float(1)), (fake, 0)] {
                try d.forward(pass(.real), slot: slot)
                score(d, slot, target: target, weight: 0.5)                                 // ½ (D(b) − 1)², ½ D(pool)²
                try d.backward(pass(.real), slot: slot)
            }
            try players[player].update(t, learningRateScale: scale)                         // D ← optimiser
        }

        for (g, f, d, lambda) in [(g, f, dB, configuration.cycleWeight), (f, g, dA, configuration.usedCycleWeightB)] {
            f.input.slot(back).copy(g.output.slot(there))
            try f.forward(pass(.generator), slot: back)                                     // F(G(a))
            compare(f, back, with: g.input.slot(there), weight: Float(lambda))              // λ |F(G(a)) − a|
            let gradient = g.outputGradient.slot(there)
            try f.backward(pass(.generator), slot: back, inputGradient: gradient)

            d.input.slot(fake).copy(g.output.slot(there))
            try d.forward(pass(.generator), slot: fake)                                     // D(G(a))
            score(d, fake, target: 1, weight: 1)                                            // (D(G(a)) − 1)²
            let judged = arena.matrix(features: gradient.features, stride: columns)
            try d.backward(pass(.generator), slot: fake, inputGradient: judged)
            for index in 0..<gradient.features * columns { gradient.base[index] += judged.base[index] }
            try g.backward(pass(.fake), slot: there)

            guard configuration.usedIdentityWeight > 0 else { continue }
            g.input.slot(stay).copy(f.input.slot(there))
            try g.forward(pass(.real), slot: stay)                                          // G(b)
            compare(g, stay, with: g.input.slot(stay), weight: Float(configuration.usedIdentityWeight))  // λ′ |G(b) − b|
            try g.backward(pass(.real), slot: stay)
        }
        for player in players.prefix(2) { try player.update(t, learningRateScale: scale) }  // G, F ← optimiser
    }

    private func score(_ d: Network, _ slot: Int, target: Float, weight: Float) {
        PatchLoss.apply(
            d.output.slot(slot), target: target, weight: weight, batch: configuration.batchSize,
            gradient: d.outputGradient.slot(slot), losses: losses, columns: columns)
    }

    private func compare(_ network: Network, _ slot: Int, with pictures: Matrix, weight: Float) {
        PixelLoss.apply(
            network.output.slot(slot), pictures, weight: weight, batch: configuration.batchSize,
            gradient: network.outputGradient.slot(slot), losses: losses, columns: columns)
    }
}
