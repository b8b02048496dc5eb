import Kernels
import Networks

/// A type of values that a field of a configuration may have.
public protocol FieldValue: Codable, Equatable, Sendable {
    /// What the field's option takes, and JSON has.
    static var argument: any FieldValue.Type { get }
    /// What a model file must hold, where the type does not say it; nil elsewhere.
    static var expectation: String? { get }
    /// What is said of an argument that is no such value.
    static var refusal: String { get }
    /// The value as a user writes it.
    var text: String { get }
}

extension FieldValue {
    public static var argument: any FieldValue.Type { Self.self }
    public static var expectation: String? { nil }
    public static var refusal: String { "another value is expected" }
    public var text: String { "\(self)" }
}

// One of a few names.
extension FieldValue where Self: RawRepresentable & CaseIterable, RawValue == String {
    private static var names: [String] { allCases.map(\.rawValue) }

    public static var argument: any FieldValue.Type { String.self }
    public static var expectation: String? { names.dropLast().joined(separator: ", ") + " or " + (names.last ?? "") }
    public static var refusal: String { "known are \(names.joined(separator: ", "))" }
    public var text: String { rawValue }
}

extension Bool: FieldValue {}
extension Int: FieldValue {}
extension UInt64: FieldValue {}
extension Double: FieldValue {}
extension String: FieldValue {}
extension Precision: FieldValue {}
extension Loss: FieldValue {}
extension Configuration.GameKind: FieldValue {}
extension Configuration.GeneratorStep: FieldValue {}
extension Configuration.OptimizerKind: FieldValue {}
extension [LayerSpecification]: FieldValue {}

extension Interval: FieldValue {
    public static var argument: any FieldValue.Type { String.self }
    public static var expectation: String? { "an interval of steps (400) or epochs (\"4e\")" }
    public static var refusal: String { "an interval is a number of steps (400) or epochs (4e)" }
    public var text: String { description }
}

extension Optional: FieldValue where Wrapped: FieldValue {
    public static var argument: any FieldValue.Type { Wrapped.argument }
    public static var expectation: String? { Wrapped.expectation }
    public static var refusal: String { Wrapped.refusal }
    public var text: String { map(\.text) ?? "none" }
}
