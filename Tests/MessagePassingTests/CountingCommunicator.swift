import MessagePassing

/// Another communicator that counts its messages and sums.
final class CountingCommunicator: Communicator {
    private let base: any Communicator
    private(set) var messages = 0
    private(set) var messagesOfTag: [Tag: Int] = [:]
    private(set) var bytes = 0
    private(set) var sums = 0

    init(_ base: any Communicator) { self.base = base }

    var rank: Int { base.rank }
    var hosts: [Range<Int>] { base.hosts }

    func startSend(_ bytes: UnsafeRawBufferPointer, to rank: Int, tag: Tag) throws -> Request {
        messages += 1
        messagesOfTag[tag, default: 0] += 1
        self.bytes += bytes.count
        return try base.startSend(bytes, to: rank, tag: tag)
    }

    func startReceive(_ bytes: UnsafeMutableRawBufferPointer, from rank: Int, tag: Tag) throws -> Request {
        try base.startReceive(bytes, from: rank, tag: tag)
    }

    func startSum(_ values: UnsafeMutableBufferPointer<Float>) throws -> Request {
        sums += 1
        return try base.startSum(values)
    }

    func isComplete(_ request: Request) throws -> Bool { try base.isComplete(request) }
    func pendingSender(tag: Tag) throws -> Int? { try base.pendingSender(tag: tag) }
    func allocateShared(byteCount: Int) throws -> UnsafeMutableRawPointer { try base.allocateShared(byteCount: byteCount) }
    func abort(_ code: Int32) -> Never { base.abort(code) }
    func close() throws { try base.close() }
}
