/// The header of a safetensors file: parsed, and every rule of the format verified against the size of the data.
struct SafetensorsHeader {
    struct Entry {
        let name: String
        let elementType: SafetensorsFile.ElementType
        let shape: [Int]
        /// Within the data that follow the header.
        let offsets: Range<Int>
    }

    private(set) var metadata: [String: String] = [:]
    /// In the order of their data.
    private(set) var entries: [Entry] = []
    /// Where the 64 digits of the metadata's `sha256` lie within the header; nil where there are none.
    private(set) var digestRange: Range<Int>?

    /// - Throws: `FormatError` of kind `invalid`.
    init(_ bytes: [UInt8], path: String, dataSize: Int) throws {
        guard bytes.first == UInt8(ascii: "{"), String(validating: bytes, as: UTF8.self) != nil else {
            throw FormatError(.invalid, path: path, "expected a safetensors header, a JSON object in UTF-8")
        }
        var scanner = JSONScanner(bytes, path: path, offset: 8)
        try scanner.scanObject { scanner, name in
            if name == "__metadata__" {
                try scanMetadata(&scanner)
            } else {
                entries.append(try Self.scanEntry(&scanner, name: name))
            }
        }
        try scanner.scanEnd()
        // Entries without data come before the one that starts where they do.
        entries.sort { ($0.offsets.lowerBound, $0.offsets.upperBound) < ($1.offsets.lowerBound, $1.offsets.upperBound) }
        try verifyCoverage(of: dataSize, path: path)
    }

    private mutating func scanMetadata(_ scanner: inout JSONScanner) throws {
        try scanner.scanObject { scanner, key in
            let (value, range) = try scanner.scanString()
            metadata[key] = value
            let isDigest = range.count == 64 && value.utf8.allSatisfy { "0123456789abcdef".utf8.contains($0) }
            if key == sha256Key, isDigest { digestRange = range }
        }
    }

    private static func scanEntry(_ scanner: inout JSONScanner, name: String) throws -> Entry {
        var type: String?
        var shape: [Int]?
        var offsets: [Int]?
        try scanner.scanObject { scanner, key in
            switch key {
            case "dtype": type = try scanner.scanString().value
            case "shape": shape = try scanner.scanIntegers()
            case "data_offsets": offsets = try scanner.scanIntegers()
            default: throw scanner.invalid("tensor \(name.excerpt) has an unknown field \(key.excerpt)")
            }
        }
        guard let type, let shape, let offsets else {
            throw scanner.invalid("tensor \(name.excerpt) needs dtype, shape and data_offsets")
        }
        guard let elementType = SafetensorsFile.ElementType(rawValue: type) else {
            throw scanner.invalid("tensor \(name.excerpt) has the unknown dtype \(type.excerpt)")
        }
        guard offsets.count == 2, offsets[0] <= offsets[1] else {
            throw scanner.invalid("tensor \(name.excerpt) has data_offsets \(offsets), expected a begin and an end")
        }
        guard let size = product(shape + [elementType.size]), size == offsets[1] - offsets[0] else {
            throw scanner.invalid(
                "tensor \(name.excerpt) of \(type), shape \(shape), does not fit data_offsets \(offsets)")
        }
        return Entry(name: name, elementType: elementType, shape: shape, offsets: offsets[0]..<offsets[1])
    }

    private func verifyCoverage(of dataSize: Int, path: String) throws {
        var end = 0
        for entry in entries {
            guard entry.offsets.lowerBound == end else {
                throw FormatError(
                    .invalid, path: path,
                    "expected tensor \(entry.name.excerpt) to start at data byte \(end), "
                        + "found \(entry.offsets.lowerBound)")
            }
            end = entry.offsets.upperBound
        }
        guard end == dataSize else {
            throw FormatError(
                .invalid, path: path,
                "the tensors take \(end) bytes, the file has \(dataSize) after its header; it is cut short or damaged")
        }
    }
}
