import Foundation
import MessagePassing

extension Configuration {
    /// A configuration from JSON: what the text does not say comes from its preset, or from `preset` where it names none.
    ///
    /// - Throws: a usage error that names the field, what was expected and what was found.
    public init(json text: Data, preset: String?, path: String) throws {
        func reject(_ reason: String) -> Failure { Failure(.usage, "\(path): \(reason)") }
        let object: [String: Any]
        do {
            guard let value = try JSONSerialization.jsonObject(with: text, options: [.fragmentsAllowed]) as? [String: Any] else {
                throw reject("a JSON object is expected, as training_options.json holds one")
            }
            object = value
        } catch let error as Failure {
            throw error
        } catch {
            throw reject("not JSON: \(Configuration.reason(error))")
        }
        let known = Set(CodingKeys.allCases.map(\.rawValue)).union(Configuration.ignoredFields)
        if let unknown = object.keys.filter({ !known.contains($0) }).min() {
            throw reject("unknown field \"\(unknown)\"; known are \(known.sorted().joined(separator: ", "))")
        }
        let fields = object.filter { !($0.value is NSNull) }
        if let found = fields["preset"], !(found is String) { throw reject("field preset: the name of a preset is expected") }
        let name = preset ?? fields["preset"] as? String ?? Preset.standard
        let base: Configuration
        do {
            base = try Preset.named(name)
        } catch let failure as Failure {
            throw preset == nil ? reject(failure.description) : failure
        }
        do {
            self = try Configuration.decoded(fields.merging(["preset": name]) { $1 }, over: base)
        } catch let error as DecodingError {
            // Foundation does not say where a number is that a type cannot hold.
            if case .dataCorrupted(let context) = error, context.codingPath.isEmpty,
                let field = fields.keys.sorted().first(where: { (try? Configuration.decoded([$0: fields[$0] ?? 0], over: base)) == nil })
            {
                throw reject("field \(field): a number is out of range, or not whole where whole numbers are expected")
            }
            throw reject(Configuration.reason(error))
        } catch {
            throw reject("\(error)")
        }
    }

    /// `base` with other values of some fields.
    private static func decoded(_ fields: [String: Any], over base: Configuration) throws -> Configuration {
        var merged = try JSONSerialization.jsonObject(with: JSONEncoder().encode(base)) as? [String: Any] ?? [:]
        merged.merge(fields) { $1 }
        return try JSONDecoder().decode(
            Configuration.self, from: JSONSerialization.data(withJSONObject: merged, options: [.fragmentsAllowed]))
    }

    private static func reason(_ error: any Error) -> String {
        func place(_ path: [any CodingKey]) -> String {
            path.isEmpty ? "" : "field " + path.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".") + ": "
        }
        switch error {
        case DecodingError.typeMismatch(let type, let context):
            return place(context.codingPath) + "a value of type \(type) is expected; \(context.debugDescription)"
        case DecodingError.valueNotFound(let type, let context):
            return place(context.codingPath) + "a value of type \(type) is missing"
        case DecodingError.keyNotFound(let key, let context):
            return place(context.codingPath) + "\"\(key.stringValue)\" is missing"
        case DecodingError.dataCorrupted(let context):
            return place(context.codingPath) + context.debugDescription
        default:
            return (error as NSError).userInfo["NSDebugDescription"] as? String ?? "\(error)"
        }
    }
}
