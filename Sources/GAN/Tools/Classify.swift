import Foundation
import Formats
import MessagePassing

/// What `gan-dist classify` prints of a checkpoint's classifier and some pictures: the share of them that it names rightly, and
/// the confusion matrix; of pictures without labels how many it calls what.
///
/// It looks at the pictures that the data hold out of training, where their files have a test part; else at all.
/// - Parameters:
///   - onlyHeldOut: whether to look at what is held out of training in any case: every tenth picture of each class where there
///     is no test part.
///   - out: an `.npy` array [pictures] of the classes that it names, in the order of the files, if anywhere.
public func classify(checkpoint path: String, data: String, dataset name: String?, onlyHeldOut: Bool, out: String?) throws -> String {
    if let out, !out.hasSuffix(".npy") {
        throw Failure(.usage, "--out \(out): the name of a file is expected that ends in .npy, as in labels.npy")
    }
    let checkpoint = try Checkpoint(path: path)
    let configuration = checkpoint.configuration
    try checkpoint.requireClassifier()
    let source = try DataSource(path: data, wanted: name, preferred: configuration.dataset)
    try configuration.validate(forPicturesOf: source.format, at: data)
    let classes = configuration.classes ?? 0
    if let found = source.format.classes, found > classes {
        throw Failure(
            .badData, "\(path) tells \(classes) classes apart, and the pictures in \(data) are of \(found); give pictures like those "
                + "that it was trained on")
    }
    let parts = try source.split()
    let seen = parts.isPublished || onlyHeldOut ? parts.heldOut : source
    let world = try World(SoloCommunicator(), limit: 0)
    let images = try Dataset(
        configuration, seen, layout: ShardLayout(shards: 1, ranks: 1), world: world, needsLabels: seen.format.classes != nil,
        inBatches: false)
    let classifier = try ImageClassifier(configuration, kernels: selectKernels(nil, configuration.precision))
    try classifier.load(checkpoint, of: configuration, world)
    var named = [Int](repeating: 0, count: images.count)
    try classifier.look(at: images.count, pixels: images.image) { first, columns, outputs in
        if let bad = (0..<columns).first(where: { !outputs.isFinite($0) }) {
            throw Failure(
                .internalError, "the classifier's outputs for picture \(first + bad) are not finite: it has diverged; take an "
                    + "earlier checkpoint")
        }
        for column in 0..<columns { named[first + column] = outputs.best(column) }
    }
    if let out {
        let ordered = seen.inFileOrder(named).map { Int64($0) }
        try withFiles { try ordered.withUnsafeBufferPointer { try writeNPY(path: out, shape: [ordered.count], elements: $0) } }
    }
    var lines = ["\(parts.isPublished ? parts.description : seen.description): " ]
    let hasLabels = images.labels.count == images.count && seen.format.classes != nil
    guard hasLabels else {
        var counts = [Int](repeating: 0, count: classes)
        for label in named { counts[label] += 1 }
        lines[0] += "no labels to compare with"
        lines += counts.enumerated().map { "class \($0): \($1)" }
        return lines.joined(separator: "\n")
    }
    var confusion = [[Int]](repeating: [Int](repeating: 0, count: classes), count: classes)
    for (label, named) in zip(images.labels, named) { confusion[Int(label)][named] += 1 }
    let hits = (0..<classes).reduce(0) { $0 + confusion[$1][$1] }
    lines[0] += "accuracy \((Double(hits) / Double(images.count)).fixed(4)), \(Double(images.count - hits).grouped) wrong"
    lines.append("Rows are the true classes, columns what they are named:")
    return (lines + confusion.asTable).joined(separator: "\n")
}

extension [[Int]] {
    /// A confusion matrix, with the numbers of the classes at its edges.
    var asTable: [String] {
        let width = Swift.max(5, flatMap { $0 }.max().map { "\($0)".count + 1 } ?? 0)
        func row(_ name: String, _ cells: [String]) -> String {
            ([name] + cells).map { String(repeating: " ", count: Swift.max(0, width - $0.count)) + $0 }.joined()
        }
        return [row("", indices.map { "\($0)" })] + enumerated().map { label, counts in row("\(label)", counts.map { "\($0)" }) }
    }
}

extension Checkpoint {
    /// Refuses what is no classifier's checkpoint.
    func requireClassifier() throws {
        guard configuration.game == .classifier else {
            throw Failure(
                .badData, "\(path) is a checkpoint of \(configuration.game.description) (preset \(configuration.preset)), and a classifier's "
                    + "is expected; train one with --preset classifier28")
        }
    }

    /// Refuses what has no generator.
    func requireGenerator() throws {
        if configuration.game == .cyclegan {
            throw Failure(
                .badData, "\(path) is a checkpoint of a CycleGAN (preset \(configuration.preset)), whose generators draw nothing of noise; "
                    + "translate pictures with gan-dist translate")
        }
        guard configuration.game == .gan else {
            throw Failure(
                .badData, "\(path) is a checkpoint of \(configuration.game.description) (preset \(configuration.preset)), which has no "
                    + "generator; give that of a GAN")
        }
    }
}

extension DataSource {
    /// What belongs to pictures in the order in which a data set has them, in that of its files.
    func inFileOrder<Element>(_ values: [Element]) -> [Element] {
        guard case .images(let images) = files else { return values }
        let order = ImageOrder(count: images.count)
        var ordered = values
        for (position, value) in values.enumerated() { ordered[order.number(at: position)] = value }
        return ordered
    }
}
