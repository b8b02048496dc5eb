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

    private let dataset: Dataset
    private let kernels: Kernels
    private let seed: UInt64
    private var shards: [Shard] = []
    private let columns: Int
    /// Pixels of an image as the discriminator sees it.
    private let size: Int
    /// How images of the data become images of the discriminator's size, if they have another; with space for one.
    private let resizing: (resize: BilinearResize, image: UnsafeMutablePointer<UInt8>, workspace: UnsafeMutablePointer<UInt8>)?
    /// [columns, size]
    private let staging: UnsafeMutablePointer<Float>
    /// Where in this rank's memory the image of each column is, in step `located`.
    private let places: UnsafeMutablePointer<UInt32>
    private var located = -1

    init(_ configuration: Configuration, dataset: Dataset, layout: ShardLayout, rank: Int, kernels: Kernels, arena: Arena) {
        self.dataset = dataset
        self.kernels = kernels
        seed = configuration.seed
        size = configuration.pixelCount
        let own = layout.shards(of: rank)
        let firstRow = layout.rows(of: own, batch: configuration.batchSize).lowerBound
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
        let side = configuration.imageSize
        if side == Configuration.dataSide {
            resizing = nil
        } else {
            let resize = BilinearResize(from: (Configuration.dataSide, Configuration.dataSide), to: (side, side))
            resizing = (resize, .allocate(capacity: size), .allocate(capacity: resize.workspaceCount))
        }
        staging = arena.floats(columns.paddedToVectors * size)
        places = .allocate(capacity: columns)
    }

    deinit {
        for shard in shards { shard.permutation.deallocate() }
        places.deallocate()
        resizing?.image.deallocate()
        resizing?.workspace.deallocate()
    }

    /// Writes this rank's images of step `step` (from 0) to the first columns of x [size, stride], pixels in [−1, 1].
    func gather(step: Int, into x: Matrix) {
        locate(step)
        func image(_ column: Int) -> UnsafePointer<UInt8> {
            UnsafePointer(dataset.pixels) + Int(places[column]) * Configuration.dataSize
        }
        for column in 0..<columns {
            let next = image(min(column + 1, columns - 1))
            if let resizing {
                resizing.resize(image(column), into: resizing.image, workspace: resizing.workspace)
                kernels.normalizeBytes(resizing.image, staging + column * size, size, next)
            } else {
                kernels.normalizeBytes(image(column), staging + column * size, size, next)
            }
        }
        kernels.transpose(staging, size, columns, size, x.base, x.stride)
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
                    fillPermutation(shard.permutation, shard: shard.number, number: number, seed: seed, kernels: kernels)
                }
                places[shard.column + row] = UInt32(shard.start) + shard.permutation[position % shard.count]
            }
        }
    }
}
