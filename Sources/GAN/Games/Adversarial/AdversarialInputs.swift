import Kernels
import Networks

// What this game's step shows to a dump, and to the search for a number that is not finite.

extension Configuration {
    /// An image as a network of these layers takes it, in PyTorch's words.
    func imageShape(for layers: [LayerSpecification]) -> [Int] {
        layers.first?.description is LinearDescription ? [image.features] : [image.channels, image.height, image.width]
    }
}

extension AdversarialGame {
    /// After an overlapped update of D, G may have made G(z₂) already: G's activations are then those of z₂, not of z₁. Its
    /// parameters have not changed since.
    func stages(of player: Player) -> [Stage] {
        let (g, d, rows) = (generator, discriminator, context.rows.count)
        let parameters = Stage.parameters(g) + Stage.parameters(d)
        func outputs(_ player: Player, _ slot: Int, _ what: String) -> [Stage] {
            Stage.outputs(player, slot: slot, rows: rows, what)
        }
        func gradients(_ player: Player, _ slot: Int, _ what: String) -> [Stage] {
            Stage.gradients(player, slot: slot, rows: rows, what)
        }
        guard player === d else {
            return parameters + outputs(g, 0, "fake rows") + outputs(d, generatorStepSlot, "fake rows")
                + gradients(d, generatorStepSlot, "fake rows") + gradients(g, 0, "fake rows")
        }
        var stages = parameters + outputs(d, 0, "real rows") + outputs(g, fakeSlot, "fake rows") + outputs(d, 1, "fake rows")
        if let point = penalties?.pointSlot { stages += outputs(d, point, "rows of the gradient penalty") }
        stages += gradients(d, 0, "real rows") + gradients(d, 1, "fake rows")
        for index in penalties?.kinds.indices ?? 0..<0 {
            stages += gradients(d, Penalties.firstSlot + index, "rows of the gradient penalty")
        }
        return stages
    }

    /// Of the discriminator `real` [B, H · W], or [B, C, H, W] for one of images, `z_d` [B, latent], dropout masks
    /// `mask.<pass>.<layer>` and the generator's `generator.mask.…`, whatever else is random (`labels_real`, `targets_…`,
    /// `noise.<pass>`, `epsilon` of a gradient penalty); of the generator `z_g`, `labels_g`, `noise.generator` and masks. With
    /// instance noise `real` includes it, as D sees it.
    func addInputs(ofUpdate update: Int, of player: Player, to dump: Dump) throws {
        if player === discriminator {
            let real = try dump.gatherRows(of: discriminator.network.input, context.rows.count)
            let classes = try labels.map { try dump.gather($0.real, context.rows.count) }
            guard dump.isWriter else { return }
            addDiscriminator(update, real, classes, to: dump)
        } else if dump.isWriter {
            addGenerator(update, to: dump)
        }
    }

    private func addDiscriminator(_ u: Int, _ real: [Float], _ classes: [UInt8]?, to dump: Dump) {
        dump.add("real", imageShape, inOrder(real))
        if let classes { dump.add("labels_real", [], classes.map(Float.init)) }
        dump.add("z_d", [configuration.latentDimension], dump.normals(noiseKeyOfBatch(.fake, u), configuration.latentDimension))
        for kind in [PassKind.real, .fake] {
            let pass = dump.pass(kind, u)
            dump.addMasks("mask", discriminator.network, pass)
            addNoise(pass, t: u / configuration.criticSteps, to: dump)
            addTargets(kind == .real ? .one : .zero, pass, to: dump)
        }
        dump.addMasks("generator.mask", generator.network, dump.pass(.fake, u))
        if penalties?.pointSlot != nil, penalties?.areDue(in: u) == true {
            dump.addMasks("mask", discriminator.network, dump.pass(.penalty, u))
            dump.add("epsilon", [], Array(Penalties.mix(dump.pass(.penalty, u)).prefix(configuration.batchSize)))
        }
    }

    private func addGenerator(_ t: Int, to dump: Dump) {
        let pass = dump.pass(.generator, t)
        if isFresh {
            let latent = configuration.latentDimension
            dump.add("z_g", [latent], dump.normals(noiseKeyOfBatch(.generator, t), latent))
            dump.addMasks("generator.mask", generator.network, pass)
            if labels != nil { dump.add("labels_g", [], drawnLabels(pass)) }
            addNoise(pass, t: t, to: dump)
        }
        dump.addMasks("mask", discriminator.network, pass)
    }

    /// The whole batch's key.
    private func noiseKeyOfBatch(_ kind: PassKind, _ number: Int) -> RandomKey {
        var key = noiseKey(kind, number)
        key.first_row = 0
        return key
    }

    /// An image as the discriminator takes it.
    private var imageShape: [Int] { configuration.imageShape(for: configuration.discriminator) }

    /// Images as they lie in memory, in PyTorch's order.
    private func inOrder(_ images: [Float]) -> [Float] { configuration.image.inOrder(images) }

    /// [B]
    private func drawnLabels(_ pass: Pass) -> [Float] {
        let labels = ClassLabels(classes: configuration.classes ?? 1, columns: pass.columns, arena: Arena(usesHugePages: false))
        labels.draw(pass)
        return (0..<configuration.batchSize).map { Float(labels.drawn[$0]) }
    }

    /// The noise of step t, from 0.
    private func addNoise(_ pass: Pass, t: Int, to dump: Dump) {
        guard noise(t) > 0 else { return }
        let key = RandomKey(seed: pass.seed, stream: RandomStream.instanceNoise(pass.kind), step: pass.step)
        dump.add("noise.\(pass.kind)", imageShape, inOrder(dump.normals(key, configuration.image.features)))
        guard configuration.mixesInstanceNoise else { return }
        let levels = perturbation(of: pass) { $0.levels(pass) }
        dump.add("noise_level.\(pass.kind)", [], levels ?? [])
    }

    private func addTargets(_ target: Loss.Target, _ pass: Pass, to dump: Dump) {
        guard let targets = perturbation(of: pass, { $0.targets(target, pass) }) else { return }
        dump.add("targets_\(pass.kind)", [], targets)
    }

    /// What perturbs each row of the whole batch, [B].
    private func perturbation(of pass: Pass, _ body: (Perturbations) -> UnsafePointer<Float>?) -> [Float]? {
        let perturbations = Perturbations(
            configuration, columns: pass.columns, firstRow: 0, kernels: context.kernels, arena: Arena(usesHugePages: false))
        return withExtendedLifetime(perturbations) {
            body(perturbations).map { values in (0..<configuration.batchSize).map { values[$0] } }
        }
    }
}
