import MessagePassing

/// Settings that make no sense together: which of them gives way.
extension Configuration {
    /// Fields of which one may exclude another.
    public static let exclusiveFields = Set(
        (targetFields.map(\.key) + boundFields + [.loss, .averageDecay, .averageRamp]).map(\.rawValue))

    /// Those that change the targets of a loss, 0 where they do not.
    private static let targetFields: [(key: CodingKeys, path: WritableKeyPath<Configuration, Double> & Sendable)] = [
        (.labelSmoothing, \.labelSmoothing), (.labelFlip, \.labelFlip),
    ]
    /// Those that bound the discriminator's slope.
    private static let boundFields: [CodingKeys] = [.gradientPenalty, .weightClip, .spectralNorm]

    /// Turns off what nobody said and what makes no sense beside something that was said. Where both were said, `validate`
    /// refuses them.
    ///
    /// - Parameters:
    ///   - said: the fields that flags say, or a model file.
    ///   - source: where the value of another field comes from.
    /// - Returns: a line for each setting that is off now.
    /// - Throws: a usage error where what was said makes no sense beside something that cannot be turned off.
    mutating func giveWay(
        to said: Set<CodingKeys>, areFlags: Bool, source: (CodingKeys) -> String
    ) throws -> [String] {
        let before = self
        func name(_ key: CodingKeys) -> String {
            (areFlags ? "--" + key.rawValue.replacing("_", with: "-") : key.rawValue) + before.text(of: key)
        }
        func off(_ key: CodingKeys) -> String { "\(key.rawValue)\(before.text(of: key)) of \(source(key)) is off" }
        var notes: [String] = []
        for (key, path) in Configuration.targetFields where !loss.takesTargets && self[keyPath: path] > 0 {
            if said.contains(.loss), !said.contains(key) {
                notes.append("\(name(.loss)) has no targets: \(off(key))")
                self[keyPath: path] = 0
            } else if said.contains(key), !said.contains(.loss) {
                throw Failure(
                    .usage,
                    "\(name(key)): loss \(loss.rawValue) of \(source(.loss)) has no targets that it could change; leave it away, "
                        + "or use it with --loss bce or mse")
            }
        }
        let bounds = Configuration.boundFields.filter(isOn)
        if let wanted = bounds.first(where: said.contains) {
            for key in bounds where !said.contains(key) {
                notes.append("\(name(wanted)) bounds the discriminator's slope: \(off(key))")
                turnOff(key)
            }
        }
        // Without an average there is nothing to say of its ramp.
        if averageDecay == 0, !said.contains(.averageRamp) { averageRamp = false }
        return notes
    }

    private func isOn(_ bound: CodingKeys) -> Bool {
        switch bound {
        case .gradientPenalty: gradientPenalty > 0
        case .weightClip: weightClip > 0
        default: spectralNorm
        }
    }

    private mutating func turnOff(_ bound: CodingKeys) {
        switch bound {
        case .gradientPenalty: gradientPenalty = 0
        case .weightClip: weightClip = 0
        default: spectralNorm = false
        }
    }

    /// A field's value as a user writes it after the name; nothing of one that is on or off.
    private func text(of key: CodingKeys) -> String {
        func number(_ value: Double) -> String { value == value.rounded() ? " \(value)".replacing(".0", with: "") : " \(value)" }
        return switch key {
        case .loss: " \(loss.rawValue)"
        case .labelSmoothing: number(labelSmoothing)
        case .labelFlip: number(labelFlip)
        case .gradientPenalty: number(gradientPenalty)
        case .weightClip: number(weightClip)
        default: ""
        }
    }
}
