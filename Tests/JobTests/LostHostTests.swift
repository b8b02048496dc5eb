import Foundation
import Testing

extension Jobs {
    /// What only several hosts show: a host or a link that is lost. Each test has hosts of its own, as network namespaces.
    @Suite(.enabled(if: Hosts.arePossible, "needs root, network namespaces and an SSH server"))
    struct LostHostTests {
        private static let endless = ["--preset", "mlp", "--steps", "100000", "--checkpoint-interval", "0"]

        @Test("A rank that is killed on another host is told of by mpirun alone")
        func rankKilled() throws {
            let hosts = try Hosts(3)
            let job = try hosts.start(ranks: 6, Self.endless)
            try hosts.runs.waitForStep(5, of: job)
            try hosts.killRank(3)
            let outcome = try hosts.wait(for: job)
            #expect(outcome.code == 137, "\(outcome)")
            #expect(outcome.errors.contains("process rank 3 ") && outcome.errors.contains("on node host2"), "\(outcome)")
            #expect(outcome.messages == [], "\(outcome.errors)")
        }

        @Test("A host that dies is told of by mpirun, and by nobody else")
        func hostKilled() throws {
            let hosts = try Hosts(3)
            let job = try hosts.start(ranks: 6, Self.endless)
            try hosts.runs.waitForStep(5, of: job)
            try hosts.command("kill", "3")
            let outcome = try hosts.wait(for: job)
            #expect(outcome.code != 0, "\(outcome)")
            #expect(outcome.errors.contains("host3"), "\(outcome)")
            // The launcher may take longer than the ranks do; then it is one of them that names the host.
            #expect(outcome.messages.count <= 1 && outcome.messages.allSatisfy { $0.contains("host3") }, "\(outcome.errors)")
        }

        @Test("A host that is cut off is named, by one rank, and no other")
        func linkCut() throws {
            let hosts = try Hosts(3)
            let job = try hosts.start(ranks: 6, Self.endless + ["--watchdog", "4"])
            try hosts.runs.waitForStep(5, of: job)
            _ = try Job.run(["ip", "-n", "gan-dist-switch", "link", "set", "port3", "down"])
            // mpirun hears that a host is silent, too; where it is first, that is the message.
            guard let message = try hosts.messageOrEnd(of: job) else {
                #expect(hosts.errors.contains("host3"), "\(hosts.errors)")
                return
            }
            #expect(message.contains("rank 4 (host3, ") && message.contains("rank 5 (host3, "), "\(message)")
            #expect(message.contains("does not answer: nothing does on host3, which is down or cut off"), "\(message)")
            #expect(!message.contains("(host1, ") && !message.contains("(host2, "), "\(message)")
        }

        @Test("Two hosts that do not hear each other, though a third hears both, are both named")
        func pairCut() throws {
            let hosts = try Hosts(3)
            let job = try hosts.start(ranks: 3, Self.endless + ["--watchdog", "4"])
            try hosts.runs.waitForStep(5, of: job)
            // Packets from host2 to host3 go to a card that does not exist.
            _ = try Job.run([
                "ip", "-n", "gan-dist-host2", "neighbour", "replace", "10.77.0.3", "lladdr", "02:00:00:00:00:99", "dev", "eth0",
                "nud", "permanent",
            ])
            let message = try hosts.message(of: job)
            #expect(message.contains("rank 0: no progress"), "\(message)")
            #expect(message.contains("rank 1 (host2, ") && message.contains("rank 2 (host3, "), "\(message)")
            #expect(message.contains("do not hear each other"), "\(message)")
        }
    }
}

/// Hosts on this machine, made by launch/hosts, and a folder of runs that all of them see.
final class Hosts {
    let runs: Runs
    private let folder: String
    private static let script = "\(Program.root)/launch/hosts"
    private static let tools = ["ip", "nsenter", "sshd", "ssh", "mpirun"]

    static let arePossible =
        geteuid() == 0 && !Program.root.hasPrefix("/tmp/")
        && (try? Job.run(["sh", "-c", "PATH=$PATH:/usr/sbin:/sbin; for i; do command -v $i || exit 1; done", "sh"] + tools)
            .code) == 0
        && (try? Job.run(["unshare", "--net", "--uts", "--ipc", "--mount", "--pid", "--fork", "true"]).code) == 0

    init(_ count: Int) throws {
        // Outside /tmp, which every host has for itself.
        folder = "\(Program.root)/.build/hosts-\(getpid())-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        runs = Runs(outdir: "\(folder)/runs")
        let data = try SmallData.make()
        try FileManager.default.copyItem(atPath: data, toPath: "\(folder)/data")
        let outcome = try Job.run([Self.script, "up", "\(count)"])
        try #require(outcome.code == 0, "\(outcome)")
    }

    deinit {
        _ = try? Job.run([Self.script, "down"])
        try? FileManager.default.removeItem(atPath: folder)
    }

    func command(_ words: String...) throws {
        let outcome = try Job.run([Self.script] + words)
        try #require(outcome.code == 0, "\(outcome)")
    }

    func start(ranks: Int, _ more: [String]) throws -> Job {
        let arguments = try runs.arguments(more + ["--data", "\(folder)/data"])
        return try Job(
            ["sh", "-c", "cd \(folder) && exec \"$@\" 2>\(folder)/errors", "sh", Self.script, "run", "-np", "\(ranks)"]
                + [Program.path] + arguments,
            environment: Job.environment.filter { $0.key != "OMPI_MCA_plm" && $0.key != "OMPI_MCA_rmaps_base_oversubscribe" })
    }

    /// The end of a job, with what it wrote to standard error.
    func wait(for job: Job) throws -> Job.Outcome {
        let outcome = try job.wait(limit: 120)
        return Job.Outcome(code: outcome.code, output: outcome.output, errors: errors, seconds: outcome.seconds)
    }

    /// The first message of a job's ranks, after which it is stopped: an mpirun that has lost a host may wait for it for long.
    func message(of job: Job) throws -> String {
        defer { job.stop() }
        return try job.poll("message", limit: 90) {
            errors.split(separator: "\n").map(String.init).first { $0.hasPrefix("gan-dist: Error") }
        }
    }

    /// The same; nil where mpirun ends the job before.
    func messageOrEnd(of job: Job) throws -> String? {
        do {
            return try message(of: job)
        } catch where SystemProcess(pid: job.pid).isGone {
            return nil
        }
    }

    var errors: String { (try? readText("\(folder)/errors")) ?? "" }

    /// Kills a rank, whichever host it is on.
    func killRank(_ rank: Int) throws {
        let processes = try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { pid_t($0) }
        let mine = processes.map { SystemProcess(pid: $0) }.first { process in
            process.isTrainer && process.rank == rank
                && (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(process.pid)/cwd")) == folder
        }
        kill(try #require(mine).pid, SIGKILL)
    }
}
