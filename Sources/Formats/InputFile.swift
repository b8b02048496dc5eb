import Glibc

/// A regular file open for reading at any offset, closed when dropped.
final class InputFile: Sendable {
    let path: String
    /// Bytes of the file when it was opened.
    let size: Int
    private let descriptor: Int32

    /// - Throws: `FormatError`: `missing` where there is no such file, `invalid` where it is a folder, pipe or
    ///   device, `io` where it cannot be opened.
    init(path: String) throws {
        // Without O_NONBLOCK opening a pipe would wait for its writer.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            let code = errno
            throw FormatError(code == ENOENT || code == ENOTDIR ? .missing : .io, call: "open", path: path, code: code)
        }
        var status = stat()
        let result = fstat(descriptor, &status)
        let code = errno
        self.path = path
        self.descriptor = descriptor
        size = Int(status.st_size)
        guard result == 0 else { throw FormatError(call: "fstat", path: path, code: code) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw FormatError(.invalid, path: path, "expected a regular file, found a folder, pipe or device")
        }
    }

    deinit { close(descriptor) }

    /// Reads at most `buffer.count` bytes; 0 only at the end of the file or for an empty buffer.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws -> Int {
        try systemCall("read", path: path) { pread(descriptor, buffer.baseAddress, buffer.count, offset) }
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
