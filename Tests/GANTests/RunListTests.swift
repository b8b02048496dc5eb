import Foundation
import MessagePassing
import Testing

@testable import GAN

/// The list of runs, of whatever is in their folders.
@Suite struct RunListTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func write(_ run: String, _ files: [String: String]) throws {
        try FileManager.default.createDirectory(atPath: folder.file(run), withIntermediateDirectories: true)
        for (name, text) in files { try Data(text.utf8).write(to: URL(fileURLWithPath: folder.file("\(run)/\(name)"))) }
    }

    private func status(_ state: String, _ step: Int, of steps: Int = 937, updated: String = "2026-11-28T17:04:20Z") -> String {
        "{\"state\": \"\(state)\", \"step\": \(step), \"steps\": \(steps), \"updated\": \"\(updated)\"}"
    }

    private func objects() throws -> [[String: Any]] {
        try listRuns(in: folder.path, sortedBy: nil, asJSON: true).split(separator: "\n").map {
            try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
        }
    }

    /// Three runs: a good one, one that was killed in the middle of a line, and an empty folder.
    private func writeThree() throws {
        try write(
            "00000-mlp-b64",
            [
                "training_options.json": "{\"preset\": \"mlp\", \"dataset\": \"mnist\"}", "status.json": status("finished", 937),
                "stats.jsonl": "{\"step\": 400, \"fid\": 12.5, \"images_per_second\": 900}\n{\"step\": 500, \"fid\": 20}\n"
                    + "{\"step\": 937, \"images_per_second\": 31200.4}\n",
            ])
        try write(
            "00001-try-dcgan28-fashion-b128",
            [
                "training_options.json": "{\"preset\": \"dcgan28\", \"dataset\": \"fashion\"}", "status.json": status("running", 300),
                "stats.jsonl": "{\"step\": 300, \"fid\": 4.25, \"images_per_second\": 800}\n{\"step\": 400, \"fi",
            ])
        try write("00002-empty-b64", [:])
        try write("notes", ["status.json": status("finished", 1)])
    }

    @Test func table() throws {
        try writeThree()
        #expect(
            try listRuns(in: folder.path, sortedBy: nil, asJSON: false) == """
                name                            preset   data          steps  best FID  images/s  state     when (UTC)
                00000-mlp-b64                   mlp      mnist           937   12.5000    31,200  finished  2026-11-28 17:04
                00001-try-dcgan28-fashion-b128  dcgan28  fashion  300 of 937    4.2500       800  killed    2026-11-28 17:04
                00002-empty-b64                 –        –                 –         –         –  –         –
                """)
    }

    @Test(arguments: [(nil, [0, 1, 2]), (.steps, [2, 1, 0]), (.fid, [2, 0, 1]), (.preset, [2, 1, 0]), (.imagesPerSecond, [2, 1, 0]), (.name, [0, 1, 2])]
        as [(RunKey?, [Int])])
    func order(key: RunKey?, expected: [Int]) throws {
        try writeThree()
        let lines = try listRuns(in: folder.path, sortedBy: key, asJSON: false).split(separator: "\n").dropFirst()
        #expect(lines.map { Int($0.prefix(5)) ?? -1 } == expected)
    }

    @Test func objectsOfRuns() throws {
        try writeThree()
        let all = try objects()
        #expect(all.count == 3)
        #expect(all[0]["fid"] as? Double == 12.5)
        #expect(all[0]["images_per_second"] as? Double == 31_200.4)
        #expect(all[1]["state"] as? String == "killed")
        #expect(all[1]["total_steps"] as? Int == 937)
        #expect(all[2].values.filter { $0 is NSNull }.count == 8)
    }

    /// A run that is under way holds its lock.
    @Test func stateOfALockedRun() throws {
        try write("00000-mlp-b64", ["status.json": status("running", 3)])
        let lock = try RunLock(on: folder.file("00000-mlp-b64"))
        #expect(try objects()[0]["state"] as? String == "running")
        withExtendedLifetime(lock) {}
    }

    @Test func stateOfAnAbandonedRun() throws {
        try write("00000-mlp-b64", ["status.json": status("running", 3)])
        do { _ = try RunLock(on: folder.file("00000-mlp-b64")) }
        #expect(try objects()[0]["state"] as? String == "killed")
    }

    /// Whatever the files hold, there is a line for the run, and nothing that a terminal would obey.
    @Test(
        arguments: [
            ("training_options.json", "{\"preset\": \"a\\u001b[31mb\\nc\", \"dataset\": 7}"),
            ("status.json", "{\"step\": \"x\", \"state\": \"\\u0007\", \"updated\": \"now\"}"),
            ("status.json", "["), ("stats.jsonl", "\0\0\0\n}\n{}}\n"), ("stats.jsonl", "{\"fid\": \"low\", \"step\": 1e99}\n"),
            ("stats.jsonl", "{\"fid\": 1e999}"), ("stats.jsonl", String(repeating: "x", count: 3 << 20)), ("stats.jsonl", ""),
        ])
    func damagedFiles(name: String, text: String) throws {
        try write("00000-mlp-b64", [name: text])
        for key in RunKey.allCases {
            let table = try listRuns(in: folder.path, sortedBy: key, asJSON: false)
            #expect(table.split(separator: "\n").count == 2)
            #expect(table.unicodeScalars.allSatisfy { $0 == "\n" || $0.value >= 32 })
        }
        #expect(try objects().count == 1)
    }

    @Test func foldersOfNothing() throws {
        #expect(try listRuns(in: folder.path, sortedBy: nil, asJSON: false) == "No runs in \(folder.path)")
        #expect(try listRuns(in: folder.path, sortedBy: nil, asJSON: true) == "")
        let error = #expect(throws: Failure.self) { try listRuns(in: folder.file("none"), sortedBy: nil, asJSON: false) }
        #expect(error?.code == .missingInput)
        let file = folder.file("file")
        try Data().write(to: URL(fileURLWithPath: file))
        let ofFile = #expect(throws: Failure.self) { try listRuns(in: file, sortedBy: nil, asJSON: false) }
        #expect(ofFile?.code == .missingInput && ofFile?.description.contains("found a file") == true)
        let run = folder.file("00000-mlp-b64")
        try FileManager.default.createDirectory(atPath: run, withIntermediateDirectories: true)
        let ofRun = #expect(throws: Failure.self) { try listRuns(in: run, sortedBy: nil, asJSON: false) }
        #expect(ofRun?.code == .missingInput && ofRun?.description.contains("this is a run") == true)
    }

    /// What a training leaves is listed as it is.
    @Test func finishedRun() throws {
        let run = try trainedRun(smallModel(["steps": 3]), data: folder.writeImages(30, to: "data"), outdir: folder.file("runs"))
        let line = try listRuns(in: folder.file("runs"), sortedBy: .when, asJSON: false).split(separator: "\n")[1]
        for text in [(run.path as NSString).lastPathComponent, "mlp", " 3 ", "finished"] { #expect(line.contains(text), "\(line)") }
    }
}
