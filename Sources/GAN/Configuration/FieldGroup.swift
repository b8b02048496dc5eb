/// Fields that the help shows together.
public enum FieldGroup: String, CaseIterable, Sendable {
    case data, training, adversarial, cycle, run

    /// The first field of a group; its last one stands before the next group's first.
    private var first: String {
        switch self {
        case .data: "dataset"
        case .training: "epochs"
        case .adversarial: "latent_dim"
        case .cycle: "domain_b"
        case .run: "precision"
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
    /// What the preset sets for MNIST, by the names of the fields, as a user writes it.
    public func settings() throws -> [String: String] {
        let members = try configuration(for: .mnist).members
        return Dictionary(members.map { ($0.field.key, $0.field.text) }) { first, _ in first }
    }
}

/// The name that a misspelt one was probably meant to be: with the fewest letters to insert, delete, replace or exchange with a
/// neighbour (optimal string alignment), at most a third of them; nil where there is none.
public func nearestName(to name: String, among names: [String]) -> String? {
    let nearest = names.map { (name: $0, distance: editDistance(Array(name), Array($0))) }.min { $0.distance < $1.distance }
    return nearest.flatMap { $0.distance <= max(1, $0.name.count / 3) ? $0.name : nil }
}

/// `; did you mean x?`, or nothing.
func suggestion(for name: String, among names: [String]) -> String {
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
