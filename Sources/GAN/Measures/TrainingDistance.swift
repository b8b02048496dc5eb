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
    func mean(of pictures: Features) throws -> Double {
        let own = search.nearest(1, to: pictures, rows: 0..<pictures.count)
        let all = try world.gather(own)
        var sum = 0.0
        for picture in 0..<pictures.count {
            var nearest = Double.infinity
            for i in stride(from: picture, to: all.count, by: pictures.count) { nearest = min(nearest, all[i]) }
            sum += nearest.squareRoot()
        }
        return sum / Double(pictures.count)
    }
}
