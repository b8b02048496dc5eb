/// Where a rank's time goes: laps of the training step, one after the other without gaps, added up by part.
///
/// With a capacity the newest laps are kept one by one as well, for a trace. Nothing is allocated after `init`.
public final class Stopwatch {
    /// What a lap was spent on.
    public enum Part: Int, CaseIterable, Sendable, CustomStringConvertible {
        case data, noise, forward, loss, backward, weightGradients, optimiser
        /// For ranks that were not yet there, before a reduction could begin.
        case waiting
        /// In a reduction once every rank of this host had come: adding, sending, and waiting for parameters.
        case communication
        /// Between steps: logs, samples, checkpoints.
        case other

        public var description: String {
            switch self {
            case .data: "data"
            case .noise: "noise"
            case .forward: "forward"
            case .loss: "loss"
            case .backward: "backward"
            case .weightGradients: "weight gradients"
            case .optimiser: "optimiser"
            case .waiting: "waiting"
            case .communication: "communication"
            case .other: "other"
            }
        }
    }

    /// A lap, or a reduction under way beside them (`part` nil), from `start` to `end` in seconds of `monotonicSeconds`.
    public struct Event: Sendable {
        public var part: Part?
        public var start, end: Double
    }

    private let totals: UnsafeMutablePointer<Double>
    private let ring: UnsafeMutableBufferPointer<Event>
    private var recorded = 0
    private var last = monotonicSeconds()

    /// - Parameter capacity: laps that are kept for `events`.
    public init(capacity: Int = 0) {
        totals = .allocate(capacity: Part.allCases.count)
        totals.initialize(repeating: 0, count: Part.allCases.count)
        ring = .allocate(capacity: capacity)
        ring.initialize(repeating: Event(part: nil, start: 0, end: 0))
    }

    deinit {
        totals.deallocate()
        ring.deallocate()
    }

    /// Ends a lap that began when the one before it ended.
    public func lap(_ part: Part) { lap(part, until: monotonicSeconds()) }

    /// Ends a lap of two parts that alternated; the first took so many seconds of it.
    func lap(_ part: Part, seconds: Double, rest: Part) {
        let now = monotonicSeconds()
        lap(part, until: min(last + seconds, now))
        lap(rest, until: now)
    }

    private func lap(_ part: Part, until end: Double) {
        totals[part.rawValue] += end - last
        record(Event(part: part, start: last, end: end))
        last = end
    }

    /// Seconds since the start that reductions were under way behind other work, and that they took with nothing else to do
    /// and all ranks there.
    public private(set) var hiddenReduction = 0.0
    public private(set) var exposedReduction = 0.0

    /// Notes a reduction that was under way from `start` until now: behind other work until `awaited`, and from then on for
    /// so many seconds at work itself.
    func noteReduction(since start: Double, awaited: Double, seconds: Double) {
        hiddenReduction += awaited - start
        exposedReduction += seconds
        record(Event(part: nil, start: start, end: monotonicSeconds()))
    }

    private func record(_ event: Event) {
        guard ring.count > 0 else { return }
        ring[recorded % ring.count] = event
        recorded += 1
    }

    /// Seconds spent on a part since the start.
    public func seconds(_ part: Part) -> Double { totals[part.rawValue] }

    /// The newest events, in the order of their ends.
    public var events: [Event] {
        let kept = min(recorded, ring.count)
        return (recorded - kept..<recorded).map { ring[$0 % ring.count] }
    }
}
