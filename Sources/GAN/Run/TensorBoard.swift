import Formats
import Foundation
import MessagePassing
import Networks

/// Writes what TensorBoard shows of a run into its folder: the numbers of `stats.jsonl`, and at sample intervals the grid of
/// samples and histograms of all weights and gradients. Every rank has one, rank 0 writes.
///
/// A start writes a file of its own. Where it cannot be written, the run goes on without.
final class TensorBoard {
    private let game: any Game
    private let folder: String?
    private let log: Log
    private var file: TensorBoardFile?
    private var world: World { game.context.world }

    /// - Parameters:
    ///   - run: on rank 0 only.
    ///   - firstStep: steps done already; what earlier files say of later ones is void.
    init(_ game: any Game, run: RunDirectory?, log: Log, firstStep: Int) {
        (self.game, folder, self.log) = (game, run?.path, log)
        guard let folder else { return }
        attempt {
            let file = try TensorBoardFile(folder: folder)
            try file.begin(at: firstStep + 1)
            if file.isFirst { try file.write(.start(try game.context.configuration.hyperparameters), step: 0) }
            self.file = file
        }
    }

    /// For tests.
    init(_ game: any Game, file: TensorBoardFile, log: Log) { (self.game, folder, self.file, self.log) = (game, nil, file, log) }

    private func attempt(_ body: () throws -> Void) {
        do {
            try world.storing("writing for TensorBoard", body)
        } catch {
            file = nil
            // Where the log cannot be written, its next line says so.
            try? log.print("Warning: \(error); the run goes on, and TensorBoard gets no more of it")
        }
    }

    // MARK: Numbers

    /// Writes the numbers of a line of `stats.jsonl`, of numbers of the ranks their mean and the largest.
    /// - Parameters:
    ///   - training: the keys of what the step computed.
    ///   - measures: the keys of an evaluation.
    func write(line: String, after done: Int, training: [String], measures: [String]) {
        guard let file else { return }
        attempt {
            let fields = try JSONDecoder().decode([String: Numbers].self, from: Data(line.utf8))
            var summary = TensorBoardSummary()
            for (key, field) in fields.sorted(by: { $0.key < $1.key }) where key != "step" {
                let group = training.contains(key) ? "training" : measures.contains(key) ? "measures"
                    : key == "epoch" || key.contains("second") ? "progress" : "monitor"
                switch field {
                case .one(let value): summary.add("\(group)/\(key)", scalar: value)
                case .ofRanks(let values):
                    summary.add("\(group)/\(key)/mean", scalar: values.reduce(0, +) / Double(max(1, values.count)))
                    summary.add("\(group)/\(key)/max", scalar: values.max() ?? 0)
                case .other: break
                }
            }
            try file.write(summary, step: done)
        }
    }

    /// Says that the run is finished.
    func finish(after done: Int) {
        if let file { attempt { try file.write(.end, step: done) } }
    }

    // MARK: Pictures and tensors

    /// Has the next step keep its gradients; every rank calls it.
    func keepGradients() { for player in game.players { player.reducer.keepsSums = true } }

    /// Writes the pictures and the distribution of weights and gradients after some steps, 0 before the first; every rank
    /// calls it.
    /// - Parameter pictures: the file of the step's pictures.
    func look(after done: Int, pictures: String?) throws {
        var histograms = TensorBoardSummary()
        for player in game.players {
            add("weights", of: player, player.reducer.parameters, to: &histograms)
            guard done > 0 else { continue }
            player.reducer.keepsSums = false
            let sums = try world.collect(player.segments(player.reducer.reduced))
            sums.withUnsafeBufferPointer { sums in
                if let first = sums.baseAddress { add("gradients", of: player, first, to: &histograms) }
            }
        }
        guard let file, let folder else { return }
        attempt {
            try file.write(histograms, step: done)
            var summary = TensorBoardSummary()
            let reals = done == 0 ? ["reals.png", "reals-a.png", "reals-b.png"] : []
            for name in Set(reals + (pictures.map { [$0] } ?? [])).sorted() {
                let path = "\(folder)/\(name)"
                guard try FileKind(path: path) == .file else { continue }
                // fakes-000100.png is one of the series fakes.
                let series = name.replacing(/(-init|-\d+)?\.png$/, with: "")
                summary.add("pictures/\(series)", png: try fileContents(path, limit: 1 << 28), try PictureHeader(path: path))
            }
            if !summary.isEmpty { try file.write(summary, step: done) }
        }
    }

    private func add(_ kind: String, of player: Player, _ buffer: UnsafePointer<Float>, to summary: inout TensorBoardSummary) {
        guard file != nil else { return }
        for tensor in player.network.layout.tensors {
            let values = UnsafeBufferPointer(start: buffer + tensor.offset, count: tensor.count)
            summary.add("\(kind)/\(player.name).\(tensor.name)", TensorBoardHistogram(values))
        }
    }
}

/// A field of `stats.jsonl`, if it is of numbers.
private enum Numbers: Decodable {
    case one(Double)
    case ofRanks([Double])
    case other

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let value = try? container.decode(Double.self) {
            self = .one(value)
        } else if let values = try? container.decode([Double].self) {
            self = .ofRanks(values)
        } else {
            self = .other
        }
    }
}

extension Configuration {
    /// What its game is played with, but for the networks: lists of layers fit no table.
    fileprivate var hyperparameters: [(name: String, value: TensorBoardSummary.Value)] {
        get throws {
            let fields = try fields()
            return Configuration.declared.map(\.field).filter(has).compactMap { field in
                guard let json = fields[field.key], !json.hasPrefix("["),
                    field.changesBytes || ["preset", "epochs", "steps"].contains(field.key)
                else { return nil }
                return (name: field.key, value: TensorBoardSummary.Value(json: json))
            }
        }
    }
}

extension TensorBoardSummary.Value {
    fileprivate init(json: String) {
        if let number = Double(json) {
            self = .number(number)
        } else if json == "true" || json == "false" {
            self = .truth(json == "true")
        } else {
            self = .text((try? JSONDecoder().decode(String.self, from: Data(json.utf8))) ?? json)
        }
    }
}
