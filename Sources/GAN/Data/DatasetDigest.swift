import Formats

extension Dataset {
    /// SHA-256 of a data set, as `digest` has it, without keeping any image.
    /// - Throws: missing input or bad data.
    static func digest(of dataset: Configuration.Dataset, folder: String) throws -> String {
        try withFiles {
            let files = try DataFiles(dataset, folder: folder)
            let digest = SHA256Digest()
            for file in [files.images, files.labels] {
                file.headerBytes.withUnsafeBytes(digest.update)
                try file.readAll(digest.update)
            }
            return digest.finish().hexadecimal
        }
    }
}
