import Formats
import MessagePassing

/// The PNG and JPEG files below a folder. Names that begin with a point are left out, and so are the folders of runs.
struct PictureListing {
    let root: String
    /// Folders of runs that were left out.
    private(set) var runs: [String] = []
    /// What cannot be told whether it is a picture or a class: a name that is not UTF-8, a symbolic link that leads nowhere.
    private(set) var problem: FormatError?
    /// How many other files there are, by their endings.
    private var others: [String: Int] = [:]

    private static let endings: Set<String> = ["png", "jpg", "jpeg"]
    private static let deepest = 16

    init(root: String) { self.root = root }

    /// The pictures and the folders in a folder, by their paths from the root on, in the order of the bytes of their names.
    /// - Throws: `FormatError`.
    mutating func entries(of name: String) throws -> (pictures: [String], folders: [String]) {
        let place = name.isEmpty ? root : "\(root)/\(name)"
        let entries = try folderEntries(place) ?? []
        if entries.contains("training_options.json") {
            runs.append(place)
            return ([], [])
        }
        var (pictures, folders): ([String], [String]) = ([], [])
        for entry in entries where !entry.hasPrefix(".") {
            // Which bytes there are is not known any more.
            guard !entry.unicodeScalars.contains("\u{fffd}") else {
                problem = problem ?? FormatError(.invalid, path: "\(place)/\(entry)", "a name that is not UTF-8; rename it")
                continue
            }
            let path = name.isEmpty ? entry : "\(name)/\(entry)"
            let ending = entry.lastIndex(of: ".").map { entry[entry.index(after: $0)...].lowercased() } ?? ""
            if PictureListing.endings.contains(ending) {
                pictures.append(path)
                continue
            }
            switch try FileKind(path: "\(root)/\(path)") {
            case .folder: folders.append(path)
            case nil:
                problem = problem
                    ?? FormatError(.missing, path: "\(root)/\(path)", "a symbolic link that leads nowhere; remove or mend it")
            case .file, .other: others[ending.isEmpty ? "without an ending" : ".\(ending)", default: 0] += 1
            }
        }
        return (pictures, folders)
    }

    /// The pictures in a folder and in those below it, in the order of the bytes of their paths.
    mutating func pictures(below name: String, depth: Int = 1) throws -> [String] {
        guard depth <= PictureListing.deepest else {
            throw Failure(
                .badData,
                "\(root)/\(name): folders lie \(PictureListing.deepest) deep in each other; does a symbolic link lead upward?")
        }
        var (pictures, folders) = try entries(of: name)
        for folder in folders { pictures += try self.pictures(below: folder, depth: depth + 1) }
        // A folder's entries are sorted; with folders in between the paths may not be.
        if !folders.isEmpty { pictures.sort { $0.utf8.lexicographicallyPrecedes($1.utf8) } }
        return pictures
    }

    /// SHA-256 over the paths and the sizes of files: a copy that is not the same is told from this one without reading it.
    func fingerprint(of paths: [String]) throws -> String {
        let digest = SHA256Digest()
        for path in paths {
            let size = try fileSize("\(root)/\(path)")
            Array("\(path)\0\(size)\0".utf8).withUnsafeBytes(digest.update)
        }
        return digest.finish().hexadecimal
    }

    var notes: [String] {
        var notes: [String] = []
        if !others.isEmpty {
            let kinds = others.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
            let shown = kinds.prefix(3).map { "\($0.value) \($0.key)" }.joined(separator: ", ")
            notes.append("\(root): files that are neither PNG nor JPEG are not read: \(shown)\(kinds.count > 3 ? " and others" : "")")
        }
        if let run = runs.first { notes.append("\(root): the pictures of runs, as in \(run), are not read") }
        return notes
    }
}
