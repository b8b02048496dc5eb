import Foundation
import MessagePassing
import Networks

/// The configuration of a run for a page.
struct ReportedSettings: Encodable {
    struct Setting: Encodable, Equatable {
        let key: String
        let value: String
        /// What the preset has, where that is another value.
        var preset: String?
        let help: String
    }

    let settings: [Setting]
    /// Runs with the same of this differ in their seeds at most.
    let identity: String

    private enum CodingKeys: String, CodingKey { case settings }

    /// - Parameters:
    ///   - digest: that of the data.
    ///   - note: told where the preset cannot be compared with.
    init(_ configuration: Configuration, digest: String, note: (String) -> Void) {
        var preset: Configuration?
        do {
            preset = try Preset.named(configuration.preset).configuration(for: configuration.presetData, as: configuration.image)
            // A preset is of any data.
            preset?.dataset = configuration.dataset
        } catch {
            note("what differs from preset \(configuration.preset): it cannot be made for these images (\(error))")
        }
        let presetFields = Dictionary((preset?.members ?? []).map { ($0.field.key, $0.field) }) { first, _ in first }
        settings = configuration.members.map(\.field).filter { configuration.has($0) }.map { field in
            let (value, other) = (Self.text(field), presetFields[field.key].map(Self.text))
            return Setting(key: field.key, value: value, preset: other == value ? nil : other, help: field.help)
        }.filter { $0.value != "none" && $0.value != "" || $0.preset != nil }
        identity = Self.identity(configuration) + digest
    }

    /// A field's value as a user writes it, or the layers of a network.
    private static func text(_ field: any ConfigurationField) -> String {
        if let layers = field as? Configuration.Field<[LayerSpecification]> { return text(layers.wrappedValue) }
        return field.text.hasSuffix(".0") ? String(field.text.dropLast(2)) : field.text
    }

    static func text(_ layers: [LayerSpecification]) -> String {
        layers.map { layer in
            switch layer.description {
            case let linear as LinearDescription: "linear \(linear.inputs) → \(linear.outputs)"
            case let product as ConvolutionDescription:
                "\(layer.name) \(product.inputs) → \(product.outputs), \(product.kernel) × \(product.kernel)"
                    + (product.stride == 1 ? "" : ", stride \(product.stride)")
            case let reshape as ReshapeDescription: "reshape \(reshape.channels) × \(reshape.height) × \(reshape.width)"
            case let residual as ResidualDescription: "residual (\(text(residual.layers)))"
            default: layer.name
            }
        }.joined(separator: "; ")
    }

    /// All that the weights at the end depend on but the seed.
    private static func identity(_ configuration: Configuration) -> String {
        var other = configuration
        other.seed = 0
        guard let fields = try? other.fields() else { return UUID().uuidString }
        let kept = Configuration.declared.map(\.field).filter { $0.changesBytes || ["epochs", "steps"].contains($0.key) }
        return kept.map { "\($0.key)=\(fields[$0.key] ?? "")" }.joined(separator: "\n")
    }
}

extension Configuration {
    /// The data that a preset is made for, to be compared with.
    fileprivate var presetData: DataFormat {
        var data = dataFormat
        // Presets that are told classes need some, whatever this configuration makes of them. A CycleGAN's measures its
        // translations where both domains have labels, which a configuration does not tell otherwise.
        if data.classes == nil { data.classes = 10 }
        if !evaluateInterval.isNever { data.secondClasses = 10 }
        return data
    }
}
