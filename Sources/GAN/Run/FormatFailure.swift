import Formats
import MessagePassing

extension Failure {
    init(_ error: FormatError) {
        let code: ExitCode =
            switch error.kind {
            case .missing: .missingInput
            case .invalid: .badData
            case .io: .inputOutput
            }
        self.init(code, error.description)
    }
}

/// Runs `body`; an error of a file becomes a failure with its exit code.
@discardableResult
func withFiles<Result>(_ body: () throws -> Result) throws -> Result {
    do {
        return try body()
    } catch let error as FormatError {
        throw Failure(error)
    }
}
