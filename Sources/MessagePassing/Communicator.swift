/// A group of ranks and how they reach each other. Ranks of one host are consecutive. MPI, one rank alone, and many
/// ranks in one process (for tests) implement it; everything above is written once, in terms of these few methods.
///
/// A communicator belongs to one thread. Messages between two ranks with the same tag arrive in order.
public protocol Communicator: AnyObject {
    /// This rank, 0 ..< size.
    var rank: Int { get }
    /// The ranks of each host, in order: [0 ..< 4, 4 ..< 8] for two hosts of four.
    var hosts: [Range<Int>] { get }

    /// Starts sending; `bytes` must stay unchanged until the request is complete.
    func startSend(_ bytes: UnsafeRawBufferPointer, to rank: Int, tag: Tag) throws -> Request
    /// Starts receiving a message of exactly this many bytes.
    func startReceive(_ bytes: UnsafeMutableRawBufferPointer, from rank: Int, tag: Tag) throws -> Request
    /// Starts adding `values` over all ranks in an order of the library's choice, in place.
    func startSum(_ values: UnsafeMutableBufferPointer<Float>) throws -> Request
    /// Whether the request has completed; if so, it is spent and must not be asked about again.
    func isComplete(_ request: Request) throws -> Bool
    /// The rank of which a message with this tag waits to be received, if any.
    func pendingSender(tag: Tag) throws -> Int?

    /// Zeroed memory that all ranks of this host share, aligned to 64 bytes. Every rank calls it, those of a host with the
    /// same size.
    func allocateShared(byteCount: Int) throws -> UnsafeMutableRawPointer
    /// Ends every rank of the job with this exit code.
    func abort(_ code: Int32) -> Never
    /// Ends this rank without a word, because the launcher or another rank is ending the job and says why. Where nobody does
    /// within seconds, it aborts.
    func leave(_ code: Int32) -> Never
    /// To be called once steps have been done. From then on a failure between the ranks ends with 75: resuming is worthwhile.
    func noteProgress()
    /// Leaves in order, all ranks together.
    func close() throws
}

/// What a message is about.
public struct Tag: Hashable, Sendable {
    public let rawValue: Int32

    public static let collective = Tag(rawValue: 0)
    public static let data = Tag(rawValue: 1)
    static let gradients = Tag(rawValue: 2)
    static let parameters = Tag(rawValue: 3)
    static let records = Tag(rawValue: 4)
    public static let state = Tag(rawValue: 5)
    static let watchdog = Tag(rawValue: 6)
    public static let statistics = Tag(rawValue: 7)

    /// The same of a reduction's own messages. Ranks send those of several reductions in orders of their own.
    func of(reduction: Int) -> Tag { Tag(rawValue: rawValue + 8 * Int32(reduction)) }
}

/// A message under way.
public struct Request: Sendable {
    let index: Int
}

extension Communicator {
    public func leave(_ code: Int32) -> Never { abort(code) }
    public func noteProgress() {}
    public var size: Int { hosts[hosts.count - 1].upperBound }
    /// The index of this rank's host.
    public var host: Int { hosts.firstIndex { $0.contains(rank) } ?? 0 }
    /// The ranks of this rank's host.
    public var localRanks: Range<Int> { hosts[host] }
    /// Whether this rank acts for its host.
    public var isHostLeader: Bool { rank == localRanks.lowerBound }
}
