import Formats
import MessagePassing

/// What to say where no data are found.
enum MissingData {
    /// - Parameters:
    ///   - path: what the user named.
    ///   - wanted: the set that the user asked for, if any.
    static func failure(at path: String, wanted: KnownDataset?) -> Failure {
        let names = wanted ?? .mnist
        let images = names.images(of: .training)
        let places = ["\(path)/\(names.tree)", path]
        return Failure(
            .missingInput,
            "no \(images) or \(images).gz in \(places.joined(separator: " or "))" + nearMisses(of: images, in: places)
                + whatLiesThere(path, wanted) + "; \(advice(wanted))")
    }

    /// How to come to a data set.
    static func advice(_ known: KnownDataset?) -> String {
        let place = "say where it is with --data"
        switch known?.name ?? "mnist" {
        case "mnist": return "get the data with launch/fetch-mnist, or \(place)"
        case "fashion": return "get the data with launch/fetch-mnist --dataset fashion, or \(place)"
        default: return place
        }
    }

    /// Names that look like the one that is wanted, with what is wrong with them.
    static func nearMisses(of name: String, in places: [String]) -> String {
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

    /// What a user may have meant by the path.
    private static func whatLiesThere(_ path: String, _ wanted: KnownDataset?) -> String {
        do {
            switch try FileKind(path: path) {
            case .folder:
                if let other = try holder(below: path, wanted) { return "; \(other)" }
                let names = try folderEntries(path) ?? []
                if let array = names.first(where: { $0.hasSuffix(".npy") && $0 != "labels.npy" }) {
                    return "; an array is named itself, as in --data \(path)/\(array)"
                }
                if names.contains(where: { ["cifar-10-batches-py", "data_batch_1"].contains($0) }) {
                    return "; CIFAR-10 is read in its binary version, and the folder holds the one for Python"
                }
                return "; gan-dist reads IDX files, folders of PNG and JPEG pictures, .npy arrays and CIFAR-10's binary batches, "
                    + "the folder holds \(try describeFolder(path))"
            case .file, .other: return "; \(path) is a file; expected is a folder, or the file of an .npy array"
            case nil: return "; there is no such folder" + nearestFolder(path)
            }
        } catch {
            // The folder may be used and not listed.
            return "; what \(path) holds cannot be listed"
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

    /// A folder not far below that holds what is wanted, and how to use it.
    private static func holder(below folder: String, _ wanted: KnownDataset?) throws -> String? {
        func exists(_ known: KnownDataset, in folder: String) -> Bool { ((try? IDXFiles.Place(known, in: folder)) ?? nil) != nil }
        if wanted != nil {
            for other in (try? IDXFiles.knownPlaces(in: folder)) ?? [] {
                guard let known = other.known else { continue }
                return "it holds \(known.tree.hasPrefix("EMNIST") ? known.name : known.tree): use --dataset \(known.name)"
            }
        }
        let names = wanted ?? .mnist
        for name in (try folderEntries(folder) ?? []).prefix(100) {
            for place in ["\(folder)/\(name)", "\(folder)/\(name)/raw", "\(folder)/\(name)/\(names.tree)"]
            where exists(names, in: place) {
                return "they are in \(place): use --data \(place)"
            }
        }
        return nil
    }
}
