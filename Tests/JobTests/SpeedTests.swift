import Foundation
import Testing

extension Jobs {
    /// What a fast step must not do, and how a user sees where its time goes. How fast it is, no test says.
    @Suite struct SpeedTests {
        /// A library loaded before libc that counts the calls of the allocator by the program and by Swift's libraries. What
        /// MPI allocates depends on which message arrives before it is expected, and so is not counted.
        private static let counter = Result {
            let folder = try Scratch.makeFolder()
            let source = """
                #define _GNU_SOURCE
                #include <link.h>
                #include <stdatomic.h>
                #include <stdint.h>
                #include <stdio.h>
                #include <string.h>
                #include <unistd.h>
                extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
                extern void *__libc_memalign(size_t, size_t);
                static atomic_long calls;
                static struct { uintptr_t start, end; } ours[64];
                static int count;
                static int add(struct dl_phdr_info *info, size_t size, void *none) {
                    if (*info->dlpi_name && !strstr(info->dlpi_name, "swift") && !strstr(info->dlpi_name, "Foundation")
                        && !strstr(info->dlpi_name, "stdc++")) return 0;
                    for (int i = 0; i < info->dlpi_phnum && count < 64; i++) {
                        const ElfW(Phdr) *part = info->dlpi_phdr + i;
                        if (part->p_type != PT_LOAD || !(part->p_flags & PF_X)) continue;
                        ours[count].start = info->dlpi_addr + part->p_vaddr;
                        ours[count].end = ours[count].start + part->p_memsz;
                        count++;
                    }
                    return 0;
                }
                __attribute__((constructor)) static void begin(void) { dl_iterate_phdr(add, 0); }
                static inline void note(void *caller) {
                    for (int i = 0; i < count; i++)
                        if (ours[i].start <= (uintptr_t)caller && (uintptr_t)caller < ours[i].end) { calls++; return; }
                }
                #define NOTE note(__builtin_return_address(0))
                void *malloc(size_t n) { NOTE; return __libc_malloc(n); }
                void *calloc(size_t n, size_t m) { NOTE; return __libc_calloc(n, m); }
                void *realloc(void *p, size_t n) { NOTE; return __libc_realloc(p, n); }
                void *memalign(size_t a, size_t n) { NOTE; return __libc_memalign(a, n); }
                void *aligned_alloc(size_t a, size_t n) { NOTE; return __libc_memalign(a, n); }
                int posix_memalign(void **p, size_t a, size_t n) { NOTE; return (*p = __libc_memalign(a, n)) ? 0 : 12; }
                __attribute__((destructor)) static void tell(void) {
                    char line[64];
                    write(2, line, snprintf(line, sizeof line, "allocations: %ld\\n", calls));
                }
                """
            try write(Array(source.utf8), to: "\(folder)/count.c")
            let compiled = try Job.run(["cc", "-O", "-w", "-shared", "-fPIC", "\(folder)/count.c", "-o", "\(folder)/count.so"])
            #expect(compiled.code == 0, "\(compiled)")
            return "\(folder)/count.so"
        }

        /// The calls of all ranks of a training of so many steps, with nothing to log or save before the last one.
        private func allocations(_ preset: [String], steps: Int, ranks: Int, hosts: String?) throws -> Int {
            let runs = try Runs()
            var variables = ["LD_PRELOAD": try Self.counter.get(), "SWIFT_DETERMINISTIC_HASHING": "1"]
            if let hosts { variables["GAN_DIST_HOSTS"] = hosts }
            // Epochs of a few steps: new permutations are among what must not allocate.
            let train = try [Program.path] + runs.arguments(
                ["--preset"] + preset + ["--steps", "\(steps)", "--quiet", "--log-interval", "0", "--hash-interval", "0",
                 "--checkpoint-interval", "0"])
            let set = variables.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
            let command = ranks == 1 ? ["env"] + set + train : ["mpirun", "-np", "\(ranks)", "env"] + set + train
            let outcome = try Job.run(command, limit: 240)
            #expect(outcome.code == 0, "\(outcome)")
            let counts = outcome.errors.matches(of: /allocations: (\d+)/).compactMap { Int($0.1) }
            #expect(counts.count == ranks, "\(outcome.errors)")
            return counts.reduce(0, +)
        }

        @Test(
            "More steps allocate nothing more", .enabled(if: Compiler.isThere, "cc is not installed"),
            arguments: [
                (["mlp"], 1, nil), (["mlp"], 3, nil), (["mlp"], 3, "0,1,1"), (["dcgan28"], 1, nil), (["dcgan28"], 3, "0,1,1"),
                (["hinge"], 1, nil), (["cdcgan"], 1, nil),
                (["mlp", "--minibatch-discrimination", "5", "--instance-noise", "0.1", "--label-flip", "0.1"], 1, nil),
            ] as [([String], Int, String?)])
        func noAllocations(preset: [String], ranks: Int, hosts: String?) throws {
            let batch = preset[0] == "mlp" ? [] : ["--batch-size", "16"]
            let few = try allocations(preset + batch, steps: 20, ranks: ranks, hosts: hosts)
            // Arrays grow by as much as the blocks hold that malloc happens to have, others each time: a convolution's plan takes
            // up to 170 more or less on each rank. More steps tell that from one in each step of one rank, which is twice the limit.
            // Elsewhere, one in each epoch would be 25 and in each step 100; a number in the last line may be too long to need no memory.
            let isNoisy = preset[0] != "mlp"
            let more = isNoisy ? 150 + 350 * ranks : 100
            let many = try allocations(preset + batch, steps: 20 + more, ranks: ranks, hosts: hosts)
            let noise = isNoisy ? more / 2 : preset.count > 1 ? 50 : ranks == 1 ? 8 : 20
            #expect(abs(many - few) <= noise, "\(few) allocations with 20 steps, \(many) with more")
        }

        @Test("A trace shows every rank's laps and its reductions, on one clock", arguments: [(1, nil), (3, nil), (3, "0,1,1")] as [(Int, String?)])
        func trace(ranks: Int, hosts: String?) throws {
            let runs = try Runs()
            let file = "\(try Scratch.makeFolder())/trace.json"
            try runs.succeed(ranks: ranks, hosts: hosts, "--preset", "mlp", "--steps", "6", "--trace", file)
            let trace = try #require(JSONSerialization.jsonObject(with: readFile(file)) as? [String: Any])
            let events = try #require(trace["traceEvents"] as? [[String: Any]]).filter { $0["ph"] as? String == "X" }
            let number = { (event: [String: Any], key: String) in event[key] as? Double ?? .nan }
            for rank in 0..<ranks {
                let laps = events.filter { $0["tid"] as? Int == 2 * rank }
                for part in ["data", "noise", "forward", "backward", "weight gradients", "optimiser"] {
                    #expect(laps.filter { $0["name"] as? String == part }.count >= 6, "\(part) of rank \(rank)")
                }
                for (lap, next) in zip(laps, laps.dropFirst()) {
                    #expect(abs(number(lap, "ts") + number(lap, "dur") - number(next, "ts")) < 0.01, "laps leave no gaps")
                }
                let reductions = events.filter { $0["tid"] as? Int == 2 * rank + 1 }
                #expect(reductions.count == 12, "two a step")
                // G(z₂) is computed while the discriminator's gradient is under way; one rank has nothing to wait for.
                let hidden = laps.contains { lap in
                    lap["name"] as? String == "forward"
                        && reductions.contains {
                            number($0, "ts") <= number(lap, "ts")
                                && number(lap, "ts") + number(lap, "dur") <= number($0, "ts") + number($0, "dur")
                        }
                }
                #expect(hidden == (ranks > 1))
            }
            let starts = events.map { number($0, "ts") }
            let first = try #require(starts.min())
            let last = try #require(starts.max())
            #expect(last - first < 60e6, "one clock")
        }

        @Test("A trace that cannot be written: 74 before anything else is", arguments: [1, 3])
        func noTrace(ranks: Int) throws {
            for path in ["/nowhere/trace.json", try Scratch.makeFolder()] {
                let runs = try Runs()
                let outcome = try runs.train(ranks: ranks, "--preset", "mlp", "--steps", "3", "--trace", path)
                expectRefusal(outcome, 74, [path])
                #expect(runs.names.isEmpty)
            }
        }

        @Test("--no-overlap gives the same bytes")
        func noOverlap() throws {
            let (with, without) = (try Runs(), try Runs())
            try with.succeed(ranks: 2, "--preset", "mlp", "--steps", "5")
            try without.succeed(ranks: 2, "--preset", "mlp", "--steps", "5", "--no-overlap")
            #expect(try with.hashes() == without.hashes())
        }
    }
}

enum Compiler {
    static let isThere = (try? Job.run(["cc", "--version"]).code) == 0
}
