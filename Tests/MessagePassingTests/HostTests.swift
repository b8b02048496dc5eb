import Foundation
import Testing

@testable import MessagePassing

/// What a rank finds out about its host: cores, other processes, room for shared memory.
@Suite(.timeLimit(.minutes(15))) struct HostTests {
    private func place(_ host: String, cores: [Int], quota: Int = .max) -> Place {
        Place(host: host, process: 1, namespace: "n", cores: CoreSet(numbers: Set(cores), quota: quota))
    }

    @Test("Ranks with a core each are no crowd, however they are bound")
    func noCrowd() {
        #expect(crowding(hosts: [0..<2], places: [place("a", cores: [0]), place("a", cores: [1])]) == nil)
        #expect(crowding(hosts: [0..<2], places: [place("a", cores: [0, 1]), place("a", cores: [0, 1])]) == nil)
        #expect(crowding(hosts: [0..<1, 1..<2], places: [place("a", cores: [0]), place("b", cores: [0])]) == nil)
    }

    @Test("Ranks that share cores are told of, with the remedy")
    func crowd() throws {
        let bound = crowding(hosts: [0..<4], places: (0..<4).map { place("a", cores: [$0 % 2]) })
        #expect(try #require(bound).contains("4 ranks on host a may use 2 cores"), "\(bound ?? "")")
        #expect(bound?.contains("mpirun -np 2") == true && bound?.contains("2 times as long") == true, "\(bound ?? "")")
        let quota = crowding(hosts: [0..<2], places: [place("a", cores: [0, 1], quota: 1), place("a", cores: [0, 1], quota: 1)])
        #expect(quota?.contains("may use 1 core:") == true, "\(quota ?? "")")
        let second = crowding(
            hosts: [0..<1, 1..<3], places: [place("a", cores: [0]), place("b", cores: [0]), place("b", cores: [0])])
        #expect(second?.contains("2 ranks on host b") == true && second?.contains("start 1 there") == true, "\(second ?? "")")
    }

    @Test("A rank learns of the crowd that it is part of")
    func measured() throws {
        let count = 4 * sysconf(Int32(_SC_NPROCESSORS_ONLN))
        let notes = try onRanks(hosts: [count]) { try World($0, limit: 30).crowding }
        #expect(notes.allSatisfy { $0?.hasPrefix("the \(count) ranks on host ") == true }, "\(notes)")
        #expect(try World(SoloCommunicator(), limit: 30).crowding == nil)
    }

    @Test("A place arrives as it was sent")
    func placeRoundTrip() {
        let here = Place.here
        let there = Place(bytes: here.bytes)
        #expect(there.description == here.description && there.namespace == here.namespace)
        #expect(there.cores.numbers == here.cores.numbers && there.cores.quota == here.cores.quota)
        #expect(!here.cores.numbers.isEmpty && here.isVisible(from: there))
    }

    @Test("A process is seen to run, to be stopped, and to be gone")
    func processes() throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sleep")
        process.arguments = ["60"]
        try process.run()
        let number = process.processIdentifier
        #expect(ProcessState(of: number) == .alive)
        kill(number, SIGSTOP)
        while ProcessState(of: number) == .alive { usleep(1_000) }
        #expect(ProcessState(of: number) == .stopped)
        kill(number, SIGKILL)
        process.waitUntilExit()
        #expect(ProcessState(of: number) == .gone)
    }

    @Test("Too little room is told with the bytes wanted and free, and the ways out")
    func room() throws {
        let room = SharedMemoryRoom(wanted: 1 << 60, folder: "/dev/shm")
        let free = try #require(room.free)
        #expect(!room.isEnough && SharedMemoryRoom(wanted: 1, folder: "/").isEnough)
        let text = room.shortage(on: "a")
        for part in ["\(1 << 60) bytes", "\(free) free", "--shm-size=", "emptyDir", "remount,size=", "osc_sm_backing_directory"] {
            #expect(text.contains(part), "\(part) in \(text)")
        }
        #expect(SharedMemoryRoom(wanted: 1, folder: "/nowhere").isEnough, "where nothing is known MPI has the last word")
    }

    @Test("A page of shared memory that cannot be had ends the process with 74")
    func noPage() async {
        await #expect(processExitsWith: .exitCode(74)) {
            // A file that is shorter than its mapping, as a full file system is.
            var path = Array("/tmp/gan-dist-short-XXXXXX".utf8CString)
            let file = mkstemp(&path)
            unlink(path)
            guard let memory = mmap(nil, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), memory != MAP_FAILED else { return }
            SharedRegions.watch(memory, byteCount: 8192)
            memory.storeBytes(of: 1, as: UInt8.self)
        }
    }
}
