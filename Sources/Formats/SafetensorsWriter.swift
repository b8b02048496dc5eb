/// Writes a safetensors file of float32 tensors that carries its own SHA-256; see `SafetensorsFile`.
///
/// The same arguments give the same bytes: metadata sorted by key, tensors in the order given, the header padded with
/// spaces so that the elements start at a multiple of 8.
public final class SafetensorsWriter {
    private let file: AtomicFile
    private let digest = SHA256Digest()
    private let digestOffset: Int
    private var remainingElements: Int

    /// Writes the header. The metadata gain the key `sha256`.
    /// - Precondition: The names of the tensors differ, none is `__metadata__`; no size is negative; `metadata` has no
    ///   key `sha256`.
    /// - Throws: `FormatError` of kind `io`.
    public init(
        file: AtomicFile, tensors: [(name: String, shape: [Int])], metadata: [String: String] = [:]
    ) throws {
        precondition(metadata[sha256Key] == nil, "the metadata hold a key sha256 already")
        precondition(Set(tensors.map(\.name) + ["__metadata__"]).count == tensors.count + 1, "a name occurs twice")
        self.file = file

        let placeholder = String(repeating: "0", count: 64)
        let pairs = metadata.merging([sha256Key: placeholder]) { given, _ in given }.sorted { $0.key < $1.key }
        var header = Array("{\"__metadata__\":{".utf8)
        var digestOffset = 0
        for (index, (key, value)) in pairs.enumerated() {
            header += "\(index == 0 ? "" : ",")\(key.quoted):".utf8
            if key == sha256Key { digestOffset = 8 + header.count + 1 }
            header += value.quoted.utf8
        }
        header.append(UInt8(ascii: "}"))
        var end = 0
        for (name, shape) in tensors {
            precondition(shape.allSatisfy { $0 >= 0 }, "tensor \(name) has the shape \(shape)")
            let begin = end
            end += 4 * shape.reduce(1, *)
            let sizes = shape.map(String.init).joined(separator: ",")
            header += ",\(name.quoted):{\"dtype\":\"F32\",\"shape\":[\(sizes)],\"data_offsets\":[\(begin),\(end)]}".utf8
        }
        header.append(UInt8(ascii: "}"))
        header += [UInt8](repeating: UInt8(ascii: " "), count: -header.count & 7)
        self.digestOffset = digestOffset
        remainingElements = end / 4

        try withUnsafeBytes(of: UInt64(header.count).littleEndian) { try append($0) }
        try header.withUnsafeBytes { try append($0) }
    }

    /// Appends elements: all those of the first tensor, then of the second, in pieces of any size.
    /// - Precondition: The shapes ask for as many.
    /// - Throws: `FormatError` of kind `io`.
    public func append(_ elements: UnsafeBufferPointer<Float>) throws {
        precondition(elements.count <= remainingElements, "\(elements.count) elements, \(remainingElements) remain")
        remainingElements -= elements.count
        try append(UnsafeRawBufferPointer(elements))
    }

    /// Puts the digest in its place, and commits the file; see `AtomicFile.commit()` for what it returns.
    /// - Precondition: All elements have been appended.
    /// - Throws: `FormatError` of kind `io`.
    @discardableResult
    public func finish() throws -> String? {
        precondition(remainingElements == 0, "\(remainingElements) elements are missing")
        let digits = Array(digest.finish().hexadecimal.utf8)
        try digits.withUnsafeBytes { try file.overwrite(at: digestOffset, $0) }
        return try file.commit()
    }

    private func append(_ bytes: UnsafeRawBufferPointer) throws {
        digest.update(bytes)
        try file.append(bytes)
    }
}

#if _endian(big)
    #error("safetensors and NPY are written as they lie in memory, little-endian")
#endif

extension String {
    /// As a JSON string.
    fileprivate var quoted: String {
        var quoted = "\""
        for scalar in unicodeScalars {
            switch scalar {
            case "\"", "\\": quoted += "\\\(scalar)"
            case "\u{0}"..<"\u{20}": quoted += "\\u00\([UInt8(scalar.value)].hexadecimal)"
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
