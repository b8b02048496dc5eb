/// Scans JSON (RFC 8259) of a shape known beforehand, strictly: no duplicate key, no integer that is not exact.
///
/// It knows the values that a safetensors header is made of: objects, strings, lists of non-negative integers. It
/// recurses no deeper than its caller.
struct JSONScanner {
    private let bytes: [UInt8]
    private let path: String
    /// Where `bytes` start in the file, for messages.
    private let offset: Int
    private var position = 0

    /// - Precondition: `bytes` are valid UTF-8.
    init(_ bytes: [UInt8], path: String, offset: Int) {
        self.bytes = bytes
        self.path = path
        self.offset = offset
    }

    /// Scans an object; `scanValue` is called after each key, and scans its value.
    mutating func scanObject(_ scanValue: (inout JSONScanner, String) throws -> Void) throws {
        var keys: Set<String> = []
        try scanList(from: "{", to: "}") { scanner in
            let key = try scanner.scanString().value
            guard keys.insert(key).inserted else { throw scanner.invalid("the key \(key.excerpt) occurs twice") }
            try scanner.expect(":")
            try scanValue(&scanner, key)
        }
    }

    /// At most 64 integers: as many as a tensor of PyTorch or NumPy has sizes.
    mutating func scanIntegers() throws -> [Int] {
        var integers: [Int] = []
        try scanList(from: "[", to: "]") { scanner in
            guard integers.count < 64 else { throw scanner.invalid("a list holds more than 64 integers") }
            integers.append(try scanner.scanInteger())
        }
        return integers
    }

    /// A string, and where it lies between its quotation marks.
    mutating func scanString() throws -> (value: String, range: Range<Int>) {
        try expect("\"")
        let start = position
        var value: [UInt8] = []
        while let byte = next(), byte != UInt8(ascii: "\"") {
            guard byte >= 0x20 else { throw invalid("a string holds a control character") }
            if byte == UInt8(ascii: "\\") {
                value += String(try scanEscape()).utf8
            } else {
                value.append(byte)
            }
        }
        guard position > start, bytes[position - 1] == UInt8(ascii: "\"") else { throw invalid("a string has no end") }
        return (String(decoding: value, as: UTF8.self), start..<position - 1)
    }

    /// Verifies that nothing but white space is left.
    mutating func scanEnd() throws {
        skipSpace()
        guard position == bytes.count else { throw invalid("expected the end of the header") }
    }

    func invalid(_ message: String) -> FormatError {
        FormatError(.invalid, path: path, "\(message), before byte \(offset + position); the file is damaged")
    }

    private mutating func scanList(
        from opening: Unicode.Scalar, to closing: Unicode.Scalar, _ scanElement: (inout JSONScanner) throws -> Void
    ) throws {
        try expect(opening)
        if skip(closing) { return }
        repeat { try scanElement(&self) } while skip(",")
        try expect(closing)
    }

    private mutating func scanInteger() throws -> Int {
        skipSpace()
        let digits = bytes[position...].prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        let isCanonical = digits.count == 1 || digits.first != UInt8(ascii: "0")
        guard isCanonical, let integer = Int(String(decoding: digits, as: UTF8.self)) else {
            throw invalid("expected a non-negative integer")
        }
        position += digits.count
        return integer
    }

    private mutating func scanEscape() throws -> Unicode.Scalar {
        switch next().map(Unicode.Scalar.init) {
        case let character? where "\"\\/".unicodeScalars.contains(character): return character
        case "b": return "\u{8}"
        case "f": return "\u{c}"
        case "n": return "\n"
        case "r": return "\r"
        case "t": return "\t"
        case "u": return try scanCodeUnits()
        default: throw invalid("a string holds an unknown escape")
        }
    }

    /// The four digits after `\u`, and the other half of a surrogate pair.
    private mutating func scanCodeUnits() throws -> Unicode.Scalar {
        let first = try scanCodeUnit()
        if let scalar = Unicode.Scalar(first) { return scalar }
        if UTF16.isLeadSurrogate(first), next() == UInt8(ascii: "\\"), next() == UInt8(ascii: "u") {
            let second = try scanCodeUnit()
            if UTF16.isTrailSurrogate(second) {
                return UTF16.decode(UTF16.EncodedScalar([first, second]))
            }
        }
        throw invalid("a string holds half a surrogate pair")
    }

    private mutating func scanCodeUnit() throws -> UInt16 {
        let digits = bytes[position...].prefix(4)
        guard digits.count == 4, !"+-".utf8.contains(digits[position]),
            let unit = UInt16(String(decoding: digits, as: UTF8.self), radix: 16)
        else { throw invalid("expected four hexadecimal digits") }
        position += 4
        return unit
    }

    private mutating func expect(_ character: Unicode.Scalar) throws {
        guard skip(character) else { throw invalid("expected \(character)") }
    }

    /// Skips white space, then `character` if it comes next.
    private mutating func skip(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func skipSpace() {
        while position < bytes.count, [0x20, 0x09, 0x0a, 0x0d].contains(bytes[position]) { position += 1 }
    }

    private mutating func next() -> UInt8? {
        guard position < bytes.count else { return nil }
        defer { position += 1 }
        return bytes[position]
    }
}
