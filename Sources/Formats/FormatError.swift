import Glibc

/// What went wrong with a file: one message that says where, what was expected, what was found and what to do.
public struct FormatError: Error, CustomStringConvertible, Sendable {
    public enum Kind: Sendable {
        /// There is no such file.
        case missing
        /// The file is there, and its content is not what the format asks for.
        case invalid
        /// The operating system refused a call.
        case io
    }

    public let kind: Kind
    public let path: String
    /// What the operating system answered: an `errno`, or 0 where the error is none of its.
    public let code: Int32
    /// The whole message, path included.
    public let description: String

    /// - Parameter message: What was expected, what was found, and what to do; `path` is put before it.
    public init(_ kind: Kind, path: String, code: Int32 = 0, _ message: String) {
        self.kind = kind
        self.path = path
        self.code = code
        // A name may hold what a terminal obeys.
        let isPlain = !path.isEmpty && path.unicodeScalars.allSatisfy { $0.value >= 32 && $0.value != 127 }
        description = "\(isPlain ? path : path.debugDescription): \(message)"
    }

    /// The same of a path that an option gave.
    public func of(_ option: String) -> FormatError { FormatError(self, "\(option) \(description)") }

    private init(_ error: FormatError, _ description: String) {
        (kind, path, code) = (error.kind, error.path, error.code)
        self.description = description
    }

    /// The error of a system call that failed with `code`.
    init(_ kind: Kind = .io, call: String, path: String, code: Int32) {
        let advice = advice(code).map { "; \($0)" } ?? ""
        self.init(kind, path: path, code: code, "\(call) failed: \(reason(code))\(advice)")
    }
}

extension String {
    /// In quotation marks, for a message: what a file holds may be long, or control a terminal.
    var excerpt: String {
        let scalars = unicodeScalars.prefix(100)
        return String(scalars).debugDescription + (scalars.endIndex < endIndex ? "..." : "")
    }
}

/// What the system says of an `errno`.
func reason(_ code: Int32) -> String { String(cString: strerror(code)) }

private func advice(_ code: Int32) -> String? {
    switch code {
    case ENOENT, ENOTDIR: "check that the path exists"
    case EACCES, EPERM, EROFS: "check that it may be accessed"
    case ENOSPC, EDQUOT: "free some space and run again"
    default: nil
    }
}

/// Makes a system call, again for as long as a signal interrupts it.
/// - Throws: `FormatError` of kind `io` that names the call, the path and the reason, where it returns -1.
@discardableResult
func systemCall<Value: SignedInteger>(_ name: String, path: String, _ call: () -> Value) throws -> Value {
    while true {
        let result = call()
        if result != -1 { return result }
        if errno != EINTR { throw FormatError(call: name, path: path, code: errno) }
    }
}
