import Foundation
import Kernels
import MessagePassing

/// The fields that a JSON text says of a configuration, be it a user's or that of a checkpoint.
struct ModelFile {
    let path: String
    /// Fields with a value.
    private let fields: [String: Any]

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
        let known = Set(Configuration.CodingKeys.allCases.map(\.rawValue)).union(Configuration.ignoredFields)
        if let unknown = object.keys.filter({ !known.contains($0) }).min() {
            throw reject("unknown field \"\(unknown)\"; known are \(known.sorted().joined(separator: ", "))")
        }
        self.path = path
        fields = object.filter { !($0.value is NSNull) }
    }

    var said: Set<Configuration.CodingKeys> { Set(fields.keys.compactMap { Configuration.CodingKeys(rawValue: $0) }) }

    /// Whether it is a whole configuration, as runs write it into `training_options.json` and checkpoints, rather than some
    /// fields of a preset's: it tells the version that wrote it, or has all fields that 0.1.0 wrote.
    private var isWhole: Bool {
        let said = said
        return fields["version"] != nil
            || Configuration.CodingKeys.allCases.allSatisfy {
                said.contains($0) || Configuration.optionalFields.contains($0) || Configuration.laterFields[$0] != nil
            }
    }

    private func reject(_ reason: String) -> Failure { Failure(.usage, "\(path): \(reason)") }

    /// The preset that an option names, or else the file, or else the default.
    func base(preset: String?) throws -> Configuration {
        if let preset { return try Preset.named(preset) }
        let found = fields[Configuration.CodingKeys.preset.rawValue] ?? Preset.standard
        guard let name = found as? String else { throw reject("field preset: the name of a preset is expected") }
        do {
            return try Preset.named(name)
        } catch let failure as Failure {
            throw reject(failure.description)
        }
    }

    /// `base` with the file's fields. What a whole configuration does not say it does not take from `base`.
    /// - Throws: a usage error that names the field, what was expected and what was found.
    func configuration(over base: Configuration) throws -> Configuration {
        do {
            return try decoded(fields, over: base)
        } catch let error as DecodingError {
            // Foundation does not say where a number is that a type cannot hold.
            if case .dataCorrupted(let context) = error, context.codingPath.isEmpty,
                let field = fields.keys.sorted().first(where: { (try? decoded([$0: fields[$0] ?? 0], over: base)) == nil })
            {
                throw reject("field \(field): a number is out of range, or not whole where whole numbers are expected")
            }
            throw reject(reason(error))
        } catch {
            throw reject("\(error)")
        }
    }

    private func decoded(_ fields: [String: Any], over base: Configuration) throws -> Configuration {
        var merged = try JSONSerialization.jsonObject(with: JSONEncoder().encode(base)) as? [String: Any] ?? [:]
        if isWhole {
            for key in Configuration.optionalFields { merged[key.rawValue] = nil }
            for (key, meaning) in Configuration.laterFields { merged[key.rawValue] = meaning }
        }
        merged.merge(fields) { $1 }
        merged[Configuration.CodingKeys.preset.rawValue] = base.preset
        return try JSONDecoder().decode(
            Configuration.self, from: JSONSerialization.data(withJSONObject: merged, options: [.fragmentsAllowed]))
    }
}

// What is wrong with a field, in the words of the file.

extension ModelFile {
    /// The values that a field may have, where they are few.
    private static let choices: [Configuration.CodingKeys: [String]] = [
        .dataset: Configuration.Dataset.allCases.map(\.rawValue), .loss: Loss.allCases.map(\.rawValue),
        .generatorStep: Configuration.GeneratorStep.allCases.map(\.rawValue),
        .optimizer: Configuration.OptimizerKind.allCases.map(\.rawValue), .precision: Precision.allCases.map(\.rawValue),
    ]
    private static let intervals: Set<Configuration.CodingKeys> = [
        .instanceNoiseDecay, .learningRateHalfLife, .logInterval, .sampleInterval, .checkpointInterval, .hashInterval,
    ]

    private func reason(_ error: DecodingError) -> String {
        func place(_ path: [any CodingKey]) -> String {
            let names = path.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }
            return path.isEmpty ? "" : "field \(names.joined(separator: ".")): "
        }
        func wrong(_ path: [any CodingKey], _ expected: String) -> String {
            place(path) + "\(expected) is expected, not \(value(at: path))"
        }
        switch error {
        case .typeMismatch(let type, let context), .valueNotFound(let type, let context):
            let path = context.codingPath
            return wrong(path, expected(path) ?? ModelFile.word(for: type))
        case .keyNotFound(let key, let context):
            return place(context.codingPath) + "\"\(key.stringValue)\" is missing"
        case .dataCorrupted(let context):
            let path = context.codingPath
            guard let choices = choices(path) else { return place(path) + context.debugDescription }
            return wrong(path, choices)
        @unknown default:
            return "\(error)"
        }
    }

    private func choices(_ path: [any CodingKey]) -> String? {
        guard path.count == 1, let key = Configuration.CodingKeys(rawValue: path[0].stringValue), let all = ModelFile.choices[key]
        else { return nil }
        return all.dropLast().joined(separator: ", ") + " or " + (all.last ?? "")
    }

    /// What a field takes, where that is more than a type.
    private func expected(_ path: [any CodingKey]) -> String? {
        guard path.count == 1, let key = Configuration.CodingKeys(rawValue: path[0].stringValue) else { return nil }
        return ModelFile.intervals.contains(key) ? "an interval of steps (400) or epochs (\"4e\")" : choices(path)
    }

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
        var value: Any? = fields
        for key in path {
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

extension Configuration {
    /// A configuration from JSON: what the text does not say comes from its preset, or from `preset` where it names none.
    ///
    /// - Throws: a usage error that names the field, what was expected and what was found.
    public init(json text: Data, preset: String?, path: String) throws {
        let file = try ModelFile(text, path: path)
        self = try file.configuration(over: file.base(preset: preset))
    }
}
