import Foundation
import Testing

@testable import Formats

/// Whether TensorBoard reads all this is shown by Tests/Launch/test_tensorboard.py.
@Suite struct TensorBoardTests {
    /// RFC 3720, B.4, and the check value of the polynomial.
    @Test func checksums() {
        #expect(crc32C(Array("123456789".utf8)) == 0xe306_9283)
        #expect(crc32C([]) == 0)
        #expect(crc32C([UInt8](repeating: 0, count: 32)) == 0x8a91_36aa)
        #expect(crc32C([UInt8](repeating: 0xff, count: 32)) == 0x62a8_ab43)
        #expect(crc32C(Array(0..<32)) == 0x46dd_794e)
    }

    /// As tensorboard.summary.writer.record_writer.RecordWriter of TensorBoard 2.21 writes it.
    @Test func recordFrame() {
        let message = Array("123456789".utf8)
        #expect(
            TensorBoardFile.record(of: message)
                == [9, 0, 0, 0, 0, 0, 0, 0, 0x37, 0xf9, 0x71, 0x39] + message + [0xe5, 0xb0, 0x8a, 0xc7])
    }

    /// Files of one second, and of a clock that was set back.
    @Test func namesSortInTheOrderOfStarts() throws {
        let folder = try TemporaryFolder()
        let paths = try (0..<5).map { number in
            let file = try TensorBoardFile(folder: folder.path)
            #expect(file.isFirst == (number == 0))
            try file.begin(at: number)
            return file.path
        }
        #expect(paths == paths.sorted() && Set(paths).count == 5)
        try folder.write([], to: "events.out.tfevents.9999999990.host.1")
        for name in ["events.out.tfevents.x", "events.out.tfevents.", "events.out.tfevents.99999999999999999999.x", "log.txt"] {
            try folder.write([], to: name)
        }
        let next = try TensorBoardFile(folder: folder.path)
        #expect(next.path.hasPrefix(folder.file("events.out.tfevents.9999999991.")))
    }

    @Test func beginning() throws {
        let folder = try TemporaryFolder()
        let file = try TensorBoardFile(folder: folder.path)
        try file.begin(at: 7)
        let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: file.path)))
        // Two events: field 1 is the time, 2 the step, 3 the version, 7 the session's log.
        let version = Array(bytes[12..<12 + Int(bytes[0])])
        #expect(version[0] == 0x09 && Array(version[9...]) == [0x10, 0, 0x1a, 13] + Array("brain.Event:2".utf8))
        let second = Array(bytes[(16 + version.count)...])
        #expect(Array(second[21..<12 + Int(second[0])]) == [0x10, 7, 0x3a, 2, 0x08, 1])
    }

    @Test func noSpaceIsLeft() throws {
        let descriptor = open("/dev/full", O_WRONLY)
        try #require(descriptor >= 0)
        let file = TensorBoardFile(path: "/dev/full", descriptor: descriptor, isFirst: true)
        expectError(.io, "write failed: No space left on device") { try file.begin(at: 1) }
    }

    // MARK: Histograms

    private func histogram(_ values: [Float]) -> TensorBoardHistogram { values.withUnsafeBufferPointer { TensorBoardHistogram($0) } }

    @Test func buckets() {
        let found = histogram([-1, -0.3, 0, 0, 1e-9, 0.5, 0.6, 0.9])
        #expect(found.count == 8)
        #expect(found.minimum == -1 && found.maximum == Double(Float(0.9)))
        #expect(abs(found.sum - 0.7) < 1e-6 && abs(found.sumOfSquares - 2.51) < 1e-6)
        // −1, nothing, −0.3, nothing, the middle with 1e-9, nothing, 0.5 and 0.6, nothing, 0.9.
        #expect(found.counts == [1, 0, 1, 0, 3, 0, 2, 0, 1])
        #expect(found.limits == [-1, -0.3125, -0.25, -0x1.4p-16, 0x1.4p-16, 0.5, 0.625, 0.875, 1])
    }

    @Test(arguments: [[], [0, 0, 0], [.nan, .infinity, 2], [-.greatestFiniteMagnitude, .greatestFiniteMagnitude], [.leastNonzeroMagnitude]] as [[Float]])
    func extremes(values: [Float]) {
        let found = histogram(values)
        let finite = values.filter(\.isFinite)
        #expect(found.count == finite.count)
        #expect(found.counts.reduce(0, +) == Double(finite.count))
        #expect(found.limits == found.limits.sorted() && found.limits.allSatisfy(\.isFinite))
        #expect(found.maximum == Double(finite.max() ?? 0) && found.minimum == Double(finite.min() ?? 0))
    }

    /// Each bucket holds what lies between its edges.
    @Test func bucketsHoldWhatLiesBetweenTheirEdges() {
        let values = (0..<5_000).map { Float(sin(Double($0) * 1.7) * exp(-Double($0 % 40))) }
        let found = histogram(values)
        #expect(found.counts.count < 200)
        for (index, limit) in found.limits.enumerated() where abs(limit) > 1e-4 {
            let left = index == 0 ? -Double.infinity : found.limits[index - 1]
            guard abs(left) > 1e-4 else { continue }
            let inside = limit < 0 ? values.filter { Double($0) > left && Double($0) <= limit } : values.filter { Double($0) >= left && Double($0) < limit }
            #expect(found.counts[index] == Double(inside.count), "up to \(limit)")
        }
    }
}
