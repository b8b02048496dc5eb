import MessagePassing
import Networks

/// Numbers that a step has computed: where they are, and what a message calls them.
private struct Stage {
    let name: String
    let isFinite: () -> Bool

    init(_ name: String, isFinite: @escaping () -> Bool) {
        self.name = name
        self.isFinite = isFinite
    }

    /// The rows of the batch in a matrix; what lies past them belongs to nobody.
    init(_ name: String, _ x: Matrix, rows: Int) {
        self.init(name) {
            (0..<x.features).allSatisfy { feature in (0..<rows).allSatisfy { x.base[feature * x.stride + $0].isFinite } }
        }
    }
}

extension TrainingStep {
    /// What a reduction that was not finite ends the run with. Every rank calls it.
    func nonFiniteGradient(_ reducer: Reducer, of network: Network, _ t: Int) throws -> Failure {
        let found = network.layout.tensors.first { tensor in
            reducer.gradients.contains { gradient in tensor.range.contains { !gradient[$0].isFinite } }
        }
        let places = try world.allGather(Array((found?.name ?? "").utf8)).enumerated().filter { !$1.isEmpty }
        let what = places.first.map { rank, name in
            "the gradient of \(network.name).\(String(decoding: name, as: UTF8.self)) is not finite on rank \(rank)"
        }
        let origin = try nonFiniteOrigin(of: network).map { "first seen in \($0)" }
        return Failure(
            .internalError,
            "step \(t + 1): \(what ?? "a sum of the \(network.name)'s gradients over the ranks is not finite"), "
                + "\(origin ?? "though all that it is made of is"). The training has diverged and nothing was written; resume "
                + "from the last checkpoint or lower --lr",
            isShared: true)
    }

    /// Where what made a network's gradient first stopped being finite on any rank, in the order of computation; nil where
    /// it was finite up to the products that make the gradient. Every rank calls it, after the reduction that failed.
    ///
    /// Where the generator has drawn its next fakes meanwhile, its layers tell of those, with the same parameters.
    func nonFiniteOrigin(of network: Network) throws -> String? {
        let stages = network === discriminator ? discriminatorStages : generatorStages
        let own = stages.firstIndex { !$0.isFinite() } ?? stages.count
        // The list is the same on all ranks.
        let first = try world.allGather(Array("\(own)".utf8)).map { Int(String(decoding: $0, as: UTF8.self)) ?? stages.count }
        guard let earliest = first.min(), earliest < stages.count, let rank = first.firstIndex(of: earliest) else { return nil }
        return "\(stages[earliest].name) on rank \(rank)"
    }

    private var discriminatorStages: [Stage] {
        var stages = parameters(generator, generatorReducer) + parameters(discriminator, discriminatorReducer)
        stages += outputs(discriminator, slot: 0, "real rows") + outputs(generator, slot: fakeSlot, "fake rows")
        stages += outputs(discriminator, slot: 1, "fake rows")
        if configuration.gradientPenalty > 0 {
            stages += outputs(discriminator, slot: GradientPenalty.pointSlot, "rows of the gradient penalty")
        }
        stages += errors(discriminator, slot: 0, "real rows") + errors(discriminator, slot: 1, "fake rows")
        if configuration.gradientPenalty > 0 {
            stages += errors(discriminator, slot: GradientPenalty.tangentSlot, "rows of the gradient penalty")
        }
        return stages
    }

    private var generatorStages: [Stage] {
        parameters(generator, generatorReducer) + parameters(discriminator, discriminatorReducer)
            + outputs(generator, slot: 0, "fake rows") + outputs(discriminator, slot: generatorStepSlot, "fake rows")
            + errors(discriminator, slot: generatorStepSlot, "fake rows") + errors(generator, slot: 0, "fake rows")
    }

    private func parameters(_ network: Network, _ reducer: Reducer) -> [Stage] {
        network.layout.tensors.map { tensor in
            Stage("the parameter \(network.name).\(tensor.name)") {
                tensor.range.allSatisfy { reducer.parameters[$0].isFinite }
            }
        }
    }

    private func outputs(_ network: Network, slot: Int, _ what: String) -> [Stage] {
        network.layers.indices.map { layer in
            let name = "the output of \(network.name) layer \(network.layerNumbers[layer]) (\(what))"
            return Stage(name, network.activation(of: layer).slot(slot), rows: rows.count)
        }
    }

    /// Last layer first.
    private func errors(_ network: Network, slot: Int, _ what: String) -> [Stage] {
        network.layers.indices.reversed().map { layer in
            let name = "the output gradient of \(network.name) layer \(network.layerNumbers[layer]) (\(what))"
            return Stage(name, network.outputGradient(of: layer).slot(slot), rows: rows.count)
        }
    }
}
