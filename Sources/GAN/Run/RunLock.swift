import Foundation
import MessagePassing

/// The lock on a run directory that makes it have one writer: the file `lock`, which also tells who that is.
///
/// It is a lock of the system on an open file, so that it ends with the process that holds it, however that ends. On file
/// systems that hosts share it holds between hosts, as far as they lock at all.
final class RunLock {
    /// Why the file system cannot lock, where it cannot: nothing then keeps a second writer out.
    let weakness: String?
    private let descriptor: Int32

    /// Takes the lock.
    /// - Throws: `stopped` where another process holds it, telling which; an I/O failure.
    init(on folder: String) throws {
        let path = "\(folder)/lock"
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0o666)
        guard descriptor >= 0 else {
            throw Failure(.inputOutput, "\(path) cannot be opened: \(String(cString: strerror(errno)))")
        }
        var result: Int32
        var attempts = 0
        repeat {
            // Whoever lists runs holds it for a moment.
            if attempts > 0 { usleep(10_000) }
            attempts += 1
            result = flock(descriptor, LOCK_EX | LOCK_NB)
        } while result != 0 && (errno == EINTR || errno == EWOULDBLOCK && attempts < 5)
        if result != 0, errno == EWOULDBLOCK {
            let holder = RunLock.holder(descriptor)
            close(descriptor)
            throw Failure(
                .stopped,
                "\(folder) is being written by another run (\(holder)), and has one writer. Wait for its end, or stop it by "
                    + "SIGUSR1, then try again")
        }
        weakness = result == 0 ? nil : String(cString: strerror(errno))
    }

    /// Notes for people who holds it, once the run is sure to begin; the lock itself does not depend on it.
    func sign() {
        ftruncate(descriptor, 0)
        _ = StandardOutput.write("\(hostName()), process \(getpid()), since \(Date().rfc3339)\n", to: descriptor)
    }

    deinit { close(descriptor) }

    private static func holder(_ descriptor: Int32) -> String {
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        let text = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        return text.isEmpty ? "it has not said who it is" : text
    }
}

extension Date {
    /// `2026-11-28T17:04:20Z` (RFC 3339). Foundation would load its tables of time zones for it.
    var rfc3339: String {
        var seconds = time_t(timeIntervalSince1970.rounded(.down))
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func digits(_ number: Int32) -> String { Int(number).padded(to: 2) }
        return "\(digits(parts.tm_year + 1900))-\(digits(parts.tm_mon + 1))-\(digits(parts.tm_mday))"
            + "T\(digits(parts.tm_hour)):\(digits(parts.tm_min)):\(digits(parts.tm_sec))Z"
    }
}
