import Formats

extension Dataset {
    /// SHA-256 of a data set, as `digest` has it, without keeping any image.
    /// - Throws: missing input or bad data.
    static func digest(of dataset: Configuration.Dataset, folder: String) throws -> String {
        try withFiles {
            let files = try open(dataset, folder: folder)
            let digest = SHA256Digest()
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 19, alignment: 64)
            defer { buffer.deallocate() }
            for file in [files.images, files.labels] {
                file.headerBytes.withUnsafeBytes(digest.update)
                while file.remainingItems > 0 {
                    let count = min(file.remainingItems, max(1, buffer.count / file.itemSize))
                    let items = UnsafeMutableRawBufferPointer(rebasing: buffer[..<(count * file.itemSize)])
                    try file.readItems(count, into: items)
                    digest.update(UnsafeRawBufferPointer(items))
                }
                try file.finish()
            }
            return digest.finish().hexadecimal
        }
    }
}
