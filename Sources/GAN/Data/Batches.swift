import Formats
import Kernels
import MessagePassing
import Networks

/// The real images of every batch and their labels: each logical shard's stream is the concatenation of permutations of its images, and
/// a batch takes the next ones. Which image stands where is a function of seed, shard and step alone.
final class Batches {
    private struct Shard {
        let number: Int
        /// First image in this rank's memory, and how many.
        let start: Int
        let count: Int
        /// Rows of every batch, and the first of them among this rank's columns.
        let rows: Int
        let column: Int
        var permutationNumber = -1
        let permutation: UnsafeMutableBufferPointer<UInt32>
    }

    /// Whose random numbers order and mirror the images.
    enum Streams {
        case first
        /// Of a second domain, whose images are not in step with the first's.
        case second

        var shuffle: UInt32 { self == .first ? RandomStream.shuffle : RandomStream.secondShuffle }
        var mirror: UInt32 { self == .first ? RandomStream.mirror : RandomStream.secondMirror }
    }

    private let dataset: Dataset
    private let kernels: Kernels
    private let seed: UInt64
    private let streams: Streams
    private var shards: [Shard] = []
    private let columns: Int
    private let image: Shape
    /// Which images are mirrored, if any are.
    private let mirror: RowWords?
    private let firstRow: Int
    /// [columns, size]
    private let staging: UnsafeMutablePointer<Float>
    /// Where in this rank's memory the image of each column is, in step `located`.
    private let places: UnsafeMutablePointer<UInt32>
    private var located = -1

    init(
        _ configuration: Configuration, dataset: Dataset, _ streams: Streams = .first, layout: ShardLayout, rank: Int,
        kernels: Kernels, arena: Arena
    ) {
        self.dataset = dataset
        self.kernels = kernels
        self.streams = streams
        seed = configuration.seed
        image = dataset.preparation.image
        let own = layout.shards(of: rank)
        firstRow = layout.rows(of: own, batch: configuration.batchSize).lowerBound
        columns = layout.rows(of: own, batch: configuration.batchSize).count
        for number in own {
            let images = layout.images(of: number, batch: configuration.batchSize, images: dataset.count)
            let rows = layout.rows(of: number, batch: configuration.batchSize)
            shards.append(
                Shard(
                    number: number, start: images.lowerBound - dataset.range.lowerBound, count: images.count,
                    rows: rows.count, column: rows.lowerBound - firstRow,
                    permutation: .allocate(capacity: images.count)))
        }
        mirror = configuration.mirror ? RowWords(columns: columns.paddedToVectors, arena: arena) : nil
        staging = arena.floats(columns.paddedToVectors * image.features)
        places = .allocate(capacity: columns)
    }

    deinit {
        for shard in shards { shard.permutation.deallocate() }
        places.deallocate()
    }

    /// Writes this rank's images of step `step` (from 0) to the first columns of x [H · W · C, stride], pixels in [−1, 1].
    func gather(step: Int, into x: Matrix) {
        locate(step)
        let (size, keptSize) = (image.features, dataset.preparation.kept.features)
        for column in 0..<columns {
            let next = UnsafePointer(dataset.pixels) + Int(places[min(column + 1, columns - 1)]) * keptSize
            kernels.normalizeBytes(dataset.image(Int(places[column])), staging + column * size, size, next)
        }
        if let mirror { mirrorImages(mirror, step) }
        kernels.transpose(staging, size, columns, size, x.base, x.stride)
    }

    /// Turns each image with probability ½: that whose row's word is 2³¹ or more.
    private func mirrorImages(_ mirror: RowWords, _ step: Int) {
        let pass = Pass(
            kernels: kernels, columns: columns.paddedToVectors, kind: .real, seed: seed, step: step, firstRow: firstRow)
        let words = mirror.draw(streams.mirror, pass)
        for column in 0..<columns where words[column] >= 1 << 31 {
            for row in 0..<image.height {
                let line = staging + column * image.features + row * image.width * image.channels
                for place in 0..<image.width / 2 {
                    for channel in 0..<image.channels {
                        let (left, right) = (place * image.channels, (image.width - 1 - place) * image.channels)
                        let pixel = line[left + channel]
                        line[left + channel] = line[right + channel]
                        line[right + channel] = pixel
                    }
                }
            }
        }
    }

    /// Writes the labels of the images that `gather` gives for this step, one for each column.
    func labels(step: Int, into labels: UnsafeMutablePointer<UInt8>) {
        locate(step)
        for column in 0..<columns { labels[column] = dataset.labels[Int(places[column])] }
    }

    /// Finds the places of a step's images.
    private func locate(_ step: Int) {
        guard step != located else { return }
        located = step
        for index in shards.indices {
            let shard = shards[index]
            for row in 0..<shard.rows {
                let position = step * shard.rows + row
                let number = position / shard.count
                if number != shards[index].permutationNumber {
                    shards[index].permutationNumber = number
                    fillPermutation(
                        shard.permutation, shard: shard.number, number: number, seed: seed, stream: streams.shuffle,
                        kernels: kernels)
                }
                places[shard.column + row] = UInt32(shard.start) + shard.permutation[position % shard.count]
            }
        }
    }
}
