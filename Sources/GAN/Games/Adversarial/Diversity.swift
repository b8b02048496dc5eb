/// How much pictures differ from each other.
struct Diversity: Equatable {
    /// The mean over all pixels of the standard deviation over the pictures, √(mean(x²) − mean(x)²).
    let spread: Double
    /// The mean Euclidean distance of all pairs of pictures; 0 of fewer than two.
    let distance: Double
}

extension Diversity {
    /// - Parameters:
    ///   - pictures: n of them, one behind the other.
    ///   - size: pixels of one. The distances take n² / 2 · size subtractions.
    init(_ pictures: [Float], size: Int) {
        let count = pictures.count / size
        precondition(pictures.count == count * size, "\(pictures.count) pixels of pictures of \(size)")
        (spread, distance) = pictures.withUnsafeBufferPointer { x in
            var deviations = 0.0
            for pixel in 0..<size {
                var (sum, squares) = (0.0, 0.0)
                for picture in 0..<count { sum += Double(x[picture * size + pixel]) }
                let mean = sum / Double(count)
                for picture in 0..<count {
                    let difference = Double(x[picture * size + pixel]) - mean
                    squares += difference * difference
                }
                deviations += (squares / Double(count)).squareRoot()
            }
            var distances = 0.0
            for one in 0..<count {
                for other in 0..<one {
                    var squares: Float = 0
                    for pixel in 0..<size {
                        let difference = x[one * size + pixel] - x[other * size + pixel]
                        squares += difference * difference
                    }
                    distances += Double(squares).squareRoot()
                }
            }
            let pairs = count * (count - 1) / 2
            return (count > 0 ? deviations / Double(size) : 0, pairs > 0 ? distances / Double(pairs) : 0)
        }
    }

    /// The mean absolute difference of pixels: how far one set of pictures is from another.
    static func change(from old: [Float], to new: [Float]) -> Double {
        precondition(old.count == new.count, "\(old.count) and \(new.count) pixels")
        var sum = 0.0
        for pixel in new.indices { sum += Double(abs(new[pixel] - old[pixel])) }
        return sum / Double(max(1, new.count))
    }
}
