import Foundation

/// Looks at training once a log line, on rank 0, and says when it goes wrong: from the losses, and from a probe, the
/// pictures of the same 64 noise vectors by the generator as it is.
///
/// A line is assessed if it is at least `lookSteps` after the last assessed one. A state begins after three assessed lines in a
/// row that show it, and is told once; it ends after three that do not. Losses out of all bounds are told at once, and with
/// every line, since nothing is learned from them. The thresholds come from runs of every kind: a healthy run soon passes each of
/// them and does not come back.
///
/// A line costs a forward pass of 64 rows, and 64² / 2 distances of pictures. What it remembers is part of a checkpoint.
struct TrainingMonitor {
    /// Pictures of a probe.
    static let probeSize = Sampler.batchSize
    /// Losses of fewer steps say little, and a probe cannot have changed much in them.
    static let lookSteps = 200
    /// Discriminators that see their first images may be far ahead for a while.
    static let warmSteps = 500
    /// An untrained generator draws the same picture of any noise, and may need thousands of steps to learn otherwise. Before
    /// this step a collapse is reported only if the pictures have differed once.
    static let learningSteps = 5_000

    private let loss: Loss
    private let isPenalized: Bool
    private let isAveraged: Bool
    private let size: Int
    private let real: Diversity
    private var last: [Float]?
    private var lastLook: Int
    /// How much the probe has changed since then, line by line.
    private var movement = 0.0
    private var hasSpread = false

    private var divergence = Spell(lines: 1)
    private var saturation = Spell(lines: 3)
    private var standstill = Spell(lines: 3)
    private var collapse = Spell(lines: 3)

    /// What it remembers from line to line, besides the last probe.
    private struct Memory: Codable {
        let lastLook: Int
        let movement: Double
        let hasSpread: Bool
        let spells: [Spell]
    }

    /// - Parameters:
    ///   - realImages: bytes that the probe is compared with, as many pictures or fewer.
    ///   - firstStep: steps done already.
    init(_ configuration: Configuration, realImages: [UInt8], firstStep: Int) {
        loss = configuration.loss
        isPenalized = !Penalties.kinds(configuration).isEmpty || configuration.weightClip > 0 || configuration.spectralNorm
        isAveraged = configuration.averageDecay > 0
        size = configuration.image.features
        real = Diversity(realImages.map { Float($0) / 127.5 - 1 }, size: size)
        lastLook = firstStep
    }

    /// Whether the losses are out of all bounds.
    var isDiverged: Bool { divergence.isOn }

    /// What a line of `stats.jsonl` tells of the probe, and what a log line is followed by.
    struct Report {
        let fields: String
        let warnings: [String]
    }

    /// - Parameter fakes: the probe after this step.
    mutating func look(step: Int, _ statistics: AdversarialStatistics, fakes: [Float]) -> Report {
        let fake = Diversity(fakes, size: size)
        let change = last.map { Diversity.change(from: $0, to: fakes) }
        last = fakes
        movement += change ?? 0
        let fields = "\"spread_fake\": \(fake.spread.json), \"spread_real\": \(real.spread.json), "
            + "\"distance_fake\": \(fake.distance.json), \"distance_real\": \(real.distance.json)"
            + (change.map { ", \"probe_change\": \($0.json)" } ?? "")
        return Report(fields: fields, warnings: assess(step, statistics, fake))
    }

    private mutating func assess(_ step: Int, _ s: AdversarialStatistics, _ fake: Diversity) -> [String] {
        var warnings: [String] = []
        let isDue = step - lastLook >= TrainingMonitor.lookSteps
        let isLarge = [s.lossDiscriminator, s.lossGenerator].contains { !(abs($0) <= loss.divergenceBound) }
        if isDue || isLarge { _ = divergence.begins(isLarge) }
        if isLarge { warnings.append(divergenceWarning(s)) }
        guard isDue else { return warnings }

        // A graver state hides what follows from it: divergence all others, a standstill a collapse.
        let isCalm = !divergence.isOn
        let isWarm = isCalm && step >= TrainingMonitor.warmSteps
        if let limit = loss.saturationBound, saturation.begins(isWarm && s.lossReal + s.lossFake < limit) {
            warnings.append(saturationWarning(s))
        }
        if let limit = loss.standstillBound, standstill.begins(isCalm && movement < 0.03 && s.lossGenerator > limit) {
            warnings.append(standstillWarning(s, steps: step - lastLook))
        }
        hasSpread = hasSpread || fake.distance > 0.4 * real.distance
        let mayCollapse = isCalm && !standstill.isOn && (hasSpread || step >= TrainingMonitor.learningSteps)
        if collapse.begins(mayCollapse && fake.distance < 0.25 * real.distance) { warnings.append(collapseWarning(fake)) }
        lastLook = step
        movement = 0
        return warnings
    }

    private func divergenceWarning(_ s: AdversarialStatistics) -> String {
        let remedy =
            loss == .wasserstein && !isPenalized
            ? "Bound the critic's slope with --gradient-penalty 10 or --weight-clip 0.01"
            : "Lower --lr, or --lr-discriminator alone"
        return "the losses are so large (d_loss \(s.lossDiscriminator.readable(1)), g_loss \(s.lossGenerator.readable(1))) that "
            + "nothing is learned: training diverges. \(remedy)"
    }

    private func saturationWarning(_ s: AdversarialStatistics) -> String {
        "the discriminator is saturated: its loss stays near 0 (\((s.lossReal + s.lossFake).fixed(5))) and has little left to "
            + "teach the generator. Try \(loss.takesTargets ? "--label-smoothing 0.1, " : "")--instance-noise 0.1, a lower "
            + "--lr-discriminator, --spectral-norm, or --gradient-penalty 10 with --loss wasserstein"
    }

    private func standstillWarning(_ s: AdversarialStatistics, steps: Int) -> String {
        "the generator is stuck: its pictures changed by no more than \(movement.fixed(4)) a pixel, of 2, in \(steps) steps, while "
            + "its loss stays high (\(s.lossGenerator.fixed(2)))\(network). Raise --lr-generator, or lower --lr-discriminator"
    }

    /// Which network the probe is of, where the grids are of another one.
    private var network: String { isAveraged ? ", as the generator itself draws; the grids show its moving average" : "" }

    private func collapseWarning(_ fake: Diversity) -> String {
        "the samples collapse: \(fake.distance.fixed(2)) is their mean distance from each other, \(real.distance.fixed(2)) that of "
            + "real images\(network). Try --minibatch-discrimination, --spectral-norm or a lower --lr-generator"
    }
}

extension TrainingMonitor {
    /// The key of its memory in a checkpoint's metadata.
    static let memoryKey = "monitor"
    private static let probeName = "monitor.probe"

    /// What a checkpoint holds of it besides: the last probe, [pictures, pixels], none before the first.
    var tensors: [(name: String, shape: [Int], values: [Float])] {
        last.map { [(TrainingMonitor.probeName, [$0.count / size, size], $0)] } ?? []
    }

    /// What it remembers, as JSON; the same memory gives the same text.
    func memory() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        encoder.nonConformingFloatEncodingStrategy = .convertToString(positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        let memory = Memory(
            lastLook: lastLook, movement: movement, hasSpread: hasSpread, spells: [divergence, saturation, standstill, collapse])
        return String(decoding: try encoder.encode(memory), as: UTF8.self)
    }

    /// Goes on from what a checkpoint remembers. One of an earlier version remembers nothing, and changes nothing.
    mutating func restore(from checkpoint: Checkpoint) throws {
        guard let text = checkpoint.file.metadata[TrainingMonitor.memoryKey] else { return }
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        guard let memory = try? decoder.decode(Memory.self, from: Data(text.utf8)), memory.spells.count == 4 else { return }
        (lastLook, movement, hasSpread) = (memory.lastLook, memory.movement, memory.hasSpread)
        (divergence, saturation, standstill, collapse) = (memory.spells[0], memory.spells[1], memory.spells[2], memory.spells[3])
        if let tensor = checkpoint.file.tensors[TrainingMonitor.probeName], tensor.shape == [TrainingMonitor.probeSize, size] {
            last = try checkpoint.floats(TrainingMonitor.probeName, count: tensor.count)
        }
    }
}

/// A state of training: on after so many lines in a row that show it, off after three that do not.
private struct Spell: Codable {
    let lines: Int
    private(set) var isOn = false
    private var opposed = 0

    init(lines: Int) { self.lines = lines }

    /// Takes one line in; whether the state begins with it.
    mutating func begins(_ isShown: Bool) -> Bool {
        opposed = isShown == isOn ? 0 : opposed + 1
        guard opposed >= (isOn ? 3 : lines) else { return false }
        isOn.toggle()
        opposed = 0
        return isOn
    }
}
