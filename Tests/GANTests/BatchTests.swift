import Foundation
import MessagePassing
import Networks
import Testing

@testable import GAN

/// Which images make up the batches, from the dumps of runs over images that tell their number.
@Suite(.timeLimit(.minutes(15))) struct BatchTests {
    /// The numbers of the images of each step, row by row.
    private func batches(images: Int, batch: Int, steps: Int, hosts: [Int]? = nil, seed: Int = 5) throws -> [[Int]] {
        let folder = try TemporaryFolder()
        let run = try trainedRun(
            try smallModel(["batch_size": batch, "steps": steps, "seed": seed]), data: try folder.writeImages(images),
            outdir: folder.file("runs"), hosts: hosts, dumpSteps: steps)
        return try (1...steps).map { step in
            let real = try run.dump(step).floats("real")
            return (0..<batch).map { imageNumber(firstPixel: real[784 * $0]) }
        }
    }

    /// Where B · V divides N every epoch holds every image exactly once, in another order each time.
    @Test func everyEpochHoldsEveryImage() throws {
        let batches = try batches(images: 96, batch: 8, steps: 36)
        var orders: Set<[Int]> = []
        for epoch in 0..<3 {
            let images = batches[12 * epoch..<12 * (epoch + 1)].flatMap(\.self)
            #expect(images.sorted() == Array(0..<96), "epoch \(epoch)")
            orders.insert(images)
        }
        #expect(orders.count == 3)
    }

    /// Otherwise each shard goes through its images again and again, each time in another order, and drops none.
    @Test(arguments: [(37, 10), (41, 9), (10, 10), (63, 4)])
    func noImageIsEverDropped(images: Int, batch: Int) throws {
        let steps = 36
        let batches = try batches(images: images, batch: batch, steps: steps)
        let layout = ShardLayout(shards: 4, ranks: 1)
        for shard in 0..<4 {
            let rows = layout.rows(of: shard, batch: batch)
            let own = Array(layout.images(of: shard, batch: batch, images: images))
            let stream = batches.flatMap { $0[rows] }
            var orders: [[Int]] = []
            for start in stride(from: 0, through: stream.count - own.count, by: own.count) {
                orders.append(Array(stream[start..<start + own.count]))
                #expect(orders[orders.count - 1].sorted() == own, "shard \(shard), permutation \(orders.count)")
            }
            #expect(Set(stream[(orders.count * own.count)...]).count == stream.count - orders.count * own.count)
            if own.count > 5 {
                #expect(Set(orders).count == orders.count, "shard \(shard) repeats an order")
                #expect(!orders.contains(own), "shard \(shard) is in the order of the file")
            }
        }
    }

    @Test(arguments: [[2], [3], [4], [2, 1], [1, 1]]) func ranksDoNotChangeTheImages(hosts: [Int]) throws {
        #expect(try batches(images: 37, batch: 10, steps: 9) == batches(images: 37, batch: 10, steps: 9, hosts: hosts))
    }

    @Test func seedChangesTheImages() throws {
        #expect(try batches(images: 37, batch: 10, steps: 3) != batches(images: 37, batch: 10, steps: 3, seed: 6))
    }

    /// The numbers of the images of each step and their labels, row by row, asked for in this order.
    private func labelled(steps: [Int], hosts: [Int], data: String) throws -> (images: [[Int]], labels: [[UInt8]]) {
        let ranks = try onRanks(hosts: hosts) { communicator in
            let configuration = try smallModel(["batch_size": 10, "seed": 5]).fresh()
            let layout = ShardLayout(shards: 4, ranks: communicator.size)
            let dataset = try Dataset(
                configuration, folder: data, layout: layout, world: communicator.world(), needsLabels: true)
            let arena = Arena()
            let batches = Batches(
                configuration, dataset: dataset, layout: layout, rank: communicator.rank, kernels: .fastest, arena: arena)
            let rows = layout.rows(of: layout.shards(of: communicator.rank), batch: 10).count
            let x = arena.matrix(features: 784, stride: rows.paddedToVectors)
            return steps.map { step in
                // Before and after the images: the order of the calls does not matter.
                var labels = [UInt8](repeating: 255, count: rows)
                if step % 2 == 0 { batches.labels(step: step, into: &labels) }
                batches.gather(step: step, into: x)
                if step % 2 == 1 { batches.labels(step: step, into: &labels) }
                return ((0..<rows).map { imageNumber(firstPixel: x.base[$0]) }, labels)
            }
        }
        return (steps.indices.map { step in ranks.flatMap { $0[step].0 } }, steps.indices.map { step in ranks.flatMap { $0[step].1 } })
    }

    /// Every image comes with its own label, whoever has it.
    @Test(arguments: [[1], [2], [3], [4], [2, 1], [1, 1]]) func labelsAreThoseOfTheImages(hosts: [Int]) throws {
        let folder = try TemporaryFolder()
        let data = try folder.writeImages(37)
        let (images, labels) = try labelled(steps: Array(0..<9), hosts: hosts, data: data)
        #expect(labels == images.map { $0.map { UInt8($0 % 10) } })
        #expect(images == (try batches(images: 37, batch: 10, steps: 9)))
        let backwards = try labelled(steps: (0..<9).reversed(), hosts: hosts, data: data)
        #expect(backwards.labels == labels.reversed())
    }
}
