/// Exit codes of `gan-dist`, after sysexits.h.
public enum ExitCode: Int32, Sendable {
    case usage = 64
    case badData = 65
    case missingInput = 66
    case internalError = 70
    case inputOutput = 74
    /// Stopped before the end; the newest checkpoint resumes.
    case stopped = 75
    /// Ended by SIGHUP, SIGINT, SIGTERM or SIGXCPU without a checkpoint, 128 + the signal's number.
    case hungUp = 129
    case interrupted = 130
    case terminated = 143
    case outOfTime = 152
}

/// An error that ends the run: what, where, what was expected, what was found, what to do.
public struct Failure: Error, CustomStringConvertible, Sendable {
    public let code: ExitCode
    /// Empty where another rank has said it.
    public let description: String
    /// Every rank throws this failure at the same point, so that all can end in order, and rank 0 alone reports it.
    /// Otherwise the rank that throws reports it and aborts the others.
    public let isShared: Bool

    public init(_ code: ExitCode, _ description: String, isShared: Bool = false) {
        self.code = code
        self.description = description
        self.isShared = isShared
    }
}
