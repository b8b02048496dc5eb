/// Collective operations for set-up, checkpoints and agreement, made of the communicator's messages. They are rare;
/// the reduction of gradients is in `Reducer`.
extension World {
    /// Copies `bytes` of rank `root` to all ranks.
    public func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws {
        if communicator.rank == root {
            for other in 0..<communicator.size where other != root {
                try send(UnsafeRawBufferPointer(bytes), to: other, tag: .collective)
            }
        } else {
            try receive(bytes, from: root, tag: .collective)
        }
    }

    /// Every rank's bytes, by rank: collected on rank 0, then handed to all.
    public func allGather(_ bytes: [UInt8]) throws -> [[UInt8]] {
        let size = communicator.size
        guard size > 1 else { return [bytes] }
        var counts = [Int64](repeating: 0, count: size)
        var all: [UInt8] = []
        counts[communicator.rank] = Int64(bytes.count)
        if communicator.rank == 0 {
            all = bytes
            for other in 1..<size {
                try withUnsafeMutableBytes(of: &counts[other]) { try receive($0, from: other, tag: .collective) }
                var message = [UInt8](repeating: 0, count: Int(counts[other]))
                try message.withUnsafeMutableBytes { try receive($0, from: other, tag: .collective) }
                all += message
            }
        } else {
            try withUnsafeBytes(of: Int64(bytes.count)) { try send($0, to: 0, tag: .collective) }
            try bytes.withUnsafeBytes { try send($0, to: 0, tag: .collective) }
        }
        try counts.withUnsafeMutableBytes { try broadcast($0, from: 0) }
        if communicator.rank != 0 { all = [UInt8](repeating: 0, count: Int(counts.reduce(0, +))) }
        try all.withUnsafeMutableBytes { try broadcast($0, from: 0) }
        var start = 0
        return counts.map { count in
            defer { start += Int(count) }
            return Array(all[start..<start + Int(count)])
        }
    }

    /// Runs `body` on every rank. If it fails anywhere, all ranks throw the failure of the lowest such rank.
    public func agree<Result>(_ body: () throws -> Result) throws -> Result {
        var result: Result?
        var failure: Failure?
        do {
            result = try body()
        } catch {
            failure = error as? Failure ?? Failure(.internalError, "\(error)")
        }
        var report: [UInt8] = []
        if let failure {
            report = withUnsafeBytes(of: failure.code.rawValue.littleEndian) { Array($0) } + Array(failure.description.utf8)
        }
        for (rank, report) in try allGather(report).enumerated() where report.count >= 4 {
            let raw = report.prefix(4).reversed().reduce(Int32(0)) { $0 << 8 | Int32($1) }
            let text = String(decoding: report.dropFirst(4), as: UTF8.self)
            let place = communicator.size > 1 && rank > 0 ? "rank \(rank): " : ""
            throw Failure(ExitCode(rawValue: raw) ?? .internalError, place + text, isShared: true)
        }
        guard let result else { throw Failure(.internalError, "a rank failed without a report") }
        return result
    }

    /// Compares what every rank holds with what rank 0 does.
    /// - Throws on all ranks: a failure that names the ranks that differ.
    public func compare(_ what: String, _ value: String, _ code: ExitCode) throws {
        let all = try allGather(Array(value.utf8))
        let different = all.indices.filter { all[$0] != all[0] }
        guard let first = different.first else { return }
        let ranks = different.map { "\($0)" }.joined(separator: ", ")
        throw Failure(
            code,
            "the \(what) of rank \(ranks) differs from that of rank 0: \(String(decoding: all[first], as: UTF8.self)), expected "
                + "\(String(decoding: all[0], as: UTF8.self)); start every rank with the same program, options and data "
                + "(rank \(first) is on \(places[first]))",
            isShared: true)
    }
}
