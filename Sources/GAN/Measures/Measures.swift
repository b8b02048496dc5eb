import Kernels
import MessagePassing

/// How like the data pictures are; a raw value is the key of a measure wherever it is told.
enum Measure: String, CaseIterable, Sendable {
    case fid, kid, precision, recall, density, coverage
    case classDivergence = "class_kl"
    case classifierScore = "classifier_score"
    case nearest
}

/// Pictures as an extractor sees them, and what measures need to know of them alone: each computed once, when first needed,
/// by all ranks together.
final class MeasuredPictures {
    /// What messages call them: "made", "test".
    let name: String
    let features: Features
    let logits: ClassLogits
    private var gaussian: Gaussian?
    private var thirdMoment: ThirdMoment?
    private var neighbours: (count: Int, distances: [Double])?

    init(_ name: String, features: Features, logits: ClassLogits) {
        precondition(features.count == logits.count, "features of \(features.count) pictures, logits of \(logits.count)")
        (self.name, self.features, self.logits) = (name, features, logits)
    }

    func gaussian(_ world: World) throws -> Gaussian {
        if let gaussian { return gaussian }
        let new = try Gaussian(features, world: world)
        gaussian = new
        return new
    }

    func thirdMoment(_ world: World) -> ThirdMoment {
        if let thirdMoment { return thirdMoment }
        let new = ThirdMoment(features, world: world)
        thirdMoment = new
        return new
    }

    /// See `Manifold.neighbours`; always to be asked for the same number.
    func neighbours(_ k: Int, _ world: World, _ kernels: Kernels) throws -> [Double] {
        if let neighbours, neighbours.count == k { return neighbours.distances }
        let new = try Manifold.neighbours(k, of: features, world, kernels)
        neighbours = (k, new)
        return new
    }

    /// - Throws: on every rank, if there are fewer pictures.
    func require(_ least: Int, for measures: String) throws {
        guard features.count < least else { return }
        throw Failure(
            .usage,
            "\(measures) take at least \(least) \(name) pictures, found \(features.count); measure more pictures, or leave "
                + "these measures out", isShared: true)
    }
}

/// Measures of sets of made pictures against the same real ones. Every rank holds the features of both.
///
/// All values are the same bytes on any number of ranks and every instruction set.
final class Measures {
    private let real: MeasuredPictures
    private let classCounts: [Int]
    private let training: TrainingDistance?
    private let world: World
    private let kernels: Kernels
    /// Whether the real pictures are among those that generators learn from.
    private let realIsTraining: Bool
    private var realTrainingDistance: Double?

    /// - Parameters:
    ///   - real: what is compared with: pictures that neither the generator nor the extractor has learned from.
    ///   - classCounts: how many pictures of each class the data have.
    ///   - training: this rank's part of the pictures that generators learn from, each rank's another; nil to leave out
    ///     `nearest`.
    ///   - realIsTraining: whether the real pictures are among those; their distances are then to the nearest other one.
    ///   - kernels: those of single precision.
    init(
        real: MeasuredPictures, classCounts: [Int], training: Features?, realIsTraining: Bool = false, world: World,
        kernels: Kernels
    ) {
        self.real = real
        self.realIsTraining = realIsTraining
        self.classCounts = classCounts
        self.training = training.map { TrainingDistance(training: $0, world: world, kernels: kernels) }
        self.world = world
        self.kernels = kernels
    }

    /// The measures that are wanted, in the order of `Measure`. Computed by all ranks, which all return the same.
    /// - Parameters:
    ///   - areTraining: whether the pictures are some of those that generators learn from.
    ///   - endsAtSignal: whether a signal that asks for an end gets it between two measures.
    /// - Throws: on every rank, if there are too few pictures for one.
    func values(
        of made: MeasuredPictures, _ wanted: Set<Measure> = Set(Measure.allCases), areTraining: Bool = false,
        endsAtSignal: Bool = false
    ) throws -> [(key: Measure, value: Double)] {
        if !wanted.isDisjoint(with: [.fid, .kid]) {
            for pictures in [made, real] { try pictures.require(2, for: "fid and kid") }
        }
        var manifold: Manifold?
        if !wanted.isDisjoint(with: [.precision, .recall, .density, .coverage]) { manifold = try self.manifold(of: made) }
        for pictures in [made, real] { try pictures.require(1, for: "measures") }
        var values: [(key: Measure, value: Double)] = []
        for measure in Measure.allCases where wanted.contains(measure) {
            if endsAtSignal { try world.endIfAsked() }
            let value: Double? = switch measure {
            case .fid: try made.gaussian(world).frechetDistance(to: real.gaussian(world))
            case .kid: try made.thirdMoment(world).kernelDistance(to: real.thirdMoment(world))
            case .precision: manifold?.precision
            case .recall: manifold?.recall
            case .density: manifold?.density
            case .coverage: manifold?.coverage
            case .classDivergence: GAN.classDivergence(made: made.logits.classCounts, data: classCounts)
            case .classifierScore: made.logits.score
            case .nearest: try nearest(made, areTraining)
            }
            if let value { values.append((measure, value)) }
        }
        return values
    }

    private func manifold(of made: MeasuredPictures) throws -> Manifold {
        let (near, far) = (Manifold.precisionNeighbours, Manifold.densityNeighbours)
        try made.require(near + 1, for: "precision, recall, density and coverage")
        try real.require(far + 1, for: "precision, recall, density and coverage")
        return try Manifold(
            real: real.features, realNeighbours: real.neighbours(far, world, kernels), made: made.features,
            madeNeighbours: made.neighbours(near, world, kernels), world, kernels)
    }

    /// The mean distance from made pictures to the nearest training picture over that from real ones: below 1 where training
    /// pictures are repeated. Nil where the real pictures all are training pictures themselves.
    private func nearest(_ made: MeasuredPictures, _ areTraining: Bool) throws -> Double? {
        guard let training else { return nil }
        let reference = try realTrainingDistance ?? training.mean(of: real.features, areTraining: realIsTraining)
        realTrainingDistance = reference
        let distance = try training.mean(of: made.features, areTraining: areTraining)
        return reference > 0 ? distance / reference : nil
    }
}

extension World {
    /// Ends all ranks together where a signal asks one of them to end, and there is nothing to be saved.
    func endIfAsked() throws {
        try agree {
            guard let end = Signals.end(of: Signals.take()) else { return }
            throw Failure(end, "stopped while pictures were being measured; nothing was written")
        }
    }
}
