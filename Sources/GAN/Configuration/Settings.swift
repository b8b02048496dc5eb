import Foundation
import MessagePassing

/// Fields of a configuration that somebody set, as JSON: a model file, the configuration in a checkpoint, or the options.
struct Settings {
    /// Where the text is; nil for options.
    let path: String?
    /// Fields with a value.
    private let values: [String: Any]

    /// Fields that `training_options.json` holds besides and a model file may.
    private static let ignored: Set<String> = ["version", "data_sha256", "images", "data_path", "class_names", "init_from", "init_sha256"]

    /// - Throws: a usage error where the text is not a JSON object of known fields.
    init(_ text: Data, path: String) throws {
        func reject(_ reason: String) -> Failure { Failure(.usage, "\(path): \(reason)") }
        let value: Any
        do {
            value = try JSONSerialization.jsonObject(with: text, options: [.fragmentsAllowed])
        } catch {
            let reason = (error as NSError).userInfo["NSDebugDescription"] as? String ?? "\(error)"
            throw reject("not JSON: \(reason.replacing("representable in Swift", with: "representable"))")
        }
        guard let object = value as? [String: Any] else {
            throw reject("a JSON object is expected, as training_options.json holds one")
        }
        let known = Set(Configuration.declared.map(\.field.key)).union(Settings.ignored)
        if let unknown = object.keys.filter({ !known.contains($0) }).min() {
            throw reject("unknown field \"\(unknown)\"; known are \(known.sorted().joined(separator: ", "))")
        }
        self.path = path
        values = object.filter { !($0.value is NSNull) }
    }

    /// - Parameter options: values by the names of their fields in model files.
    init(options: [String: any FieldValue]) throws {
        // JSON has no words for what is not finite. Whether a field may be is for its limit to say.
        let encoder = JSONEncoder()
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        path = nil
        values = try options.mapValues { try JSONSerialization.jsonObject(with: encoder.encode($0), options: [.fragmentsAllowed]) }
    }

    /// The names of the fields that are set.
    var keys: Set<String> { Set(values.keys) }

    /// Whether it is a whole configuration, as runs write it into `training_options.json` and checkpoints, rather than some
    /// fields of a preset's: it tells the version that wrote it, or has all fields that each version wrote.
    private var isWhole: Bool {
        let game = (values["game"] as? String).flatMap(Configuration.GameKind.init) ?? .gan
        return values["version"] != nil
            || Configuration.declared.allSatisfy { _, field in
                field.presence != .always || !(field.game.map { $0 == game } ?? true) || values[field.key] != nil
            }
    }

    private func reject(_ reason: String) -> Failure { Failure(.usage, (path.map { "\($0): " } ?? "") + reason) }

    /// The preset that an option names, or else the file, or else the default.
    func preset(_ option: String?) throws -> Preset {
        if let option { return try Preset.named(option) }
        let found = values["preset"] ?? Preset.standard
        guard let name = found as? String else { throw reject("field preset: the name of a preset is expected") }
        do {
            return try Preset.named(name)
        } catch let failure as Failure {
            throw reject(failure.description)
        }
    }

    /// Whether the layers of all networks of a game are among the fields.
    var hasNetworks: Bool {
        [["generator", "discriminator"], ["classifier"], ["generator_ab", "generator_ba", "discriminator_a", "discriminator_b"]]
            .contains { $0.allSatisfy { values[$0] != nil } }
    }

    /// Refuses what was set and the game of a configuration does not have.
    func refuseOtherGames(_ configuration: Configuration) throws {
        for (_, field) in Configuration.declared where keys.contains(field.key) && !configuration.has(field) {
            throw reject(
                "\(path == nil ? field.flag ?? field.key : "field \(field.key)"): preset \(configuration.preset) trains "
                    + "\(configuration.game.description), which has no such setting; leave it away")
        }
    }

    /// The data set that is named.
    var dataset: String? { values[Configuration.datasetKey] as? String }

    /// The channels of domain B's images, where they are said.
    var secondChannels: Int? { values["channels_b"] as? Int }

    /// The size and the channels of the images, where they are said.
    func image() throws -> (size: ImageSize?, channels: Int?) {
        let configuration = try configuration(over: Configuration())
        let (size, channels) = (configuration.$imageSize, configuration.$channels)
        for field in [size, channels] as [any ConfigurationField] where keys.contains(field.key) {
            do {
                try field.validate()
            } catch let failure as Failure {
                throw reject(failure.description)
            }
        }
        return (
            keys.contains(size.key) ? size.wrappedValue : nil,
            keys.contains(channels.key) || isWhole ? channels.wrappedValue : nil
        )
    }

    /// `base` with these fields. If these are a whole configuration, newer fields that it lacks get their defaults, not `base`'s.
    /// - Throws: a usage error that names the field, what was expected and what was found.
    func configuration(over base: Configuration) throws -> Configuration {
        do {
            return try decoded(values, over: base)
        } catch let error as DecodingError {
            // Foundation does not say where a number is that a type cannot hold.
            if case .dataCorrupted(let context) = error, context.codingPath.isEmpty,
                let field = values.keys.sorted().first(where: { (try? decoded([$0: values[$0] ?? 0], over: base)) == nil })
            {
                throw reject("field \(field): a number is out of range, or not whole where whole numbers are expected")
            }
            throw reject(reason(error))
        } catch {
            throw reject("\(error)")
        }
    }

    private func decoded(_ values: [String: Any], over base: Configuration) throws -> Configuration {
        var object = try base.object()
        if isWhole {
            let defaults = try Configuration().object()
            for (_, field) in Configuration.declared where field.presence != .always { object[field.key] = defaults[field.key] }
        }
        object.merge(values) { $1 }
        object["preset"] = base.preset
        let properties = Dictionary(
            uniqueKeysWithValues: Configuration.declared.map { ($0.property, object[$0.field.key] ?? NSNull()) })
        let decoder = JSONDecoder()
        if path == nil {
            decoder.nonConformingFloatDecodingStrategy = .convertFromString(
                positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        }
        return try decoder.decode(Configuration.self, from: JSONSerialization.data(withJSONObject: properties))
    }
}

// What is wrong with a field, in the words of the user.

extension Settings {
    private func reason(_ error: DecodingError) -> String {
        switch error {
        case .typeMismatch(let type, let context), .valueNotFound(let type, let context):
            let path = context.codingPath
            return wrong(path, expectation(path) ?? Settings.word(for: type))
        case .keyNotFound(let key, let context):
            return place(context.codingPath) + "\"\(key.stringValue)\" is missing"
        case .dataCorrupted(let context):
            let path = context.codingPath
            // Other values than names tell themselves what is wrong with them.
            let isName = path.count == 1 && field(path)?.valueType is any CaseIterable.Type
            guard isName || self.path == nil, let expectation = expectation(path) else {
                return place(path) + context.debugDescription
            }
            return wrong(path, expectation)
        @unknown default:
            return "\(error)"
        }
    }

    private func wrong(_ path: [any CodingKey], _ expected: String) -> String {
        if self.path == nil, let field = field(path), let flag = field.flag, let value = values[field.key] {
            return "\(flag) \(value): \(field.valueType.refusal)"
        }
        return place(path) + "\(expected) is expected, not \(value(at: path))"
    }

    /// The field that a path, of the names of properties, leads to or into.
    private func field(_ path: [any CodingKey]) -> (any ConfigurationField)? {
        Configuration.declared.first { $0.property == path.first?.stringValue }?.field
    }

    private func place(_ path: [any CodingKey]) -> String {
        guard let field = field(path) else { return "" }
        let names = path.dropFirst().map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }
        return "field \(([field.key] + names).joined(separator: ".")): "
    }

    /// What a field takes, where that is more than a type.
    private func expectation(_ path: [any CodingKey]) -> String? { path.count == 1 ? field(path)?.valueType.expectation : nil }

    private static func word(for type: Any.Type) -> String {
        switch type {
        case is Bool.Type: "true or false"
        case is any BinaryInteger.Type: "a whole number"
        case is any BinaryFloatingPoint.Type: "a number"
        case is String.Type: "text in quotes"
        case is [Any].Type: "a list"
        default: "an object"
        }
    }

    /// What the file has there, in short.
    private func value(at path: [any CodingKey]) -> String {
        var value: Any? = field(path).flatMap { values[$0.key] }
        for key in path.dropFirst() {
            if let index = key.intValue {
                let list = value as? [Any] ?? []
                value = list.indices.contains(index) ? list[index] : nil
            } else {
                value = (value as? [String: Any])?[key.stringValue]
            }
        }
        return switch value {
        case let text as String: "\"\(text)\""
        case is [Any]: "a list"
        case is [String: Any]: "an object"
        // JSON's true and false are numbers here too, of type char.
        case let number as NSNumber: number.objCType.pointee == 0x63 ? "\(number.boolValue)" : "\(number)"
        default: "null"
        }
    }
}
