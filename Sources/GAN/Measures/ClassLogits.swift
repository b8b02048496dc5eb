import MessagePassing

/// What a classifier makes of pictures, [count, classes]: p(c | x) is the softmax of a picture's logits.
struct ClassLogits: Sendable {
    let classes: Int
    private let logits: [Float]

    /// - Throws: if a logit is not finite.
    init(_ logits: [Float], classes: Int) throws {
        precondition(classes > 0 && logits.count % classes == 0, "\(logits.count) logits of \(classes) classes")
        if let bad = logits.firstIndex(where: { !$0.isFinite }) {
            throw Failure(
                .internalError,
                "the logit of class \(bad % classes) of picture \(bad / classes) of \(logits.count / classes) is \(logits[bad]), "
                    + "expected a finite number: the extractor has diverged; train it anew")
        }
        self.logits = logits
        self.classes = classes
    }

    var count: Int { logits.count / classes }

    /// The most probable class of each picture; of equal ones the first.
    var named: [Int] {
        logits.withUnsafeBufferPointer { logits in
            guard let base = logits.baseAddress else { return [] }
            return (0..<count).map { CrossEntropy.largest(base + $0 * classes, classes, 1).best }
        }
    }

    /// How many pictures are named each class.
    var classCounts: [Int] {
        var counts = [Int](repeating: 0, count: classes)
        for label in named { counts[label] += 1 }
        return counts
    }

    /// The Inception score (Salimans et al. 2016) with this classifier, exp(mean over x of KL(p(c | x) ‖ p̄)), p̄ the mean of
    /// p(c | x) over x: from 1 to the number of classes. Sums are over pictures in order.
    var score: Double {
        var probabilities = [Double](repeating: 0, count: classes)
        var mean = probabilities
        for picture in 0..<count {
            softmax(of: picture, &probabilities)
            for c in 0..<classes { mean[c] += probabilities[c] }
        }
        let logMean = mean.map { $0 > 0 ? logarithm($0 / Double(count)) : 0 }
        var divergence = 0.0
        for picture in 0..<count {
            let logSum = softmax(of: picture, &probabilities)
            for c in 0..<classes where probabilities[c] > 0 {
                divergence += probabilities[c] * (Double(logits[picture * classes + c]) - logSum - logMean[c])
            }
        }
        return min(Double(classes), max(1, exponential(divergence / Double(count))))
    }

    /// p(c | x) of a picture; returns ln Σ exp of its logits.
    @discardableResult
    private func softmax(of picture: Int, _ probabilities: inout [Double]) -> Double {
        let first = picture * classes
        var largest = Double(logits[first])
        for c in 1..<max(classes, 1) { largest = max(largest, Double(logits[first + c])) }
        var sum = 0.0
        for c in 0..<classes {
            probabilities[c] = exponential(Double(logits[first + c]) - largest)
            sum += probabilities[c]
        }
        for c in 0..<classes { probabilities[c] /= sum }
        return largest + logarithm(sum)
    }
}

/// KL(p ‖ q) = Σ p ln(p / q) in nats of the shares p and q of classes among made pictures and in the data; classes that were not
/// made add nothing. A class that the data lack counts as half a picture of theirs, so that the sum stays finite.
func classDivergence(made: [Int], data: [Int]) -> Double {
    precondition(made.count == data.count, "\(made.count) and \(data.count) classes")
    let (madeTotal, dataTotal) = (Double(made.reduce(0, +)), Double(data.reduce(0, +)))
    precondition(madeTotal > 0 && dataTotal > 0, "\(madeTotal) made pictures and \(dataTotal) of data")
    var divergence = 0.0
    for (made, data) in zip(made, data) where made > 0 {
        let p = Double(made) / madeTotal
        let q = max(Double(data), 0.5) / dataTotal
        divergence += p * logarithm(p / q)
    }
    return divergence
}
