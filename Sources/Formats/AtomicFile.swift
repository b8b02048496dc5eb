import Glibc

/// Writes a file that appears under its name only when it is complete and on disk.
///
/// The bytes go to `<path>.partial-<16 hexadecimal digits>`; `commit()` gives them the name, replacing what was
/// there. Without it, or after an error, the temporary file is removed and what was there stays as it was. Only a
/// killed process leaves a `.partial-` file behind.
///
/// Every method throws `FormatError` of kind `io` that names the system call; the file is then of no further use.
public final class AtomicFile {
    public let path: String
    /// Bytes appended so far.
    public private(set) var count = 0
    private let temporaryPath: String
    /// Nil once committed or failed.
    private var descriptor: Int32?

    public convenience init(path: String) throws {
        let temporaryPath = "\(path).partial-\((0..<8).map { _ in UInt8.random(in: 0...255) }.hexadecimal)"
        let descriptor = try systemCall("create", path: temporaryPath) {
            open(temporaryPath, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        }
        self.init(path: path, temporaryPath: temporaryPath, descriptor: descriptor)
    }

    /// Takes over `descriptor`, open for writing.
    package init(path: String, temporaryPath: String, descriptor: Int32) {
        self.path = path
        self.temporaryPath = temporaryPath
        self.descriptor = descriptor
    }

    deinit { discard() }

    /// - Precondition: Neither committed nor failed, here and below.
    public func append(_ bytes: UnsafeRawBufferPointer) throws {
        try write(bytes, call: "write") { Glibc.write($0, $1.baseAddress, $1.count) }
        count += bytes.count
    }

    /// Replaces bytes already appended.
    /// - Precondition: `offset ..< offset + bytes.count` lies within them.
    public func overwrite(at offset: Int, _ bytes: UnsafeRawBufferPointer) throws {
        precondition(offset >= 0 && offset <= count - bytes.count, "\(bytes.count) bytes at \(offset) of \(count)")
        var position = offset
        try write(bytes, call: "pwrite") { descriptor, rest in
            let written = pwrite(descriptor, rest.baseAddress, rest.count, position)
            position += max(written, 0)
            return written
        }
    }

    /// Brings the bytes to disk, gives the file its name, and brings that to disk.
    public func commit() throws {
        try attempt("fsync") { fsync($0) }
        try attempt("rename") { _ in rename(temporaryPath, path) }
        if let descriptor = descriptor.take() { close(descriptor) }
        try synchronizeFolder()
    }

    private func synchronizeFolder() throws {
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        let descriptor = try systemCall("open", path: folder) { open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        defer { close(descriptor) }
        // EINVAL: a file system that cannot synchronize folders.
        if fsync(descriptor) != 0, errno != EINVAL { throw FormatError(call: "fsync", path: folder, code: errno) }
    }

    private func write(
        _ bytes: UnsafeRawBufferPointer, call: String, _ body: (Int32, UnsafeRawBufferPointer) -> Int
    ) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let written = try attempt(call) { body($0, UnsafeRawBufferPointer(rebasing: rest)) }
            rest = rest.dropFirst(written)
        }
    }

    @discardableResult
    private func attempt<Value: SignedInteger>(_ call: String, _ body: (Int32) -> Value) throws -> Value {
        guard let descriptor else { preconditionFailure("\(path) is committed or has failed") }
        do {
            return try systemCall(call, path: path) { body(descriptor) }
        } catch {
            discard()
            throw error
        }
    }

    private func discard() {
        guard let descriptor = descriptor.take() else { return }
        close(descriptor)
        unlink(temporaryPath)
    }
}
