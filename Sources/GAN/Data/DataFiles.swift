import Formats
import MessagePassing

/// The images of an IDX data set and their labels, in one folder.
struct DataFiles {
    let images: IDXReader
    let labels: IDXReader

    /// - Throws: `Failure`, or `FormatError` of a file that is there and cannot be read.
    init(_ dataset: Configuration.Dataset, folder: String) throws {
        let (imagePath, labelPath) = try DataFiles.find(dataset, folder: folder)
        images = try IDXReader(path: imagePath)
        labels = try IDXReader(path: labelPath)
        let shape = images.dimensions.dropFirst()
        guard images.dimensions.count == 3, shape.allSatisfy({ $0 == Configuration.dataSide }) else {
            throw Failure(.badData, "\(imagePath): images of shape \(shape); 28 × 28 is expected")
        }
        guard images.dimensions[0] > 0 else { throw Failure(.badData, "\(imagePath): no images in the file") }
    }

    /// What is wrong with the labels' number, if anything is: there must be one for each image.
    var mismatch: String? {
        if labels.dimensions == [images.dimensions[0]] { return nil }
        let count = labels.dimensions.map { Double($0).grouped }.joined(separator: " × ")
        return "\(labels.path) holds \(count) labels, \(images.path) \(Double(images.dimensions[0]).grouped) images; "
            + "one label for each image is expected"
    }

    // MARK: Finding

    private static let imageName = "train-images-idx3-ubyte"
    private static let labelName = "train-labels-idx1-ubyte"

    /// A folder of a torchvision tree comes before the folder itself, and one with images and labels before one that lacks
    /// some.
    private static func find(_ dataset: Configuration.Dataset, folder: String) throws -> (images: String, labels: String) {
        let places = ["\(folder)/\(dataset.tree)", folder]
        let found = try places.map { (images: try file(imageName, in: $0), labels: try file(labelName, in: $0)) }
        for case (let images?, let labels?) in found { return (images, labels) }
        if let place = found.firstIndex(where: { $0.images != nil }), let images = found[place].images {
            throw Failure(
                .missingInput,
                "no \(labelName) or \(labelName).gz in \(places[place]), where the images \(images) are"
                    + nearMisses(of: labelName, in: [places[place]]) + "; get the data with \(fetch(dataset)), or say where it "
                    + "is with --data")
        }
        throw Failure(
            .missingInput,
            "no \(imageName) or \(imageName).gz in \(places.joined(separator: " or "))"
                + nearMisses(of: imageName, in: places) + whatLiesThere(folder, dataset) + "; get the data with "
                + "\(fetch(dataset)), or say where it is with --data")
    }

    private static func fetch(_ dataset: Configuration.Dataset) -> String {
        "launch/fetch-mnist" + (dataset == .mnist ? "" : " --dataset \(dataset.rawValue)")
    }

    /// A plain file comes before its `.gz`, and the usual name before `train-images.idx3-ubyte`.
    private static func file(_ name: String, in place: String) throws -> String? {
        let dotted = name.replacing("-idx", with: ".idx")
        let paths = [name, "\(name).gz", dotted, "\(dotted).gz"].map { "\(place)/\($0)" }
        return try paths.first { try FileKind(path: $0) == .file }
    }

    // MARK: What to say where nothing is found

    /// Names that look like the one that is wanted, with what is wrong with them.
    private static func nearMisses(of name: String, in places: [String]) -> String {
        let word = name.contains("images") ? "images" : "labels"
        let near = places.flatMap { place in
            ((try? folderEntries(place)) ?? []).filter {
                let name = $0.lowercased()
                return name.contains(word) && (name.contains("idx") || name.contains("ubyte"))
            }.map { remark("\(place)/\($0)", $0) }
        }
        guard !near.isEmpty else { return "" }
        return "; near it are " + near.prefix(4).joined(separator: ", ") + (near.count > 4 ? ", …" : "")
    }

    private static func remark(_ path: String, _ name: String) -> String {
        switch try? FileKind(path: path) {
        case .folder: "\(name) (a folder)"
        case .file: name
        case .other: "\(name) (a pipe or device)"
        case nil: "\(name) (a symbolic link that leads nowhere)"
        }
    }

    /// What a user may have meant by the folder.
    private static func whatLiesThere(_ folder: String, _ dataset: Configuration.Dataset) -> String {
        do {
            switch try FileKind(path: folder) {
            case .folder:
                if let other = try holder(below: folder, dataset) { return "; \(other)" }
                return "; gan-dist reads IDX files, the folder holds \(try describeFolder(folder))"
            case .file, .other: return "; \(folder) is a file, a folder is expected"
            case nil: return "; there is no such folder" + nearestFolder(folder)
            }
        } catch {
            // The folder may be used and not listed.
            return "; what \(folder) holds cannot be listed"
        }
    }

    private static func nearestFolder(_ path: String) -> String {
        var path = path[...]
        while let slash = path.lastIndex(of: "/") {
            path = path[..<slash]
            let parent = path.isEmpty ? "/" : String(path)
            if (try? FileKind(path: parent)) == .folder { return ", the nearest is \(parent)" }
        }
        return " in the current one"
    }

    private static func exists(_ name: String, in place: String) -> Bool {
        do { return try file(name, in: place) != nil } catch { return false }
    }

    /// A folder not far below that holds what is wanted, and how to use it.
    private static func holder(below folder: String, _ dataset: Configuration.Dataset) throws -> String? {
        for other in Configuration.Dataset.allCases where other != dataset {
            if exists(imageName, in: "\(folder)/\(other.tree)") {
                return "it holds \(other.tree): use --dataset \(other.rawValue)"
            }
        }
        for name in (try folderEntries(folder) ?? []).prefix(100) {
            for place in ["\(folder)/\(name)", "\(folder)/\(name)/raw", "\(folder)/\(name)/\(dataset.tree)"]
            where exists(imageName, in: place) {
                return "they are in \(place): use --data \(place)"
            }
        }
        return nil
    }
}

extension Configuration.Dataset {
    /// Where torchvision puts its files.
    fileprivate var tree: String {
        switch self {
        case .mnist: "MNIST/raw"
        case .fashion: "FashionMNIST/raw"
        }
    }
}
