import Kernels
import MessagePassing
import Testing

@testable import GAN

/// All measures together: on any number of ranks, of degenerate sets, and what they refuse.
@Suite(.timeLimit(.minutes(15))) struct MeasureTests {
    /// The values of all measures of some sets, as bits.
    private static func bits(hosts: [Int], _ kernels: Kernels, real: Features, made: Features) throws -> [UInt64] {
        let ranks = try onRanks(hosts: hosts, within: 300) { communicator in
            let world = try World(communicator, limit: 200)
            let training = try MeasureValues.features(12, 203, real.dimension)
            let own = Features(training, pictures: Array(world.share(of: training.count)))
            let measures = Measures(
                real: MeasuredPictures("test", features: real, logits: try MeasureValues.logits(21, real.count, 10)),
                classCounts: Array(repeating: 1, count: 10), training: own, world: world, kernels: kernels)
            let pictures = MeasuredPictures("made", features: made, logits: try MeasureValues.logits(20, made.count, 10))
            let values = try measures.values(of: pictures)
            #expect(values.map(\.key) == Measure.allCases)
            // Once more, with what is known of the real pictures.
            let again = try measures.values(of: MeasuredPictures("made", features: made, logits: pictures.logits))
            #expect(values.map(\.value.bitPattern) == again.map(\.value.bitPattern))
            return values.map(\.value.bitPattern)
        }
        #expect(ranks.allSatisfy { $0 == ranks[0] })
        return ranks[0]
    }

    @Test func valuesAreTheSameOnAnyRanksAndInstructionSets() throws {
        let (real, made) = (try MeasureValues.features(1, 150, 11), try MeasureValues.features(2, 141, 11, spread: 3))
        let expected = try Self.bits(hosts: [1], .reference, real: real, made: made)
        #expect(Set(expected).count == Measure.allCases.count)
        for hosts in [[1], [2], [3], [2, 3], [8]] {
            for kernels in NeighbourTests.kernels where hosts == [1] || kernels.lanes > 1 {
                let found = try Self.bits(hosts: hosts, kernels, real: real, made: made)
                #expect(found == expected, "\(hosts), \(kernels.description)")
            }
        }
    }

    /// Fewer pictures than ranks' items may be, and parts of the training pictures that are empty.
    @Test func fewPicturesOnManyRanks() throws {
        let (real, made) = (try MeasureValues.features(1, 6, 2), try MeasureValues.features(2, 4, 2))
        let expected = try Self.bits(hosts: [1], .fastest, real: real, made: made)
        #expect(try Self.bits(hosts: [8], .fastest, real: real, made: made) == expected)
        try onRanks(hosts: [8]) { communicator in
            let world = try World(communicator, limit: 30)
            let training = try MeasureValues.features(12, 3, 2)
            let distance = TrainingDistance(
                training: Features(training, pictures: Array(world.share(of: 3))), world: world, kernels: .fastest)
            let alone = TrainingDistance(training: training, world: try MeasureValues.alone(), kernels: .fastest)
            #expect(try distance.mean(of: real) == alone.mean(of: real))
        }
    }

    /// Sets whose pictures are all the same, against others and one another.
    @Test func collapsedSetsHaveNumbers() throws {
        let real = try MeasureValues.features(1, 90, 20)
        let one = Features(real, pictures: Array(repeating: 7, count: 80))
        let other = Features(try MeasureValues.features(2, 1, 20), pictures: Array(repeating: 0, count: 80))
        let zero = try MeasureValues.features(Array(repeating: 0, count: 80 * 20), 20)
        for (a, b) in [(real, one), (real, other), (one, one), (one, other), (zero, other), (zero, zero), (other, real)] {
            let measures = Measures(
                real: MeasuredPictures("test", features: a, logits: try MeasureValues.logits(3, a.count, 10)),
                classCounts: Array(repeating: 5, count: 10), training: try MeasureValues.features(12, 100, 20),
                world: try MeasureValues.alone(), kernels: .fastest)
            let logits = try ClassLogits((0..<b.count).flatMap { _ in (0..<10).map { Float($0) } }, classes: 10)
            let values = try measures.values(of: MeasuredPictures("made", features: b, logits: logits))
            #expect(values.map(\.key) == Measure.allCases && values.allSatisfy { $0.value.isFinite })
            #expect(isNear(values[6].value, GAN.logarithm(10)) && abs(values[7].value - 1) < 1e-14)
            if a === b { #expect(values[0].value < 1e-12 && abs(values[1].value) < 1e-12) }
        }
    }

    @Test func classMeasuresEqualNumPys() throws {
        let (made, data) = (try MeasureValues.logits(20, 300, 10), try MeasureValues.logits(21, 400, 10))
        #expect(isNear(made.score, MeasureValues.expected.score, within: 1e-13))
        let divergence = classDivergence(made: made.classCounts, data: data.classCounts)
        #expect(isNear(divergence, MeasureValues.expected.classDivergence, within: 1e-13))
        // Certain of one class each, evenly: as many as there are classes.
        let certain = try ClassLogits((0..<100).flatMap { n in (0..<10).map { $0 == n % 10 ? 900 : 0 } }, classes: 10)
        #expect(isNear(certain.score, 10, within: 1e-14) && certain.score <= 10)
        #expect(certain.classCounts == Array(repeating: 10, count: 10))
        #expect(try ClassLogits([3, 3, 1], classes: 3).classCounts == [1, 0, 0])
        #expect(classDivergence(made: [4, 4], data: [7, 7]) == 0)
        #expect(isNear(classDivergence(made: [9, 0], data: [5, 5]), GAN.logarithm(2)))
        // A class that the data lack counts as half a picture of theirs.
        #expect(isNear(classDivergence(made: [0, 9], data: [10, 0]), GAN.logarithm(20)))
    }

    /// One clear message, and no number that means nothing.
    @Test func tooFewPicturesAreRefused() throws {
        func message(_ made: Int, _ real: Int, _ wanted: Set<Measure>) throws -> String? {
            let measures = Measures(
                real: try MeasureValues.pictures("test", MeasureValues.features(1, real, 4)), classCounts: [1, 1, 1, 1],
                training: nil, world: try MeasureValues.alone(), kernels: .fastest)
            do {
                _ = try measures.values(of: MeasureValues.pictures("made", MeasureValues.features(2, made, 4)), wanted)
                return nil
            } catch let failure as Failure {
                #expect(failure.code == .usage && failure.isShared)
                return failure.description
            }
        }
        #expect(try message(4, 6, Set(Measure.allCases)) == nil)
        #expect(
            try message(3, 6, [.recall])
                == "precision, recall, density and coverage take at least 4 made pictures, found 3; measure more pictures, or "
                + "leave these measures out")
        #expect(try message(4, 5, [.coverage])?.contains("at least 6 test pictures, found 5") == true)
        #expect(try message(1, 6, [.fid])?.contains("fid and kid take at least 2 made pictures, found 1") == true)
        #expect(try message(1, 1, [.classifierScore]) == nil)
    }

    @Test(arguments: [.nan, .infinity, -.infinity, 0x1p50] as [Float])
    func featuresThatAreNoNumbersAreRefused(value: Float) throws {
        var values = MeasureValues.values(1, 5, 3)
        values[7] = value
        let failure = #expect(throws: Failure.self) { try MeasureValues.features(values, 3) }
        #expect(failure?.description.hasPrefix("feature 1 of picture 2 of 5 is \(value)") == true)
        if !value.isFinite { #expect(throws: Failure.self) { try ClassLogits(values, classes: 3) } }
    }
}
