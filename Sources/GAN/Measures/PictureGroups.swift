/// Pictures in groups of those that are like each other, each in a ball: what is far from a ball's centre is far from all in it.
///
/// The set is halved again and again, across the line through two pictures that are far from each other.
struct PictureGroups {
    /// The most pictures of a group.
    static let size = 64

    /// The pictures, group after group; all groups but the last of a set are full.
    private(set) var order: [Int]
    /// The mean features of each group.
    let centers: Features
    /// No picture of a group is farther from its centre.
    let radii: [Double]

    init(_ features: Features) {
        order = Array(0..<features.count)
        var keys = [(place: Double, picture: Int)]()
        var parts = [order.indices]
        while let part = parts.popLast() {
            guard part.count > PictureGroups.size else { continue }
            let start = PictureGroups.farthest(from: order[part.lowerBound], among: order[part], features)
            let end = PictureGroups.farthest(from: start, among: order[part], features)
            let direction = zip(features.row(end), features.row(start)).map { Double($0) - Double($1) }
            keys.removeAll(keepingCapacity: true)
            for picture in order[part] { keys.append((features.product(picture, direction), picture)) }
            keys.sort { $0 < $1 }
            for (index, key) in zip(part, keys) { order[index] = key.picture }
            let half = (part.count / 2 + PictureGroups.size - 1) / PictureGroups.size * PictureGroups.size
            parts += [part.lowerBound + half..<part.upperBound, part.lowerBound..<part.lowerBound + half]
        }
        let groups = stride(from: 0, to: order.count, by: PictureGroups.size).map { [order] first in
            order[first..<min(first + PictureGroups.size, order.count)]
        }
        let centers = Features(meansOf: features, groups)
        radii = groups.enumerated().map { group, members in
            let farthest = members.map { Features.squaredDistance(features[$0], centers[group], stride: features.stride) }.max()
            // What rounding took away.
            return (farthest ?? 0).squareRoot() * (1 + 0x1p-40)
        }
        self.centers = centers
    }

    private static func farthest(from picture: Int, among pictures: ArraySlice<Int>, _ features: Features) -> Int {
        var (farthest, most) = (picture, -1.0)
        for other in pictures {
            let distance = Features.squaredDistance(features[picture], features[other], stride: features.stride)
            if distance > most { (farthest, most) = (other, distance) }
        }
        return farthest
    }
}
