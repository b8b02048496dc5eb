import Kernels
import MessagePassing
import Testing

@testable import GAN

/// Precision, recall, density, coverage and distances to neighbours against `prdc` and plain loops.
@Suite(.timeLimit(.minutes(15))) struct NeighbourTests {
    static let kernels: [Kernels] = InstructionSet.available.compactMap { Kernels.select($0) } + [.reference]

    @Test(arguments: MeasureValues.expected.cases) func countsEqualThoseOfPRDC(test: MeasureValues.Expected.Case) throws {
        let sets = try MeasureValues.sets(test)
        for kernels in Self.kernels {
            let measures = Measures(
                real: try MeasureValues.pictures("test", sets.real), classCounts: [1, 1, 1, 1], training: nil,
                world: try MeasureValues.alone(), kernels: kernels)
            let values = try measures.values(
                of: MeasureValues.pictures("made", sets.made), [.precision, .recall, .density, .coverage])
            #expect(values.map(\.key) == [.precision, .recall, .density, .coverage])
            let counts = zip(values, [test.made, test.real, 5 * test.made, test.real]).map { $0.0.value * Double($0.1) }
            let rounded = counts.map { Int($0.rounded()) }
            #expect(rounded == test.manifold, "\(kernels.description)")
            #expect(zip(counts, rounded).allSatisfy { abs($0 - Double($1)) < 1e-9 })
        }
    }

    /// Distances as plain loops over all pairs find them.
    @Test func neighboursAreThoseOfPlainLoops() throws {
        for (pictures, rows) in [
            (try MeasureValues.features(1, 203, 13), try MeasureValues.features(2, 70, 13)),
            (try MeasureValues.grid(3, 150, 8), try MeasureValues.grid(4, 40, 8)),
        ] {
            for kernels in Self.kernels {
                let search = NeighbourSearch(pictures, kernels: kernels)
                for rows in [rows, pictures] {
                    let found = search.nearest(4, to: rows, rows: 3..<rows.count)
                    let expected = (3..<rows.count).flatMap { row in
                        (0..<pictures.count).filter { rows !== pictures || $0 != row }
                            .map { Features.squaredDistance(rows[row], pictures[$0], stride: rows.stride) }.sorted().prefix(4)
                    }
                    #expect(found == expected, "\(kernels.description)")
                }
            }
        }
    }

    /// Heaps of pictures, most of them too far from a row to be looked at, and more rows than are looked up together.
    @Test func groupsHideNoNeighbour() throws {
        func heaps(_ group: Int, _ count: Int) throws -> Features {
            try MeasureValues.features(
                (0..<count).flatMap { n in
                    (0..<11).map { f in Float(MeasureValues.random(20, n * 7 % 13, f) + MeasureValues.random(group, n, f) % 4) }
                }, 11)
        }
        let (pictures, rows) = (try heaps(21, 700), try heaps(22, 1_100))
        let limits = (0..<700).map { Double($0 % 25) }
        var expected: [[Int]] = []
        for x in 0..<1_100 {
            for y in 0..<700 {
                let distance = Features.squaredDistance(rows[x], pictures[y], stride: rows.stride)
                if distance < max(12, limits[y]) { expected.append([x, y]) }
            }
        }
        #expect((1_000..<100_000).contains(expected.count), "\(expected.count) pairs")
        for kernels in Self.kernels {
            let search = NeighbourSearch(pictures, kernels: kernels)
            var (found, rowLimits) = ([[Int]](), [Double](repeating: 12, count: 1_100))
            search.forEachPair(of: rows, rows: 0..<1_100, rowLimits: &rowLimits, columnLimits: limits) { x, y, _, _ in
                found.append([x, y])
            }
            #expect(found.sorted { ($0[0], $0[1]) < ($1[0], $1[1]) } == expected, "\(kernels.description)")
            let nearest = search.nearest(5, to: rows, rows: 0..<1_100)
            let plain = (0..<1_100).flatMap { x in
                (0..<700).map { Features.squaredDistance(rows[x], pictures[$0], stride: rows.stride) }.sorted().prefix(5)
            }
            #expect(nearest == plain, "\(kernels.description)")
        }
    }

    /// Points far from their mean and close to each other: in single precision the formula of a product finds other counts.
    @Test func whatSinglePrecisionCannotTellIsDecidedInDouble() throws {
        // Two distant heaps, whose members differ by some ulps.
        func heaps(_ group: Int, _ count: Int) throws -> Features {
            try MeasureValues.features(
                (0..<count).flatMap { n in
                    (0..<8).map { f in Float(n % 2 == 0 ? 1 : -1) * (1 + Float(MeasureValues.random(group, n, f)) * 0x1p-23) }
                }, 8)
        }
        let (real, made) = (try heaps(30, 90), try heaps(31, 80))
        func measure(_ distance: (UnsafePointer<Float>, UnsafePointer<Float>) -> Double) -> [Int] {
            func radius(_ set: Features, _ i: Int, _ k: Int) -> Double {
                (0..<set.count).filter { $0 != i }.map { distance(set[i], set[$0]) }.sorted()[k - 1]
            }
            let near = (0..<real.count).map { radius(real, $0, 3) }
            let far = (0..<real.count).map { radius(real, $0, 5) }
            let recall = (0..<made.count).map { radius(made, $0, 3) }
            let pairs = (0..<real.count).map { x in (0..<made.count).map { distance(real[x], made[$0]) } }
            return [
                (0..<made.count).count { y in (0..<real.count).contains { pairs[$0][y] < near[$0] } },
                (0..<real.count).count { x in (0..<made.count).contains { pairs[x][$0] < recall[$0] } },
                (0..<real.count).reduce(0) { sum, x in sum + pairs[x].count { $0 < far[x] } },
                (0..<real.count).count { x in pairs[x].contains { $0 < far[x] } },
            ]
        }
        let exact = measure { x, y in
            (0..<8).map { Double(x[$0]) - Double(y[$0]) }.reduce(0) { $0 + $1 * $1 }
        }
        let single = measure { x, y in
            func product(_ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>) -> Float {
                (0..<8).reduce(0) { $0.addingProduct(x[$1], y[$1]) }
            }
            return Double(product(x, x) + product(y, y) - 2 * product(x, y))
        }
        #expect(exact != single)
        for kernels in Self.kernels {
            let world = try MeasureValues.alone()
            let manifold = try Manifold(
                real: real, realNeighbours: Manifold.neighbours(5, of: real, world, kernels), made: made,
                madeNeighbours: Manifold.neighbours(3, of: made, world, kernels), world, kernels)
            let counts = [manifold.precision * 80, manifold.recall * 90, manifold.density * 400, manifold.coverage * 90]
            #expect(counts.map { Int($0.rounded()) } == exact, "\(kernels.description)")
        }
    }

    /// Whole numbers: all distances are exact, and a picture on the ball's edge is not in it.
    @Test func edgeOfABallIsOutside() throws {
        let real = try MeasureValues.features([0, 10, 20, 30, 40, 50], 1)
        let made = try MeasureValues.features([-30, 80, 19, 1_000], 1)
        let (world, kernels) = (try MeasureValues.alone(), Kernels.fastest)
        let realNeighbours = try Manifold.neighbours(5, of: real, world, kernels)
        #expect(realNeighbours[0..<5] == [100, 400, 900, 1_600, 2_500])
        let manifold = try Manifold(
            real: real, realNeighbours: realNeighbours, made: made,
            madeNeighbours: Manifold.neighbours(3, of: made, world, kernels), world, kernels)
        // −30 and 80 lie as far from 0 and 50 as the third neighbours of these do.
        #expect(manifold.precision == 0.25 && manifold.coverage == 1)
        // 19 is in all six balls, −30 in that of 0 and on the edge of that of 10, and 80 likewise.
        #expect(manifold.density == 8.0 / 5 / 4)
    }

    @Test func nearestEqualsNumPys() throws {
        for kernels in Self.kernels {
            let measures = Measures(
                real: try MeasureValues.pictures("test", MeasureValues.features(1, 260, 24)), classCounts: [1, 1, 1, 1],
                training: try MeasureValues.features(12, 500, 24), world: try MeasureValues.alone(), kernels: kernels)
            let made = try MeasureValues.pictures("made", MeasureValues.features(2, 240, 24))
            let values = try measures.values(of: made, [.nearest])
            #expect(values.count == 1 && isNear(values[0].value, MeasureValues.expected.nearest))
            let training = try MeasureValues.pictures("made", MeasureValues.features(12, 500, 24))
            #expect(try measures.values(of: training, [.nearest])[0].value == 0)
        }
    }

    /// Features of any size that floats have.
    @Test(arguments: [0x1p48, 0x1p-70, 0x1p-149] as [Float]) func scaleDoesNotMatter(scale: Float) throws {
        let whole = try MeasureValues.grid(3, 100, 9)
        let scaled = try MeasureValues.features((0..<100).flatMap { n in (0..<9).map { whole[n][$0] * scale } }, 9)
        for kernels in Self.kernels {
            let expected = NeighbourSearch(whole, kernels: kernels).nearest(3, to: whole, rows: 0..<100)
            let found = NeighbourSearch(scaled, kernels: kernels).nearest(3, to: scaled, rows: 0..<100)
            #expect(found == expected.map { $0 * Double(scale) * Double(scale) })
        }
    }
}
