import Glibc

/// What a path leads to, symbolic links followed.
public enum FileKind: Sendable {
    case file, folder
    /// A pipe, socket or device.
    case other

    /// Nil where nothing is there, or a symbolic link leads nowhere.
    /// - Throws: `FormatError` of kind `io` where the system does not tell: what cannot be seen may be there.
    public init?(path: String) throws {
        var status = stat()
        let result = try whereItExists(path, "stat") { stat(path, &status) }
        guard result != nil else { return nil }
        switch status.st_mode & S_IFMT {
        case S_IFREG: self = .file
        case S_IFDIR: self = .folder
        default: self = .other
        }
    }
}

/// The bytes of a file, symbolic links followed.
/// - Throws: `FormatError`: `missing` where there is no such file; `io`.
public func fileSize(_ path: String) throws -> Int {
    var status = stat()
    guard try whereItExists(path, "stat", { stat(path, &status) }) != nil else {
        throw FormatError(.missing, call: "stat", path: path, code: ENOENT)
    }
    return Int(status.st_size)
}

/// The names in a folder in the order of their bytes, without `.` and `..`; nil where there is no such folder.
///
/// Names that are not UTF-8 come with U+FFFD in the place of what is wrong.
/// - Throws: `FormatError` of kind `io` where the folder is there and cannot be read, or may be there.
public func folderEntries(_ path: String) throws -> [String]? {
    let descriptor = try whereItExists(path, "open") { open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
    guard let descriptor else { return nil }
    guard let folder = fdopendir(descriptor) else {
        let code = errno
        close(descriptor)
        throw FormatError(call: "opendir", path: path, code: code)
    }
    defer { closedir(folder) }
    var names: [String] = []
    while true {
        errno = 0
        guard let entry = readdir(folder) else {
            guard errno == 0 else { throw FormatError(call: "readdir", path: path, code: errno) }
            return names.filter { $0 != "." && $0 != ".." }.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        }
        names.append(withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
    }
}

/// What a folder holds, for a message: `500 .png files, 2 other files and 3 folders`.
/// - Throws: `FormatError` of kind `io` where it cannot be listed.
public func describeFolder(_ path: String) throws -> String {
    let names = try folderEntries(path) ?? []
    var folders = 0
    var files: [String: Int] = [:]
    for (index, name) in names.enumerated() {
        let suffix = name.lastIndex(of: ".").map { name[$0...] } ?? ""
        // Asking for each of a million names would take long: the others count as files.
        if index < 1000, let kind = try? FileKind(path: "\(path)/\(name)"), kind == .folder {
            folders += 1
        } else {
            files[suffix.count < name.count && (2...8).contains(suffix.count) ? suffix.lowercased() : "", default: 0] += 1
        }
    }
    let sorted = files.filter { $0.key != "" }.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
    let others = sorted.dropFirst(3).reduce(files["", default: 0]) { $0 + $1.value }
    var parts = sorted.prefix(3).map { "\($0.value) \($0.key.excerpt.dropFirst().dropLast()) file\($0.value == 1 ? "" : "s")" }
    if others > 0 { parts.append("\(others) \(parts.isEmpty ? "" : "other ")file\(others == 1 ? "" : "s")") }
    if folders > 0 { parts.append("\(folders) folder\(folders == 1 ? "" : "s")") }
    guard let last = parts.popLast() else { return "nothing" }
    return parts.isEmpty ? last : parts.joined(separator: ", ") + " and " + last
}

/// All bytes of a file.
/// - Parameters:
///   - limit: the most bytes that make sense; the file is refused where it has more, and no more are ever held.
///   - allowsPipes: whether a pipe or device is read to its end too, rather than refused.
/// - Throws: `FormatError`: `missing` where there is no such file; `invalid` where it is a folder or larger than the
///   limit; `io` where it cannot be read.
public func fileContents(_ path: String, limit: Int, allowsPipes: Bool = false) throws -> [UInt8] {
    let file = try InputFile(path: path, allowsPipes: allowsPipes)
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = try piece.withUnsafeMutableBytes { try file.read(into: $0, at: bytes.count) }
        if count == 0 { return bytes }
        guard bytes.count + count <= limit else {
            throw FormatError(.invalid, path: path, "expected at most \(limit) bytes, the file has more; is it the right one?")
        }
        bytes += piece[..<count]
    }
}

/// What a system call returns, or nil where the path leads to nothing.
private func whereItExists(_ path: String, _ name: String, _ call: () -> Int32) throws -> Int32? {
    do {
        return try systemCall(name, path: path, call)
    } catch let error as FormatError where error.code == ENOENT || error.code == ENOTDIR {
        return nil
    }
}
