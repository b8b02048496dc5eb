import Formats
import Foundation
import MessagePassing
import Testing

@testable import GAN

/// What TensorBoard is told of a run. Whether its own reader understands it is shown by Tests/Launch/test_tensorboard.py.
@Suite(.timeLimit(.minutes(15))) struct TensorBoardTests {
    /// Messages of the newest file of events in a run's folder, without their times.
    private func events(of run: TrainedRun) throws -> [[UInt8]] {
        let name = try #require(try run.names.last(where: { $0.contains(".tfevents.") }))
        var rest = try run.bytes(name)[...]
        var messages: [[UInt8]] = []
        while !rest.isEmpty {
            let count = rest.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
            let message = rest.dropFirst(12).prefix(count)
            #expect(message.first == 0x09)  // field 1, a double
            messages.append(Array(message.dropFirst(9)))
            rest = rest.dropFirst(16 + count)
        }
        return messages
    }

    private func with(_ isOn: Bool) -> RunOptions {
        var options = RunOptions()
        options.writesTensorBoard = isOn
        return options
    }

    private func tell(_ messages: [[UInt8]], _ text: String) -> [[UInt8]] {
        messages.filter { Data($0).range(of: Data(text.utf8)) != nil }
    }

    /// The same pictures, weights and gradients at any number of ranks, and the weights of a run that writes nothing.
    @Test(arguments: [[2], [3], [2, 1], [1, 1, 1, 1]])
    func whatIsShownDoesNotDependOnTheRanks(hosts: [Int]) throws {
        let folder = try TemporaryFolder()
        let data = try folder.writeImages(37)
        let request = try smallModel(["batch_size": 10, "steps": 4, "sample_interval": 2])
        func hashes(_ run: TrainedRun) throws -> [String] { try run.stats().compactMap { $0["weights_sha256"] as? String } }
        let plain = try trainedRun(request, data: data, outdir: folder.file("plain"))
        let alone = try trainedRun(request, data: data, outdir: folder.file("alone"), options: with(true))
        let many = try trainedRun(request, data: data, outdir: folder.file("many"), hosts: hosts, options: with(true))
        #expect(try hashes(plain).count == 4)
        #expect(try hashes(alone) == hashes(plain) && hashes(many) == hashes(plain))
        #expect(try plain.names.allSatisfy { !$0.contains("tfevents") })
        let (first, second) = (try events(of: alone), try events(of: many))
        #expect(first.count == second.count)
        for (text, count) in [("weights/generator.main.0.weight", 3), ("gradients/discriminator.main.3.bias", 2), ("pictures/fakes", 3)] {
            #expect(tell(first, text).count == count, "\(text)")
            #expect(tell(first, text) == tell(second, text), "\(text)")
        }
        #expect(tell(first, "training/loss_g").count == 4)
        #expect(tell(first, "waiting_seconds/max").count == 4)
    }

    /// Whoever cannot write says so once, and goes on.
    @Test func diskIsFull() throws {
        let folder = try TemporaryFolder()
        var configuration = try smallModel().fresh()
        configuration.batchSize = 8
        let world = try World(SoloCommunicator(), limit: 0)
        let layout = ShardLayout(shards: configuration.shards, ranks: 1)
        let game = try configuration.makeGame(
            RunData(synthetic: 16, for: configuration), layout: layout, world: world, kernels: .fastest, reduction: .tree)
        let path = folder.file("log.txt")
        let log = Log(file: try AppendedFile(path), isQuiet: true)
        let descriptor = open("/dev/full", O_WRONLY)
        try #require(descriptor >= 0)
        let tensorBoard = TensorBoard(game, file: TensorBoardFile(path: "/dev/full", descriptor: descriptor, isFirst: true), log: log)
        for done in 1...3 {
            tensorBoard.write(line: "{\"step\": \(done), \"loss_d\": 0.5}", after: done, training: ["loss_d"], measures: [])
            tensorBoard.keepGradients()
            try tensorBoard.look(after: done, pictures: nil)
        }
        let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
        #expect(lines.count == 1)
        #expect(lines.first?.hasPrefix("Warning: /dev/full: write failed: No space left on device") == true)
    }
}
