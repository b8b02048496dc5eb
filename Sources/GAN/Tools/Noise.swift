import Formats
import MessagePassing

/// Noise vectors in an `.npy` file: an array [vectors, numbers of each], float32 or float64.
struct NoiseFile {
    /// Far more than a grid or a folder has pictures.
    private static let limit = 1_000_000

    let path: String
    /// How many vectors it has.
    let count: Int
    private let file: NPYReader
    private let dimension: Int

    /// Opens it; the vectors are read later.
    /// - Parameter dimension: the length of a vector that a generator takes.
    /// - Throws: bad data where it is of another shape or type, or has no vectors.
    init(path: String, dimension: Int) throws {
        func bad(_ found: String) -> Failure {
            Failure(
                .badData, "--noise \(path): an array of float32 or float64 numbers of shape [vectors, \(dimension)] is expected, as "
                    + "--save-noise writes it, and this one is \(found)")
        }
        file = try withFiles { do { return try NPYReader(path: path) } catch let error as FormatError { throw error.of("--noise") } }
        switch file.elementType {
        case .float32, .float64: break
        case .uint8, .integer: throw bad("of integers; save noise.astype('float32')")
        }
        guard file.shape.count == 2, file.shape[1] == dimension else { throw bad("of shape \(file.shape)") }
        guard (1...NoiseFile.limit).contains(file.shape[0]) else {
            throw bad("of shape \(file.shape); 1 … 1,000,000 vectors are drawn at once")
        }
        self.path = path
        self.dimension = dimension
        count = file.shape[0]
    }

    /// The first vectors.
    /// - Throws: bad data where a number is not finite.
    func vectors(_ count: Int) throws -> [[Float]] {
        let numbers = try withFiles {
            do { return try file.readFloats(first: 0, count: count * dimension) } catch let error as FormatError { throw error.of("--noise") }
        }
        return stride(from: 0, to: numbers.count, by: dimension).map { Array(numbers[$0..<$0 + dimension]) }
    }
}

/// Writes noise vectors as an array [vectors, numbers of each], float32.
/// - Precondition: all are as long as the first.
func writeNoise(_ vectors: [[Float]], to path: String) throws {
    let numbers = vectors.flatMap(\.self)
    try withFiles {
        try numbers.withUnsafeBufferPointer {
            try writeNPY(path: path, shape: [vectors.count, vectors.first?.count ?? 0], elements: $0)
        }
    }
}
