import Foundation
import MessagePassing
import Testing

/// Runs `body` as every rank of pretended hosts of these sizes, each rank a thread.
///
/// - Returns: what each rank returned, by rank.
/// - Throws: the error of the lowest rank that threw, or `Hang`, which names the ranks that did not end in time.
@discardableResult
func onRanks<Value: Sendable>(
    hosts hostSizes: [Int], within seconds: Double = 60, _ body: @escaping @Sendable (ThreadCommunicator) throws -> Value
) throws -> [Value] {
    try outcomes(hosts: hostSizes, within: seconds, body).map { try $0.get() }
}

/// The same, with what each rank threw.
func outcomes<Value: Sendable>(
    hosts hostSizes: [Int], within seconds: Double = 60, _ body: @escaping @Sendable (ThreadCommunicator) throws -> Value
) throws -> [Result<Value, any Error>] {
    let group = ThreadCommunicator.group(hostSizes: hostSizes)
    let board = Board<Result<Value, any Error>>(count: group.count)
    for communicator in group {
        // Each communicator belongs to its thread alone from here on.
        nonisolated(unsafe) let communicator = communicator
        let thread = Thread { board.fill(communicator.rank, Result { try body(communicator) }) }
        thread.stackSize = 1 << 22
        thread.start()
    }
    return try board.wait(seconds: seconds)
}

/// Ranks that did not end in time.
struct Hang: Error, CustomStringConvertible {
    let ranks: [Int]
    var description: String { "after the time limit these ranks still ran: \(ranks)" }
}

/// One place for each rank's outcome.
private final class Board<Value: Sendable>: @unchecked Sendable {
    private let condition = NSCondition()
    private var values: [Value?]

    init(count: Int) { values = Array(repeating: nil, count: count) }

    func fill(_ index: Int, _ value: Value) {
        condition.withLock {
            values[index] = value
            condition.broadcast()
        }
    }

    func wait(seconds: Double) throws -> [Value] {
        let deadline = Date(timeIntervalSinceNow: seconds)
        return try condition.withLock {
            while values.contains(where: { $0 == nil }), condition.wait(until: deadline) {}
            let complete = values.compactMap { $0 }
            if complete.count < values.count { throw Hang(ranks: values.indices.filter { values[$0] == nil }) }
            return complete
        }
    }
}

extension ThreadCommunicator {
    /// Waits for other ranks no longer than a test may take.
    func world(limit: Double = 30) throws -> World { try World(self, limit: limit) }
}
