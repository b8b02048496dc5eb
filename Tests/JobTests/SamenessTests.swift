import Foundation
import Testing

extension Jobs {
    /// Law 1 at a glance; launch/verify looks closer.
    @Suite struct SamenessTests {
        private static let reference = Result {
            let runs = try Runs()
            try runs.succeed("--preset", "mlp", "--batch-size", "8", "--steps", "3")
            return try runs.hashes()
        }

        @Test("A CPU without AVX and FMA gives the same bytes", .enabled(if: Emulator.isThere, "qemu-x86_64 is not installed"))
        func emulated() throws {
            let runs = try Runs()
            let arguments = try runs.arguments(["--preset", "mlp", "--batch-size", "8", "--steps", "3"])
            let outcome = try Job.run(["qemu-x86_64", "-cpu", "Nehalem", Program.path] + arguments, limit: 180)
            #expect(outcome.code == 0, "\(outcome)")
            #expect(outcome.output.contains("kernels portable"), "\(outcome)")
            #expect(outcome.output.contains("the same bytes, very much slower"), "\(outcome)")
            #expect(try runs.hashes() == Self.reference.get())
            let refused = try Job.run(
                ["qemu-x86_64", "-cpu", "Nehalem", Program.path] + arguments + ["--isa", "avx2"], limit: 60)
            expectRefusal(refused, 64, ["--isa avx2", "portable"])
        }

        @Test("Every instruction set of this machine gives the same bytes", arguments: ["avx512", "avx2", "portable"])
        func instructionSets(isa: String) throws {
            guard try Program.run("info").output.contains("\(isa): available") else { return }
            let runs = try Runs()
            try runs.succeed(ranks: 2, "--preset", "mlp", "--batch-size", "8", "--steps", "3", "--isa", isa)
            #expect(try runs.hashes() == Self.reference.get())
        }

        @Test("--reduction mpi trains, and says that its bytes depend on the ranks")
        func libraryReduction() throws {
            let runs = try Runs()
            let outcome = try runs.train(ranks: 3, "--preset", "mlp", "--batch-size", "8", "--steps", "3", "--reduction", "mpi")
            #expect(outcome.code == 0, "\(outcome)")
            #expect(outcome.output.contains("--reduction mpi"), "\(outcome)")
        }

        @Test(
            "A rank of preset mlp at 8 ranks on MNIST holds at most 60 MB", .enabled(if: RealData.isThere, "no MNIST in data/"))
        func memory() throws {
            let runs = try Runs()
            let job = try runs.start(
                ranks: 8,
                [
                    "--preset", "mlp", "--data", RealData.folder, "--steps", "100000", "--sample-interval", "10",
                    "--checkpoint-interval", "15",
                ])
            let ranks = try job.ranks(8)
            try runs.waitForStep(40, of: job)
            let peaks = ranks.map { $0.kilobytes("VmHWM") ?? .max }
            job.stop()
            #expect(peaks.allSatisfy { $0 <= 60_000 }, "kB by rank: \(peaks)")
        }

        @Test("launch/verify: a case in short, and a budget that is too short")
        func verify() throws {
            let good = try Job.run(
                ["\(Program.root)/launch/verify", "--case", "mlp", "--budget", "150"], environment: Self.verifyEnvironment,
                limit: 200)
            #expect(good.code == 0, "\(good)")
            #expect(good.output.contains("all are equal"), "\(good)")

            let short = try Job.run(
                ["\(Program.root)/launch/verify", "--case", "mlp", "--budget", "1.5"], environment: Self.verifyEnvironment,
                limit: 60)
            #expect(short.code == 1, "\(short)")
            #expect(short.output.contains("not run"), "\(short)")
        }

        @Test("launch/verify tells a golden hash that differs, and its step")
        func verifyDifference() throws {
            let golden = try readText("\(Program.root)/Tests/Golden/weights.json")
            var object = try #require(JSONSerialization.jsonObject(with: Data(golden.utf8)) as? [String: [String: [String]]])
            object["short"]?["mlp"]?[2] = String(repeating: "0", count: 64)
            let path = try Scratch.makeFolder() + "/weights.json"
            try write(JSONSerialization.data(withJSONObject: object), to: path)
            let outcome = try Job.run(
                ["\(Program.root)/launch/verify", "--case", "mlp", "--budget", "4", "--golden", path],
                environment: Self.verifyEnvironment, limit: 60)
            #expect(outcome.code == 1, "\(outcome)")
            #expect(outcome.output.contains("step 6"), "\(outcome)")
            #expect(outcome.output.contains("all variants agree with each other"), "\(outcome)")
        }

        private static let verifyEnvironment = Job.environment(["GAN_DIST_BINARY": Program.path])
    }
}

enum Emulator {
    static let isThere = (try? Job.run(["qemu-x86_64", "--version"]).code) == 0
}

enum RealData {
    static let folder = "\(Program.root)/data"
    static let isThere = FileManager.default.fileExists(atPath: "\(folder)/MNIST/raw/train-images-idx3-ubyte")
}
