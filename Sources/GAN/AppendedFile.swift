import Foundation
import MessagePassing

/// A text file that grows line by line: `log.txt`, `stats.jsonl`. Every line is written at once, and an error of the
/// disk is reported.
final class AppendedFile {
    private let path: String
    private let descriptor: Int32

    /// Opens for appending, creating the file if it is missing.
    init(_ path: String) throws {
        self.path = path
        descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw failure() }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    func append(_ line: String) throws {
        var bytes = Array((line + "\n").utf8)[...]
        while !bytes.isEmpty {
            let written = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { throw failure() }
            bytes = bytes.dropFirst(written)
        }
    }

    private func failure() -> Failure {
        Failure(
            .inputOutput,
            "\(path) cannot be written: \(String(cString: strerror(errno))); the last checkpoint stays, resume from it with "
                + "--resume latest")
    }
}
