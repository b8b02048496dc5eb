import Kernels
import MessagePassing

/// Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020) of made pictures y among real
/// ones x, by balls around pictures: r_k(x) is the distance from x to its k-th neighbour among the real pictures other than
/// itself, r_k(y) likewise among the made ones. Comparisons and counts are those of Naeem's package `prdc`.
struct Manifold {
    /// k of precision and recall.
    static let precisionNeighbours = 3
    /// k of density and coverage.
    static let densityNeighbours = 5

    /// The share of y with ‖x − y‖ < r₃(x) for some x.
    let precision: Double
    /// The share of x with ‖x − y‖ < r₃(y) for some y.
    let recall: Double
    /// How many x there are with ‖x − y‖ < r₅(x), over 5: the mean over y.
    let density: Double
    /// The share of x with ‖x − y‖ < r₅(x) for some y.
    let coverage: Double

    /// The squared distances from each picture to its k nearest others, ascending: [count, k]. Computed by all ranks.
    static func neighbours(_ k: Int, of pictures: Features, _ world: World, _ kernels: Kernels) throws -> [Double] {
        let search = NeighbourSearch(pictures, kernels: kernels)
        return try world.gather(search.nearest(k, to: pictures, rows: world.share(of: pictures.count)))
    }

    /// Computed by all ranks.
    /// - Parameters:
    ///   - realNeighbours: the neighbours of the real pictures, five each.
    ///   - madeNeighbours: those of the made ones, three each.
    init(
        real: Features, realNeighbours: [Double], made: Features, madeNeighbours: [Double], _ world: World, _ kernels: Kernels
    ) throws {
        let (near, far) = (Manifold.precisionNeighbours, Manifold.densityNeighbours)
        precondition(realNeighbours.count == far * real.count && madeNeighbours.count == near * made.count)
        let rows = world.share(of: real.count)
        func radii(_ neighbours: [Double], _ k: Int, of most: Int) -> [Double] {
            stride(from: k - 1, to: neighbours.count, by: most).map { neighbours[$0] }
        }
        let precisionRadii = radii(realNeighbours, near, of: far)
        let densityRadii = radii(realNeighbours, far, of: far)
        let recallRadii = radii(madeNeighbours, near, of: near)
        var limits = Array(densityRadii[rows])
        var isPrecise = [UInt8](repeating: 0, count: made.count)
        var isRecalled = [UInt8](repeating: 0, count: rows.count)
        var isCovered = isRecalled
        var balls = 0
        NeighbourSearch(made, kernels: kernels)
            .forEachPair(of: real, rows: rows, rowLimits: &limits, columnLimits: recallRadii) { x, y, distance, _ in
                if distance < precisionRadii[x] { isPrecise[y] = 1 }
                if distance < recallRadii[y] { isRecalled[x - rows.lowerBound] = 1 }
                if distance < densityRadii[x] {
                    isCovered[x - rows.lowerBound] = 1
                    balls += 1
                }
            }
        func sum(_ flags: [UInt8]) -> Int { flags.reduce(0) { $0 + Int($1) } }
        let counts = try world.gather([sum(isRecalled), sum(isCovered), balls])
        func total(_ index: Int) -> Double { Double(stride(from: index, to: counts.count, by: 3).reduce(0) { $0 + counts[$1] }) }
        let everyRanksFlags = try world.gather(isPrecise)
        let precise = (0..<made.count).count { y in
            stride(from: y, to: everyRanksFlags.count, by: made.count).contains { everyRanksFlags[$0] == 1 }
        }
        precision = Double(precise) / Double(made.count)
        recall = total(0) / Double(real.count)
        coverage = total(1) / Double(real.count)
        density = total(2) / Double(far) / Double(made.count)
    }
}
