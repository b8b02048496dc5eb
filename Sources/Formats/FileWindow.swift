/// Numbers anywhere in a file, which is read some thousand bytes at a time.
struct FileWindow {
    let file: InputFile
    /// What was read last; of a new window, the beginning of the file.
    private(set) var bytes: [UInt8]
    private var start = 0

    init(_ file: InputFile) throws {
        self.file = file
        bytes = try file.bytes(at: 0, count: min(FileWindow.size, file.size))
    }

    private static let size = 1 << 14

    /// The big-endian number of `count` bytes at an offset.
    /// - Throws: `FormatError`: `invalid` where the file ends before; `io`.
    mutating func number(at offset: Int, bytes count: Int) throws -> Int {
        if offset < start || offset + count > start + bytes.count {
            guard offset + count <= file.size else { throw FormatError.cutShort(file.path, after: file.size) }
            bytes = try file.bytes(at: offset, count: min(FileWindow.size, file.size - offset))
            start = offset
        }
        let first = offset - start
        return bytes[first..<first + count].reduce(0) { $0 << 8 | Int($1) }
    }

    /// All bytes of the file, read again only where the window does not hold them.
    func wholeFile() throws -> [UInt8] {
        start == 0 && bytes.count == file.size ? bytes : try file.bytes(at: 0, count: file.size)
    }
}

extension InputFile {
    /// - Throws: `FormatError`: `invalid` where the file ends before; `io`.
    func bytes(at offset: Int, count: Int) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: count) { buffer, initializedCount in
            let bytes = UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: count)
            try readFully(into: bytes, at: offset)
            initializedCount = count
        }
    }
}

extension FormatError {
    static func cutShort(_ path: String, after size: Int) -> FormatError {
        FormatError(.invalid, path: path, "the file is cut short after \(size) bytes; fetch it again, or remove it")
    }
}
