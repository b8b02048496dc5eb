import CLibrary

// As much of Swift Testing as the kernels' tests use, for Embedded Swift, which it does not run on.

struct SourceLocation {}
protocol CustomTestStringConvertible { var testDescription: String { get } }

nonisolated(unsafe) let MAP_FAILED = UnsafeMutableRawPointer(bitPattern: -1)

nonisolated(unsafe) private var test = ""
nonisolated(unsafe) private var issues = 0
nonisolated(unsafe) private var (tests, cases, failures) = (0, 0, 0)

enum Issue {
    static func record(_ message: String, sourceLocation: SourceLocation = SourceLocation()) {
        issues += 1
        if issues <= 5 { print("✘ \(test): \(message)") }
    }
}

func expect(_ condition: Bool, _ message: @autoclosure () -> String = "", line: Int = #line, file: StaticString = #fileID) {
    if !condition { Issue.record("\(file):\(line): \(message())") }
}

/// A case of a test; those of a test follow one another.
func run(_ name: String, _ body: () -> Void) {
    if name != test {
        (test, tests) = (name, tests + 1)
        print("◇ \(name)")
        // A crash loses what is not written.
        _ = fflush(nil)
    }
    issues = 0
    body()
    cases += 1
    if issues > 0 { failures += 1 }
}

func finish() -> Never {
    print("\(tests) tests, \(cases) cases, \(failures) failed")
    _ = fflush(nil)
    exit(failures == 0 ? 0 : 1)
}

extension DefaultStringInterpolation {
    /// Embedded Swift describes no types but its own.
    mutating func appendInterpolation<T>(_ value: T) { appendLiteral("…") }
}
