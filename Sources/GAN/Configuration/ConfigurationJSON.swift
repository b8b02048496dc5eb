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

    /// JSON with sorted keys, on many lines or one.
    public func json(pretty: Bool = false, adding extra: [String: Any] = [:]) throws -> String {
        var object = try object()
        for (_, field) in members where field.presence == .unlessDefault && field.isDefault || !has(field) {
            object[field.key] = nil
        }
        object.merge(extra) { $1 }
        let options: JSONSerialization.WritingOptions =
            pretty ? [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes] : [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try JSONSerialization.data(withJSONObject: object, options: options), as: UTF8.self)
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
        try object().filter { !($0.value is NSNull) }.mapValues {
            let data = try JSONSerialization.data(withJSONObject: $0, options: [.sortedKeys, .fragmentsAllowed])
            return String(decoding: data, as: UTF8.self)
        }
    }

    /// All fields by their names in model files; null is one without a value.
    func object() throws -> [String: Any] {
        let values = try JSONSerialization.jsonObject(with: JSONEncoder().encode(self)) as? [String: Any] ?? [:]
        return Dictionary(uniqueKeysWithValues: Configuration.declared.map { ($0.field.key, values[$0.property] ?? NSNull()) })
    }
}
