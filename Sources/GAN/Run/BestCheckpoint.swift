import Foundation
import MessagePassing

/// The checkpoint of a run in which a measure is the best, `best-<key>.safetensors`; every rank knows the same of it.
struct BestCheckpoint {
    let key: String
    /// After how many steps, and the measure there; nil before the first.
    private var found: (step: Int, value: Double)?
    var name: String { "best-\(key).safetensors" }
    private let isHighBest: Bool

    private static let (keyKey, stepKey, valueKey) = ("best_of", "best_step", "best_value")

    /// - Parameter checkpoint: that which the run goes on from, on rank 0 only; it remembers the best before it, which counts
    ///   where it lies beside: a run that begins in another folder has none yet.
    init(_ key: String, of game: Configuration.GameKind, from checkpoint: Checkpoint?, _ world: World) throws {
        self.key = key
        isHighBest = Measure.keys(of: game).first { $0.key == key }?.isHighBest ?? false
        let metadata = checkpoint?.file.metadata ?? [:]
        let folder = checkpoint.map { ($0.path as NSString).deletingLastPathComponent } ?? ""
        let isSame =
            metadata[Self.keyKey] == key && FileManager.default.fileExists(atPath: (folder as NSString).appendingPathComponent(name))
        let text = isSame ? "\(metadata[Self.stepKey] ?? "") \(metadata[Self.valueKey] ?? "")" : ""
        let parts = String(decoding: try world.allGather(Array(text.utf8))[0], as: UTF8.self).split(separator: " ")
        if parts.count == 2, let step = Int(parts[0]), let value = Double(parts[1]) { found = (step, value) }
    }

    /// Takes over what was measured, if it is better than all before.
    mutating func isBetter(_ evaluation: Evaluation, step: Int) -> Bool {
        guard let value = evaluation.values.first(where: { $0.key == key })?.value, value.isFinite else { return false }
        if let found, isHighBest ? value <= found.value : value >= found.value { return false }
        found = (step, value)
        return true
    }

    /// What a checkpoint remembers of it.
    var metadata: [String: String] {
        found.map { [Self.keyKey: key, Self.stepKey: "\($0.step)", Self.valueKey: "\($0.value)"] } ?? [:]
    }

    /// For the end of the log.
    var description: String? {
        found.map { "The best \(key), \($0.value.readable(4)), was that of step \(Double($0.step).grouped): \(name)" }
    }
}
