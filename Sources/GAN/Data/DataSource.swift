import Formats
import Glibc
import MessagePassing

/// A data set that was found at a path, and what its files tell before their images are read.
public struct DataSource {
    /// What the user named.
    public let path: String
    public internal(set) var format: DataFormat
    let files: Files
    /// The test part, where it is not to be looked for beside the files; at most one.
    var testPart: [DataSource] = []

    enum Files {
        /// Read from first to last.
        case idx(IDXFiles)
        /// Read one by one.
        case images(any ImageSource)
    }

    var count: Int {
        switch files {
        case .idx(let files): files.count
        case .images(let images): images.count
        }
    }

    /// What tells the data at a path from others without reading them, where that is possible; the digest of IDX files.
    /// - Throws: bad data or an I/O failure.
    static func fingerprint(path: String, wanted: String?, preferred: String?) throws -> String {
        switch try DataSource(unsurveyed: path, wanted: wanted, preferred: preferred).files {
        case .idx(let files): try withFiles { try files.digest() }
        case .images(let images): images.fingerprint
        }
    }

    /// The same of these data; nil of IDX files.
    var fingerprint: String? {
        guard case .images(let images) = files else { return nil }
        return images.fingerprint
    }

    /// The same of data of which a run reads a part only, whose digest is not that of the whole.
    func fingerprintOfWhole() throws -> String {
        switch files {
        case .idx(let files): try withFiles { try files.reopened().digest() }
        case .images(let images): images.fingerprint
        }
    }

    /// The names of the classes, where the data have names for them.
    var classNames: [String] {
        guard case .images(let images) = files, format.classes != nil else { return [] }
        return images.classNames
    }

    /// What is said once of how the files are read.
    var notes: [String] {
        guard case .images(let images) = files else { return [] }
        return images.notes
    }

    /// Finds data, on one rank.
    ///
    /// - Parameters:
    ///   - wanted: what `--dataset` names.
    ///   - preferred: which set to take where a folder holds several and nothing else says it.
    /// - Throws: `Failure`: usage where several sets are there, missing input where none is, bad data, I/O.
    public init(path: String, wanted: String? = nil, preferred: String? = nil) throws {
        var source = try DataSource(unsurveyed: path, wanted: wanted, preferred: preferred)
        if case .images(var folder as PictureFolder) = source.files {
            let survey = try withFiles { try folder.survey(part: 0, of: 1) }
            try folder.take([survey])
            source = DataSource(path: path, format: folder.format, files: .images(folder))
        }
        self = source
    }

    /// Finds data, on all ranks, which share the work of looking at many files.
    public init(path: String, wanted: String?, preferred: String?, world: World) throws {
        var source = try world.agree {
            try world.storing("looking at the data", because: DataSource.reason) {
                try DataSource(unsurveyed: path, wanted: wanted, preferred: preferred)
            }
        }
        try world.compare("number of images", "\(source.count)", .badData)
        try world.compare("form of the data", source.form, .badData)
        if let fingerprint = source.fingerprint { try world.compare("list of pictures in \(path)", fingerprint, .badData) }
        if case .images(var folder as PictureFolder) = source.files {
            let communicator = world.communicator
            let own = try world.agree {
                try withFiles {
                    try world.storing("reading the headers of the pictures", because: DataSource.reason) {
                        try folder.survey(part: communicator.rank, of: communicator.size)
                    }
                }
            }
            let all = try world.allGather(own.bytes)
            try world.agree { try folder.take(all.map { PictureFolder.Survey(bytes: $0) }) }
            source = DataSource(path: path, format: folder.format, files: .images(folder))
        }
        self = source
    }

    /// Why it takes long, where it does.
    static let reason = "there is much to read"

    /// What must be the same on all ranks.
    private var form: String {
        let kind =
            switch files {
            case .idx: "IDX files"
            case .images(let images): images.kind
            }
        let classes = format.classes.map { "\($0) classes" } ?? "no classes"
        return "\(kind), \(format.size?.description ?? "sizes not known yet"), \(classes)"
    }

    /// The data set of this name.
    /// - Throws: a usage error that lists the known ones.
    @discardableResult
    static func requireKnown(_ name: String) throws -> KnownDataset {
        guard let known = KnownDataset(name) else {
            throw Failure(
                .usage, "--dataset \(name): known are \(KnownDataset.all.map(\.name).joined(separator: ", ")); other data need no name")
        }
        return known
    }

    init(path: String, format: DataFormat, files: Files) {
        (self.path, self.format, self.files) = (path, format, files)
    }

    private init(unsurveyed path: String, wanted: String?, preferred: String?) throws {
        let known = try wanted.map { try DataSource.requireKnown($0) }
        self = try withFiles {
            if try FileKind(path: path) == .file, known == nil, let array = try ArrayFile(path: path) {
                return DataSource(path: path, format: array.format, files: .images(array))
            }
            if let place = try IDXFiles.find(in: path, wanted: known, preferred: KnownDataset(preferred)) {
                let files = try IDXFiles(place, folder: path)
                return DataSource(path: path, format: files.format, files: .idx(files))
            }
            if known == nil, try FileKind(path: path) == .folder {
                if let batches = try CIFARBatches(folder: path) {
                    return DataSource(path: path, format: batches.format, files: .images(batches))
                }
                if let folder = try PictureFolder(path: path) {
                    return DataSource(path: path, format: folder.format, files: .images(folder))
                }
            }
            throw MissingData.failure(at: path, wanted: known)
        }
    }
}

// In words.

extension DataSource {
    /// `60,000 images of mnist in data, 28 × 28, grey, 10 classes`.
    var description: String {
        let words = [
            "\(Double(count).grouped) images of \(format.name) in \(path)", format.size?.description ?? "of several sizes",
            format.channels == 1 ? "grey" : "colour", format.classes.map { "\($0) classes" },
        ]
        return words.compactMap(\.self).joined(separator: ", ")
    }

    /// What becomes of the pictures.
    func changes(to configuration: Configuration) -> [String] {
        let size = configuration.imageSize
        var changes: [String] = []
        if format.channels != configuration.channels { changes.append("made \(configuration.channels == 1 ? "grey" : "colour")") }
        if format.size != size {
            changes.append("\(format.size?.isSquare == true ? "" : "cropped to squares and ")resized to \(size)")
        }
        if configuration.mirror { changes.append("half of them mirrored") }
        return changes
    }
}

/// What runs call data that have no name of their own: by the folder, or the file without its ending.
func dataName(of path: String) -> String {
    var path = path
    if [".", ".."].contains(path.split(separator: "/").last ?? "."), let resolved = realpath(path, nil) {
        path = String(cString: resolved)
        free(resolved)
    }
    var name = String(path.split(separator: "/").last ?? "data")
    if name.hasSuffix(".npy") { name.removeLast(4) }
    // The names of known sets choose files.
    return KnownDataset(name) == nil ? name : "\(name)-folder"
}
