import Kernels
import Networks

/// One direction of a CycleGAN: a generator from one domain to the other, the discriminator of its target domain, and what the
/// step computes of them.
///
/// Slots of the generator G: 0 is G(x) of its source's pictures, 1 is G(F(y)), the end of the other domain's cycle, 2 is G(y), which
/// should be y. Slots of the discriminator: 0 are real pictures, 1 fakes.
struct Translation {
    static let forward = 0, cycle = 1, identity = 2
    static let real = 0, fake = 1

    let generator, discriminator: Player
    let pool: FakePool?
    /// Of each row: the discriminator's losses of real pictures and of fakes, the generator's, that of the cycle that ends in its
    /// source's domain, and that of its identity.
    let realLosses, fakeLosses, losses, cycleLosses, identityLosses: UnsafeMutablePointer<Float>
    /// The gradient of its fakes, as the discriminator has it.
    let fakeGradient: Matrix
    /// The weight of the cycle that begins with it.
    let cycleWeight: Double

    init(
        generator: Player, discriminator: Player, pool: FakePool?, rows: [UnsafeMutablePointer<Float>], cycleWeight: Double,
        context: StepContext
    ) {
        (self.generator, self.discriminator, self.pool, self.cycleWeight) = (generator, discriminator, pool, cycleWeight)
        (realLosses, fakeLosses, losses, cycleLosses, identityLosses) = (rows[0], rows[1], rows[2], rows[3], rows[4])
        fakeGradient = context.arena.matrix(features: generator.network.output.features, stride: context.columns)
    }

    /// The pictures of its source domain.
    var pictures: Matrix { generator.network.input.slot(Translation.forward) }
    /// G(x)
    var fakes: Matrix { generator.network.output.slot(Translation.forward) }
}

extension Matrix {
    /// Takes over the values of a matrix of the same shape.
    func copy(_ other: Matrix) {
        precondition((features, stride) == (other.features, other.stride), "[\(features), \(stride)] of [\(other.features), \(other.stride)]")
        base.update(from: other.base, count: features * stride)
    }
}
