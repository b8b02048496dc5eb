/// How often something happens: every so many steps, or epochs (`4e`), or never (0).
public enum Interval: Equatable, Sendable {
    case steps(Int)
    case epochs(Int)

    public static let never = Interval.steps(0)

    /// `400`, `4e`, `0`; nil for anything else.
    public init?(_ text: String) {
        let isEpochs = text.hasSuffix("e")
        guard let count = Int(isEpochs ? String(text.dropLast()) : text), count >= 0, count <= 1 << 40 else { return nil }
        self = isEpochs ? .epochs(count) : .steps(count)
    }

    public var description: String {
        switch self {
        case .steps(let count): "\(count)"
        case .epochs(let count): "\(count)e"
        }
    }

    public var isNever: Bool { self == .steps(0) || self == .epochs(0) }

    /// Its length in steps.
    public func steps(stepsPerEpoch: Int) -> Int {
        switch self {
        case .steps(let count): count
        case .epochs(let count): count * stepsPerEpoch
        }
    }

    /// Whether it is due after `step` steps.
    public func isDue(after step: Int, stepsPerEpoch: Int) -> Bool {
        switch self {
        case .steps(let count): count > 0 && step % count == 0
        case .epochs(let count): count > 0 && step % stepsPerEpoch == 0 && step / stepsPerEpoch % count == 0
        }
    }

    /// The same for lines of the log: as the recipes do, steps between lines are counted anew in each epoch, unless they are
    /// more than an epoch has.
    public func isLineDue(after step: Int, stepsPerEpoch: Int) -> Bool {
        guard case .steps(let count) = self, count <= stepsPerEpoch else {
            return isDue(after: step, stepsPerEpoch: stepsPerEpoch)
        }
        return isDue(after: (step - 1) % stepsPerEpoch + 1, stepsPerEpoch: stepsPerEpoch)
    }
}

extension Interval: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try (try? container.decode(Int.self)).map(String.init) ?? container.decode(String.self)
        guard let interval = Interval(text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "\"\(text)\" is not an interval; write steps (400) or epochs (\"4e\")")
        }
        self = interval
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
