import Glibc

/// The cores that a process, or several together, may use.
struct CoreSet {
    /// The numbers of the cores that the affinity admits.
    var numbers: Set<Int> = []
    /// How many cores' time the control groups grant; `Int.max` without a limit.
    var quota = Int.max

    /// How many can work at once, at least 1.
    var count: Int { max(1, min(numbers.count, quota)) }

    /// Those of this process.
    static var usable: CoreSet {
        // "Cpus_allowed_list:	0-3,8"
        let status = readSystemFile("/proc/self/status").split(separator: "\n")
        let list = status.first { $0.hasPrefix("Cpus_allowed_list:") }?.split(whereSeparator: { " \t".contains($0) }).last ?? ""
        var numbers: Set<Int> = []
        for part in list.split(separator: ",") {
            let ends = part.split(separator: "-").compactMap { Int($0) }
            if let first = ends.first, let last = ends.last, first <= last { numbers.formUnion(first...last) }
        }
        if numbers.isEmpty { numbers = Set(0..<max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }
        return CoreSet(numbers: numbers, quota: quota)
    }

    /// Those that several processes of one host have together.
    static func union(_ sets: some Sequence<CoreSet>) -> CoreSet {
        sets.reduce(into: CoreSet()) { all, one in
            all.numbers.formUnion(one.numbers)
            all.quota = min(all.quota, one.quota)
        }
    }

    /// The quota of version 2 of the control groups, where a parent's binds its children, else of version 1.
    private static var quota: Int {
        var least = Int.max
        func note(_ quota: Double?, _ period: Double?) {
            guard let quota, let period, quota > 0, period > 0 else { return }
            least = min(least, max(1, Int(quota / period)))
        }
        let groups = readSystemFile("/proc/self/cgroup").split(separator: "\n")
        var group = groups.first { $0.hasPrefix("0::") }.map { String($0.dropFirst(3)) } ?? ""
        while true {
            let path = "/sys/fs/cgroup" + (group == "/" ? "" : group)
            let limits = readSystemFile(path + "/cpu.max").split { " \n".contains($0) }
            if limits.count == 2 { note(Double(limits[0]), Double(limits[1])) }
            guard let slash = group.lastIndex(of: "/") else { break }
            group = String(group[..<slash])
        }
        let old = "/sys/fs/cgroup/cpu/cpu.cfs_"
        func number(_ name: String) -> Double? { Double(readSystemFile(old + name).prefix { $0 != "\n" }) }
        note(number("quota_us"), number("period_us"))
        return least
    }
}

/// What to tell a user whose ranks are more than the cores that they may use, for the hosts where that is so.
func crowding(hosts: [Range<Int>], places: [Place]) -> String? {
    let crowded = hosts.compactMap { ranks -> (host: String, ranks: Int, cores: Int)? in
        let cores = CoreSet.union(places[ranks].map(\.cores)).count
        return cores < ranks.count ? (places[ranks.lowerBound].host, ranks.count, cores) : nil
    }
    guard let first = crowded.first else { return nil }
    let others = crowded.count > 1 ? ", and so it is on \(crowded.count - 1) more of the hosts" : ""
    let remedy = hosts.count == 1 ? "start \(first.cores) (mpirun -np \(first.cores))" : "start \(first.cores) there"
    let cores = first.cores == 1 ? "1 core" : "\(first.cores) cores"
    return "the \(first.ranks) ranks on host \(first.host) may use \(cores)\(others): "
        + "they take turns, and a step takes about \((first.ranks + first.cores - 1) / first.cores) times as long as with a core "
        + "for each. Fewer ranks are as fast: \(remedy), or give them more cores (the affinity or the quota may be narrower than "
        + "the machine)"
}
