import Formats
import Foundation
import MessagePassing
import Networks

/// Translates pictures with a generator of a CycleGAN's checkpoint: a grid `.png`, in which each picture stands above its
/// translation, an array `.npy` [count, C, H, W] of the translations, or a folder of them, whose name ends in `/`.
///
/// It takes the test pictures of the data, where their files have a test part; else all. Where domain B is a known function of the
/// data set, pictures of B are made of the set's by that function.
/// - Parameters:
///   - target: `a` or `b`.
///   - count: how many pictures, the first ones; nil for 50 in a grid, and all elsewhere.
/// - Returns: what is to be told.
public func translate(
    checkpoint path: String, to target: String, data: String, dataset name: String?, count: Int?, out: String
) throws -> [String] {
    guard let target = Translator.Target(rawValue: target) else {
        throw Failure(.usage, "--to \(target): the domain to translate to is expected, a or b")
    }
    if let count, count < 1 { throw Failure(.usage, "--count \(count): at least one picture is translated") }
    let form = try SampleForm(out)
    let checkpoint = try Checkpoint(path: path)
    try checkpoint.requireCycle()
    let configuration = checkpoint.configuration
    let source = target == .b ? configuration : configuration.second
    let translator = try Translator(configuration, to: target, kernels: selectKernels(nil, configuration.precision))
    try translator.load(checkpoint)

    var notes: [String] = []
    let found = try DataSource(path: data, wanted: name, preferred: configuration.dataset)
    let parts = try found.split()
    var pictures = parts.isPublished ? parts.heldOut : found
    if target == .a, let domain = configuration.domainB, pictures.format.name == domain.dataset {
        notes.append("Note: pictures of B are made of those of \(domain.dataset) first: \(domain.text)")
        pictures = try pictures.transformed(domain, isTraining: !parts.isPublished)
    }
    let image = source.image
    guard pictures.format.channels == image.channels, pictures.format.size == source.imageSize else {
        let size = pictures.format.size.map(\.description) ?? "several sizes"
        throw Failure(
            .badData, "\(data): pictures of \(size), \(pictures.format.channels == 1 ? "grey" : "colour"); those of domain "
                + "\(target == .b ? "A" : "B") are \(source.imageSize), \(image.channels == 1 ? "grey" : "colour"); convert them first")
    }
    let most = pictures.count
    guard count ?? 0 <= most else {
        throw Failure(.usage, "--count \(count ?? 0): \(data) holds \(Double(most).grouped) pictures; ask for fewer")
    }
    let wanted = count ?? (form == .grid ? min(50, most) : most)
    let columns = min(10, wanted)
    switch form {
    case .grid: try Pictures.checkGrid(of: 2 * wanted, image, columns: columns, path: out)
    case .array: try checkWritable(out, option: "--out")
    case .folder: try makeFolders(out, advice: "choose another with --out")
    }
    let dataset = try Dataset(
        source, pictures, layout: ShardLayout(shards: 1, ranks: 1), world: World(SoloCommunicator(), limit: 0), inBatches: false)
    let order = pictures.inFileOrder(Array(0..<dataset.count))
    func originals(_ numbers: Range<Int>) -> [Float] {
        Translator.normalised(numbers.flatMap { UnsafeBufferPointer(start: dataset.image(order[$0]), count: image.features) })
    }
    switch form {
    case .grid:
        var rows = PictureRows(translator.input, translator.output, columns: columns)
        for first in stride(from: 0, to: wanted, by: columns) {
            let shown = originals(first..<min(first + columns, wanted))
            rows.append(shown, translator.input)
            rows.append(try translator.translate(shown), translator.output)
        }
        try rows.write(to: out)
    case .array:
        let shape = translator.output
        let values = shape.inOrder(try translator.translate(originals(0..<wanted)))
        try withFiles {
            try values.withUnsafeBufferPointer {
                try writeNPY(path: out, shape: [wanted, shape.channels, shape.height, shape.width], elements: $0)
            }
        }
    case .folder:
        for first in stride(from: 0, to: wanted, by: Translator.batchSize) {
            let translated = try translator.translate(originals(first..<min(first + Translator.batchSize, wanted)))
            try Pictures.writeSingly(translated, translator.output, first: first, to: String(out.dropLast()))
        }
    }
    return notes
}

extension Checkpoint {
    /// Refuses what is no CycleGAN's checkpoint.
    func requireCycle() throws {
        guard configuration.game == .cyclegan else {
            throw Failure(
                .badData, "\(path) is a checkpoint of \(configuration.game.description) (preset \(configuration.preset)), which translates "
                    + "nothing; give that of a CycleGAN")
        }
    }
}
