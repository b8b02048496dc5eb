import ArgumentParser
import GAN

/// The options that set fields of the configuration: one for each field that has a flag.
///
/// The argument parser finds the options of a type by reflection, and asks a decoder for what was given. This type shows it
/// options that are made from the fields, in place of properties.
struct FieldOptions: ParsableArguments, CustomReflectable {
    /// What was given, by the names of the fields in model files.
    private(set) var values: [String: any FieldValue] = [:]

    init() {}

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        for field in Configuration.optionFields {
            values[field.key] = try FieldOptions.value(field.argument, container, Key(stringValue: field.key))
        }
    }

    var customMirror: Mirror {
        let options = Configuration.optionFields.map { field in
            (field.key, FieldOptions.option(field.argument, flag: field.flag ?? "", help: field.help))
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

extension ConfigurationField {
    /// The type of the option's argument; text where the parser does not know the type.
    fileprivate var argument: any (FieldValue & ExpressibleByArgument).Type {
        valueType.argument as? any (FieldValue & ExpressibleByArgument).Type ?? String.self
    }
}
