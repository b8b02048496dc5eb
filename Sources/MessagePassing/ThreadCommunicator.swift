import Synchronization

/// Ranks that are threads of one process: what tests run many ranks with, pretended hosts included.
public final class ThreadCommunicator: Communicator {
    public let rank: Int
    public let hosts: [Range<Int>]
    private let group: Group
    private var receives: [Int: (UnsafeMutableRawBufferPointer, Address)] = [:]
    private var sums: [Int: UnsafeMutableBufferPointer<Float>] = [:]
    private var nextRequest = 0
    private var sharedRegions = 0
    private var sumRounds = 0

    private struct Address: Hashable { let from: Int, to: Int, tag: Tag }

    /// What the ranks share, behind one lock.
    private final class Group: Sendable {
        struct State {
            var mail: [Address: [[UInt8]]] = [:]
            var regions: [Int: [UInt]] = [:]
            var sums: [Int: [Int: [Float]]] = [:]
        }
        let state = Mutex(State())
    }

    private init(rank: Int, hosts: [Range<Int>], group: Group) {
        self.rank = rank
        self.hosts = hosts
        self.group = group
    }

    /// The communicators of all ranks; `hostSizes` says how many ranks each pretended host has. Each belongs to the one
    /// thread that uses it.
    public static func group(hostSizes: [Int]) -> [ThreadCommunicator] {
        var hosts: [Range<Int>] = []
        for size in hostSizes {
            let start = hosts.last?.upperBound ?? 0
            hosts.append(start..<start + size)
        }
        let group = Group()
        return (0..<hostSizes.reduce(0, +)).map { ThreadCommunicator(rank: $0, hosts: hosts, group: group) }
    }

    public func startSend(_ bytes: UnsafeRawBufferPointer, to rank: Int, tag: Tag) -> Request {
        let message = Array(bytes)
        group.state.withLock { $0.mail[Address(from: self.rank, to: rank, tag: tag), default: []].append(message) }
        return request()
    }

    public func startReceive(_ bytes: UnsafeMutableRawBufferPointer, from rank: Int, tag: Tag) -> Request {
        let request = request()
        receives[request.index] = (bytes, Address(from: rank, to: self.rank, tag: tag))
        return request
    }

    public func startSum(_ values: UnsafeMutableBufferPointer<Float>) -> Request {
        sumRounds += 1
        let mine = Array(values)
        group.state.withLock { $0.sums[sumRounds, default: [:]][rank] = mine }
        let request = request()
        sums[request.index] = values
        return request
    }

    public func isComplete(_ request: Request) -> Bool {
        if let (bytes, address) = receives[request.index] {
            let message = group.state.withLock { state -> [UInt8]? in
                guard let waiting = state.mail[address], !waiting.isEmpty else { return nil }
                return state.mail[address]?.removeFirst()
            }
            guard let message else { return false }
            precondition(message.count == bytes.count, "\(message.count) bytes arrive where \(bytes.count) are expected")
            bytes.copyBytes(from: message)
            receives[request.index] = nil
        } else if let values = sums[request.index] {
            let parts = group.state.withLock { $0.sums[sumRounds] ?? [:] }
            guard parts.count == size else { return false }
            for i in values.indices { values[i] = (0..<size).reduce(Float(0)) { $0 + (parts[$1]?[i] ?? 0) } }
            sums[request.index] = nil
        }
        return true
    }

    public func pendingSender(tag: Tag) -> Int? {
        group.state.withLock { state in
            state.mail.first { $0.key.to == rank && $0.key.tag == tag && !$0.value.isEmpty }?.key.from
        }
    }

    public func allocateShared(byteCount: Int) -> UnsafeMutableRawPointer {
        defer { sharedRegions += 1 }
        let address = group.state.withLock { state in
            // Hosts may ask for different sizes.
            if state.regions[host, default: []].count == sharedRegions {
                state.regions[host, default: []].append(UInt(bitPattern: allocateZeroed(byteCount: byteCount)))
            }
            return state.regions[host, default: []][sharedRegions]
        }
        guard let memory = UnsafeMutableRawPointer(bitPattern: address) else { preconditionFailure("no shared memory") }
        return memory
    }

    public func abort(_ code: Int32) -> Never { exit(code) }
    public func close() {}

    private func request() -> Request {
        nextRequest += 1
        return Request(index: nextRequest)
    }
}
