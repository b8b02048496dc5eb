/// Hands out parts of one region of shared memory. Every rank asks for the same parts in the same order.
public struct SharedSpace {
    private let base: UnsafeMutableRawPointer
    private let byteCount: Int
    private var used = 0

    public init(_ communicator: any Communicator, byteCount: Int) throws {
        self.byteCount = byteCount.roundedUp(to: 64)
        base = try communicator.allocateShared(byteCount: self.byteCount)
    }

    /// `count` zeroed elements, aligned to 64 bytes.
    public mutating func take<Element: ~Copyable>(_ count: Int, of type: Element.Type) -> UnsafeMutablePointer<Element> {
        let bytes = (count * MemoryLayout<Element>.stride).roundedUp(to: 64)
        precondition(used + bytes <= byteCount, "\(used + bytes) bytes of a shared space of \(byteCount)")
        defer { used += bytes }
        return (base + used).bindMemory(to: type, capacity: count)
    }
}
