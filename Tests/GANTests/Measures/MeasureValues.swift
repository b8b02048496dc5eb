import Foundation
import Kernels
import MessagePassing
import Testing

@testable import GAN

/// Features and logits as measures.py makes them, and the values that it expects: `python measures.py measures.json` made the
/// file.
enum MeasureValues {
    struct Expected: Decodable, Sendable {
        struct Case: Decodable, Sendable, CustomTestStringConvertible {
            var name: String
            var dimension, real, made: Int
            var fid, kid: Double
            /// Made pictures in a real ball and real ones in a made ball of three neighbours, pairs of a real ball of five
            /// neighbours and a made picture in it, and real balls of five with a made picture.
            var manifold: [Int]
            var testDescription: String { name }
        }
        struct Subset: Decodable, Sendable {
            var first, step: Int
            var value: Double
        }
        struct Eigenvalues: Decodable, Sendable, CustomTestStringConvertible {
            var kind: String
            var size: Int
            var values: [Double]
            var testDescription: String { "\(kind), \(size)" }
        }
        var cases: [Case]
        var kidSubsets: [Subset]
        var eigenvalues: [Eigenvalues]
        var score, classDivergence, nearest: Double
    }

    static let expected: Expected = {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "measures.json")
        do {
            return try JSONDecoder().decode(Expected.self, from: Data(contentsOf: file))
        } catch { preconditionFailure("\(file.path): \(error)") }
    }()

    /// 0 ... 1023
    static func random(_ group: Int, _ row: Int, _ column: Int) -> Int {
        var z = UInt64(group) &* 0x9e37_79b9_7f4a_7c15 &+ UInt64(row) &* 0xbf58_476d_1ce4_e5b9
            &+ UInt64(column) &* 0x94d0_49bb_1331_11eb &+ 0x632b_e59b_d9b4_e019
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return Int((z ^ z >> 31) & 1023)
    }

    static func values(_ group: Int, _ count: Int, _ dimension: Int, spread: Int = 4, noise: Int = 8) -> [Float] {
        /// Rounded down, as in Python.
        func quotient(_ a: Int, _ b: Int) -> Int { Int((Double(a) / Double(b)).rounded(.down)) }
        var values: [Float] = []
        for n in 0..<count {
            let latents = (0..<6).map { (random(group, n, 1000 + $0) - 512) * spread }
            for f in 0..<dimension {
                var value = 4 * (random(0, f, 0) - 300) + quotient(noise * (random(group, n, f) - 512), 8)
                for q in 0..<6 { value += quotient((random(0, f, 1 + q) % 9 - 4) * latents[q], 4) }
                values.append(Float(max(0, value)) / 4096)
            }
        }
        return values
    }

    static func features(_ group: Int, _ count: Int, _ dimension: Int, spread: Int = 4, noise: Int = 8) throws -> Features {
        try features(values(group, count, dimension, spread: spread, noise: noise), dimension)
    }

    static func features(_ values: [Float], _ dimension: Int) throws -> Features {
        try values.withUnsafeBufferPointer { try Features($0, dimension: dimension) }
    }

    static func grid(_ group: Int, _ count: Int, _ dimension: Int) throws -> Features {
        try features((0..<count).flatMap { n in (0..<dimension).map { Float(random(group, n, $0) % 3) } }, dimension)
    }

    static func logits(_ group: Int, _ count: Int, _ classes: Int) throws -> ClassLogits {
        let values = (0..<count).flatMap { n in (0..<classes).map { Float(random(group, n, 5000 + $0) - 512) / 128 } }
        return try ClassLogits(values, classes: classes)
    }

    /// The sets that a case compares.
    static func sets(_ test: Expected.Case) throws -> (real: Features, made: Features) {
        let d = test.dimension
        return switch test.name {
        case "alike": (try features(1, test.real, d), try features(2, test.made, d))
        case "narrower": (try features(1, test.real, d), try features(3, test.made, d, spread: 3))
        case "odd dimension": (try features(4, test.real, d), try features(5, test.made, d, spread: 5))
        case "fewer pictures than features": (try features(6, test.real, d), try features(7, test.made, d))
        case "no noise": (try features(8, test.real, d, noise: 0), try features(9, test.made, d, noise: 0))
        case "collapsed":
            (try features(1, test.real, d), Features(try features(2, 1, d), pictures: Array(repeating: 0, count: test.made)))
        default: (try grid(10, test.real, d), try grid(11, test.made, d))
        }
    }

    static func alone() throws -> World { try World(SoloCommunicator(), limit: 0) }

    /// A set of pictures whose classes do not matter.
    static func pictures(_ name: String, _ features: Features) throws -> MeasuredPictures {
        MeasuredPictures(name, features: features, logits: try logits(1, features.count, 4))
    }
}

/// Whether two numbers differ by less than a part of the second.
func isNear(_ a: Double, _ b: Double, within tolerance: Double = 1e-6) -> Bool { abs(a - b) <= tolerance * abs(b) }
