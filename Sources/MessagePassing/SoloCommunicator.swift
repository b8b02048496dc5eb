/// One rank alone: no launcher, no MPI.
public final class SoloCommunicator: Communicator {
    public let rank = 0
    public let hosts = [0..<1]

    public init() {}

    public func startSend(_ bytes: UnsafeRawBufferPointer, to rank: Int, tag: Tag) -> Request {
        preconditionFailure("a rank alone sends to rank \(rank)")
    }

    public func startReceive(_ bytes: UnsafeMutableRawBufferPointer, from rank: Int, tag: Tag) -> Request {
        preconditionFailure("a rank alone receives from rank \(rank)")
    }

    public func startSum(_ values: UnsafeMutableBufferPointer<Float>) -> Request { Request(index: 0) }
    public func isComplete(_ request: Request) -> Bool { true }
    public func pendingSender(tag: Tag) -> Int? { nil }
    public func allocateShared(byteCount: Int) -> UnsafeMutableRawPointer { allocateZeroed(byteCount: byteCount) }
    public func abort(_ code: Int32) -> Never { exit(code) }
    public func close() {}
}
