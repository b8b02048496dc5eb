import Foundation
import Testing

/// A way to spoil a checkpoint, and what the readers say of it.
struct CheckpointDamage: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let says: [String]
    let apply: @Sendable (inout Data) throws -> Void

    static let all = [
        CheckpointDamage(testDescription: "cut short", says: []) { $0 = $0.prefix($0.count - 1_000) },
        CheckpointDamage(testDescription: "cut within its header", says: []) { $0 = $0.prefix(100) },
        CheckpointDamage(testDescription: "empty", says: []) { $0 = Data() },
        CheckpointDamage(testDescription: "one flipped bit in a weight", says: ["SHA-256"]) { $0[$0.count / 2] ^= 1 },
        CheckpointDamage(testDescription: "one flipped bit in the last byte", says: ["SHA-256"]) { $0[$0.count - 1] ^= 0x80 },
        CheckpointDamage(testDescription: "one flipped bit in the step", says: ["SHA-256"]) { data in
            let range = data.range(of: Data("\"step\":\"".utf8))!
            data[range.upperBound] ^= 1
        },
        CheckpointDamage(testDescription: "a header longer than the file", says: []) { $0[6] = 0x7f },
        CheckpointDamage(testDescription: "something behind its end", says: []) { $0.append(contentsOf: [0, 0, 0, 0]) },
        CheckpointDamage(testDescription: "not safetensors at all", says: []) {
            $0 = Data("#!/bin/sh\necho this is no checkpoint\n".utf8)
        },
        CheckpointDamage(testDescription: "of another architecture", says: ["generator.main.0.weight", "[256, 64]", "[256, 65]"])
        { data in
            // The configuration asks for other layers than the tensors are; the digest is right.
            try replace("\\\"latent_dim\\\":64", by: "\\\"latent_dim\\\":65", in: &data)
            try replace("\\\"inputs\\\":64", by: "\\\"inputs\\\":65", in: &data)
        },
        CheckpointDamage(testDescription: "of a newer format", says: ["format 9", "newer"]) {
            try replace("\"format\":\"1\"", by: "\"format\":\"9\"", in: &$0)
        },
    ]

    /// Changes metadata, and makes the digest fit again.
    private static func replace(_ old: String, by new: String, in data: inout Data) throws {
        let range = try #require(
            data.range(of: Data(old.utf8)), "\(old) in \(String(decoding: data.prefix(4_000), as: UTF8.self))")
        data.replaceSubrange(range, with: Data(new.utf8))
        try CheckpointDigest.renew(&data)
    }
}

/// The SHA-256 of a checkpoint in its own metadata, computed with its 64 characters as 0.
enum CheckpointDigest {
    static func renew(_ data: inout Data) throws {
        let range = try position(in: data)
        data.replaceSubrange(range, with: Data(repeating: UInt8(ascii: "0"), count: 64))
        let path = try Scratch.makeFolder() + "/checkpoint"
        try write(data, to: path)
        let outcome = try Job.run(["sha256sum", path])
        data.replaceSubrange(range, with: Data(outcome.output.utf8.prefix(64)))
    }

    private static func position(in data: Data) throws -> Range<Int> {
        let text = String(decoding: data.prefix(20_000), as: UTF8.self)
        let match = try #require(text.firstMatch(of: /"sha256":"([0-9a-f]{64})"/), "\(text.prefix(3_000))")
        let range = try #require(data.range(of: Data(String(match.1).utf8)))
        return range
    }
}

extension Jobs {
    @Suite struct CheckpointTests {
        private static let good = Result {
            let runs = try Runs()
            try runs.succeed("--preset", "mlp", "--steps", "3")
            return try #require(runs.checkpoints().first)
        }

        private func damaged(_ damage: CheckpointDamage) throws -> String {
            let folder = try Scratch.makeFolder()
            var data = try readFile(Self.good.get())
            try damage.apply(&data)
            let path = "\(folder)/checkpoint-000000003.safetensors"
            try write(data, to: path)
            return path
        }

        @Test("A damaged checkpoint: 65 on every rank and one message that names it", arguments: CheckpointDamage.all)
        func damage(_ damage: CheckpointDamage) throws {
            let path = try damaged(damage)
            let content = try readFile(path)
            let runs = try Runs()
            let outcome = try runs.trainEachToItsEnd(ranks: 3, ["--preset", "mlp", "--steps", "4", "--resume", path])
            expectRefusal(outcome, 65, [path] + damage.says)
            #expect(runs.names == [])
            #expect(try readFile(path) == content, "it is not touched")
        }

        @Test("sample and hash refuse it alike", arguments: CheckpointDamage.all)
        func tools(_ damage: CheckpointDamage) throws {
            let path = try damaged(damage)
            let out = try Scratch.makeFolder() + "/out.png"
            for arguments in [["hash", "--checkpoint", path], ["sample", "--checkpoint", path, "--out", out]] {
                expectRefusal(try Job.run([Program.path] + arguments), 65, [path] + damage.says)
            }
            #expect(!FileManager.default.fileExists(atPath: out))
        }

        @Test("Metadata whose digest is made anew are taken: the tests above see no digest that they broke themselves")
        func renewedDigest() throws {
            var data = try readFile(Self.good.get())
            let original = data
            try CheckpointDigest.renew(&data)
            #expect(data == original)
        }

        @Test(
            "No checkpoint of that name: 66",
            arguments: [
                ["hash"], ["sample", "--out", "/nonexistent/x.png"], ["train", "--preset", "mlp", "--steps", "2", "--resume"],
            ])
        func missing(arguments: [String]) throws {
            let path = "/nonexistent/checkpoint-000000001.safetensors"
            let isTraining = arguments[0] == "train"
            let outcome = try Job.run(
                [Program.path] + arguments + (isTraining ? [path, "--data", SmallData.shared.get()] : ["--checkpoint", path]))
            expectRefusal(outcome, 66, [path])
        }

        @Test("A checkpoint of another preset is refused: 64, naming what differs")
        func otherPreset() throws {
            let runs = try Runs()
            let outcome = try runs.train(ranks: 2, "--preset", "mlp-wide", "--steps", "4", "--resume", Self.good.get())
            expectRefusal(outcome, 64, [try Self.good.get(), "another"])
            #expect(runs.names == [])
        }

        @Test("A checkpoint of other data is refused: 65")
        func otherData() throws {
            let runs = try Runs()
            let outcome = try runs.train(
                ranks: 2, "--preset", "mlp", "--steps", "4", "--resume", Self.good.get(), "--data", SmallData.make(salt: 3))
            expectRefusal(outcome, 65, [try Self.good.get(), "SHA-256"])
            #expect(runs.names == [])
        }

        @Test("A checkpoint is a safetensors file with PyTorch's names, and does not depend on the ranks")
        func content() throws {
            let files = try [(1, nil), (5, nil), (4, "0,1,0,1")].map { (ranks: Int, hosts: String?) in
                let runs = try Runs()
                try runs.succeed(ranks: ranks, hosts: hosts, "--preset", "mlp", "--steps", "3")
                return try readFile(#require(runs.checkpoints().first))
            }
            #expect(files[0] == files[1])
            #expect(files[0] == files[2])
            let length = files[0].prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
            let header = try #require(JSONSerialization.jsonObject(with: files[0].dropFirst(8).prefix(length)) as? [String: Any])
            func shape(_ name: String) -> [Int]? { (header[name] as? [String: Any])?["shape"] as? [Int] }
            #expect(shape("generator.main.0.weight") == [256, 64])
            #expect(shape("generator.main.4.bias") == [784])
            #expect(shape("discriminator.main.4.weight") == [1, 256])
            #expect(shape("adam.generator.main.2.weight.exp_avg") == [256, 256])
            #expect(shape("adam.discriminator.main.0.weight.exp_avg_sq") == [256, 784])
            #expect(shape("monitor.probe") == [64, 784])
            #expect(header.count == 1 + 3 * 12 + 1)
            #expect((header["__metadata__"] as? [String: String])?["step"] == "3")
        }
    }
}
