import Glibc

/// What the system says of another process of this host.
enum ProcessState {
    /// It runs, sleeps or waits for a device.
    case alive
    /// A signal has stopped it.
    case stopped
    /// It has ended, or is not known here.
    case gone

    init(of process: pid_t) {
        let text = Array(readSystemFile("/proc/\(process)/stat").utf8)
        // "pid (command) state parent ...", where the command may hold anything.
        guard let bracket = text.lastIndex(of: UInt8(ascii: ")")), bracket + 2 < text.count else {
            self = kill(process, 0) == 0 || errno == EPERM ? .alive : .gone
            return
        }
        switch text[bracket + 2] {
        case UInt8(ascii: "T"): self = .stopped
        case UInt8(ascii: "Z"), UInt8(ascii: "X"): self = .gone
        default: self = .alive
        }
    }
}

/// The process that started this one: mpirun, a daemon of it on another host, or a step of srun.
struct Launcher: Sendable {
    let process = getppid()

    /// Whether it has died, so that nobody would end this rank any more.
    var isGone: Bool { getppid() != process }
    var isStopped: Bool { !isGone && ProcessState(of: process) == .stopped }
    var description: String { "the launcher (process \(process))" }
}

/// Where a rank runs, as it tells the others at the start.
struct Place {
    var host = ""
    var process: pid_t = 0
    /// The numbers of processes mean something within one namespace of one booted system only. Empty where that is unknown.
    var namespace = ""
    var cores = CoreSet()

    static var here: Place {
        var link = [CChar](repeating: 0, count: 64)
        readlink("/proc/self/ns/pid", &link, 63)
        let boot = readSystemFile("/proc/sys/kernel/random/boot_id").prefix { $0 != "\n" }
        let namespace = boot.isEmpty || link[0] == 0 ? "" : "\(boot) \(text(link))"
        return Place(host: hostName(), process: getpid(), namespace: namespace, cores: .usable)
    }

    var description: String { "\(host), process \(process)" }

    /// Whether that process can be looked at from here.
    func isVisible(from here: Place) -> Bool { !namespace.isEmpty && namespace == here.namespace }

    var bytes: [UInt8] {
        Array("\(host)\n\(process)\n\(namespace)\n\(cores.quota)\n\(cores.numbers.map(String.init).joined(separator: ","))".utf8)
    }

    init(host: String, process: pid_t, namespace: String, cores: CoreSet) {
        (self.host, self.process, self.namespace, self.cores) = (host, process, namespace, cores)
    }

    init(bytes: [UInt8]) {
        let fields = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        guard fields.count == 5 else { return }
        host = String(fields[0])
        process = pid_t(fields[1]) ?? 0
        namespace = String(fields[2])
        cores = CoreSet(
            numbers: Set(fields[4].split(separator: ",").compactMap { Int($0) }), quota: Int(fields[3]) ?? .max)
    }
}

/// What this host calls itself.
public func hostName() -> String {
    var name = [CChar](repeating: 0, count: 256)
    gethostname(&name, 255)
    return text(name)
}

private func text(_ characters: [CChar]) -> String {
    String(decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// The beginning of one of the system's own small files, empty where there is none.
func readSystemFile(_ path: String) -> String {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return "" }
    defer { Glibc.close(file) }
    var bytes = [UInt8](repeating: 0, count: 16_384)
    let count = read(file, &bytes, bytes.count)
    return String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self)
}
