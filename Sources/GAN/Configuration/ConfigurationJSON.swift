import Foundation

// Configurations as JSON.

extension Configuration {
    /// A configuration from JSON: what the text does not say comes from its preset for MNIST, or from `preset` where it names
    /// none.
    ///
    /// - Throws: a usage error that names the field, what was expected and what was found.
    public init(json text: Data, preset: String?, path: String) throws {
        let file = try Settings(text, path: path)
        self = try file.configuration(over: file.preset(preset).configuration(for: .usual))
    }

    /// JSON with sorted keys, on one line.
    public func json() throws -> String { try json(pretty: false) }

    /// JSON with sorted keys, on many lines or one.
    func json(pretty: Bool, adding extra: [String: JSONValue] = [:]) throws -> String {
        var object = try values()
        for (_, field) in members where field.presence == .unlessDefault && field.isDefault || !has(field) {
            object[field.key] = nil
        }
        object.merge(extra) { $1 }
        return try JSONValue.object(object).encoded(pretty ? [.prettyPrinted, .withoutEscapingSlashes] : .withoutEscapingSlashes)
    }

    /// Whether its game has a field.
    func has(_ field: any ConfigurationField) -> Bool { field.game == nil || field.game == game }

    /// Names of fields in which the bytes of two configurations' runs differ.
    public func differences(from other: Configuration) throws -> [String] {
        let mine = try fields()
        let theirs = try other.fields()
        return Configuration.declared.map(\.field).filter(\.changesBytes).map(\.key).filter { mine[$0] != theirs[$0] }
    }

    /// Each field that has a value, as canonical JSON.
    func fields() throws -> [String: String] {
        try values().filter { $0.value != .null }.mapValues { try $0.encoded() }
    }

    /// All fields by their names in model files; null is one without a value.
    private func values() throws -> [String: JSONValue] {
        Configuration.named(try JSONDecoder().decode([String: JSONValue].self, from: JSONEncoder().encode(self)), none: .null)
    }

    /// The same as `JSONSerialization` has it.
    func object() throws -> [String: Any] {
        let object = try JSONSerialization.jsonObject(with: JSONEncoder().encode(self))
        return Configuration.named(object as? [String: Any] ?? [:], none: NSNull())
    }

    /// Values by the names of their properties as those of all fields by their names in model files.
    private static func named<Value>(_ values: [String: Value], none: Value) -> [String: Value] {
        Dictionary(uniqueKeysWithValues: declared.map { ($0.field.key, values[$0.property] ?? none) })
    }
}
