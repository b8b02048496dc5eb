import Networks

/// Rows of pictures of two shapes, which may differ in colour: grey ones are shown in all three channels beside coloured ones.
struct PictureRows {
    private let image: Shape
    private let columns: Int
    private var values: [Float] = []

    init(_ one: Shape, _ other: Shape, columns: Int) {
        image = Shape(channels: max(one.channels, other.channels), height: one.height, width: one.width)
        self.columns = columns
    }

    /// Appends a row of at most as many pictures as there are columns, [n, H, W, C] in −1 … 1.
    mutating func append(_ pictures: [Float], _ shape: Shape) {
        let repeats = image.channels / shape.channels
        let shown = repeats == 1 ? pictures : pictures.flatMap { Array(repeating: $0, count: repeats) }
        let row = columns * image.features
        precondition(shape.pixels == image.pixels && shown.count <= row, "\(pictures.count) numbers of \(shape) in a row of \(row)")
        values += shown + [Float](repeating: -1, count: row - shown.count)
    }

    func write(to path: String) throws { try Pictures.writeGrid(values, image, columns: columns, to: path) }
}
