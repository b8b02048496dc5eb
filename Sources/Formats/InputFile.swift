import Glibc

/// A file open for reading, closed when dropped.
final class InputFile: Sendable {
    let path: String
    /// Bytes of the file when it was opened.
    let size: Int
    /// Whether it can be read at any offset, and not only from first to last.
    private let isRegular: Bool
    private let descriptor: Int32

    /// - Parameter allowsPipes: whether a pipe or device may take the place of a regular file.
    /// - Throws: `FormatError`: `missing` where there is no such file, `invalid` where it is a folder, or a pipe or
    ///   device that is not allowed, `io` where it cannot be opened.
    init(path: String, allowsPipes: Bool = false) throws {
        // Without O_NONBLOCK opening a pipe would wait for its writer.
        var descriptor: Int32
        repeat {
            descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        } while descriptor < 0 && errno == EINTR
        guard descriptor >= 0 else {
            let code = errno
            throw FormatError(code == ENOENT || code == ENOTDIR ? .missing : .io, call: "open", path: path, code: code)
        }
        var status = stat()
        let result = fstat(descriptor, &status)
        let code = errno
        let type = status.st_mode & S_IFMT
        self.path = path
        self.descriptor = descriptor
        size = Int(status.st_size)
        isRegular = type == S_IFREG
        guard result == 0 else { throw FormatError(call: "fstat", path: path, code: code) }
        if isRegular { return }
        guard allowsPipes, type != S_IFDIR else {
            let found = type == S_IFDIR ? "a folder" : "a pipe or device"
            throw FormatError(.invalid, path: path, "expected a regular file, found \(found)")
        }
        guard fcntl(descriptor, F_SETFL, 0) == 0 else { throw FormatError(call: "fcntl", path: path, code: errno) }
    }

    deinit { close(descriptor) }

    /// Reads at most `buffer.count` bytes; 0 only at the end of the file or for an empty buffer.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws -> Int {
        try systemCall("read", path: path) {
            isRegular
                ? pread(descriptor, buffer.baseAddress, buffer.count, offset)
                : Glibc.read(descriptor, buffer.baseAddress, buffer.count)
        }
    }

    /// Fills the buffer.
    /// - Throws: `FormatError` of kind `invalid` where the file ends before that.
    func readFully(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws {
        var filled = 0
        while filled < buffer.count {
            let count = try read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[filled...]), at: offset + filled)
            guard count > 0 else {
                throw FormatError(
                    .invalid, path: path,
                    "expected \(size) bytes, the file now ends after \(offset + filled); is it being written?")
            }
            filled += count
        }
    }
}
