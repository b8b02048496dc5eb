/// The header of a NumPy array file, versions 1 to 3: a dictionary in Python's notation.
///
/// Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
struct NPYHeader {
    /// Type and order of the elements, such as `<f4`.
    private(set) var descr = ""
    private(set) var shape: [Int] = []
    /// Where the elements start in the file.
    let dataOffset: Int

    private static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
    /// NumPy itself warns of more than 10,000 bytes.
    private static let largestSize = 1 << 16

    /// - Throws: `FormatError`: `invalid` where it is none, or of an array that is not in C order; `io`.
    init(_ file: InputFile) throws {
        let start = try file.bytes(at: 0, count: min(12, file.size))
        guard start.starts(with: NPYHeader.magic) else {
            let text = String(decoding: start, as: UTF8.self)
            let found = text.isEmpty ? "an empty file" : "a file that begins with \(text.excerpt)"
            throw FormatError(
                .invalid, path: file.path, "expected a NumPy array (.npy), found \(found); write it with numpy.save")
        }
        guard start.count == 12 else { throw FormatError.cutShort(file.path, after: file.size) }
        guard (1...3).contains(start[6]), start[7] == 0 else {
            throw FormatError(
                .invalid, path: file.path, "expected version 1.0, 2.0 or 3.0 of the NumPy format, found \(start[6]).\(start[7])")
        }
        let prefix = start[6] == 1 ? 10 : 12
        let size = start[8..<prefix].reversed().reduce(0) { $0 << 8 | Int($1) }
        guard size <= NPYHeader.largestSize else {
            throw FormatError(
                .invalid, path: file.path,
                "expected a NumPy header of at most \(NPYHeader.largestSize) bytes, found \(size); the file is damaged")
        }
        guard prefix + size <= file.size else { throw FormatError.cutShort(file.path, after: file.size) }
        dataOffset = prefix + size
        try parse(PythonScanner(file.bytes(at: prefix, count: size), path: file.path))
    }

    private mutating func parse(_ scanner: PythonScanner) throws {
        var scanner = scanner
        var seen: Set<String> = []
        try scanner.scanList(from: "{", to: "}") { scanner in
            let key = try scanner.scanString()
            guard seen.insert(key).inserted else { throw scanner.invalid("the key \(key.excerpt) occurs twice") }
            try scanner.expect(":")
            switch key {
            case "descr":
                guard !scanner.take("[") else {
                    throw scanner.invalid("its elements are structures; save each field as an array of its own")
                }
                descr = try scanner.scanString()
            case "fortran_order":
                guard try !scanner.scanBool() else {
                    throw scanner.invalid("it is in Fortran order; save numpy.ascontiguousarray of it")
                }
            case "shape":
                try scanner.scanList(from: "(", to: ")") { shape.append(try $0.scanSize()) }
            default: throw scanner.invalid("unknown key \(key.excerpt)")
            }
        }
        guard scanner.isAtEnd else { throw scanner.invalid("expected the end of the header") }
        guard seen.count == 3 else { throw scanner.invalid("expected the keys descr, fortran_order and shape") }
    }
}

/// Scans the few things of Python's notation that a header is made of.
private struct PythonScanner {
    private let bytes: [UInt8]
    private let path: String
    private var position = 0

    init(_ bytes: [UInt8], path: String) {
        self.bytes = bytes
        self.path = path
    }

    func invalid(_ message: String) -> FormatError {
        FormatError(.invalid, path: path, "the header of this NumPy array cannot be used: \(message)")
    }

    private mutating func skipSpace() {
        while position < bytes.count, bytes[position] == 0x20 || (0x09...0x0d).contains(bytes[position]) { position += 1 }
    }

    var isAtEnd: Bool {
        mutating get {
            skipSpace()
            return position == bytes.count
        }
    }

    mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        skipSpace()
        guard position < bytes.count, bytes[position] == UInt8(ascii: scalar) else { return false }
        position += 1
        return true
    }

    mutating func expect(_ scalar: Unicode.Scalar) throws {
        guard take(scalar) else {
            let rest = String(decoding: bytes[position...].prefix(20), as: UTF8.self)
            throw invalid("expected \(scalar) before \(rest.excerpt)")
        }
    }

    /// A comma may follow the last item.
    mutating func scanList(from first: Unicode.Scalar, to last: Unicode.Scalar, _ item: (inout Self) throws -> Void) throws {
        try expect(first)
        while !take(last) {
            try item(&self)
            guard !take(last) else { return }
            try expect(",")
        }
    }

    mutating func scanString() throws -> String {
        let quote: Unicode.Scalar = take("\"") ? "\"" : "'"
        if quote == "'" { try expect("'") }
        let start = position
        while position < bytes.count, bytes[position] != UInt8(ascii: quote), bytes[position] != UInt8(ascii: "\\") {
            position += 1
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        guard position < bytes.count, bytes[position] == UInt8(ascii: quote) else {
            throw invalid("the string \(text.excerpt) has no end, or an escape")
        }
        position += 1
        return text
    }

    mutating func scanBool() throws -> Bool {
        skipSpace()
        for (word, value) in [("True", true), ("False", false)] where bytes[position...].starts(with: word.utf8) {
            position += word.utf8.count
            return value
        }
        throw invalid("expected True or False for fortran_order")
    }

    /// Python 2 wrote an L behind long integers.
    mutating func scanSize() throws -> Int {
        skipSpace()
        let text = String(decoding: bytes[position...].prefix { "-0123456789".utf8.contains($0) }, as: UTF8.self)
        position += text.utf8.count
        _ = take("L")
        guard let size = Int(text), size >= 0 else { throw invalid("expected sizes of 0 … \(Int.max), found \(text.excerpt)") }
        return size
    }
}
