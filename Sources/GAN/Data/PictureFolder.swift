import Formats
import MessagePassing

/// PNG and JPEG files in a folder. Those in subfolders are of the subfolder's class, as torchvision's `ImageFolder` has it; in
/// the order of the bytes of the classes' names, then of the paths.
struct PictureFolder: ImageSource {
    let folder: String
    private(set) var format: DataFormat
    private(set) var notes: [String] = []
    /// The names of the classes; none of pictures that lie directly in the folder.
    let classNames: [String]
    let fingerprint: String
    /// From the folder on.
    private let paths: [String]
    /// The first picture of each class.
    private let firstOfClass: [Int]

    var count: Int { paths.count }
    var misfit: String? { nil }
    var kind: String { "PNG and JPEG files" }

    /// - Returns: nil where the folder has no pictures.
    /// - Throws: bad data where a class has none; `FormatError`.
    init?(path folder: String) throws {
        var listing = PictureListing(root: folder)
        let direct = try listing.entries(of: "")
        var paths = direct.pictures
        var names: [String] = []
        var firstOfClass: [Int] = []
        var emptyClass: String?
        for name in direct.folders {
            let runs = listing.runs.count
            let pictures = try listing.pictures(below: name)
            // A folder of runs is no class.
            if pictures.isEmpty, listing.runs.count > runs { continue }
            if pictures.isEmpty { emptyClass = emptyClass ?? name }
            names.append(name)
            firstOfClass.append(paths.count)
            paths += pictures
        }
        guard !paths.isEmpty else { return nil }
        if let problem = listing.problem { throw problem }
        let isByClass = direct.pictures.isEmpty
        if isByClass, let emptyClass {
            throw Failure(
                .badData, "\(folder)/\(emptyClass): no PNG or JPEG picture in the folder of a class; put some there, or remove it")
        }
        guard isByClass || paths.count == direct.pictures.count else {
            throw Failure(
                .badData,
                "\(folder): pictures lie beside folders of pictures (\(direct.pictures[0]), \(paths[direct.pictures.count])); "
                    + "either all of them are in folders by class, or none is")
        }
        self.folder = folder
        self.paths = paths
        classNames = isByClass ? names : []
        self.firstOfClass = isByClass ? firstOfClass : []
        fingerprint = try listing.fingerprint(of: paths)
        format = DataFormat(name: dataName(of: folder), channels: 1, size: nil, classes: isByClass ? names.count : nil)
        if !isByClass { format.noLabels = Failure(.missingInput, "the pictures in \(folder) are not in folders by class") }
        if classNames.count > 256 {
            format.classes = nil
            format.noLabels = Failure(.badData, "\(folder) has \(classNames.count) folders of classes; at most 256 are told apart")
        }
        notes = listing.notes
        let parts: Set = ["train", "training", "test", "testing", "val", "valid", "validation"]
        if !classNames.isEmpty, classNames.allSatisfy({ parts.contains($0.lowercased()) }) {
            notes.append(
                "\(folder): its folders \(classNames.joined(separator: ", ")) are taken for classes; to train on one of them give "
                    + "--data \(folder)/\(classNames.last ?? "")")
        }
    }

    func path(of image: Int) -> String { paths[image] }

    func label(of image: Int) -> Int? {
        guard format.classes != nil else { return nil }
        return (firstOfClass.firstIndex { $0 > image } ?? firstOfClass.count) - 1
    }

    func read(_ image: Int) throws -> (picture: Picture, label: Int?) {
        let path = "\(folder)/\(paths[image])"
        let picture = try Picture(path: path)
        if let size = format.size, size != ImageSize(height: picture.height, width: picture.width) {
            throw FormatError(
                .invalid, path: path,
                "expected \(size) pixels, found \(picture.height) × \(picture.width); is it being written?")
        }
        return (picture, label(of: image))
    }
}

// Headers.

extension PictureFolder {
    /// What the headers of some of the pictures tell.
    struct Survey {
        var channels = 1
        var traits: PictureTraits = []
        /// The first picture that has not the size of picture 0.
        var other: (image: Int, size: ImageSize)?
        /// Which pictures are grey, and which are not.
        var grey = 0

        /// For other ranks.
        var bytes: [UInt8] {
            [channels, traits.rawValue, other?.image ?? -1, other?.size.height ?? 0, other?.size.width ?? 0, grey].flatMap { number in
                withUnsafeBytes(of: Int64(number).littleEndian) { Array($0) }
            }
        }

        init() {}

        init(bytes: [UInt8]) {
            let numbers = stride(from: 0, to: bytes.count, by: 8).map { start in
                bytes[start..<start + 8].reversed().reduce(0) { $0 << 8 | Int64($1) }
            }
            (channels, traits) = (Int(numbers[0]), PictureTraits(rawValue: Int(numbers[1])))
            if numbers[2] >= 0 { other = (Int(numbers[2]), ImageSize(height: Int(numbers[3]), width: Int(numbers[4]))) }
            grey = Int(numbers[5])
        }
    }

    /// Reads the headers of pictures `part`, `part` + `parts`, …
    func survey(part: Int, of parts: Int) throws -> Survey {
        var survey = Survey()
        let size = try self.size(PictureHeader(path: "\(folder)/\(paths[0])"))
        for image in stride(from: part, to: count, by: parts) {
            let header = try PictureHeader(path: "\(folder)/\(paths[image])")
            survey.channels = max(survey.channels, header.channels)
            survey.grey += header.channels == 1 ? 1 : 0
            survey.traits.formUnion(header.traits)
            if survey.other == nil, self.size(header) != size { survey.other = (image, self.size(header)) }
        }
        return survey
    }

    private func size(_ header: PictureHeader) -> ImageSize { ImageSize(height: header.height, width: header.width) }

    /// Takes over what all pictures' headers tell.
    mutating func take(_ surveys: [Survey]) throws {
        let size = try withFiles { self.size(try PictureHeader(path: "\(folder)/\(paths[0])")) }
        format.channels = surveys.map(\.channels).max() ?? 1
        let traits = surveys.reduce(into: PictureTraits()) { $0.formUnion($1.traits) }
        if let other = surveys.compactMap(\.other).min(by: { $0.image < $1.image }) {
            format.size = nil
            format.sizeProblem = "\(folder)/\(paths[other.image]) is of \(other.size) pixels, \(paths[0]) of \(size)"
        } else {
            format.size = size
        }
        for (trait, text) in [
            (.palette, "palettes are read as colours"), (.sixteenBits, "of 16 bits the upper 8 are read"),
            (.alpha, "what is transparent is laid over black"), (.interlaced, "some files are interlaced, and read as any other"),
        ] as [(PictureTraits, String)] where traits.contains(trait) {
            notes.append("\(folder): \(text)")
        }
        let grey = surveys.map(\.grey).reduce(0, +)
        if format.channels == 3, grey > 0 {
            notes.append(
                "\(folder): \(grey) of \(count) pictures are grey, the others in colour; --channels 1 or 3 makes all alike")
        }
    }
}
