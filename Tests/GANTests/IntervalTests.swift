import Foundation
import GAN
import Testing

@Suite struct IntervalTests {
    @Test(arguments: [("400", Interval.steps(400)), ("4e", .epochs(4)), ("0", .never), ("0e", .epochs(0)), ("1099511627776", .steps(1 << 40))])
    func readsStepsAndEpochs(text: String, interval: Interval) throws {
        #expect(Interval(text) == interval)
        #expect(Interval(interval.description) == interval)
        #expect(try JSONDecoder().decode([Interval].self, from: JSONEncoder().encode([interval])) == [interval])
    }

    @Test(arguments: ["", "e", "-1", "-1e", "4E", "4 e", " 4", "4.5", "1e3", "0x10", "four", "99999999999999999999", "1099511627777", "4ee"])
    func refusesTheRest(text: String) { #expect(Interval(text) == nil) }

    /// A model file may give steps as a number.
    @Test func readsNumbers() throws {
        func decode(_ json: String) throws -> [Interval] { try JSONDecoder().decode([Interval].self, from: Data(json.utf8)) }
        #expect(try decode("[400, \"4e\", 0]") == [.steps(400), .epochs(4), .never])
        for json in ["[-1]", "[4.5]", "[true]", "[null]", "[\"soon\"]", "[{}]"] {
            #expect(throws: DecodingError.self, "\(json)") { try decode(json) }
        }
    }

    @Test func isDueEverySoOften() {
        func due(_ interval: Interval, _ steps: ClosedRange<Int>) -> [Int] {
            steps.filter { interval.isDue(after: $0, stepsPerEpoch: 3) }
        }
        #expect(due(.steps(4), 1...12) == [4, 8, 12])
        #expect(due(.steps(1), 1...3) == [1, 2, 3])
        #expect(due(.epochs(1), 1...9) == [3, 6, 9])
        #expect(due(.epochs(2), 1...12) == [6, 12])
        #expect(due(.never, 1...12) == [] && due(.epochs(0), 1...12) == [])
    }

    @Test func linesAreCountedWithinEpochs() {
        func due(_ interval: Interval) -> [Int] { (1...20).filter { interval.isLineDue(after: $0, stepsPerEpoch: 5) } }
        #expect(due(.steps(2)) == [2, 4, 7, 9, 12, 14, 17, 19])
        #expect(due(.steps(5)) == [5, 10, 15, 20])
        // No epoch has as many steps.
        #expect(due(.steps(6)) == [6, 12, 18])
        #expect(due(.epochs(2)) == [10, 20])
        #expect(due(.never) == [])
    }

    /// The products of large intervals and epochs must not trap.
    @Test func largeIntervalsAreNeverDue() {
        #expect(!Interval.epochs(1 << 40).isDue(after: 10, stepsPerEpoch: 1 << 30))
        #expect(!Interval.steps(1 << 40).isDue(after: 10, stepsPerEpoch: 1 << 30))
    }
}
