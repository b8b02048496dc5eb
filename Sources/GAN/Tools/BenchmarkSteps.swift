import Foundation
import Kernels
import MessagePassing
import Networks

// Whole training steps, on one rank and on several.

extension Benchmark {
    struct Steps {
        var peak = 0.0
        var peakSpread = 0.0
        var stepsPerSecond = 0.0
        var fraction = 0.0
        var parts: [(part: Stopwatch.Part, seconds: Double)] = []
        /// Bytes in memory at the process's peak so far; nil where the system does not tell.
        var memory: Int?
        /// How much longer a step takes with the configuration's logical shards than with one, as a share of that one.
        var shardsCost: Double?
    }

    /// Steps on one rank.
    func steps(seconds: Double) throws -> Steps {
        let own = try Runner(configuration, kernels: kernels)
        let window = 2e-3
        _ = peak(window)
        _ = try own.rate(window)
        let warm = own.seconds
        let warmSteps = own.steps
        var peaks: [Double] = []
        var rates: [Double] = []
        var fractions: [Double] = []
        let operations = try Double(configuration.operationsPerStep())
        let end = monotonicSeconds() + seconds
        repeat {
            let before = peak(window)
            let rate = try own.rate(window)
            peaks.append(before)
            rates.append(rate)
            fractions.append(rate * operations / ((before + peak(window)) / 2))
        } while monotonicSeconds() < end
        let sorted = peaks.sorted()
        let memory = Benchmark.peakMemory
        return Steps(
            peak: peaks.median,
            peakSpread: (sorted[sorted.count * 3 / 4] - sorted[sorted.count / 4]) / peaks.median,
            stepsPerSecond: rates.median, fraction: fractions.median,
            // On one rank nothing is waited for, and between steps the peak is measured.
            parts: Stopwatch.Part.allCases.compactMap { part in
                guard ![.waiting, .communication, .other].contains(part) else { return nil }
                return (part, (own.seconds[part.rawValue] - warm[part.rawValue]) / Double(own.steps - warmSteps))
            }, memory: memory, shardsCost: configuration.shards == 1 ? nil : try shardsCost(own, seconds: seconds / 2))
    }

    /// The most bytes of this process that were in memory at once.
    private static var peakMemory: Int? {
        guard let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") })
        else { return nil }
        return line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }.map { $0 << 10 }
    }

    /// How much longer a step takes than with one shard, both in turn, in windows long enough to warm the caches again.
    private func shardsCost(_ own: Runner, seconds: Double) throws -> Double {
        var single = configuration
        single.shards = 1
        let alone = try Runner(single, kernels: kernels)
        let window = try 10 / own.rate(1e-3)
        var costs: [Double] = []
        let end = monotonicSeconds() + seconds
        repeat {
            let before = try own.rate(window)
            costs.append(2 * (try alone.rate(window)) / (before + (try own.rate(window))) - 1)
        } while monotonicSeconds() < end
        return costs.median
    }

    /// Several ranks of this machine, as threads that share their memory as processes of a host do.
    struct Ranks {
        var count: Int
        var stepsPerSecond: Double
        /// Steps a second over those of one rank.
        var speedup: Double
        /// Seconds a step of a rank: for ranks that were not there yet, in reductions with all of them there and nothing
        /// else to do, and in reductions under way behind other work.
        var waiting, exposed, hidden: Double
    }

    func ranks(_ count: Int, seconds: Double) throws -> Ranks {
        let turns = 7
        let one = try Runner(configuration, kernels: kernels)
        let share = seconds / Double(2 * turns)
        var found: [Ranks] = []
        for _ in 0..<turns {
            let alone = try one.rate(share)
            let steps = max(10, Int(alone * share * Double(count) / 2))
            let runs = try Benchmark.onThreads(count) { [configuration, kernels] communicator in
                let runner = try Runner(configuration, kernels: kernels, communicator: communicator)
                try runner.run(steps: 5)
                let before = runner.exchange
                let start = monotonicSeconds()
                try runner.run(steps: steps)
                let exchange = zip(runner.exchange, before).map { ($0 - $1) / Double(steps) }
                return [Double(steps) / (monotonicSeconds() - start)] + exchange
            }
            func mean(_ field: Int) -> Double { runs.reduce(0) { $0 + $1[field] } / Double(count) }
            found.append(
                Ranks(
                    count: count, stepsPerSecond: mean(0), speedup: mean(0) / alone, waiting: mean(1), exposed: mean(2),
                    hidden: mean(3)))
        }
        func median(_ value: (Ranks) -> Double) -> Double { found.map(value).median }
        return Ranks(
            count: count, stepsPerSecond: median(\.stepsPerSecond), speedup: median(\.speedup), waiting: median(\.waiting),
            exposed: median(\.exposed), hidden: median(\.hidden))
    }

    /// What each rank returns, by rank; throws what the lowest rank threw.
    private static func onThreads(
        _ count: Int, _ body: @escaping @Sendable (ThreadCommunicator) throws -> [Double]
    ) throws -> [[Double]] {
        let results = Results(count: count)
        for communicator in ThreadCommunicator.group(hostSizes: [count]) {
            // Each communicator belongs to its thread alone from here on.
            nonisolated(unsafe) let communicator = communicator
            let thread = Thread {
                keepToCore(communicator.rank, of: count)
                results.set(communicator.rank, Result { try body(communicator) })
            }
            thread.stackSize = 1 << 22
            thread.start()
        }
        return try results.wait().map { try $0.get() }
    }

    /// Keeps the calling thread on one of the cores that it may use, where there is one for each of `count` threads: two
    /// on one core would tell of the scheduler alone.
    private static func keepToCore(_ number: Int, of count: Int) {
        // GNU extensions, which the module of the C library does not show.
        typealias Affinity = @convention(c) (pid_t, Int, UnsafeMutablePointer<UInt64>) -> CInt
        guard let get = dlsym(nil, "sched_getaffinity"), let set = dlsym(nil, "sched_setaffinity") else { return }
        // A bit for each of 1024 processors, as cpu_set_t has it.
        var mask = [UInt64](repeating: 0, count: 16)
        guard unsafeBitCast(get, to: Affinity.self)(0, 8 * mask.count, &mask) >= 0 else { return }
        let usable = (0..<64 * mask.count).filter { mask[$0 / 64] & (1 << UInt64($0 % 64)) != 0 }
        guard usable.count >= count else { return }
        mask = [UInt64](repeating: 0, count: mask.count)
        mask[usable[number] / 64] = 1 << UInt64(usable[number] % 64)
        _ = unsafeBitCast(set, to: Affinity.self)(0, 8 * mask.count, &mask)
    }

    private final class Results: @unchecked Sendable {
        private let condition = NSCondition()
        private var values: [Result<[Double], any Error>?]

        init(count: Int) { values = Array(repeating: nil, count: count) }

        func set(_ index: Int, _ value: Result<[Double], any Error>) {
            condition.withLock {
                values[index] = value
                condition.broadcast()
            }
        }

        func wait() -> [Result<[Double], any Error>] {
            condition.withLock {
                while values.contains(where: { $0 == nil }) { condition.wait() }
                return values.compactMap { $0 }
            }
        }
    }
}

/// Training on made-up data.
private final class Runner {
    private(set) var steps = 0
    private let game: any Game
    private let stopwatch: Stopwatch

    init(_ configuration: Configuration, kernels: Kernels, communicator: any Communicator = SoloCommunicator()) throws {
        let world = try World(communicator, limit: 0)
        stopwatch = world.stopwatch
        game = try configuration.makeGame(
            RunData(synthetic: 64 * configuration.batchSize, for: configuration),
            layout: ShardLayout(shards: configuration.shards, ranks: communicator.size), world: world, kernels: kernels,
            reduction: .tree)
        try GameState(game: game).initialise(seed: configuration.seed)
    }

    func run(steps count: Int) throws {
        for _ in 0..<count {
            try game.run(steps, requests: 0)
            steps += 1
        }
        try game.settled()
    }

    /// Steps a second, over a window of so many seconds or more.
    func rate(_ window: Double) throws -> Double {
        let start = monotonicSeconds()
        let first = steps
        repeat { try run(steps: 1) } while monotonicSeconds() - start < window
        return Double(steps - first) / (monotonicSeconds() - start)
    }

    /// Seconds spent on each part.
    var seconds: [Double] { Stopwatch.Part.allCases.map(stopwatch.seconds) }

    /// Seconds of waiting, of reductions with nothing else to do, and of reductions behind other work.
    var exchange: [Double] {
        [stopwatch.seconds(.waiting), stopwatch.exposedReduction, stopwatch.hiddenReduction]
    }
}
