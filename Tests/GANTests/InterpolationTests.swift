import Foundation
import MessagePassing
import Testing

@testable import GAN

@Suite struct InterpolationTests {
    private let p: [Float] = [0.3, -1.2, 0.7, 2.1, -0.4]
    private let q: [Float] = [-0.9, 0.1, 1.6, -0.2, 1.1]

    private func norm(_ x: [Float]) -> Double { x.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot() }
    private func unit(_ x: [Float]) -> [Float] { x.map { Float(Double($0) / norm(x)) } }
    private func angle(_ x: [Float], _ y: [Float]) -> Double {
        acos(zip(x, y).reduce(0) { $0 + Double($1.0) * Double($1.1) } / (norm(x) * norm(y)))
    }

    /// The ends are the vectors themselves, to the bit.
    @Test func endsAreExact() {
        #expect(slerp(p, q, at: 0) == p)
        #expect(slerp(p, q, at: 1) == q)
    }

    /// Between unit vectors every point is a unit vector, and the angle grows evenly.
    @Test(arguments: [0.1, 0.25, 0.5, 0.9]) func staysOnTheGreatCircle(t: Double) {
        let (p, q) = (unit(p), unit(q))
        let point = slerp(p, q, at: t)
        #expect(abs(norm(point) - 1) < 1e-6)
        #expect(abs(angle(p, point) - t * angle(p, q)) < 1e-6)
        #expect(abs(angle(point, q) - (1 - t) * angle(p, q)) < 1e-6)
    }

    @Test func quarterOfACircle() {
        let half = Float(0.5.squareRoot())
        #expect(slerp([2, 0], [0, 2], at: 0.5).allSatisfy { abs($0 - 2 * half) < 1e-6 })
    }

    /// Without a great circle it is the straight line.
    @Test func lineWhereThereIsNoCircle() {
        #expect(slerp([1, 2], [2, 4], at: 0.5) == [1.5, 3])
        #expect(slerp([1, 2], [-1, -2], at: 0.25) == [0.5, 1])
        #expect(slerp([0, 0], [1, 2], at: 0.5) == [0.5, 1])
        #expect(slerp([0, 0], [0, 0], at: 0.5) == [0, 0])
        #expect(slerp(p, p, at: 0.3).elementsEqual(p) { abs($0 - $1) < 1e-6 })
    }

    /// Each row begins and ends with its two vectors.
    @Test func rowsAreWalks() {
        let ends = [p, q, q.map { $0 + 1 }, p.map { $0 - 2 }]
        let rows = walks(between: ends, columns: 4)
        #expect(rows.count == 8)
        #expect([rows[0], rows[3], rows[4], rows[7]] == ends)
        #expect(rows[1] == slerp(p, q, at: 1.0 / 3))
        #expect(walks(between: ends, columns: 2) == ends)
    }

    // MARK: What sample is asked for

    @Test func requests() throws {
        func request(_ count: Int? = nil, _ grid: String? = nil, _ isWalk: Bool = false) throws -> [Int] {
            let request = try SampleRequest(count: count, grid: grid, isWalk: isWalk)
            #expect(request.isWalk == isWalk)
            return [request.count, request.columns]
        }
        #expect(try request() == [64, 8])
        #expect(try request(3) == [3, 8])
        #expect(try request(nil, "4x10") == [40, 10])
        #expect(try request(nil, "1x1") == [1, 1])
        #expect(try request(nil, nil, true) == [64, 8])
        #expect(try request(nil, "5x2", true) == [10, 2])
    }

    @Test(arguments: [
        (0, nil, false, "--count 0"), (1_000_001, nil, false, "--count"), (4, "2x2", false, "leave --count away"),
        (4, nil, true, "leave --count away"), (nil, "4x1", true, "2 columns or more"), (nil, "", false, "--grid"),
        (nil, "8", false, "--grid 8"), (nil, "0x8", false, "4x10"), (nil, "8x0", false, "4x10"), (nil, "-2x4", false, "4x10"),
        (nil, "2x4x3", false, "4x10"), (nil, "2 x 4", false, "4x10"), (nil, "+2x4", false, "4x10"), (nil, "axb", false, "4x10"),
        (nil, "1001x1000", false, "1,000,000"), (nil, "9223372036854775807x2", false, "1,000,000"),
        (nil, "99999999999999999999x1", false, "1,000,000"),
    ] as [(Int?, String?, Bool, String)])
    func refusesNonsense(count: Int?, grid: String?, isWalk: Bool, text: String) {
        let error = #expect(throws: Failure.self) { _ = try SampleRequest(count: count, grid: grid, isWalk: isWalk) }
        #expect(error?.code == .usage)
        #expect(error?.description.contains(text) == true, "\(error?.description ?? "")")
    }
}
