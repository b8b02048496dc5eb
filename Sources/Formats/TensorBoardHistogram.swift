/// How numbers are distributed, in buckets that grow with the magnitude: four for each power of two, over the sixteen powers
/// below the largest magnitude, and one bucket in the middle for what is smaller. Infinities and NaN are left out.
public struct TensorBoardHistogram: Equatable {
    public private(set) var minimum = 0.0, maximum = 0.0, sum = 0.0, sumOfSquares = 0.0
    /// Of numbers.
    public private(set) var count = 0
    /// The right edge of each bucket; the left one is the right one of the bucket before, and `minimum` of the first.
    public private(set) var limits: [Double] = []
    /// Numbers in each bucket.
    public private(set) var counts: [Double] = []

    /// The first bits of a float: its sign, its exponent, and two bits of its fraction.
    private static let shift = 21
    private static let cells = 1 << (31 - shift)
    private static let depth = 16 * 4

    public init(_ values: UnsafeBufferPointer<Float>) {
        var cells = [Int](repeating: 0, count: 2 * Self.cells)
        (minimum, maximum) = (.infinity, -.infinity)
        for value in values where value.isFinite {
            let number = Double(value)
            minimum = number < minimum ? number : minimum
            maximum = number > maximum ? number : maximum
            sum += number
            sumOfSquares += number * number
            count += 1
            cells[Int(value.bitPattern >> UInt32(Self.shift))] += 1
        }
        if count == 0 { (minimum, maximum) = (0, 0) }
        let last = Int(Float(max(maximum.magnitude, minimum.magnitude)).bitPattern >> UInt32(Self.shift))
        let first = max(1, last - Self.depth + 1)
        if first <= last {
            for cell in (first...last).reversed() { add(cells[Self.cells + cell], upTo: -Self.lowerEdge(cell)) }
        }
        add(cells[..<first].reduce(0, +) + cells[Self.cells..<Self.cells + first].reduce(0, +), upTo: Self.lowerEdge(first))
        if first <= last {
            for cell in first...last { add(cells[cell], upTo: Self.lowerEdge(cell + 1)) }
        }
        if counts.last == 0 {
            counts.removeLast()
            limits.removeLast()
        }
    }

    /// Empty buckets next to each other become one; the first ones are left away.
    private mutating func add(_ count: Int, upTo limit: Double) {
        if count == 0, counts.isEmpty { return }
        if count == 0, counts.last == 0 {
            limits[limits.count - 1] = limit
        } else {
            counts.append(Double(count))
            limits.append(limit)
        }
    }

    /// Of the magnitudes in a cell.
    private static func lowerEdge(_ cell: Int) -> Double {
        Double(min(Float(bitPattern: UInt32(cell) << UInt32(shift)), .greatestFiniteMagnitude))
    }
}
