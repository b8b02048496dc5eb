import Networks

// What a CycleGAN's step shows to a dump, and to the search for a number that is not finite.

extension CycleGame {
    func stages(of player: Player) -> [Stage] {
        let rows = context.rows.count
        func outputs(_ player: Player, _ slot: Int, _ what: String) -> [Stage] {
            Stage.outputs(player, slot: slot, rows: rows, what)
        }
        func gradients(_ player: Player, _ slot: Int, _ what: String) -> [Stage] {
            Stage.gradients(player, slot: slot, rows: rows, what)
        }
        let parameters = players.flatMap(Stage.parameters)
        let ways = [toB, toA]
        if let way = ways.first(where: { $0.discriminator === player }) {
            return parameters + outputs(player, Translation.real, "real rows") + outputs(way.generator, Translation.forward, "translated rows")
                + outputs(player, Translation.fake, "fake rows") + gradients(player, Translation.real, "real rows")
                + gradients(player, Translation.fake, "fake rows")
        }
        var stages = parameters + ways.flatMap { outputs($0.generator, Translation.forward, "translated rows") }
        stages += ways.flatMap { outputs($0.generator, Translation.cycle, "rows that come back") }
        stages += ways.flatMap { gradients($0.generator, Translation.cycle, "rows that come back") }
        if hasIdentity {
            stages += outputs(player, Translation.identity, "rows that should stay")
                + gradients(player, Translation.identity, "rows that should stay")
        }
        for way in ways where way.generator === player {
            stages += outputs(way.discriminator, Translation.fake, "fake rows") + gradients(way.discriminator, Translation.fake, "fake rows")
                + gradients(player, Translation.forward, "translated rows")
        }
        return stages
    }

    /// Of each discriminator `real_a` or `real_b` [B, C, H, W], and `shown_a` or `shown_b`, the fakes that it saw: new ones, and
    /// those that the pool gave in their place.
    func addInputs(ofUpdate update: Int, of player: Player, to dump: Dump) throws {
        guard let way = [toB, toA].first(where: { $0.discriminator === player }) else { return }
        let (rows, input) = (context.rows.count, player.network.input)
        let real = try dump.gatherRows(of: input.slot(Translation.real), rows)
        let shown = try dump.gatherRows(of: input.slot(Translation.fake), rows)
        guard dump.isWriter else { return }
        let (name, image) = way.discriminator === toA.discriminator ? ("a", configuration.image) : ("b", configuration.imageB)
        let shape = [image.channels, image.height, image.width]
        dump.add("real_\(name)", shape, image.inOrder(real))
        dump.add("shown_\(name)", shape, image.inOrder(shown))
    }
}
