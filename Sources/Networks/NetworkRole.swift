/// Which of a step's two networks: it keeps their random numbers apart.
public enum NetworkRole: UInt32, Sendable {
    case discriminator, generator
}
