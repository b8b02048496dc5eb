import CMPI
import Foundation

/// Ranks that `mpirun` or `srun` launched. Ranks are renumbered so that those of a host are consecutive.
public final class MPICommunicator: Communicator {
    public let rank: Int
    public let hosts: [Range<Int>]
    private let world: MPI_Comm?
    private let hostWorld: MPI_Comm?
    private let requests: UnsafeMutablePointer<MPI_Request?>
    private let capacity = 4096
    private var free: [Int]
    private let calls: CallWatch
    /// How a call of MPI that fails ends the run: before the first step it would only fail again.
    private var fault = ExitCode.internalError

    /// Initialises MPI.
    ///
    /// - Parameters:
    ///   - pretendedHosts: a host number for each rank of the launcher splits the ranks of one machine as if they were on
    ///     several, so that the network path can be tested.
    ///   - limit: seconds that MPI may take for a call of all ranks together, 0 for ever.
    ///   - launchedRank: this rank, by the launcher's numbers.
    ///   - end: reports that such a call did not return, on a thread of its own, and ends the process.
    public init(
        pretendedHosts: [Int32]? = nil, limit: Double, launchedRank: Int, end: @escaping @Sendable (Failure) -> Never
    ) throws {
        calls = CallWatch(limit: limit, rank: launchedRank, end: end)
        (rank, hosts, world, hostWorld) = try calls.watch("MPI_Init") { try MPICommunicator.join(pretendedHosts) }
        requests = .allocate(capacity: capacity)
        requests.initialize(repeating: cmpi_request_null(), count: capacity)
        free = Array((0..<capacity).reversed())
    }

    /// This rank, the ranks of each host, and the communicators of all ranks and of this host's.
    private static func join(
        _ pretendedHosts: [Int32]?
    ) throws -> (rank: Int, hosts: [Range<Int>], world: MPI_Comm?, hostWorld: MPI_Comm?) {
        var provided: Int32 = 0
        // A thread of ours watches the calls but makes none.
        try check(MPI_Init_thread(nil, nil, Int32(MPI_THREAD_FUNNELED), &provided), "MPI_Init_thread")
        let all = cmpi_comm_world()
        try check(MPI_Comm_set_errhandler(all, cmpi_errors_return()), "MPI_Comm_set_errhandler")
        var launched: Int32 = 0
        var size: Int32 = 0
        try check(MPI_Comm_rank(all, &launched), "MPI_Comm_rank")
        try check(MPI_Comm_size(all, &size), "MPI_Comm_size")

        var near: MPI_Comm? = cmpi_comm_null()
        try check(
            MPI_Comm_split_type(all, cmpi_comm_type_shared(), launched, cmpi_info_null(), &near), "MPI_Comm_split_type")
        if let pretendedHosts {
            guard pretendedHosts.count == Int(size), pretendedHosts.allSatisfy({ $0 >= 0 }) else {
                throw Failure(.usage, "GAN_DIST_HOSTS must hold \(size) host numbers, one a rank, such as 0,0,1,1")
            }
            var split: MPI_Comm? = cmpi_comm_null()
            try check(MPI_Comm_split(near, pretendedHosts[Int(launched)], launched, &split), "MPI_Comm_split")
            near = split
        }
        // A host is known by the lowest launched rank on it.
        var first = launched
        var lowest: Int32 = 0
        try check(MPI_Allreduce(&first, &lowest, 1, cmpi_int(), cmpi_min(), near), "MPI_Allreduce")
        var ordered: MPI_Comm? = cmpi_comm_null()
        try check(MPI_Comm_split(all, 0, lowest * size + launched, &ordered), "MPI_Comm_split")
        try check(MPI_Comm_set_errhandler(ordered, cmpi_errors_return()), "MPI_Comm_set_errhandler")
        var number: Int32 = 0
        try check(MPI_Comm_rank(ordered, &number), "MPI_Comm_rank")
        var owners = [Int32](repeating: 0, count: Int(size))
        try check(MPI_Allgather(&lowest, 1, cmpi_int(), &owners, 1, cmpi_int(), ordered), "MPI_Allgather")

        var hosts: [Range<Int>] = []
        for (index, owner) in owners.enumerated() {
            if index > 0, owner == owners[index - 1] {
                hosts[hosts.count - 1] = hosts[hosts.count - 1].lowerBound..<index + 1
            } else {
                hosts.append(index..<index + 1)
            }
        }
        return (Int(number), hosts, ordered, near)
    }

    /// The MPI library's name and version; it may be asked without initialising MPI.
    public static var libraryVersion: String {
        var text = [CChar](repeating: 0, count: Int(cmpi_max_library_version()) + 1)
        var length: Int32 = 0
        guard MPI_Get_library_version(&text, &length) == MPI_SUCCESS else { return "unknown" }
        let name = String(decoding: text.prefix(Int(length)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return String(name.prefix { $0 != "," && $0 != "\n" && $0 != "\0" })
    }

    public func startSend(_ bytes: UnsafeRawBufferPointer, to rank: Int, tag: Tag) throws -> Request {
        let index = try freeRequest()
        try verify(
            MPI_Isend(bytes.baseAddress, count(bytes.count), cmpi_byte(), Int32(rank), tag.rawValue, world, requests + index),
            "MPI_Isend to rank \(rank)")
        return Request(index: index)
    }

    public func startReceive(_ bytes: UnsafeMutableRawBufferPointer, from rank: Int, tag: Tag) throws -> Request {
        let index = try freeRequest()
        try verify(
            MPI_Irecv(bytes.baseAddress, count(bytes.count), cmpi_byte(), Int32(rank), tag.rawValue, world, requests + index),
            "MPI_Irecv from rank \(rank)")
        return Request(index: index)
    }

    public func startSum(_ values: UnsafeMutableBufferPointer<Float>) throws -> Request {
        let index = try freeRequest()
        try verify(
            MPI_Iallreduce(
                cmpi_in_place(), values.baseAddress, count(values.count), cmpi_float(), cmpi_sum(), world, requests + index),
            "MPI_Iallreduce")
        return Request(index: index)
    }

    public func isComplete(_ request: Request) throws -> Bool {
        var flag: Int32 = 0
        try verify(MPI_Test(requests + request.index, &flag, cmpi_status_ignore()), "MPI_Test")
        if flag != 0 { free.append(request.index) }
        return flag != 0
    }

    public func pendingSender(tag: Tag) throws -> Int? {
        var flag: Int32 = 0
        var status = MPI_Status()
        try verify(MPI_Iprobe(cmpi_any_source(), tag.rawValue, world, &flag, &status), "MPI_Iprobe")
        return flag != 0 ? Int(status.MPI_SOURCE) : nil
    }

    public func allocateShared(byteCount: Int) throws -> UnsafeMutableRawPointer {
        var local: Int32 = 0
        try verify(MPI_Comm_rank(hostWorld, &local), "MPI_Comm_rank")
        var base: UnsafeMutableRawPointer?
        var window: MPI_Win?
        // Pages of the segment exist from the first write on, so that each host pays for what its ranks touch.
        let isAlone = localRanks.count == 1
        let size = local == 0 && !isAlone ? byteCount.roundedUp(to: 64) + 64 : 0
        try calls.watch("MPI_Win_allocate_shared") {
            try checkRoom(size)
            if isAlone { return }
            let code = MPI_Win_allocate_shared(size, 1, cmpi_info_null(), hostWorld, &base, &window)
            // The ranks of a host fail together, and one that speaks is enough.
            if code != MPI_SUCCESS, local != 0 { sleep(3) }
            let room = SharedMemoryRoom(wanted: byteCount)
            let free = room.free.map { " where \($0) bytes are free" } ?? ""
            try verify(
                code, "MPI_Win_allocate_shared of \(byteCount) bytes in \(room.folder)\(free) on \(Place.here.host)")
        }
        // Where there is nobody to share with, MPI would take memory that is not zeroed.
        if isAlone { return try mapZeroed(byteCount: byteCount) }
        var bytes = 0
        var unit: Int32 = 0
        try verify(MPI_Win_shared_query(window, 0, &bytes, &unit, &base), "MPI_Win_shared_query")
        guard let base else { throw Failure(.internalError, "MPI_Win_shared_query gave no memory") }
        SharedRegions.watch(base, byteCount: bytes)
        return UnsafeMutableRawPointer(bitPattern: Int(bitPattern: base).roundedUp(to: 64)) ?? base
    }

    /// Refuses, on all ranks together, what a host has no room for.
    private func checkRoom(_ size: Int) throws {
        let room = SharedMemoryRoom(wanted: size)
        let shortage = size > 0 && !room.isEnough ? Array(room.shortage(on: Place.here.host).utf8.prefix(1023)) : []
        let length = 1024
        var own = shortage + [UInt8](repeating: 0, count: length - shortage.count)
        var all = [UInt8](repeating: 0, count: length * self.size)
        try verify(
            MPI_Allgather(&own, Int32(length), cmpi_byte(), &all, Int32(length), cmpi_byte(), world), "MPI_Allgather")
        let texts = stride(from: 0, to: all.count, by: length).map {
            String(decoding: all[$0..<$0 + length].prefix { $0 != 0 }, as: UTF8.self)
        }
        guard let first = texts.first(where: { !$0.isEmpty }) else { return }
        throw Failure(.inputOutput, first, isShared: true)
    }

    public func noteProgress() { fault = .stopped }

    public func abort(_ code: Int32) -> Never {
        fflush(nil)
        // MPI asks the launcher to end the job, and a launcher that is stopped does not answer.
        Thread.detachNewThread {
            sleep(10)
            _exit(code)
        }
        MPI_Abort(cmpi_comm_world(), code)
        _exit(code)
    }

    public func leave(_ code: Int32) -> Never {
        fflush(nil)
        // A signal that all ranks got: the launcher is at it.
        if code > 128 { _exit(code) }
        sleep(5)
        abort(code)
    }

    public func close() throws {
        try calls.watch("MPI_Finalize") { try verify(MPI_Finalize(), "MPI_Finalize") }
    }

    private func verify(_ code: Int32, _ call: @autoclosure () -> String) throws {
        if code != MPI_SUCCESS { try check(code, call(), fault) }
    }

    private func freeRequest() throws -> Int {
        guard let index = free.popLast() else {
            throw Failure(.internalError, "more than \(capacity) messages under way at once on rank \(rank)")
        }
        return index
    }

    private func count(_ count: Int) -> Int32 {
        precondition(count <= Int(Int32.max), "a message of \(count) elements; MPI counts up to \(Int32.max)")
        return Int32(count)
    }
}

/// Throws the library's own text for a return code that is not success, naming the call.
private func check(_ code: Int32, _ call: @autoclosure () -> String, _ fault: ExitCode = .internalError) throws {
    guard code != MPI_SUCCESS else { return }
    var text = [CChar](repeating: 0, count: Int(cmpi_max_error_string()) + 1)
    var length: Int32 = 0
    MPI_Error_string(code, &text, &length)
    let reason = String(decoding: text.prefix(Int(length)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    throw Failure(fault, "\(call()) failed: \(reason)")
}
