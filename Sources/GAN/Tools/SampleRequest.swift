import MessagePassing

/// Which pictures `gan-dist sample` draws, and how many stand in a row of a grid.
public struct SampleRequest: Equatable, Sendable {
    public let count: Int
    public let columns: Int
    /// Whether each row is a walk between two noise vectors, rather than a piece of their sequence.
    public let isWalk: Bool
    /// The class of all pictures, or nil: then a column of the grid is of one, or a row if it is a walk.
    public let label: Int?
    /// How many classes the generator is told; 1 where it is told none.
    private let classes: Int

    private static let limit = 1_000_000

    /// - Parameters:
    ///   - count: `--count`, 64 if neither it nor a grid is given; 8 stand in a row.
    ///   - grid: `--grid`, rows and columns: `4x10`.
    ///   - label: `--class`, of a generator that is told one.
    ///   - classes: how many it is told, nil for none.
    ///   - vectors: how many noise vectors are given, nil where they are drawn. Without a count or a grid all of them are used,
    ///     each for a picture, or two for a walk.
    /// - Throws: a usage error.
    public init(
        count: Int? = nil, grid: String? = nil, isWalk: Bool = false, label: Int? = nil, classes: Int? = nil, vectors: Int? = nil
    ) throws {
        if let count {
            guard grid == nil, !isWalk else {
                throw Failure(.usage, "--count \(count): a grid has as many pictures as it has places; leave --count away")
            }
            guard (1...SampleRequest.limit).contains(count) else {
                throw Failure(.usage, "--count \(count): must be 1 … 1,000,000")
            }
        }
        var (rows, columns) = try grid.map(SampleRequest.sizes) ?? (8, label == nil && !isWalk ? classes ?? 8 : 8)
        if let vectors, isWalk, grid == nil { rows = max(1, vectors / 2) }
        guard !isWalk || columns >= 2 else {
            throw Failure(.usage, "--grid \(grid ?? ""): a walk with --interpolate has two ends; ask for 2 columns or more")
        }
        if let label {
            guard let classes else {
                throw Failure(.usage, "--class \(label): this generator was trained without classes; see --preset cgan and cdcgan")
            }
            guard (0..<classes).contains(label) else {
                throw Failure(.usage, "--class \(label): the data's classes are 0 … \(classes - 1)")
            }
        }
        self.label = label
        self.classes = classes ?? 1
        self.count = count ?? (grid == nil && !isWalk ? vectors : nil) ?? rows * columns
        self.columns = columns
        self.isWalk = isWalk
        guard self.count <= SampleRequest.limit else {
            throw Failure(.usage, "--noise: walks of \(self.count) pictures; 1,000,000 are the most, ask for fewer with --grid")
        }
        if let vectors, vectorCount > vectors {
            let need = isWalk ? "\(rows) walks have \(vectorCount) ends" : "\(self.count) pictures are asked for"
            throw Failure(.usage, "--noise: \(need), and the file has \(vectors) vectors; ask for fewer, or give more vectors")
        }
    }

    /// Noise vectors that the pictures are made of.
    var vectorCount: Int { isWalk ? 2 * count / columns : count }

    /// The class of picture n.
    func label(of picture: Int) -> Int {
        label ?? (isWalk ? picture / columns : picture % columns) % classes
    }

    private static func sizes(_ grid: String) throws -> (rows: Int, columns: Int) {
        guard let match = grid.wholeMatch(of: /([0-9]+)x([0-9]+)/), let rows = Int(match.1), let columns = Int(match.2),
            (1...limit).contains(rows), (1...limit).contains(columns), rows * columns <= limit
        else {
            throw Failure(
                .usage, "--grid \(grid): rows and columns are expected, as in 4x10, and 1 … 1,000,000 pictures in all")
        }
        return (rows, columns)
    }
}
