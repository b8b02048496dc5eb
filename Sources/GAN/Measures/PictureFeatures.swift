import MessagePassing

/// What a classifier makes of some pictures, in their order.
struct PictureFeatures {
    /// [count, features]
    private(set) var values: [Float] = []
    /// [count, classes]
    private(set) var logits: [Float] = []
    private let dimension, classes: Int

    var count: Int { logits.count / classes }

    /// - Parameter pixels: the bytes [H, W, C] of a picture, valid until it is asked for another.
    init(_ count: Int, _ classifier: ImageClassifier, pixels: (_ picture: Int) throws -> UnsafePointer<UInt8>) throws {
        (dimension, classes) = (classifier.featureCount, classifier.classes)
        values.reserveCapacity(count * dimension)
        logits.reserveCapacity(count * classes)
        try classifier.look(at: count, pixels: pixels) { _, columns, outputs in
            let (features, logits) = (outputs.features, outputs.logits)
            for column in 0..<columns {
                for i in 0..<features.features { values.append(features.base[i * features.stride + column]) }
                for c in 0..<logits.features { self.logits.append(logits.base[c * logits.stride + column]) }
            }
        }
    }

    /// Those of this rank's images of a data set.
    init(of dataset: Dataset, _ classifier: ImageClassifier) throws {
        self = try PictureFeatures(dataset.range.count, classifier) { dataset.image($0) }
    }

    /// Those of all ranks, one after the other; every rank calls it.
    func gathered(_ world: World) throws -> PictureFeatures {
        var all = self
        all.values = try world.gather(values)
        all.logits = try world.gather(logits)
        return all
    }

    /// Those of some of the pictures.
    func some(_ pictures: [Int]) -> PictureFeatures {
        var some = self
        some.values = pictures.flatMap { values[$0 * dimension..<($0 + 1) * dimension] }
        some.logits = pictures.flatMap { logits[$0 * classes..<($0 + 1) * classes] }
        return some
    }

    /// - Throws: where a logit is not finite.
    var classLogits: ClassLogits { get throws { try ClassLogits(logits, classes: classes) } }

    /// - Throws: where a feature is not finite.
    var features: Features {
        get throws { try values.withUnsafeBufferPointer { try Features($0, dimension: dimension) } }
    }

    /// - Parameter name: what messages call them.
    func measured(_ name: String) throws -> MeasuredPictures {
        MeasuredPictures(name, features: try features, logits: try classLogits)
    }
}
