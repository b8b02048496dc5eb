/// Numbers that NumPy arrays are written of.
public protocol NPYElement: BitwiseCopyable {
    /// NumPy's name of the little-endian type.
    static var descriptor: String { get }
}

extension Float: NPYElement { public static let descriptor = "<f4" }
extension Int64: NPYElement { public static let descriptor = "<i8" }

/// Writes elements as a NumPy array file, atomically.
///
/// Format version 1.0 (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html): C order,
/// little-endian, elements from a multiple of 64 on.
/// - Precondition: The product of `shape` is the number of elements; the shape has at most 32 sizes.
/// - Throws: `FormatError` of kind `io`.
public func writeNPY<Element: NPYElement>(path: String, shape: [Int], elements: UnsafeBufferPointer<Element>) throws {
    precondition(
        shape.count <= 32 && shape.reduce(1, *) == elements.count, "\(elements.count) elements, shape \(shape)")
    let sizes = shape.map(String.init).joined(separator: ", ") + (shape.count == 1 ? "," : "")
    var header = Array("{'descr': '\(Element.descriptor)', 'fortran_order': False, 'shape': (\(sizes)), }".utf8)
    let prefixSize = 10
    header += [UInt8](repeating: UInt8(ascii: " "), count: -(prefixSize + header.count + 1) & 63)
    header.append(UInt8(ascii: "\n"))

    let magic = [0x93] + Array("NUMPY".utf8) + [1, 0]
    let length = [UInt8(header.count & 255), UInt8(header.count >> 8)]
    let file = try AtomicFile(path: path)
    try (magic + length + header).withUnsafeBytes { try file.append($0) }
    try file.append(UnsafeRawBufferPointer(elements))
    try file.commit()
}
