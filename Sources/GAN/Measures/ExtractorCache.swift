import Formats
import Foundation
import MessagePassing

/// Where extractors and their floors are kept: `$XDG_CACHE_HOME/gan-dist`, or `~/.cache/gan-dist`.
struct ExtractorCache {
    let folder: String
    /// Why it is another place than that, where it is.
    let note: String?

    /// Makes the folder.
    /// - Throws: an I/O failure where not even a temporary one can be made.
    init() throws {
        let environment = ProcessInfo.processInfo.environment
        let wanted =
            if let cache = environment["XDG_CACHE_HOME"], cache.hasPrefix("/") {
                "\(cache)/gan-dist"
            } else {
                "\(environment["HOME"] ?? "")/.cache/gan-dist"
            }
        do {
            try makeFolders(wanted)
            guard access(wanted, W_OK | X_OK) == 0 else {
                throw Failure(.inputOutput, "\(wanted) cannot be written: \(String(cString: strerror(errno)))")
            }
            (folder, note) = (wanted, nil)
        } catch let failure as Failure {
            let temporary = "\(environment["TMPDIR"] ?? "/tmp")/gan-dist-\(geteuid())"
            // Others can make folders there too.
            var status = stat()
            let isMade = (try? makeFolders(temporary)) != nil && lstat(temporary, &status) == 0
            guard isMade, status.st_mode & S_IFMT == S_IFDIR, status.st_uid == geteuid() else {
                let fault = isMade ? "belongs to somebody else" : "cannot be made either"
                throw Failure(
                    .inputOutput, "\(failure.description); and \(temporary) \(fault); set XDG_CACHE_HOME to a folder that can be "
                        + "written")
            }
            (folder, note) = (temporary, "\(failure.description); classifiers to measure by are kept in \(temporary)")
        }
    }

    func path(_ key: String) -> String { "\(folder)/extractor-\(key).safetensors" }

    /// The extractor of that key, if there is a good one.
    func checkpoint(_ key: String) -> Checkpoint? { try? Checkpoint(path: path(key)) }

    /// Waits until no other process holds the lock of that key, and takes it.
    /// - Parameter waiting: called once, where another process holds it.
    func lock(_ key: String, waiting: () throws -> Void) throws -> CacheLock {
        try CacheLock("\(folder)/extractor-\(key).lock", waiting: waiting)
    }

    private func floorsPath(_ name: String) -> String { "\(folder)/floors-\(name).json" }

    /// Floors that were measured before.
    func floors(_ name: String) -> Floors? {
        guard let bytes = try? fileContents(floorsPath(name), limit: 1 << 20) else { return nil }
        return try? JSONDecoder().decode(Floors.self, from: Data(bytes))
    }

    func keep(_ floors: Floors, _ name: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        let text = try encoder.encode(floors)
        try withFiles { try AtomicFile.write(path: floorsPath(name), bytes: Array(text)) }
    }
}

/// A lock that ends with the process that holds it.
final class CacheLock {
    private let descriptor: Int32

    /// Waits for it. On a file system that cannot lock nothing is waited for: the worst is that two processes train the same.
    init(_ path: String, waiting: () throws -> Void) throws {
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else {
            throw Failure(.inputOutput, "\(path) cannot be opened: \(String(cString: strerror(errno)))")
        }
        var isFirst = true
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK || errno == EINTR {
            if isFirst { try waiting() }
            isFirst = false
            if let end = Signals.end(of: Signals.take()) {
                throw Failure(end, "stopped while another process was training a classifier to measure by; nothing was written")
            }
            usleep(200_000)
        }
    }

    deinit { close(descriptor) }
}
