import Foundation
import Synchronization

/// The memory that the ranks of a host share: a file in a folder of the system, which may be small (64 MB in a container of
/// Docker's).
struct SharedMemoryRoom {
    /// Bytes that the ranks of a host want.
    let wanted: Int
    /// Bytes that are free there; nil where the system does not say.
    let free: Int?
    let folder: String

    /// Open MPI's folder for windows of shared memory: `osc_sm_backing_directory`, else /dev/shm, else that of its session.
    static var folder: String {
        let environment = ProcessInfo.processInfo.environment
        if let chosen = environment["OMPI_MCA_osc_sm_backing_directory"], !chosen.isEmpty { return chosen }
        return access("/dev/shm", W_OK) == 0 ? "/dev/shm" : environment["TMPDIR"] ?? "/tmp"
    }

    init(wanted: Int, folder: String = SharedMemoryRoom.folder) {
        self.wanted = wanted
        self.folder = folder
        var system = statvfs()
        free = statvfs(folder, &system) == 0 ? Int(system.f_bavail) * Int(system.f_frsize) : nil
    }

    /// Open MPI wants a few hundredths more, and places of its own.
    var isEnough: Bool { free.map { $0 >= wanted + wanted / 16 + 256 << 10 } ?? true }

    /// Why it is not enough, and what to do.
    func shortage(on host: String) -> String {
        let megabytes = max(256, 2 * (wanted >> 20) + 2)
        return "the ranks on host \(host) want \(wanted) bytes of shared memory, and \(folder) has \(free ?? 0) free. Give it "
            + "\(megabytes) MB or more: docker run --shm-size=\(megabytes)m; in Kubernetes an emptyDir of medium Memory at "
            + "\(folder); as root mount -o remount,size=\(megabytes)m \(folder). Or name a folder on a disk with room: mpirun --mca "
            + "osc_sm_backing_directory FOLDER"
    }
}

/// Where shared memory lies in this process, so that a page of it that the system cannot supply has a message: on the first
/// touch it ends the process with SIGBUS.
enum SharedRegions {
    private static let first = Atomic<UInt>(0)
    private static let last = Atomic<UInt>(0)
    private static let message: StaticString =
        """
        gan-dist: Error: a page of the memory that the ranks of this host share could not be had: its file system (/dev/shm) is \
        full, since another program or run has filled it meanwhile. Make room there or make it larger (docker run --shm-size=1g; \
        mount -o remount,size=1g /dev/shm), then go on with --resume latest

        """

    /// Watches a region, as one span with those before it.
    static func watch(_ start: UnsafeMutableRawPointer, byteCount: Int) {
        let address = UInt(bitPattern: start)
        let (low, high) = (first.load(ordering: .relaxed), last.load(ordering: .relaxed))
        first.store(low == 0 ? address : min(low, address), ordering: .relaxed)
        last.store(max(high, address + UInt(byteCount)), ordering: .relaxed)
        guard low == 0 else { return }
        _ = message.utf8CodeUnitCount
        var action = sigaction()
        action.__sigaction_handler.sa_sigaction = { number, information, _ in
            let address = UInt(bitPattern: information?.pointee._sifields._sigfault.si_addr)
            let (low, high) = (SharedRegions.first.load(ordering: .relaxed), SharedRegions.last.load(ordering: .relaxed))
            guard address >= low, address < high else {
                // As without a handler, when the access is repeated.
                signal(number, SIG_DFL)
                return
            }
            _ = write(2, SharedRegions.message.utf8Start, SharedRegions.message.utf8CodeUnitCount)
            _exit(ExitCode.inputOutput.rawValue)
        }
        action.sa_flags = SA_SIGINFO
        sigaction(SIGBUS, &action, nil)
    }
}
