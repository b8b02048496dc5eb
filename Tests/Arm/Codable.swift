/// Embedded Swift lacks it; a precision claims to be one.
public protocol Codable {}
