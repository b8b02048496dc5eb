/// The rows of a batch of all ranks of a host, laid out where each of them reads those of all: a rank then computes a part
/// of every gradient for all of these rows, instead of all of it for its own.
///
/// For each sum Σ dy xᵗ, last layer first, the space holds dy, [slots, outputs, columns], and xᵗ in panels of 64 inputs,
/// [inputs / 64, slots · columns, 64]; columns are the host's rows, rounded up to whole vectors.
public final class SharedRows {
    /// This rank's rows among the host's.
    let rows: Range<Int>
    private let count: Int
    let columns: Int
    /// The elements of the gradient that this rank computes. A row of a matrix belongs to the rank in whose range it begins.
    let elements: Range<Int>
    private let space: UnsafeMutablePointer<Float>
    private let capacity: Int
    private var used = 0
    /// Whether rows are being laid out; after that they are summed.
    private(set) var isLayingOut = false

    /// - Parameters:
    ///   - count: the host's rows.
    ///   - space: `floats(of:slots:rows:)` that all ranks of the host share, aligned to 64 bytes.
    public init(
        rows: Range<Int>, of count: Int, elements: Range<Int>, space: UnsafeMutablePointer<Float>, capacity: Int
    ) {
        self.rows = rows
        self.count = count
        columns = count.paddedToVectors
        self.elements = elements
        self.space = space
        self.capacity = capacity
    }

    /// Floats of the space for a network of such needs and a host's rows.
    public static func floats(of needs: LayerNeeds, slots: Int, rows: Int) -> Int {
        slots * rows.paddedToVectors * needs.sharedRows
    }

    /// Floats of a row for the sum of one layer's weights [outputs, inputs].
    static func floats(outputs: Int, inputs: Int) -> Int { outputs + (inputs + 63) / 64 * 64 }

    /// Begins with the last layer's sum again, to lay rows out or to sum them.
    func begin(layingOut: Bool) {
        isLayingOut = layingOut
        used = 0
    }

    /// The place of the next sum: dy, and xᵗ behind it.
    func next(outputs: Int, inputs: Int, slots: Int) -> (dy: Matrix, transposed: UnsafeMutablePointer<Float>) {
        let dy = space + used
        used += slots * columns * SharedRows.floats(outputs: outputs, inputs: inputs)
        precondition(used <= capacity, "\(used) floats of a host's rows in a space of \(capacity)")
        return (Matrix(dy, features: outputs, stride: columns), dy + slots * outputs * columns)
    }

    /// The rows of a bias that this rank computes: in proportion to its rows of the batch.
    func part(ofBias outputs: Int) -> Range<Int> {
        outputs * rows.lowerBound / count..<outputs * rows.upperBound / count
    }

    /// The rows of a matrix, whose elements begin at `offset` and have so many to a row, that this rank computes.
    func part(ofRows count: Int, length: Int, offset: Int) -> Range<Int> {
        func first(from element: Int) -> Int { min(max(0, (element - offset + length - 1) / length), count) }
        return first(from: elements.lowerBound)..<first(from: elements.upperBound)
    }
}
