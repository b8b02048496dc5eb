import Foundation
import Kernels
import MessagePassing
import Networks

/// What the measures of real training pictures are, judged as if they were made: how good a generator can be expected to be.
struct Floors: Codable, Equatable {
    struct Floor: Codable, Equatable {
        /// Over several draws.
        let mean, deviation: Double
    }

    /// By the keys of measures.
    let values: [String: Floor]

    /// - Parameter draws: the measures of each draw.
    init(_ draws: [[(key: Measure, value: Double)]]) {
        var values: [String: Floor] = [:]
        for key in draws.first?.map(\.key) ?? [] {
            let found = draws.compactMap { draw in draw.first { $0.key == key }?.value }
            let mean = found.reduce(0, +) / Double(found.count)
            let squares = found.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
            values[key.rawValue] = Floor(mean: mean, deviation: (squares / Double(max(1, found.count - 1))).squareRoot())
        }
        self.values = values
    }
}

/// What is to be measured, and by what; made before anything is written.
struct EvaluationPlan {
    struct Request: Sendable {
        /// How many pictures, against as many held-out ones; nil for `usual`, or as many as there are.
        var images: Int?
        var usual = 10_000
        var measures = Set(Measure.allCases)
        /// A checkpoint of a classifier, in place of the data's own extractor.
        var extractor: String?
    }

    let request: Request
    /// Says what the pictures are like.
    let configuration: Configuration
    /// What they are compared with.
    let source: DataSource
    let parts: DataSplit
    let images: Int
    /// The recipe of the data's own extractor; nil where a file is to be taken.
    let recipe: Configuration?
    /// That file, on rank 0.
    let named: Checkpoint?

    /// The nearest five of a picture are looked for among the others.
    private static let fewest = Manifold.densityNeighbours + 1

    /// Every rank calls it.
    /// - Throws on all ranks: usage where fewer pictures are asked for than can be measured or more than there are held-out ones,
    ///   or where there is no extractor for such data; bad data, also where the extractor is for other pictures.
    init(_ request: Request, _ configuration: Configuration, _ source: DataSource, world: World) throws {
        (self.request, self.configuration, self.source) = (request, configuration, source)
        let parts = try source.split(world: world)
        self.parts = parts
        let most = min(parts.heldOut.count, source.count)
        (images, recipe, named) = try world.agree {
            let images = request.images ?? min(request.usual, most)
            guard images <= most else {
                throw Failure(
                    .usage, "\(Double(images).grouped) pictures are to be compared with as many held-out ones, and the data in "
                        + "\(source.path) have \(Double(most).grouped); ask for fewer")
            }
            guard images >= EvaluationPlan.fewest else {
                throw Failure(
                    .usage, "\(images) pictures are too few to be measured: at least \(EvaluationPlan.fewest) are, against as many "
                        + "held-out ones, and the data in \(source.path) have \(Double(most).grouped)")
            }
            if let path = request.extractor {
                guard world.communicator.rank == 0 else { return (images, nil, nil) }
                let named = try Extractor.checkpoint(path, for: configuration.image)
                try configuration.refuseOtherClasses(of: named.configuration)
                return (images, nil, named)
            }
            let recipe = try Extractor.configuration(for: source.format, as: configuration.image, images: parts.training.count)
            try configuration.refuseOtherClasses(of: recipe)
            return (images, recipe, nil)
        }
    }
}

extension Configuration {
    /// Refuses an extractor that names classes which the generator of a conditional GAN cannot be told.
    fileprivate func refuseOtherClasses(of extractor: Configuration) throws {
        guard let classes, let named = extractor.classes, named > classes else { return }
        throw Failure(
            .badData, "the generator is told one of \(classes) classes, and pictures are measured by a classifier of \(named); give "
                + "the data that it was trained on, or an --extractor of as many classes")
    }
}

/// Measures made pictures against held-out ones of the data; every rank has one, and calls it with the others.
final class Evaluator {
    /// Draws of real pictures for the floors.
    static let draws = 5

    let images: Int
    let extractor: Extractor
    let floors: Floors
    private let measures: Measures
    private let wanted: Set<Measure>
    /// How many training pictures the extractor takes for each class.
    private let classCounts: [Int]
    private let world: World

    /// - Parameters:
    ///   - training: this rank's images that generators learn from.
    ///   - tell: prints a line, on rank 0.
    init(_ plan: EvaluationPlan, training: Dataset, world: World, kernels: Kernels, tell: (String) throws -> Void) throws {
        self.world = world
        let kernels = kernels.rounding(to: .fp32)
        (wanted, images) = (plan.request.measures, plan.images)
        if plan.request.images == nil, images < plan.request.usual {
            try tell("Note: \(Double(images).grouped) pictures are measured, since the data hold out no more")
        }
        let cache: ExtractorCache? = try world.agree { world.communicator.rank == 0 ? try ExtractorCache() : nil }
        if let note = cache?.note { try tell("Note: \(note)") }
        extractor = try Extractor(plan, dataDigest: training.digest, cache, world: world, kernels: kernels, tell: tell)

        // Any layout will do: features are told in the order of the pictures.
        let ranks = world.communicator.size
        let layout = ShardLayout(shards: ranks.nextPowerOfTwo, ranks: ranks)
        let test = try Dataset(plan.configuration, plan.parts.heldOut, layout: layout, world: world, inBatches: false)
        let everything = try PictureFeatures(of: test, extractor.classifier).gathered(world)
        // Spread over all of them: files may have the easy ones first.
        let chosen = (0..<plan.images).map { $0 * everything.count / plan.images }
        let own = try PictureFeatures(of: training, extractor.classifier)
        let counts = try world.gather(own.classLogits.classCounts)
        try world.endIfAsked()
        let classes = extractor.classifier.classes
        classCounts = (0..<classes).map { c in stride(from: c, to: counts.count, by: classes).reduce(0) { $0 + counts[$1] } }
        measures = Measures(
            real: try everything.some(chosen).measured("test"), classCounts: classCounts, training: try own.features,
            realIsTraining: !plan.parts.isPublished, world: world, kernels: kernels)
        let sets = [extractor.digest, training.digest, test.digest].map { $0.prefix(16) }.joined(separator: "-")
        floors = try Evaluator.floors(
            "\(sets)-\(images)", images, own, training, measures, cache, world: world, tell: tell)
    }

    /// Those of the cache, or new ones.
    private static func floors(
        _ name: String, _ images: Int, _ own: PictureFeatures, _ training: Dataset, _ measures: Measures,
        _ cache: ExtractorCache?, world: World, tell: (String) throws -> Void
    ) throws -> Floors {
        let known = try world.agree { try cache?.floors(name).map { try JSONEncoder().encode($0) } }
        let bytes = try world.allGather(Array(known ?? Data()))[0]
        if !bytes.isEmpty { return try world.agree { try JSONDecoder().decode(Floors.self, from: Data(bytes)) } }
        try tell(
            "Measuring what real pictures of the data reach, \(draws) draws of \(Double(images).grouped); it is kept for later runs")
        var values: [[(key: Measure, value: Double)]] = []
        for draw in 0..<draws {
            var order = [UInt32](repeating: 0, count: training.count)
            order.withUnsafeMutableBufferPointer {
                fillPermutation($0, shard: 0, number: draw, seed: 0, kernels: .fastest)
            }
            let positions = order.prefix(images).map { Int($0) }.sorted()
            let mine = positions.filter(training.range.contains).map { $0 - training.range.lowerBound }
            let drawn = try own.some(mine).gathered(world)
            values.append(
                try measures.values(of: drawn.measured("drawn"), areTraining: true, endsAtSignal: true))
        }
        let floors = Floors(values)
        try world.agree {
            // A cache that cannot be written costs time, and nothing else.
            do { try cache?.keep(floors, name) } catch is Failure {}
        }
        return floors
    }

    /// Measures the pictures 0 … images − 1 of a sampler. Classes are in the shares that the data have.
    /// - Parameter endsAtSignal: whether a signal that asks for an end gets it at once.
    func evaluate(_ sampler: Sampler, size: Int, endsAtSignal: Bool = false) throws -> Evaluation {
        let share = world.share(of: images)
        let made = MadePictures(sampler, first: share.lowerBound, size: size)
        let asked = sampler.isConditional
        let usual = sampler.label
        defer { sampler.label = usual }
        if asked { sampler.label = label(of:) }
        let own = try world.agree {
            try PictureFeatures(share.count, extractor.classifier) { try made.pixels($0, of: share.count) }
        }
        let all = try own.gathered(world)
        var extra: [(key: String, value: Double)] = []
        if asked {
            let hits = try all.classLogits.named.enumerated().count { $1 == label(of: $0) }
            extra.append(("class_accuracy", Double(hits) / Double(images)))
        }
        return try evaluation(of: all, extra, endsAtSignal)
    }

    /// Measures pictures that lie in files: this rank's of them. A signal that asks for an end gets it at once.
    func evaluate(_ pictures: Dataset) throws -> Evaluation {
        let all = try PictureFeatures(of: pictures, extractor.classifier).gathered(world)
        return try evaluation(of: all.count == images ? all : all.some(Array(0..<images)), [], true)
    }

    /// Measures pictures by what the extractor makes of them.
    func evaluation(
        of made: PictureFeatures, _ extra: [(key: String, value: Double)], _ endsAtSignal: Bool
    ) throws -> Evaluation {
        let made = try made.measured("made")
        return Evaluation(
            measures: try measures.values(of: made, wanted, endsAtSignal: endsAtSignal), extra: extra, floors: floors,
            images: images, extractor: extractor.digest)
    }

    /// The class of picture n of a generator that is told one: of the golden sequence frac(n φ), where it lies among the shares
    /// that the data have.
    private func label(of picture: Int) -> Int {
        let place = Double((UInt64(picture) &* 0x9E37_79B9_7F4A_7C15) >> 11) * 0x1p-53
        let total = classCounts.reduce(0, +)
        var sum = 0
        for (label, count) in classCounts.enumerated() {
            sum += count
            if place * Double(total) < Double(sum) { return label }
        }
        return classCounts.count - 1
    }
}

/// Pictures of a generator as the bytes that would be saved.
private final class MadePictures {
    private let sampler: Sampler
    private let first, size: Int
    /// [batchSize, size]
    private let bytes: UnsafeMutablePointer<UInt8>
    private var start = 0

    init(_ sampler: Sampler, first: Int, size: Int) {
        (self.sampler, self.first, self.size) = (sampler, first, size)
        bytes = .allocate(capacity: Sampler.batchSize * size)
    }

    deinit { bytes.deallocate() }

    /// [H, W, C] of a picture, asked for in order, of so many.
    func pixels(_ picture: Int, of count: Int) throws -> UnsafePointer<UInt8> {
        if picture % Sampler.batchSize == 0 {
            start = picture
            let values = try sampler.pictures(first: first + picture, count: min(Sampler.batchSize, count - picture))
            if let bad = values.firstIndex(where: { !$0.isFinite }) {
                throw Failure(
                    .internalError, "picture \(first + picture + bad / size) of the generator holds \(values[bad]): it has diverged, and "
                        + "there is nothing to measure; take an earlier checkpoint")
            }
            for (index, value) in values.enumerated() { bytes[index] = Pictures.byte(value) }
        }
        return UnsafePointer(bytes) + (picture - start) * size
    }
}
