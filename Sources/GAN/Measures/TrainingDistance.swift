import Kernels
import MessagePassing

/// How far pictures are from those that a generator has learned from.
struct TrainingDistance {
    private let search: NeighbourSearch
    private let world: World

    /// - Parameter training: the features of a part of the training pictures: each rank gives another part, and together
    ///   they give all. A part may be empty.
    init(training: Features, world: World, kernels: Kernels) {
        search = NeighbourSearch(training, kernels: kernels)
        self.world = world
    }

    /// The mean over pictures, in index order, of the distance to the nearest training picture. Computed by all ranks.
    /// - Parameter areTraining: whether the pictures are training pictures themselves; the nearest other one then counts.
    func mean(of pictures: Features, areTraining: Bool = false) throws -> Double {
        let count = areTraining ? 2 : 1
        let all = try world.gather(search.nearest(count, to: pictures, rows: 0..<pictures.count))
        var sum = 0.0
        for picture in 0..<pictures.count {
            var (nearest, second) = (Double.infinity, Double.infinity)
            for start in stride(from: count * picture, to: all.count, by: count * pictures.count) {
                for distance in all[start..<start + count] {
                    second = min(second, max(nearest, distance))
                    nearest = min(nearest, distance)
                }
            }
            sum += (areTraining ? second : nearest).squareRoot()
        }
        return sum / Double(pictures.count)
    }
}
