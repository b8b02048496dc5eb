/// The passes of a training step: the discriminator on real rows and on fake ones, the generator's own step, and the
/// discriminator between real and fake, which takes the generator's number of a pass that only the discriminator has.
public enum PassKind: UInt32, CaseIterable, Sendable {
    case real, fake, generator, penalty
}
