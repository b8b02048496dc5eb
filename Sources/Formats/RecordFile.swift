/// A file of records of one size, one behind the other, which several threads may read.
public final class RecordFile: Sendable {
    public let recordSize: Int
    /// Records.
    public let count: Int
    private let file: InputFile

    /// - Throws: `FormatError`: `missing`; `invalid` where the file is not of whole records; `io`.
    public init(path: String, recordSize: Int) throws {
        let file = try InputFile(path: path)
        guard file.size % recordSize == 0 else {
            throw FormatError(
                .invalid, path: path,
                "expected records of \(recordSize) bytes, the file of \(file.size) ends in the midst of one; fetch the file again")
        }
        self.file = file
        self.recordSize = recordSize
        count = file.size / recordSize
    }

    /// The bytes of a record.
    /// - Precondition: there is one of this number.
    public func read(_ record: Int) throws -> [UInt8] {
        precondition(0..<count ~= record, "record \(record) of \(count)")
        var bytes = [UInt8](repeating: 0, count: recordSize)
        try bytes.withUnsafeMutableBytes { try file.readFully(into: $0, at: record * recordSize) }
        return bytes
    }
}
