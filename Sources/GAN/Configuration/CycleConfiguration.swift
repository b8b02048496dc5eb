import MessagePassing
import Networks

// What a CycleGAN's configuration says of its networks.

extension Configuration {
    /// The shape of B's images: A's, in other colours perhaps.
    var imageB: Shape { Shape(channels: channelsB ?? channels, imageSize) }

    /// As B's images are read.
    var second: Configuration {
        var second = self
        second.channels = imageB.channels
        return second
    }

    /// The weight of the identity loss. Where the domains' shapes differ, pictures of one are none of the other's.
    var usedIdentityWeight: Double { imageB == image ? identityWeight ?? 5 : 0 }

    /// The weight of the cycle that begins in B.
    var usedCycleWeightB: Double { cycleWeightB ?? cycleWeight }

    /// The layers of the four networks, in the players' order.
    /// - Throws: a usage error that names the layers that do not fit.
    func cyclePlans() throws -> [(name: String, plan: NetworkPlan)] {
        func plan(
            _ name: String, _ layers: [LayerSpecification], from input: Shape, _ role: NetworkRole, _ expected: String,
            _ isRight: (Shape) -> Bool
        ) throws -> (name: String, plan: NetworkPlan) {
            if let layer = layers.first(where: { $0.comparesRows || !$0.classes.isEmpty }) {
                throw Failure(.usage, "\(name): layer \(layer.name) does not look at one image alone; take it out")
            }
            do {
                let plan = try NetworkPlan(layers, input: input, role: role)
                guard isRight(plan.output) else { throw Failure(.usage, "\(name) gives \(plan.output); \(expected)") }
                guard !plan.layers.flatMap(\.simpleLayers).contains(where: { $0 is Dropout }) else {
                    throw Failure(.usage, "\(name): a CycleGAN's networks take no dropout; take the layer out")
                }
                return (name, plan)
            } catch let error as ShapeError {
                throw Failure(.usage, "\(name) does not fit together: \(error.description)")
            }
        }
        func generator(_ name: String, _ layers: [LayerSpecification], _ input: Shape, _ output: Shape) throws -> (name: String, plan: NetworkPlan) {
            try plan(name, layers, from: input, .generator, "images of \(output) are needed (image_size \(imageSize.text))") {
                $0 == output
            }
        }
        func discriminator(_ name: String, _ layers: [LayerSpecification], _ input: Shape) throws -> (name: String, plan: NetworkPlan) {
            try plan(name, layers, from: input, .discriminator, "one channel, a score for each patch, is needed") {
                $0.channels == 1
            }
        }
        return [
            try generator("generator_ab", generatorAB, image, imageB), try generator("generator_ba", generatorBA, imageB, image),
            try discriminator("discriminator_a", discriminatorA, image), try discriminator("discriminator_b", discriminatorB, imageB),
        ]
    }

    /// Refuses values of a CycleGAN's fields that make no sense together.
    func validateCycle() throws {
        if let identityWeight, identityWeight > 0, imageB != image {
            throw Failure(
                .usage, "--identity-weight \(identityWeight.text): images of A are \(image) and of B \(imageB), so that none of one "
                    + "can be one of the other; leave it away")
        }
        guard poolSize % shards == 0 else {
            throw Failure(
                .usage, "--pool-size \(poolSize): each of the \(shards) logical shards keeps as many; use a multiple of \(shards)")
        }
    }
}
