import Glibc

/// Writes a file that appears under its name only when it is complete and on disk.
///
/// The bytes go to `<path>.partial-<16 hexadecimal digits>`; `commit()` gives them the name, replacing what was
/// there. Without it, or after an error, the temporary file is removed and what was there stays as it was. Only a
/// killed process leaves a `.partial-` file behind.
///
/// Every method throws `FormatError` of kind `io` that names the path and what the system says; the file is then of no
/// further use.
public final class AtomicFile {
    public let path: String
    /// Bytes appended so far.
    public private(set) var count = 0
    private let temporaryPath: String
    /// Nil once committed or failed.
    private var descriptor: Int32?

    public convenience init(path: String) throws {
        try refuseOtherThings(path)
        let temporaryPath = "\(path).partial-\((0..<8).map { _ in UInt8.random(in: 0...255) }.hexadecimal)"
        self.init(path: path, temporaryPath: temporaryPath, descriptor: try create(temporaryPath, for: path))
    }

    /// Takes over `descriptor`, open for writing.
    package init(path: String, temporaryPath: String, descriptor: Int32) {
        self.path = path
        self.temporaryPath = temporaryPath
        self.descriptor = descriptor
    }

    deinit { discard() }

    /// Writes a whole file; see `commit(isDurable:)` for what it returns.
    @discardableResult
    public static func write(path: String, bytes: some Sequence<UInt8>, isDurable: Bool = true) throws -> String? {
        let file = try AtomicFile(path: path)
        try Array(bytes).withUnsafeBytes { try file.append($0) }
        return try file.commit(isDurable: isDurable)
    }

    /// The file that a writer was at when it was killed, by the name of what it left; nil for any other name.
    public static func target(ofPartial name: String) -> String? {
        name.wholeMatch(of: /(.+)\.partial-[0-9a-f]{16}/).map { String($0.1) }
    }

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
    ///
    /// - Parameter isDurable: whether the disk is waited for. Without, readers still see the old file or the new one, but
    ///   it may be lost with the power.
    /// - Returns: Nil where all of it is on disk. Where the file system cannot synchronize files or folders, it is used
    ///   as it is, and what it said is returned: the file is complete under its name, and may be lost with the power.
    @discardableResult
    public func commit(isDurable: Bool = true) throws -> String? {
        var remark = isDurable ? try remarkOfAttempt("fsync", unsupported: isUnsupported) { fsync($0) } : nil
        try closeFile()
        do {
            try systemCall("rename", path: path) { rename(temporaryPath, path) }
        } catch {
            unlink(temporaryPath)
            throw error
        }
        if isDurable { remark = try synchronizeFolder() ?? remark }
        return remark
    }

    private func synchronizeFolder() throws -> String? {
        let folder = folder(of: path)
        do {
            let descriptor = try systemCall("open", path: folder) { open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
            defer { close(descriptor) }
            try systemCall("fsync", path: folder) { fsync(descriptor) }
            return nil
        } catch let error as FormatError where isUnsupportedForFolders(error.code) {
            return "\(folder): fsync: \(reason(error.code))"
        }
    }

    /// A network file system may only tell here that it could not store everything.
    private func closeFile() throws {
        guard let descriptor = descriptor.take(), close(descriptor) != 0, errno != EINTR else { return }
        let code = errno
        unlink(temporaryPath)
        throw FormatError(call: "close", path: path, code: code)
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

    /// What the system says where it does not support the call.
    private func remarkOfAttempt(
        _ call: String, unsupported: (Int32) -> Bool, _ body: (Int32) -> Int32
    ) throws -> String? {
        var remark: String?
        try attempt(call) { descriptor in
            let result = body(descriptor)
            let code = errno
            guard result == -1, unsupported(code) else { return result }
            remark = "\(path): \(call): \(reason(code))"
            return 0
        }
        return remark
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

/// The answers of file systems without `fsync`: that of Linux (EINVAL), of network and user-space file systems
/// (EOPNOTSUPP; ENOTSUPP, 524, which the kernel's NFS lets slip; ENOTTY), and of emulated kernels (ENOSYS). None of
/// them says that data were lost, as EIO, ENOSPC, EDQUOT, EROFS and ESTALE do.
private func isUnsupported(_ code: Int32) -> Bool { [EINVAL, EOPNOTSUPP, 524, ENOTTY, ENOSYS].contains(code) }

/// Folders may also be refused because they cannot be opened like files (EISDIR), because the descriptor is not open
/// for writing (EBADF), or because the folder may be written and not read (EACCES, EPERM).
private func isUnsupportedForFolders(_ code: Int32) -> Bool {
    isUnsupported(code) || [EISDIR, EBADF, EACCES, EPERM].contains(code)
}

/// The folder that a path's last name lies in.
private func folder(of path: String) -> String { path.lastIndex(of: "/").map { String(path[...$0]) } ?? "." }

private func refuseOtherThings(_ path: String) throws {
    func refuse(_ message: String) -> FormatError { FormatError(.io, path: path, message) }
    if path.isEmpty { throw refuse("expected the name of a file, found an empty one") }
    if path.hasSuffix("/") || isKind(.folder, path) { throw refuse("this is a folder; name a file in it") }
    // The file would take the place of the device for everyone.
    if folder(of: path) == "/dev/" || isKind(.other, path) { throw refuse("this is a pipe or device; name a file") }
}

/// Whether a path leads to what is expected; not where the system does not tell.
private func isKind(_ expected: FileKind?, _ path: String) -> Bool {
    do { return try FileKind(path: path) == expected } catch { return false }
}

private func create(_ temporaryPath: String, for path: String) throws -> Int32 {
    do {
        return try systemCall("create", path: path) {
            open(temporaryPath, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        }
    } catch let error as FormatError {
        throw whyNotCreated(error)
    }
}

/// An error of creating a file, told by its folder where that is to blame.
private func whyNotCreated(_ error: FormatError) -> FormatError {
    func failure(_ message: String) -> FormatError {
        FormatError(.io, path: error.path, code: error.code, "cannot be created: \(message)")
    }
    let folder = folder(of: error.path)
    let name = folder.count > 1 && folder.hasSuffix("/") ? String(folder.dropLast()) : folder
    switch error.code {
    case ENOENT where isKind(nil, folder): return failure("the folder \(name) does not exist; make it first")
    case ENOTDIR: return failure("\(name) is not a folder")
    case EACCES, EPERM, EROFS:
        let place = name == "." ? "the current folder" : "the folder \(name)"
        return failure("\(reason(error.code)) in \(place); choose another")
    default: return error
    }
}
