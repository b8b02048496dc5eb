import Formats
import Foundation
import MessagePassing
import Networks

/// What a user asked for: a configuration, and which of its fields were said rather than left to the preset.
public struct ConfigurationRequest: Sendable {
    /// Set where `--preset` names one.
    public var preset: String?
    /// Set where `--config` names a file.
    public var modelFile: (path: String, text: Data)?
    /// What the options set: values by the names of their fields in model files.
    public private(set) var options: [String: any FieldValue] = [:]
    /// Kernels of minibatch discrimination to add to the discriminator.
    public var minibatchDiscrimination: Int?

    public init() {}

    /// Asks for all of a configuration, for whatever data there are.
    /// - Throws: bad data, where it holds what JSON cannot.
    public init(_ configuration: Configuration) throws {
        modelFile = ("the configuration", Data(try configuration.json().utf8))
    }

    /// Takes over the model file that `--config` names; it may be a pipe.
    /// - Throws: missing input, bad data or an I/O failure.
    public mutating func readModelFile(_ path: String) throws {
        modelFile = (path, Data(try withFiles { try fileContents(path, limit: 1 << 24, allowsPipes: true) }))
    }

    /// Takes over what the options set.
    /// - Throws: a usage error that names the option whose value is of another kind than its field.
    public mutating func readOptions(_ options: [String: any FieldValue]) throws {
        _ = try Settings(options: options).configuration(over: Configuration())
        if let name = options[Configuration.datasetKey] as? String { try DataSource.requireKnown(name) }
        self.options = options
    }

    /// The data set that `--dataset` names.
    public var dataset: String? { options[Configuration.datasetKey] as? String }

    /// The data set that the model file was made for.
    public var fileDataset: String? {
        get throws { try modelFile.flatMap { try Settings($0.text, path: $0.path).dataset } }
    }

    /// What a fresh run has as its second domain, where that is a function of a data set.
    var knownDomain: KnownDomain? {
        get throws {
            let file = try modelFile.map { try Settings($0.text, path: $0.path).configuration(over: Configuration()).domainB }
            return try Settings(options: options).configuration(over: Configuration()).domainB ?? file ?? nil
        }
    }

    /// The configuration of a fresh run on these data.
    public func fresh(for data: DataFormat) throws -> Configuration { try resolved(from: nil, data).configuration }

    /// The configuration of a run that goes on from a checkpoint: the checkpoint's, changed by what the user said.
    func resumed(from checkpoint: Configuration) throws -> Configuration {
        try resolved(from: checkpoint, checkpoint.dataFormat).configuration
    }

    /// A line for each setting that was turned off because the user said something else, in a fresh run or in one that goes
    /// on from a checkpoint.
    public func notes(from checkpoint: Configuration?, _ data: DataFormat) throws -> [String] {
        try resolved(from: checkpoint, checkpoint?.dataFormat ?? data).notes
    }

    /// Options come before the file, and the file before the preset or the checkpoint.
    private func resolved(
        from checkpoint: Configuration?, _ data: DataFormat
    ) throws -> (configuration: Configuration, notes: [String]) {
        let file = try modelFile.map { try Settings($0.text, path: $0.path) }
        let options = try Settings(options: options)
        var configuration = try base(file, options, checkpoint, data)
        let preset = "preset \(configuration.preset)"
        var notes: [String] = []
        if let file {
            configuration = try file.configuration(over: configuration)
            try file.refuseOtherGames(configuration)
            let path = modelFile?.path ?? ""
            do {
                try configuration.validateFields()
                notes = try configuration.giveWay(to: file) { _ in preset }.map { "\(path): \($0)" }
                // A model file makes sense by itself.
                try configuration.validate()
            } catch let failure as Failure {
                throw Failure(failure.code, "\(path): \(failure.description)")
            }
        }
        try options.refuseOtherGames(configuration)
        try configuration.apply(options)
        if let minibatchDiscrimination { try configuration.setMinibatchDiscrimination(kernels: minibatchDiscrimination) }
        notes += try configuration.giveWay(to: options) { key in
            file.flatMap { $0.keys.contains(key) ? $0.path : nil } ?? preset
        }
        if dataset == nil { configuration.dataset = data.name }
        try configuration.validate()
        return (configuration, notes)
    }

    /// What the file and the options change: the preset that they name, or where the checkpoint is of it the checkpoint's
    /// configuration, since a preset's own fields are no wish.
    private func base(
        _ file: Settings?, _ options: Settings, _ checkpoint: Configuration?, _ data: DataFormat
    ) throws -> Configuration {
        if let checkpoint, file == nil, preset == nil || preset == checkpoint.preset { return checkpoint }
        let named = try file?.preset(preset) ?? Preset.named(preset ?? Preset.standard)
        if let checkpoint, checkpoint.preset == named.name { return checkpoint }
        let (wished, inFile) = (try options.image(), try file?.image())
        var data = data
        data.secondChannels = options.secondChannels ?? file?.secondChannels ?? data.secondChannels
        guard let size = wished.size ?? inFile?.size ?? named.imageSize ?? data.size else {
            throw Failure(.badData, "\(data.sizeProblem ?? data.name); --image-size 64 crops all to squares and resizes them")
        }
        let image = Shape(channels: wished.channels ?? inFile?.channels ?? data.channels, size)
        guard file?.hasNetworks == true else { return try named.configuration(for: data, as: image) }
        // The file's networks take the place of the preset's, which need not fit the images.
        var base = try named.configuration(for: .usual)
        (base.imageSize, base.channels) = (size, image.channels)
        return base
    }
}

extension Configuration {
    /// Sets what the options say. Some change more than their field: a number of epochs takes the place of one of steps, and
    /// the generator's first layer takes as much noise as there is.
    fileprivate mutating func apply(_ options: Settings) throws {
        var changed = try options.configuration(over: self)
        try changed.validateFields()
        if options.keys.contains($epochs.key), !options.keys.contains($steps.key) { changed.steps = nil }
        let length = changed.latentDimension
        changed.latentDimension = latentDimension
        changed.setLatentDimension(length)
        self = changed
    }
}
