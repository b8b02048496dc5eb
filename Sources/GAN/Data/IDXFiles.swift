import Formats
import MessagePassing

/// The images of an IDX data set and their labels, in one folder.
struct IDXFiles {
    private let place: Place
    let images: IDXReader
    /// None where there is no such file.
    let labels: IDXReader?
    /// The label of the first class.
    let firstLabel: UInt8
    /// Whether rows and columns of the pictures are exchanged in the file.
    let isTransposed: Bool
    let format: DataFormat

    var count: Int { images.dimensions[0] }

    /// What is wrong with the labels' number, if anything is: there must be one for each image.
    var mismatch: String? { IDXFiles.mismatch(images, labels) }

    private static func mismatch(_ images: IDXReader, _ labels: IDXReader?) -> String? {
        let count = images.dimensions[0]
        guard let labels, labels.dimensions != [count] else { return nil }
        let found = labels.dimensions.map { Double($0).grouped }.joined(separator: " × ")
        return "\(labels.path) holds \(found) labels, \(images.path) \(Double(count).grouped) images; "
            + "one label for each image is expected"
    }

    /// What is wrong with some labels, if anything is; `start` is the number of the first.
    func misfit(_ values: UnsafeRawBufferPointer, from start: Int) -> String? {
        // Without classes every label is as good.
        guard let labels, let classes = format.classes else { return nil }
        let expected = Int(firstLabel)..<Int(firstLabel) + classes
        guard let wrong = values.firstIndex(where: { !expected.contains(Int($0)) }) else { return nil }
        return "\(labels.path): label \(start + wrong), counted from 0, is \(values[wrong]); "
            + "\(expected.lowerBound) … \(expected.upperBound - 1) are expected"
    }

    /// Opens the files that were found.
    /// - Parameter folder: gives its name to a set that is none of the known ones.
    /// - Throws: `Failure`, or `FormatError` of a file that is there and cannot be read.
    init(_ place: Place, folder: String) throws {
        self.place = place
        images = try IDXReader(path: place.images)
        let dimensions = images.dimensions
        guard dimensions.count == 3, dimensions[1...].allSatisfy({ 1...65_535 ~= $0 }) else {
            throw Failure(
                .badData,
                "\(place.images): images of shape \(Array(dimensions.dropFirst())); height × width is expected, 1 … 65,535 each")
        }
        guard dimensions[0] > 0 else { throw Failure(.badData, "\(place.images): no images in the file") }
        labels = try place.labels.map { try IDXReader(path: $0) }
        let (height, width) = (dimensions[1], dimensions[2])
        var known = place.known
        var format = DataFormat(
            name: dataName(of: folder), channels: 1, size: ImageSize(height: height, width: width), classes: nil)
        if known == nil {
            // MNIST's names and form: MNIST, unless the labels are those of other classes.
            format.classes = try place.labels.flatMap { try IDXFiles.classes(in: $0) }
            if format.size == KnownDataset.imageSize, format.classes.map({ $0 == KnownDataset.mnist.classes }) ?? true {
                known = .mnist
            }
        }
        if let known {
            format.name = known.name
            format.classes = known.classes
        }
        (firstLabel, isTransposed) = (known?.firstLabel ?? 0, known?.isTransposed ?? false)
        if isTransposed { format.size = ImageSize(height: width, width: height) }
        if labels == nil {
            format.classes = nil
            format.noLabels = Failure(.missingInput, place.labelProblem)
        } else if format.classes == nil {
            let problem =
                IDXFiles.mismatch(images, labels)
                ?? "\(place.labels ?? ""): most labels up to the largest are not used; 0 … classes − 1 are expected"
            format.noLabels = Failure(.badData, problem)
        }
        self.format = format
    }

    /// Opens the files of a place as those of another part of the same data.
    /// - Throws: bad data where the pictures have another shape; `FormatError`.
    private init(_ place: Place, like other: IDXFiles) throws {
        (self.place, firstLabel, isTransposed) = (place, other.firstLabel, other.isTransposed)
        images = try IDXReader(path: place.images)
        labels = try place.labels.map { try IDXReader(path: $0) }
        let (shape, expected) = (images.dimensions, other.images.dimensions)
        guard shape.dropFirst() == expected.dropFirst() else {
            throw Failure(
                .badData,
                "\(place.images): images of shape \(Array(shape.dropFirst())); \(Array(expected.dropFirst())) is expected, "
                    + "that of \(other.images.path)")
        }
        guard shape[0] > 0 else { throw Failure(.badData, "\(place.images): no images in the file") }
        var format = other.format
        if labels == nil, other.labels != nil {
            format.classes = nil
            format.noLabels = Failure(.missingInput, place.labelProblem)
        }
        self.format = format
    }

    /// The same files, of which nothing has been read yet.
    /// - Throws: bad data where they are others by now; `FormatError`.
    func reopened() throws -> IDXFiles {
        let files = try IDXFiles(place, like: self)
        guard files.count == count, files.labels?.dimensions == labels?.dimensions else {
            throw Failure(.badData, "\(place.images) or its labels changed while they were read; are they being written?")
        }
        return files
    }

    /// The test part that lies beside these files; nil where none does.
    /// - Throws: bad data where its pictures have another shape; `FormatError`.
    func testPart() throws -> IDXFiles? {
        try Place(place.known, in: place.folder, .test).map { try IDXFiles($0, like: self) }
    }

    /// How many classes there are: one more than the largest label of which at least half of the smaller ones are used. Larger
    /// ones are faults. Nil where there are no such, or they cannot be read: then they are looked at with the images.
    private static func classes(in path: String) throws -> Int? {
        let reader = try IDXReader(path: path)
        guard reader.dimensions.count == 1 else { return nil }
        var isUsed = [Bool](repeating: false, count: 256)
        do {
            try reader.readAll { for label in $0 { isUsed[Int(label)] = true } }
        } catch let error as FormatError where error.kind == .invalid {
            return nil
        }
        var (used, classes) = (0, 0)
        for label in isUsed.indices where isUsed[label] {
            used += 1
            if label + 1 <= 2 * used { classes = label + 1 }
        }
        return classes > 0 ? classes : nil
    }
}

// Finding.

extension IDXFiles {
    /// Files of a data set, and which one it is by the folder or the names; nil where only the names of MNIST's files tell.
    struct Place {
        let known: KnownDataset?
        let folder: String
        let part: KnownDataset.Part
        let images: String
        let labels: String?

        init?(_ known: KnownDataset?, in folder: String, _ part: KnownDataset.Part = .training) throws {
            let names = known ?? .mnist
            guard let images = try Place.file(names.images(of: part), in: folder) else { return nil }
            self.known = known
            self.folder = folder
            self.part = part
            self.images = images
            labels = try Place.file(names.labels(of: part), in: folder)
        }

        var labelProblem: String {
            let name = (known ?? .mnist).labels(of: part)
            return "no \(name) or \(name).gz in \(folder), where the images \(images) are"
                + MissingData.nearMisses(of: name, in: [folder]) + "; \(MissingData.advice(known))"
        }

        /// A plain file comes before its `.gz`, and the usual name before `train-images.idx3-ubyte`.
        static func file(_ name: String, in folder: String) throws -> String? {
            let dotted = name.replacing("-idx", with: ".idx")
            let paths = [name, "\(name).gz", dotted, "\(dotted).gz"].map { "\(folder)/\($0)" }
            return try paths.first { try FileKind(path: $0) == .file }
        }
    }

    /// The places of a folder where sets lie, but for what is in none of torchvision's trees and has no name of its own. In a
    /// tree comes before in the folder itself, and with labels before without.
    static func knownPlaces(in folder: String) throws -> [Place] {
        try KnownDataset.all.compactMap { known in
            let folders = ["\(folder)/\(known.tree)"] + (known.prefix.isEmpty ? [] : [folder])
            let places = try folders.compactMap { try Place(known, in: $0) }
            return places.first { $0.labels != nil } ?? places.first
        }
    }

    /// Which files of a folder are meant.
    ///
    /// - Parameters:
    ///   - wanted: the set that the user asks for.
    ///   - preferred: the one to take where there are several.
    /// - Returns: nil where the folder has none.
    /// - Throws: a usage error where there are several and nothing says which.
    static func find(in folder: String, wanted: KnownDataset?, preferred: KnownDataset?) throws -> Place? {
        if let wanted {
            let places = try ["\(folder)/\(wanted.tree)", folder].compactMap { try Place(wanted, in: $0) }
            return places.first { $0.labels != nil } ?? places.first
        }
        let known = try knownPlaces(in: folder)
        if let preferred, let place = known.first(where: { $0.known == preferred }) { return place }
        guard known.count < 2 else {
            let names = known.compactMap(\.known?.name)
            throw Failure(
                .usage, "\(folder) holds \(names.dropLast().joined(separator: ", ")) and \(names.last ?? ""): say which with "
                    + "--dataset, as in --dataset \(names[0])")
        }
        let direct = try Place(preferred.flatMap { $0.prefix.isEmpty ? $0 : nil }, in: folder)
        let places = known + [direct].compactMap(\.self)
        return places.first { $0.labels != nil } ?? places.first
    }
}
