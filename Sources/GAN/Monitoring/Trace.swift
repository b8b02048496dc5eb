import Formats
import MessagePassing

/// A run's last steps as a Chrome trace: each rank's laps, and below them its reductions under way, all on rank 0's clock.
/// Opens in Perfetto or chrome://tracing.
///
/// Format: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU (times in microseconds).
final class Trace {
    /// Laps and reductions that each rank keeps: the last hundred steps and more.
    static let capacity = 4096

    private let path: String
    private let world: World

    /// Every rank calls it; fails where the file cannot be made, before the first step.
    init(path: String, world: World) throws {
        self.path = path
        self.world = world
        try world.agree {
            guard world.communicator.rank == 0 else { return }
            try withFiles {
                // Made and dropped again: a run that is killed leaves nothing of it behind.
                do { _ = try AtomicFile(path: path) } catch let error as FormatError { throw error.of("--trace") }
            }
        }
    }

    /// Collects all ranks' events and writes the file; every rank calls it.
    func write() throws {
        let offsets = try clockOffsets()
        let own = world.stopwatch.events.flatMap { [Double($0.part?.rawValue ?? -1), $0.start, $0.end] }
        let all = try world.allGather(own.withUnsafeBytes { Array($0) })
        try world.agree {
            guard world.communicator.rank == 0 else { return }
            var lines: [String] = []
            for (host, ranks) in world.communicator.hosts.enumerated() {
                lines.append(name("process_name", host, 0, world.places[ranks.lowerBound]))
                for rank in ranks {
                    lines.append(name("thread_name", host, 2 * rank, "rank \(rank)"))
                    lines.append(name("thread_name", host, 2 * rank + 1, "rank \(rank), reductions under way"))
                    lines += events(of: all[rank], host: host, rank: rank, offset: offsets[rank])
                }
            }
            let text = "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [\n" + lines.joined(separator: ",\n") + "\n]}\n"
            try withFiles { try AtomicFile.write(path: path, bytes: text.utf8) }
        }
    }

    private func name(_ kind: String, _ host: Int, _ thread: Int, _ text: String) -> String {
        "{\"ph\": \"M\", \"name\": \"\(kind)\", \"pid\": \(host), \"tid\": \(thread), \"args\": {\"name\": \"\(text)\"}}"
    }

    private func events(of bytes: [UInt8], host: Int, rank: Int, offset: Double) -> [String] {
        bytes.withUnsafeBytes { bytes in
            stride(from: 0, to: bytes.count, by: 24).map { at in
                let values = (0..<3).map { bytes.loadUnaligned(fromByteOffset: at + 8 * $0, as: Double.self) }
                let part = Stopwatch.Part(rawValue: Int(values[0]))
                return "{\"ph\": \"X\", \"name\": \"\(part?.description ?? "reduction")\", \"pid\": \(host), "
                    + "\"tid\": \(2 * rank + (part == nil ? 1 : 0)), \"ts\": \(((values[1] - offset) * 1e6).fixed(3)), "
                    + "\"dur\": \(((values[2] - values[1]) * 1e6).fixed(3))}"
            }
        }
    }

    /// Of each rank, by how much its clock is ahead of rank 0's: for another host the quickest of some exchanges decides,
    /// in which the answer is taken to be given half-way (Cristian 1989).
    private func clockOffsets() throws -> [Double] {
        let rank = world.communicator.rank
        return try (0..<world.communicator.size).map { other in
            guard !world.communicator.hosts[0].contains(other), rank == 0 || rank == other else { return 0 }
            var best = (roundTrip: Double.infinity, offset: 0.0)
            for _ in 0..<16 {
                var time = monotonicSeconds()
                let sent = time
                try withUnsafeMutableBytes(of: &time) { bytes in
                    if rank == other {
                        try world.receive(bytes, from: 0, tag: .collective)
                        bytes.storeBytes(of: monotonicSeconds(), as: Double.self)
                        try world.send(UnsafeRawBufferPointer(bytes), to: 0, tag: .collective)
                    } else {
                        try world.send(UnsafeRawBufferPointer(bytes), to: other, tag: .collective)
                        try world.receive(bytes, from: other, tag: .collective)
                    }
                }
                let received = monotonicSeconds()
                if received - sent < best.roundTrip { best = (received - sent, time - (sent + received) / 2) }
            }
            return best.offset
        }
    }
}
