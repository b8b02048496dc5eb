import Foundation
import MessagePassing

// What evaluations are told by.

/// The keys of all measures, for the help.
public let metricNames = Measure.allCases.map(\.rawValue).joined(separator: ",")

extension Measure {
    /// For a log line.
    var title: String {
        switch self {
        case .fid: "FID"
        case .kid: "KID"
        case .classDivergence: "class KL"
        case .classifierScore: "score"
        default: rawValue
        }
    }

    /// Digits behind the point that say something.
    var digits: Int {
        switch self {
        case .fid, .density, .coverage, .precision, .recall, .nearest, .classifierScore: 3
        case .kid, .classDivergence: 5
        }
    }

    var isHighBest: Bool {
        switch self {
        case .fid, .kid, .classDivergence: false
        case .precision, .recall, .density, .coverage, .classifierScore, .nearest: true
        }
    }

    /// What a game's evaluations have, and whether a high value is a good one.
    static func keys(of game: Configuration.GameKind) -> [(key: String, isHighBest: Bool)] {
        switch game {
        case .gan: allCases.map { ($0.rawValue, $0.isHighBest) }
        case .classifier: [("test_loss", false), ("test_accuracy", true)]
        case .cyclegan: TranslationEvaluator.keys
        }
    }

    /// The measures that a list names: `fid,kid`.
    /// - Throws: a usage error that lists the known ones.
    static func named(_ list: String) throws -> Set<Measure> {
        let names = list.split(separator: ",", omittingEmptySubsequences: false).map { $0.trimmingCharacters(in: .whitespaces) }
        return Set(try names.map { name in
            guard let measure = Measure(rawValue: name) else {
                throw Failure(
                    .usage, "--metrics \(list): \(name.isEmpty ? "an empty name" : "unknown \"\(name)\""); known are "
                        + allCases.map(\.rawValue).joined(separator: ", "))
            }
            return measure
        })
    }
}
