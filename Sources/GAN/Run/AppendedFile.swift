import Foundation
import MessagePassing

/// A text file that grows line by line: `log.txt`, `stats.jsonl`. Every line is written at once, and an error of the
/// disk is reported.
final class AppendedFile {
    private let path: String
    private let descriptor: Int32

    /// Opens for appending, creating the file if it is missing.
    /// - Throws: an I/O failure, also where the name is that of a symbolic link, which could lead anywhere, or of a pipe.
    init(_ path: String) throws {
        self.path = path
        // Without O_NONBLOCK opening a pipe would wait for its reader.
        descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0o666)
        guard descriptor >= 0 else {
            guard errno != ELOOP else { throw notAFile("a symbolic link") }
            throw failure()
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure() }
        guard status.st_mode & S_IFMT == S_IFREG else { throw notAFile("a pipe or device") }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    func append(_ line: String) throws {
        let code = StandardOutput.write(line + "\n", to: descriptor)
        guard code == 0 else {
            errno = code
            throw failure()
        }
    }

    private func notAFile(_ found: String) -> Failure {
        Failure(.inputOutput, "\(path): a regular file is expected, found \(found); move it away, then resume with --resume latest")
    }

    private func failure() -> Failure {
        Failure(
            .inputOutput,
            "\(path) cannot be written: \(String(cString: strerror(errno))); the last checkpoint stays, resume from it with "
                + "--resume latest")
    }
}
