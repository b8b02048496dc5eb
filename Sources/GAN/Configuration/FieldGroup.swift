/// Fields that the help shows together.
public enum FieldGroup: String, CaseIterable, Sendable {
    case data, training, adversarial, cycle, start, evaluation, output, machine

    /// The first field of a group; its last one stands before the next group's first.
    private var first: String {
        switch self {
        case .data: "dataset"
        case .training: "epochs"
        case .adversarial: "latent_dim"
        case .cycle: "domain_b"
        case .start: "seed"
        case .evaluation: "evaluate_interval"
        case .output: "log_interval"
        case .machine: "shards"
        }
    }

    /// The group's fields that options set, in the order of their declaration.
    public var fields: [any ConfigurationField] {
        let all = Configuration.declared.map(\.field)
        let starts = FieldGroup.allCases.map { group in all.firstIndex { $0.key == group.first } ?? all.endIndex } + [all.endIndex]
        guard let index = FieldGroup.allCases.firstIndex(of: self) else { return [] }
        return all[starts[index]..<starts[index + 1]].filter { $0.flag != nil }
    }
}

extension Preset {
    /// What the help says of each field beside its own text, by the fields' names: `dcgan28: 0.002`, or `not for dcgan28` where
    /// the preset's game has no such field. Nothing where no value is set, and where the data decide.
    public func helpNotes() throws -> [String: String] {
        let configuration = try configuration(for: .usual)
        let ofData = [configuration.$dataset.key, configuration.$channels.key, configuration.$channelsB.key]
            + (imageSize == nil ? [configuration.$imageSize.key] : [])
        var notes: [String: String] = [:]
        for (_, field) in configuration.members {
            if !configuration.has(field) {
                notes[field.key] = "not for \(name)"
            } else if field.text != "none", !ofData.contains(field.key) {
                notes[field.key] = "\(name): \(field.shortText)"
            }
        }
        return notes
    }
}

extension ConfigurationField {
    /// Its value in few letters: whole numbers without a point, what is on or off as that.
    fileprivate var shortText: String {
        if valueType == Bool.self { return text == "true" ? "on" : "off" }
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }
}

/// The name that a misspelt one was probably meant to be: with the fewest letters to insert, delete, replace or exchange with a
/// neighbour (optimal string alignment), at most a third of them, small and capital letters being the same; nil where there is
/// none.
public func nearestName(to name: String, among names: [String]) -> String? {
    let letters = Array(name.lowercased())
    let nearest = names.map { (name: $0, distance: editDistance(letters, Array($0.lowercased()))) }
        .min { $0.distance < $1.distance }
    return nearest.flatMap { $0.distance <= max(1, $0.name.count / 3) ? $0.name : nil }
}

/// `; did you mean x?`, or nothing.
public func suggestion(for name: String, among names: [String]) -> String {
    nearestName(to: name, among: names).map { "; did you mean \($0)?" } ?? ""
}

private func editDistance(_ a: [Character], _ b: [Character]) -> Int {
    var (older, last) = ([Int](), Array(0...b.count))
    for i in a.indices {
        var row = [i + 1]
        for j in b.indices {
            var least = min(row[j] + 1, last[j + 1] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
            if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { least = min(least, older[j - 1] + 1) }
            row.append(least)
        }
        (older, last) = (last, row)
    }
    return last[b.count]
}
