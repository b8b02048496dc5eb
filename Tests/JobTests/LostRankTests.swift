import Foundation
import Testing

extension Jobs {
    /// A rank, the launcher or the room for shared memory that is lost: one message in all, about what is lost.
    @Suite struct LostRankTests {
        private static let endless = ["--preset", "mlp", "--steps", "100000", "--checkpoint-interval", "0"]

        @Test(
            "A rank that is killed is told of by the launcher alone", arguments: [nil, "0,0,1"] as [String?], [0, 2])
        func killed(hosts: String?, victim: Int) throws {
            let runs = try Runs()
            let job = try runs.start(ranks: 3, hosts: hosts, Self.endless)
            let ranks = try job.ranks(3)
            try runs.waitForStep(5, of: job)
            kill(ranks[victim].pid, SIGKILL)
            let outcome = try job.wait()
            #expect(outcome.code == 137, "\(outcome)")
            #expect(outcome.errors.contains("process rank \(victim) "), "\(outcome)")
            #expect(outcome.messages == [], "mpirun has said it: \(outcome.errors)")
            #expect(!outcome.errors.contains("MPI_ABORT"), "\(outcome.errors)")
        }

        @Test("Where the launcher goes on after a rank was killed, one of the others names it")
        func launcherThatGoesOn() throws {
            let runs = try Runs()
            let job = try Job(
                ["mpirun", "--enable-recovery", "-np", "3", Program.path]
                    + (try runs.arguments(Self.endless + ["--watchdog", "0"])))
            let ranks = try job.ranks(3)
            try runs.waitForStep(5, of: job)
            kill(ranks[1].pid, SIGKILL)
            let outcome = try job.wait()
            #expect(outcome.messages.count == 1, "\(outcome.errors)")
            #expect(outcome.errors.contains(": rank 1 ("), "\(outcome.errors)")
            #expect(outcome.errors.contains("process \(ranks[1].pid)"), "\(outcome.errors)")
            #expect(outcome.errors.contains("is gone: killed, or crashed"), "\(outcome.errors)")
            for rank in ranks { #expect(rank.isGone, "\(rank)") }
        }

        @Test("No rank goes on without its launcher")
        func launcherKilled() throws {
            let runs = try Runs()
            let job = try runs.start(ranks: 3, Self.endless)
            let ranks = try job.ranks(3)
            try runs.waitForStep(5, of: job)
            kill(job.pid, SIGKILL)
            #expect(try job.wait().code == 137)
            var seconds = 0.0
            while seconds < 20, !ranks.allSatisfy(\.isGone) { seconds += 2 }
            for rank in ranks { #expect(rank.isGone, "\(rank)") }
        }

        @Test("A launcher that is stopped is waited for, even at the end, and no rank is blamed")
        func launcherStopped() throws {
            let runs = try Runs()
            let job = try runs.start(
                ranks: 3, ["--preset", "mlp", "--steps", "60", "--checkpoint-interval", "0", "--watchdog", "4"])
            try runs.waitForStep(5, of: job)
            kill(job.pid, SIGSTOP)
            // The last step is done; the ranks want to leave, and only the launcher can let them.
            try job.poll("last step") { try runs.steps().last == 60 ? true : nil }
            sleep(12)
            kill(job.pid, SIGCONT)
            let outcome = try job.wait()
            #expect(outcome.code == 0, "\(outcome)")
            let warning = "Warning: the launcher (process \(job.pid)) is stopped"
            #expect(outcome.messages.allSatisfy { $0.contains(warning) }, "\(outcome)")
            #expect(!outcome.messages.isEmpty, "that it waits is said")
        }

        @Test("A rank that is stopped is called so")
        func stopped() throws {
            let runs = try Runs()
            let job = try runs.start(ranks: 2, Self.endless + ["--watchdog", "4"])
            let ranks = try job.ranks(2)
            try runs.waitForStep(5, of: job)
            kill(ranks[1].pid, SIGSTOP)
            expectRefusal(
                try job.wait(), 75, ["rank 1 (", "process \(ranks[1].pid)", "does not answer: it is stopped"])
        }

        @Test("A rank that is alone on its host speaks, whatever its memory held before", arguments: [0, 1])
        func aloneOnItsHost(victim: Int) throws {
            let runs = try Runs()
            let command = try ["mpirun", "-np", "2", Program.path] + runs.arguments(Self.endless + ["--watchdog", "4"])
            // Memory from malloc is not zeroed.
            let job = try Job(command, environment: Job.environment(["GAN_DIST_HOSTS": "0,1", "MALLOC_PERTURB_": "85"]))
            let ranks = try job.ranks(2)
            try runs.waitForStep(5, of: job)
            kill(ranks[victim].pid, SIGSTOP)
            expectRefusal(try job.wait(), 75, ["no progress for 4 s: rank \(victim) ("])
        }
    }

    @Suite(.enabled(if: LostRankFixture.canTrace, "needs strace, and permission to trace"))
    struct SlowStorageTests {
        /// A run whose rank 0 waits ten seconds for the storage in every fsync from now on, and the one that makes it do so.
        private func start(_ runs: Runs, hosts: String?) throws -> (job: Job, ranks: [SystemProcess], tracer: Job) {
            let job = try runs.start(
                ranks: 2, hosts: hosts, ["--preset", "mlp", "--steps", "100000", "--checkpoint-interval", "0", "--watchdog", "4"])
            let ranks = try job.ranks(2)
            try runs.waitForStep(3, of: job)
            let tracer = try Job([
                "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync", "-e", "inject=fsync:delay_enter=10000000", "-p",
                "\(ranks[0].pid)",
            ])
            try tracer.poll("tracer") { ranks[0].kilobytes("TracerPid") == Int(tracer.pid) ? true : nil }
            return (job, ranks, tracer)
        }

        @Test("Storage that is slower than the watchdog: a warning, and the run goes on", arguments: [nil, "0,1"] as [String?])
        func slow(hosts: String?) throws {
            let runs = try Runs()
            let (job, ranks, tracer) = try start(runs, hosts: hosts)
            kill(ranks[0].pid, SIGUSR2)
            let path = try job.poll("checkpoint") { runs.checkpoints().first }
            let step = try #require(checkpointStep(path))
            try runs.waitForStep(step + 5, of: job)
            kill(tracer.pid, SIGTERM)
            _ = try tracer.wait()
            kill(job.pid, SIGUSR1)
            let outcome = try job.wait(limit: 120)
            #expect(outcome.code == 75, "\(outcome)")
            #expect(outcome.errors.contains("Warning: rank 0 ("), "\(outcome)")
            #expect(outcome.errors.contains("has been writing a checkpoint for"), "\(outcome)")
            #expect(!outcome.errors.contains("no progress"), "\(outcome)")
            #expect(try checkpointHash(path).count == 64)
        }

        @Test("A rank that is stopped while it writes is named all the same", arguments: [nil, "0,1"] as [String?])
        func stopped(hosts: String?) throws {
            let runs = try Runs()
            let (job, ranks, tracer) = try start(runs, hosts: hosts)
            kill(ranks[0].pid, SIGUSR2)
            sleep(3)
            kill(ranks[0].pid, SIGSTOP)
            let outcome = try job.wait(limit: 120)
            kill(tracer.pid, SIGKILL)
            _ = try tracer.wait()
            #expect(outcome.code == 75, "\(outcome)")
            #expect(outcome.errors.contains("no progress for 4 s: rank 0 ("), "\(outcome)")
        }
    }

    @Suite(.enabled(if: LostRankFixture.hasNamespaces, "needs root and mount namespaces"))
    struct SharedMemoryTests {
        private func train(_ runs: Runs, preset: String, room: String, _ more: [String] = []) throws -> Job.Outcome {
            let command = try ["mpirun", "-np", "2", Program.path] + runs.arguments(["--preset", preset, "--steps", "2"] + more)
            return try Job.run(
                ["unshare", "--mount", "sh", "-c", "mount -t tmpfs -o size=\(room) tmpfs /dev/shm && exec \"$@\"", "sh"] + command)
        }

        @Test("Ranks that are alone on their hosts share nothing, and need no room")
        func alone() throws {
            let command = try ["mpirun", "-np", "2", Program.path] + Runs().arguments(["--preset", "dcgan", "--steps", "1"])
            let outcome = try Job.run(
                ["unshare", "--mount", "sh", "-c", "mount -t tmpfs -o size=32m tmpfs /dev/shm && exec \"$@\"", "sh"] + command,
                environment: Job.environment(["GAN_DIST_HOSTS": "0,1"]), limit: 120)
            #expect(outcome.code == 0, "\(outcome)")
        }

        @Test("Too little shared memory: 74, once, with what is wanted and the way out")
        func tooLittle() throws {
            let runs = try Runs()
            let outcome = try train(runs, preset: "dcgan", room: "64m")
            let parts = ["bytes of shared memory", "/dev/shm has", "--shm-size=", "remount,size="]
            expectRefusal(outcome, 74, parts)
            #expect(runs.names == [], "no run began")
        }

        @Test("Where the room does for the run, it trains")
        func enough() throws {
            let outcome = try train(try Runs(), preset: "mlp", room: "64m")
            #expect(outcome.code == 0, "\(outcome)")
        }

        @Test("The folder that the message tells of helps")
        func anotherFolder() throws {
            let runs = try Runs()
            let folder = try Scratch.makeFolder()
            let command = try ["mpirun", "--mca", "osc_sm_backing_directory", folder, "-np", "2", Program.path]
                + runs.arguments(["--preset", "dcgan", "--steps", "1"])
            let outcome = try Job.run(
                ["unshare", "--mount", "sh", "-c", "mount -t tmpfs -o size=64m tmpfs /dev/shm && exec \"$@\"", "sh"] + command,
                limit: 120)
            #expect(outcome.code == 0, "\(outcome)")
        }
    }
}

enum LostRankFixture {
    static let canTrace =
        geteuid() == 0
        && (try? Job.run(
            ["strace", "-qq", "-o", "/dev/null", "-e", "trace=fsync", "-e", "inject=fsync:delay_enter=1", "true"]).code) == 0
    static let hasNamespaces = (try? Job.run(["unshare", "--mount", "sh", "-c", "mount -t tmpfs tmpfs /dev/shm"]).code) == 0
}
