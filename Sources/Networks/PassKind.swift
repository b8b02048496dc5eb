/// The passes of a training step: D on real rows, D on fake rows, the generator's own step, and D at a penalty's points.
///
/// The random streams of D's `penalty` are those of G's `real`. That is safe: the generator has no real pass.
public enum PassKind: UInt32, CaseIterable, Sendable {
    case real, fake, generator, penalty
}
