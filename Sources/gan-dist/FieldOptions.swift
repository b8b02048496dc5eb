import ArgumentParser
import GAN

/// Which fields a group of options sets.
protocol FieldGroupOfOptions {
    static var group: FieldGroup { get }
}

extension FieldGroup {
    enum Start: FieldGroupOfOptions { static let group = FieldGroup.start }
    enum Data: FieldGroupOfOptions { static let group = FieldGroup.data }
    enum Training: FieldGroupOfOptions { static let group = FieldGroup.training }
    enum Adversarial: FieldGroupOfOptions { static let group = FieldGroup.adversarial }
    enum Cycle: FieldGroupOfOptions { static let group = FieldGroup.cycle }
    enum Evaluation: FieldGroupOfOptions { static let group = FieldGroup.evaluation }
    enum Output: FieldGroupOfOptions { static let group = FieldGroup.output }
    enum Machine: FieldGroupOfOptions { static let group = FieldGroup.machine }
}

/// The options that set a group's fields of the configuration: one for each field that has a flag.
///
/// The argument parser finds the options of a type by reflection, and asks a decoder for what was given. This type shows it
/// options that are made from the fields, in place of properties.
struct FieldOptions<Group: FieldGroupOfOptions>: ParsableArguments, CustomReflectable {
    /// What was given, by the names of the fields in model files.
    private(set) var values: [String: any FieldValue] = [:]

    init() {}

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        for field in Group.group.fields {
            values[field.key] = try FieldOptions.value(field.argument, container, Key(stringValue: field.key))
        }
    }

    var customMirror: Mirror {
        let options = Group.group.fields.map { field in
            let help = HelpedPreset.notes[field.key].map { "\(field.help) (\($0))" } ?? field.help
            return (field.key, FieldOptions.option(field.argument, flag: field.flag ?? "", help: help))
        }
        return Mirror(self, children: options)
    }

    private static func option<Value: FieldValue & ExpressibleByArgument>(_: Value.Type, flag: String, help: String) -> Any {
        let name = NameSpecification.customLong(String(flag.drop { $0 == "-" }))
        let help = ArgumentHelp(stringLiteral: help)
        return Value.self == Bool.self
            ? Flag<Bool?>(name: name, inversion: .prefixedNo, help: help)
            : Option<Value?>(name: name, parsing: .unconditional, help: help)
    }

    private static func value<Value: FieldValue & ExpressibleByArgument>(
        _: Value.Type, _ container: KeyedDecodingContainer<Key>, _ key: Key
    ) throws -> (any FieldValue)? {
        Value.self == Bool.self
            ? try container.decode(Flag<Bool?>.self, forKey: key).wrappedValue
            : try container.decode(Option<Value?>.self, forKey: key).wrappedValue
    }

    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }

        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }
}

/// The preset whose values the help shows: the one that is named beside `--help`, or the standard one.
enum HelpedPreset {
    /// What `--preset` names on the command line, known or not.
    static let name: String? = {
        let arguments = CommandLine.arguments
        guard let last = arguments.lastIndex(where: { $0 == "--preset" || $0.hasPrefix("--preset=") }) else { return nil }
        if arguments[last] != "--preset" { return String(arguments[last].dropFirst("--preset=".count)) }
        return last + 1 < arguments.count ? arguments[last + 1] : nil
    }()

    /// What is said of each field, by the fields' names.
    static let notes = (try? Preset.named(name ?? Preset.standard).helpNotes()) ?? [:]
}

extension ConfigurationField {
    /// The type of the option's argument; text where the parser does not know the type.
    fileprivate var argument: any (FieldValue & ExpressibleByArgument).Type {
        valueType.argument as? any (FieldValue & ExpressibleByArgument).Type ?? String.self
    }
}
