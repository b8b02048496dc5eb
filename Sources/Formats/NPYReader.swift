/// Reads a NumPy array file: bytes, floats or integers in C order, any part of it.
///
/// Nothing is ever allocated by what a header claims. May be used on any number of threads.
public final class NPYReader: Sendable {
    public enum ElementType: Sendable, Equatable {
        case uint8, float32, float64
        /// Any other integer of 1, 2, 4 or 8 bytes.
        case integer(size: Int, isSigned: Bool)

        var size: Int {
            switch self {
            case .uint8: 1
            case .float32: 4
            case .float64: 8
            case .integer(let size, _): size
            }
        }
    }

    public let path: String
    /// Their product does not overflow `Int`; 1 for no sizes.
    public let shape: [Int]
    public let elementType: ElementType

    private let file: InputFile
    /// The elements' type as it stands in the file.
    private let descr: String
    private let isBigEndian: Bool
    private let dataOffset: Int
    private let elementCount: Int

    /// Reads the header, and verifies that the file is as long as it claims.
    /// - Throws: `FormatError`: `missing`; `invalid` where the file is none of NumPy, of another length, in Fortran order
    ///   or of other elements; `io`.
    public init(path: String) throws {
        let file = try InputFile(path: path)
        let header = try NPYHeader(file)
        guard let elementType = ElementType(header.descr) else {
            throw FormatError(
                .invalid, path: path,
                "expected an array of uint8, float32, float64 or integers, found \(header.descr.excerpt)"
                    + "\(meaning(header.descr)); save it with another type, as array.astype('float32')")
        }
        guard let count = product(header.shape), let size = product([count, elementType.size]) else {
            throw FormatError(.invalid, path: path, "an array of shape \(header.shape) is larger than any file")
        }
        guard size == file.size - header.dataOffset else {
            let remark = size > file.size - header.dataOffset ? "it is cut short" : "it is damaged"
            throw FormatError(
                .invalid, path: path,
                "an array of shape \(header.shape) and type \(header.descr) takes \(size) bytes, the file has "
                    + "\(file.size - header.dataOffset) after its header; \(remark): write it again")
        }
        self.path = path
        self.file = file
        self.elementType = elementType
        shape = header.shape
        descr = header.descr
        isBigEndian = header.descr.hasPrefix(">")
        dataOffset = header.dataOffset
        elementCount = count
    }

    /// Elements `first ..< first + count` as bytes: uint8 as they are, floats as `range` says, rounded to the nearest
    /// byte, halves to even.
    /// - Precondition: There are as many elements, here and below.
    /// - Throws: `FormatError`: `invalid` where a value is outside of the range, or elements are other integers; `io`.
    public func readBytes(first: Int, count: Int, range: ValueRange) throws -> [UInt8] {
        switch elementType {
        case .uint8:
            checkRange(first, count)
            return try file.bytes(at: dataOffset + first, count: count)
        case .float32: return try readBytes(of: Float.self, first, count, range)
        case .float64: return try readBytes(of: Double.self, first, count, range)
        case .integer: throw misfit("uint8, float32 or float64", as: "uint8")
        }
    }

    private func readBytes<Value: BinaryFloatingPoint>(
        of type: Value.Type, _ first: Int, _ count: Int, _ range: ValueRange
    ) throws -> [UInt8] {
        let (least, shift, scale) = range == .zeroToOne ? (0.0, 0.0, 255.0) : (-1.0, 1.0, 127.5)
        // Added to a number of this size, a double is rounded to an integer, which its lowest bits are.
        let integers = 0x1.8p52
        return try [UInt8](unsafeUninitializedCapacity: count) { bytes, initializedCount in
            try forEachPiece(first, count) { piece, start in
                let values = piece.assumingMemoryBound(to: Value.self)
                var outside = 0
                for i in 0..<values.count {
                    let value = Double(values[i])
                    outside &+= value >= least && value <= 1 ? 0 : 1
                    bytes[start - first + i] = UInt8(truncatingIfNeeded: (scale * (value + shift) + integers).bitPattern)
                }
                if outside > 0 { throw stranger(among: values, start, least: least) }
            }
            initializedCount = count
        }
    }

    /// The least and the greatest of floats.
    /// - Precondition: `count` is positive.
    /// - Throws: `FormatError`: `invalid` where a value is NaN or outside of −1 … 1, or elements are no floats; `io`.
    public func valueBounds(first: Int, count: Int) throws -> (least: Double, greatest: Double) {
        switch elementType {
        case .float32: try valueBounds(of: Float.self, first, count)
        case .float64: try valueBounds(of: Double.self, first, count)
        case .uint8, .integer: throw misfit("float32 or float64", as: "float32")
        }
    }

    private func valueBounds<Value: BinaryFloatingPoint>(
        of type: Value.Type, _ first: Int, _ count: Int
    ) throws -> (least: Double, greatest: Double) {
        precondition(count > 0, "nothing has no bounds")
        var (least, greatest) = (Value.infinity, -Value.infinity)
        try forEachPiece(first, count) { piece, start in
            let values = piece.assumingMemoryBound(to: Value.self)
            var outside = 0
            for i in 0..<values.count {
                let value = values[i]
                outside &+= value >= -1 && value <= 1 ? 0 : 1
                least = value < least ? value : least
                greatest = value > greatest ? value : greatest
            }
            if outside > 0 { throw stranger(among: values, start, least: -1) }
        }
        return (Double(least), Double(greatest))
    }

    /// Elements `first ..< first + count` of floats.
    /// - Throws: `FormatError`: `invalid` where elements are no floats, or one is not finite in single precision; `io`.
    public func readFloats(first: Int, count: Int) throws -> [Float] {
        switch elementType {
        case .float32: try readFloats(of: Float.self, first, count)
        case .float64: try readFloats(of: Double.self, first, count)
        case .uint8, .integer: throw misfit("float32 or float64", as: "float32")
        }
    }

    private func readFloats<Value: BinaryFloatingPoint>(of type: Value.Type, _ first: Int, _ count: Int) throws -> [Float] {
        try [Float](unsafeUninitializedCapacity: count) { floats, initializedCount in
            try forEachPiece(first, count) { piece, start in
                for (index, value) in piece.assumingMemoryBound(to: Value.self).enumerated() {
                    let float = Float(value)
                    guard float.isFinite else {
                        throw invalid(start + index, "\(value)", expected: "finite numbers of single precision")
                    }
                    floats[start - first + index] = float
                }
            }
            initializedCount = count
        }
    }

    /// Elements `first ..< first + count` of any type of integers, as for labels.
    /// - Throws: `FormatError`: `invalid` where elements are no integers, or one is beyond `Int`; `io`.
    public func readIntegers(first: Int, count: Int) throws -> [Int] {
        switch elementType {
        case .uint8: try readIntegers(of: UInt8.self, first, count)
        case .integer(1, _): try readIntegers(of: Int8.self, first, count)
        case .integer(2, true): try readIntegers(of: Int16.self, first, count)
        case .integer(2, false): try readIntegers(of: UInt16.self, first, count)
        case .integer(4, true): try readIntegers(of: Int32.self, first, count)
        case .integer(4, false): try readIntegers(of: UInt32.self, first, count)
        case .integer(_, true): try readIntegers(of: Int64.self, first, count)
        case .integer(_, false): try readIntegers(of: UInt64.self, first, count)
        case .float32, .float64: throw misfit("integers", as: "int64")
        }
    }

    private func readIntegers<Value: FixedWidthInteger>(of type: Value.Type, _ first: Int, _ count: Int) throws -> [Int] {
        try [Int](unsafeUninitializedCapacity: count) { integers, initializedCount in
            try forEachPiece(first, count) { piece, start in
                for (index, value) in piece.assumingMemoryBound(to: Value.self).enumerated() {
                    guard let integer = Int(exactly: value) else {
                        throw invalid(start + index, "\(value)", expected: "integers of at most \(Int.max)")
                    }
                    integers[start - first + index] = integer
                }
            }
            initializedCount = count
        }
    }

    // MARK: Pieces

    private func checkRange(_ first: Int, _ count: Int) {
        precondition(
            first >= 0 && count >= 0 && first <= elementCount - count, "\(count) elements from \(first) on, of \(elementCount)")
    }

    /// Reads elements in pieces of bounded size, in the machine's order of bytes; `take` gets each and the number of its
    /// first element.
    private func forEachPiece(_ first: Int, _ count: Int, _ take: (UnsafeRawBufferPointer, Int) throws -> Void) throws {
        checkRange(first, count)
        let size = elementType.size
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: min(1 << 16, count * size), alignment: 16)
        defer { buffer.deallocate() }
        var done = 0
        while done < count {
            let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(buffer.count, (count - done) * size)])
            try file.readFully(into: piece, at: dataOffset + (first + done) * size)
            if isBigEndian, size > 1 {
                for start in stride(from: 0, to: piece.count, by: size) { piece[start..<start + size].reverse() }
            }
            try take(UnsafeRawBufferPointer(piece), first + done)
            done += piece.count / size
        }
    }

    // MARK: Errors

    private func invalid(_ element: Int, _ value: String, expected: String) -> FormatError {
        FormatError(.invalid, path: path, "element \(element), counted from 0, is \(value); expected \(expected)")
    }

    /// The first value outside of `least` … 1.
    private func stranger<Value: BinaryFloatingPoint>(
        among values: UnsafeBufferPointer<Value>, _ start: Int, least: Double
    ) -> FormatError {
        let index = values.firstIndex { !(Double($0) >= least && $0 <= 1) } ?? 0
        let range = least == 0 ? "0 … 1" : "0 … 1 or −1 … 1"
        return invalid(start + index, "\(values[index])", expected: "values of \(range); scale the array, or save it as uint8")
    }

    private func misfit(_ expected: String, as type: String) -> FormatError {
        FormatError(
            .invalid, path: path, "expected elements of \(expected), found \(descr.excerpt); save array.astype('\(type)')")
    }
}

/// Which floats are bytes: 1 is always 255.
public enum ValueRange: Sendable {
    /// 0 is 0: a byte is round(255 v).
    case zeroToOne
    /// −1 is 0: a byte is round(127.5 (v + 1)).
    case minusOneToOne
}

extension NPYReader.ElementType {
    /// - Parameter descr: Order of bytes, kind and size, as NumPy's `dtype.str`; nil of other kinds.
    fileprivate init?(_ descr: String) {
        guard let order = descr.first, "<>|=".contains(order) else { return nil }
        switch descr.dropFirst() {
        case "u1": self = .uint8
        case "f4": self = .float32
        case "f8": self = .float64
        case "i1", "i2", "i4", "i8", "u2", "u4", "u8":
            self = .integer(size: descr.last?.wholeNumberValue ?? 0, isSigned: descr.contains("i"))
        default: return nil
        }
    }
}

/// What the elements are that are not read.
private func meaning(_ descr: String) -> String {
    switch descr.dropFirst().first {
    case "b": " (truth values)"
    case "c": " (complex numbers)"
    case "S", "a", "U": " (strings)"
    case "O": " (Python objects)"
    case "M", "m": " (times)"
    case "f": " (floats of another size)"
    default: ""
    }
}
