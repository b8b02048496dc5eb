import MessagePassing

/// A field of a configuration, whatever the type of its value.
public protocol ConfigurationField: Sendable {
    /// Its name in model files.
    var key: String { get }
    /// The option of `gan-dist train` that sets it, if there is one.
    var flag: String? { get }
    /// What it is for: its line in the help.
    var help: String { get }
    var presence: Configuration.Presence { get }
    /// Whether the bytes of a run depend on it; a resumed run keeps such a field.
    var changesBytes: Bool { get }
    /// The only game that has it; nil where all have.
    var game: Configuration.GameKind? { get }
    var valueType: any FieldValue.Type { get }
    var isDefault: Bool { get }
    /// The value as a user writes it.
    var text: String { get }
    /// - Throws: a usage error where the value by itself makes no sense.
    func validate() throws
}

extension Configuration {
    /// A field of a configuration: all that is known of it stands in the line that declares it.
    ///
    ///     @Field("r1", .fromZero, .unlessDefault, flag: "--r1", help: "Weight of …") public var r1: Double = 0
    ///
    /// The parts, in order: its name in model files, its valid values, when files hold it, whether a run's bytes depend on it
    /// (`changesBytes`), the game that it is of, its option of `gan-dist train`, its help, the default. Everything that deals with all fields uses
    /// `members` and `declared`: files, options, validation, and what may change when a run goes on.
    @propertyWrapper
    public struct Field<Value: FieldValue>: ConfigurationField, Equatable {
        public var wrappedValue: Value
        private let declaration: Declaration

        /// What is the same in all configurations.
        private final class Declaration: Sendable {
            let key: String
            let defaultValue: Value
            let limit: Limit<Value>
            let presence: Presence
            let changesBytes: Bool
            let game: GameKind?
            let flag: String?
            let help: String

            init(
                _ key: String, _ defaultValue: Value, _ limit: Limit<Value>, _ presence: Presence, changesBytes: Bool,
                game: GameKind?, flag: String?, help: String
            ) {
                self.key = key
                self.defaultValue = defaultValue
                self.limit = limit
                self.presence = presence
                self.changesBytes = changesBytes
                self.game = game
                self.flag = flag
                self.help = help
            }
        }

        public init(
            wrappedValue: Value, _ key: String, _ limit: Limit<Value> = .any, _ presence: Presence = .always,
            changesBytes: Bool = true, of game: GameKind? = nil, flag: String? = nil, help: String
        ) {
            self.wrappedValue = wrappedValue
            declaration = Declaration(
                key, wrappedValue, limit, presence, changesBytes: changesBytes, game: game, flag: flag, help: help)
        }

        /// The field itself, as `configuration.$r1`.
        public var projectedValue: Self { self }

        public var key: String { declaration.key }
        public var flag: String? { declaration.flag }
        public var help: String { declaration.help }
        public var presence: Presence { declaration.presence }
        public var changesBytes: Bool { declaration.changesBytes }
        public var game: GameKind? { declaration.game }
        public var valueType: any FieldValue.Type { Value.self }
        public var isDefault: Bool { wrappedValue == declaration.defaultValue }
        public var text: String { wrappedValue.text }

        public func validate() throws {
            guard declaration.limit.contains(wrappedValue) else {
                throw Failure(.usage, "\(flag ?? key) \(text): \(declaration.limit.text)")
            }
        }

        public static func == (a: Self, b: Self) -> Bool { a.wrappedValue == b.wrappedValue }
    }

    /// When files hold the field. A new field is `.unlessDefault` or `.later`, so that old files keep their meaning: a whole
    /// configuration that lacks it has its default.
    public enum Presence: Sendable {
        /// In all versions.
        case always
        /// In all versions after 0.1.0.
        case later
        /// Where it is not the default.
        case unlessDefault
    }

    /// The values of a field that make sense by themselves.
    public struct Limit<Value: FieldValue>: Sendable {
        /// What is said of another value.
        let text: String
        let contains: @Sendable (Value) -> Bool

        public static var any: Limit { Limit(text: "") { _ in true } }
    }

    /// The fields and their values, by the names of their properties, in the order of their declaration.
    var members: [(property: String, field: any ConfigurationField)] {
        Mirror(reflecting: self).children.compactMap { child in
            // A wrapper is stored behind an underscore.
            guard let property = child.label?.dropFirst(), let field = child.value as? any ConfigurationField else { return nil }
            return (String(property), field)
        }
    }

    /// The members of a configuration of defaults.
    static let declared = Configuration().members
}

extension Configuration.Limit {
    static func within<Values: RangeExpression & Sendable>(_ values: Values, _ text: String) -> Self
    where Values.Bound == Value {
        Self(text: text) { values.contains($0) }
    }

    /// Nothing, or a value of these.
    static func unlessNil<Wrapped>(_ limit: Configuration.Limit<Wrapped>) -> Self where Value == Wrapped? {
        Self(text: limit.text) { $0.map(limit.contains) ?? true }
    }
}

extension Configuration.Limit<ImageSize> {
    static func sides(_ values: ClosedRange<Int>, _ text: String) -> Self {
        Self(text: text) { values.contains($0.height) && values.contains($0.width) }
    }
}

extension Configuration.Limit<Int> {
    static func oneOf(_ values: [Int], _ text: String) -> Self { Self(text: text) { values.contains($0) } }

    static func powerOfTwo(upTo most: Int, _ text: String) -> Self {
        Self(text: text) { $0 >= 1 && $0 <= most && $0 & ($0 - 1) == 0 }
    }
}

extension Configuration.Limit<Double> {
    static var positive: Self { positive("must be a positive number") }
    static func positive(_ text: String) -> Self { Self(text: text) { $0 > 0 && $0.isFinite } }
    static var fromZero: Self { Self(text: "must be a number from 0, which is none") { $0 >= 0 && $0.isFinite } }
    /// Of decays: 1 would never forget.
    static var share: Self { within(0..<1, "must be at least 0, which is none, and less than 1") }
}

extension Configuration.Field: Codable {
    /// Reads a value into the field of this property.
    public init(from decoder: any Decoder) throws {
        let property = decoder.codingPath.last?.stringValue
        guard let declared = Configuration.declared.first(where: { $0.property == property })?.field as? Self else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "a property of a configuration is expected"))
        }
        declaration = declared.declaration
        wrappedValue = try decoder.singleValueContainer().decode(Value.self)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(wrappedValue)
    }
}
