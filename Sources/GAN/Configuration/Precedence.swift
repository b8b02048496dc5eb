import MessagePassing

/// Settings that make no sense together: which of them gives way.
extension Configuration {
    /// Those that change the targets of a loss, and do.
    private var targetChanges: [any ConfigurationField] { [$labelSmoothing, $labelFlip].filter { !$0.isDefault } }
    /// Penalties on the discriminator's gradient by its images that are on.
    var gradientPenalties: [Field<Double>] { [$gradientPenalty, $r1, $r2].filter { !$0.isDefault } }
    /// Those that bound the discriminator's slope, and do. Only the zero-centred penalties go together.
    var slopeBounds: [any ConfigurationField] {
        let others: [any ConfigurationField] = [$weightClip, $spectralNorm]
        return gradientPenalties + others.filter { !$0.isDefault }
    }

    /// Whether both are penalties γ/2·E‖∇D‖², on real and on fake images.
    func goTogether(_ a: any ConfigurationField, _ b: any ConfigurationField) -> Bool {
        [a, b].allSatisfy { [$r1.key, $r2.key].contains($0.key) }
    }

    /// Those that lower the learning rates, and do.
    private var learningRateSchedules: [any ConfigurationField] {
        [$learningRateHalfLife, $learningRateDecay].filter { !$0.wrappedValue.isNever }
    }

    private mutating func turnOff(_ field: any ConfigurationField) {
        switch field.key {
        case $learningRateHalfLife.key: learningRateHalfLife = .never
        case $learningRateDecay.key: learningRateDecay = .never
        case $labelSmoothing.key: labelSmoothing = 0
        case $labelFlip.key: labelFlip = 0
        case $gradientPenalty.key: gradientPenalty = 0
        case $r1.key: r1 = 0
        case $r2.key: r2 = 0
        case $weightClip.key: weightClip = 0
        case $generatorLearningRate.key: generatorLearningRate = nil
        case $discriminatorLearningRate.key: discriminatorLearningRate = nil
        default: spectralNorm = false
        }
    }

    /// Turns off what nobody set and what makes no sense beside something that was set. Where both were set, `validate`
    /// refuses them.
    ///
    /// - Parameters:
    ///   - settings: what options set, or a model file.
    ///   - source: where the value of another field comes from.
    /// - Returns: a line for each field that is off now.
    /// - Throws: a usage error where what was set makes no sense beside something that cannot be turned off.
    mutating func giveWay(to settings: Settings, source: (_ key: String) -> String) throws -> [String] {
        let isSet = settings.keys
        var notes: [String] = []
        func name(_ field: any ConfigurationField) -> String {
            (settings.path == nil ? field.flag ?? field.key : field.key) + Configuration.argument(of: field)
        }
        func off(_ field: any ConfigurationField) -> String {
            "\(field.key)\(Configuration.argument(of: field)) of \(source(field.key)) is off"
        }
        for field in loss.takesTargets ? [] : targetChanges {
            if isSet.contains($loss.key), !isSet.contains(field.key) {
                notes.append("\(name($loss)) has no targets: \(off(field))")
                turnOff(field)
            } else if isSet.contains(field.key), !isSet.contains($loss.key) {
                throw Failure(
                    .usage,
                    "\(name(field)): loss \(loss.rawValue) of \(source($loss.key)) has no targets that it could change; leave it "
                        + "away, or use it with --loss bce or mse")
            }
        }
        let bounds = slopeBounds
        if let wanted = bounds.first(where: { isSet.contains($0.key) }) {
            for field in bounds where !isSet.contains(field.key) && !goTogether(wanted, field) {
                notes.append("\(name(wanted)) bounds the discriminator's slope: \(off(field))")
                turnOff(field)
            }
        }
        let schedules = learningRateSchedules
        if let wanted = schedules.first(where: { isSet.contains($0.key) }) {
            for field in schedules where !isSet.contains(field.key) {
                notes.append("\(name(wanted)) lowers the learning rates: \(off(field))")
                turnOff(field)
            }
        }
        let ownRates: [any ConfigurationField] = [$generatorLearningRate, $discriminatorLearningRate]
        for field in ownRates where isSet.contains($learningRate.key) && !isSet.contains(field.key) && !field.isDefault {
            notes.append("\(name($learningRate)) is of both networks: \(off(field))")
            turnOff(field)
        }
        // Where they do not fall there is nothing to say of the time before.
        if learningRateDecay.isNever, !isSet.contains($learningRateFlat.key) { learningRateFlat = .never }
        // Without an average there is nothing to say of its ramp, and without noise nothing of its levels.
        if averageDecay == 0, !isSet.contains($averageRamp.key) { averageRamp = false }
        if instanceNoise == 0, !isSet.contains($mixesInstanceNoise.key) { mixesInstanceNoise = false }
        return notes
    }

    /// A field's value as a user writes it after the name; nothing of one that is on or off.
    private static func argument(of field: any ConfigurationField) -> String {
        if field.valueType == Bool.self { return "" }
        return " " + (field.text.hasSuffix(".0") ? String(field.text.dropLast(2)) : field.text)
    }
}
