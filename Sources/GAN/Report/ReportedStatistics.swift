import Formats
import Foundation

/// What `stats.jsonl` tells, thinned to what a page can show.
///
/// Of many lines some are read, evenly spaced, and all that hold measures, which are rare; of those again no more than as many.
struct ReportedStatistics: Encodable {
    /// Of each line that was read, ascending.
    private(set) var steps: [Int] = []
    /// Of each number in the lines, its value in each of them; nil where a line lacks it, or it is not finite.
    private(set) var curves: [String: [Float?]] = [:]
    /// Seconds of each rank, in the lines that were read.
    private(set) var ranks: [RankSeconds] = []
    /// Seconds of all steps of these lines.
    private(set) var stepSeconds = 0.0
    /// Lines of the file, and those of them that were read and are none of a run's.
    private(set) var lines = 0, damaged = 0

    /// The newest hash of the weights, and the step that it is of.
    private(set) var weights: (step: Int, hash: String)?
    /// The classifier that measured, and how many pictures.
    private(set) var extractor: String?, measured: Int?

    struct RankSeconds: Encodable, Equatable {
        var waiting = 0.0, communication = 0.0
    }

    private enum CodingKeys: String, CodingKey { case steps, curves, ranks, stepSeconds, lines, damaged, measured }

    /// Numbers of a line that are no curve.
    private static let plainKeys: Set<String> = ["step", "epoch", "seconds", "step_seconds", "images"]
    /// A training has about thirty.
    private static let mostCurves = 64
    /// A line with measures holds one of these.
    private static let measureMarks = ["\"extractor_sha256\"", "\"test_loss\"", "_floor\""].map(Word.init)
    private static let hashMark = Word("\"weights_sha256\"")

    /// Nothing yet.
    init() {}

    /// - Parameters:
    ///   - text: the file's bytes.
    ///   - most: how many lines are read, of those without measures and of those with.
    init(_ text: [UInt8], most: Int) {
        let lines = text.split(separator: UInt8(ascii: "\n"))
        self.lines = lines.count
        for number in Self.chosen(lines, most: most) {
            guard let object = Self.object(lines[number]), let step = object["step"] as? Int, step > steps.last ?? 0 else {
                damaged += 1
                continue
            }
            let before = number > 0 ? Self.step(of: lines[number - 1]) ?? 0 : 0
            add(object, step: step, count: max(0, step - before))
        }
        // A hash may stand in a line that was not chosen.
        for line in lines.reversed() where Self.hashMark.isIn(line) {
            guard let object = Self.object(line), let step = object["step"] as? Int,
                let hash = object["weights_sha256"] as? String
            else { continue }
            weights = (step, hash)
            break
        }
    }

    /// Numbers of the lines to read, ascending.
    private static func chosen(_ lines: [ArraySlice<UInt8>], most: Int) -> [Int] {
        guard lines.count > most else { return Array(lines.indices) }
        let measured = lines.indices.filter { number in measureMarks.contains { $0.isIn(lines[number]) } }
        return Set(evenly(most, of: Array(lines.indices)) + evenly(most, of: measured)).sorted()
    }

    /// Takes a line in, which is of so many steps.
    private mutating func add(_ object: [String: Any], step: Int, count: Int) {
        for (key, value) in object where !Self.plainKeys.contains(key) && !(value is String) {
            guard let number = value as? Double, curves[key] != nil || curves.count < Self.mostCurves else { continue }
            let value = Float(number)
            var curve = curves[key] ?? []
            curve += [Float?](repeating: nil, count: steps.count - curve.count) + [value.isFinite ? value : nil]
            curves[key] = curve
        }
        steps.append(step)
        // Lines without a number end its curve early; they are filled up here, so that all are equally long.
        for key in curves.keys where curves[key]?.count != steps.count { curves[key]?.append(nil) }
        if let hash = object["extractor_sha256"] as? String { extractor = hash }
        if let images = object["images"] as? Int { measured = images }
        guard let seconds = object["step_seconds"] as? Double, seconds.isFinite,
            let waiting = object["waiting_seconds"] as? [Double],
            let communication = object["communication_seconds"] as? [Double],
            waiting.count == communication.count, waiting.count <= 1 << 16
        else { return }
        stepSeconds += seconds * Double(count)
        while ranks.count < waiting.count { ranks.append(RankSeconds()) }
        for rank in waiting.indices {
            ranks[rank].waiting += waiting[rank]
            ranks[rank].communication += communication[rank]
        }
    }

    private static func object(_ line: ArraySlice<UInt8>) -> [String: Any]? {
        try? JSONSerialization.jsonObject(with: Data(line)) as? [String: Any]
    }

    /// The step of a line, which begins with it, without reading the rest.
    private static func step(of line: ArraySlice<UInt8>) -> Int? {
        let start = Array("{\"step\": ".utf8)
        guard line.starts(with: start) else { return object(line)?["step"] as? Int }
        let digits = line.dropFirst(start.count).prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        return Int(String(decoding: digits, as: UTF8.self))
    }
}

/// At most so many elements of a list, evenly spaced, the first and the last among them.
func evenly<Element>(_ most: Int, of list: [Element]) -> [Element] {
    guard list.count > most else { return list }
    guard most > 1 else { return Array(list.suffix(most)) }
    return (0..<most).map { list[$0 * (list.count - 1) / (most - 1)] }
}

/// A word to look for in many lines: most bytes of a line are not looked at (Horspool 1980).
private struct Word {
    private let bytes: [UInt8]
    /// How far the word can move on, by the byte of the text at its end.
    private let moves: [Int]

    /// - Precondition: not empty.
    init(_ text: String) {
        bytes = Array(text.utf8)
        var moves = [Int](repeating: bytes.count, count: 256)
        for (place, byte) in bytes.dropLast().enumerated() { moves[Int(byte)] = bytes.count - 1 - place }
        self.moves = moves
    }

    func isIn(_ line: ArraySlice<UInt8>) -> Bool {
        line.withUnsafeBufferPointer { line in
            var end = bytes.count
            while end <= line.count {
                if line[(end - bytes.count)..<end].elementsEqual(bytes) { return true }
                end += moves[Int(line[end - 1])]
            }
            return false
        }
    }
}
