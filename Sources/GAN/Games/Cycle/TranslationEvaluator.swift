import Foundation
import Kernels
import MessagePassing
import Networks

/// What translations are to be measured by; made before anything is written.
struct TranslationEvaluationPlan {
    let a, b: EvaluationPlan
    let domain: KnownDomain?

    /// Every rank calls it.
    /// - Throws on all ranks: as `EvaluationPlan`, of either domain.
    /// - Parameter images: how many pictures of a domain; nil for as many as are held out, and at most 10,000.
    init(
        _ measures: Set<Measure>, _ configuration: Configuration, _ domains: Domains, images: Int? = nil, world: World
    ) throws {
        guard let second = domains.second else { preconditionFailure("one domain") }
        let counts = try [domains.first, second].map { try $0.split(world: world).heldOut.count }
        func plan(_ configuration: Configuration, _ source: DataSource) throws -> EvaluationPlan {
            let request = EvaluationPlan.Request(images: images ?? min(10_000, counts[0], counts[1]), measures: measures)
            return try EvaluationPlan(request, configuration, source, world: world)
        }
        (a, b) = (try plan(configuration, domains.first), try plan(configuration.second, second))
        domain = configuration.domainB
    }
}

/// Measures what a CycleGAN makes of held-out pictures: whether a classifier of the target domain still names their class, how far
/// they are from what is known to be right, and how like the target domain they are.
final class TranslationEvaluator {
    /// One direction.
    private struct Way {
        let name: String
        /// Of the target domain.
        let evaluator: Evaluator
        /// This rank's held-out pictures of the source domain, and where that is known what should become of them.
        let originals: Dataset
        let truths: Dataset?
    }

    static let keys: [(key: String, isHighBest: Bool)] =
        [("class_accuracy_ab", true), ("class_accuracy_ba", true), ("pixel_error_ab", false), ("pixel_error_ba", false)]
        + Measure.allCases.flatMap { [("\($0.rawValue)_a", $0.isHighBest), ("\($0.rawValue)_b", $0.isHighBest)] }

    private let ways: [Way]
    private let world: World

    /// - Parameters:
    ///   - data: this rank's training pictures of both domains.
    ///   - tell: prints a line, on rank 0.
    init(
        _ plan: TranslationEvaluationPlan, _ data: RunData, world: World, kernels: Kernels, tell: (String) throws -> Void
    ) throws {
        guard let second = data.second else { preconditionFailure("one domain") }
        self.world = world
        let ranks = world.communicator.size
        let layout = ShardLayout(shards: ranks.nextPowerOfTwo, ranks: ranks)
        func heldOut(_ plan: EvaluationPlan) throws -> Dataset {
            try Dataset(plan.configuration, plan.parts.heldOut, layout: layout, world: world, inBatches: false)
        }
        func evaluator(_ plan: EvaluationPlan, _ training: Dataset) throws -> Evaluator {
            try Evaluator(plan, training: training, world: world, kernels: kernels, tell: tell)
        }
        let (ofA, ofB) = (try evaluator(plan.a, data.training), try evaluator(plan.b, second))
        let (testA, testB) = (try heldOut(plan.a), try heldOut(plan.b))
        let isKnown = plan.domain != nil && plan.b.parts.isPublished
        ways = [
            Way(name: "ab", evaluator: ofB, originals: testA, truths: isKnown ? testB : nil),
            Way(name: "ba", evaluator: ofA, originals: testB, truths: isKnown ? testA : nil),
        ]
    }

    /// Measures two generators; every rank calls it, and all get the same.
    func evaluate(toB: Translator, toA: Translator, endsAtSignal: Bool = false) throws -> TranslationFigures {
        TranslationFigures(
            try zip(ways, [toB, toA]).map { way, translator in try figures(of: way, translator, endsAtSignal) })
    }

    private func figures(of way: Way, _ translator: Translator, _ endsAtSignal: Bool) throws -> TranslationFigures.Way {
        let (originals, size) = (way.originals, translator.output.features)
        let count = originals.range.count
        // Of all pixels of this rank's pictures, in steps of 1 / 255: whole numbers, whose sum has no order.
        var error = 0
        var bytes = [UInt8](repeating: 0, count: Translator.batchSize * size)
        let own = try bytes.withUnsafeMutableBufferPointer { bytes in
            guard let base = bytes.baseAddress else { preconditionFailure("translations of \(translator.output)") }
            return try world.agree {
                try PictureFeatures(count, way.evaluator.extractor.classifier) { picture in
                    let place = picture % Translator.batchSize
                    if place == 0 {
                        let numbers = picture..<min(picture + Translator.batchSize, count)
                        let values = try translator.translate(
                            Translator.normalised(
                                numbers.flatMap {
                                    UnsafeBufferPointer(start: originals.image($0), count: translator.input.features)
                                }))
                        guard values.allSatisfy(\.isFinite) else {
                            throw Failure(
                                .internalError,
                                "a translation from \(way.name.first ?? "a") to \(way.name.last ?? "b") holds what is not a "
                                    + "number: the generator has diverged; take an earlier checkpoint")
                        }
                        for (index, value) in values.enumerated() { bytes[index] = Pictures.byte(value) }
                        if let truths = way.truths {
                            for (index, number) in numbers.enumerated() {
                                let truth = truths.image(number)
                                for i in 0..<size { error += abs(Int(bytes[index * size + i]) - Int(truth[i])) }
                            }
                        }
                    }
                    return UnsafePointer(base) + place * size
                }
            }
        }
        let all = try own.gathered(world)
        let errors = try world.gather([error]).reduce(0, +)
        let labels = try world.gather(originals.labels)
        let named = try all.classLogits.named
        let classes = way.evaluator.extractor.classifier.classes
        var confusion = [[Int]](repeating: [Int](repeating: 0, count: classes), count: classes)
        for (label, named) in zip(labels, named) where Int(label) < classes { confusion[Int(label)][named] += 1 }
        let measured = all.count == way.evaluator.images ? all : all.some(Array(0..<way.evaluator.images))
        return TranslationFigures.Way(
            name: way.name, confusion: confusion,
            pixelError: way.truths.map { _ in Double(errors) / Double(all.count * size) / 255 },
            measures: try way.evaluator.evaluation(of: measured, [], endsAtSignal))
    }
}

/// What was measured of a CycleGAN's translations.
struct TranslationFigures {
    struct Way {
        let name: String
        /// [class][named]
        let confusion: [[Int]]
        /// Mean distance of pixels in 0 … 1 from what is right, where that is known.
        let pixelError: Double?
        let measures: Evaluation

        var count: Int { confusion.reduce(0) { $0 + $1.reduce(0, +) } }
        /// The share of pictures whose class is still named.
        var accuracy: Double { Double(confusion.indices.reduce(0) { $0 + confusion[$1][$1] }) / Double(max(1, count)) }

        /// Classes that mostly become another one, and which.
        var exchanged: [(from: Int, to: Int)] {
            confusion.enumerated().compactMap { label, counts in
                guard let most = counts.max(), let named = counts.firstIndex(of: most), named != label,
                    2 * most > counts.reduce(0, +)
                else { return nil }
                return (label, named)
            }
        }

        /// `A → B`
        var title: String { name.map { $0.uppercased() }.joined(separator: " → ") }
    }

    let ways: [Way]

    init(_ ways: [Way]) { self.ways = ways }

    /// The figures as a log line and fields.
    var evaluation: Evaluation {
        var words: [String] = []
        var values: [(key: String, value: Double)] = []
        for way in ways {
            var told = ["\((100 * way.accuracy).fixed(1)) % keep their class"]
            values.append(("class_accuracy_\(way.name)", way.accuracy))
            if let error = way.pixelError {
                told.append("pixel error \(error.fixed(3))")
                values.append(("pixel_error_\(way.name)", error))
            }
            let target = way.name.last.map(String.init) ?? ""
            for (key, value) in way.measures.values {
                values.append(("\(key)_\(target)", value))
                told.append("\(Measure(rawValue: key)?.title ?? key) \(value.fixed(Measure(rawValue: key)?.digits ?? 4))")
            }
            words.append("\(way.title) " + told.joined(separator: ", "))
        }
        var evaluation = Evaluation(line: "Measured translations: " + words.joined(separator: "; "), values: values)
        evaluation.warnings = warnings
        return evaluation
    }

    /// Says where classes have become others.
    private var warnings: [String] {
        // Where all become the same, nothing has been learned, and that shows.
        ways.filter { Set($0.exchanged.map(\.to)).count >= 2 }.map { way in
            let pairs = way.exchanged.prefix(4).map { "\($0.from) → \($0.to)" }.joined(separator: ", ")
            return "\(way.title) exchanges classes (\(pairs)): cycles close all the same, and the cycle loss does not show it; another "
                + "--seed, a higher --identity-weight or a longer training may help"
        }
    }
}
