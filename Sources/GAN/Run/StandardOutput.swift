import Foundation
import MessagePassing

/// The three descriptors that every process begins with, and what is written to them.
public enum StandardOutput {
    /// Makes sure that descriptors 0, 1 and 2 are open: a file opened later would get the number of one that is closed,
    /// and take what is meant for the terminal. Output that was closed stays so: writing to it fails with EBADF.
    public static func openMissing() {
        var descriptor: Int32 = 0
        while (0...STDERR_FILENO).contains(descriptor) { descriptor = open("/dev/null", O_RDONLY) }
        if descriptor > STDERR_FILENO { close(descriptor) }
    }

    /// Prints what a command was asked for.
    /// - Throws: an I/O failure where it cannot be written: the result is lost.
    public static func printResult(_ text: String) throws {
        let code = write(text + "\n", to: STDOUT_FILENO)
        guard code == 0 else {
            throw Failure(.inputOutput, "standard output cannot be written: \(String(cString: strerror(code)))")
        }
    }

    /// Prints a message on standard error. Where nobody reads, there is nobody to tell.
    public static func printMessage(_ text: String) { _ = write(text + "\n", to: STDERR_FILENO) }

    /// Writes the whole text, and waits for a slow reader.
    /// - Returns: 0, or the system's error number.
    static func write(_ text: String, to descriptor: Int32) -> Int32 {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if written >= 0 {
                bytes = bytes.dropFirst(written)
            } else if errno == EAGAIN {
                // A launcher may share a terminal that another program has made non-blocking.
                var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&entry, 1, 1_000)
            } else if errno != EINTR {
                return errno
            }
        }
        return 0
    }
}
