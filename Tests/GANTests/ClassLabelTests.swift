import Kernels
import Networks
import Testing

@testable import GAN

@Suite struct ClassLabelTests {
    /// The class of a row is ⌊10 w / 2³²⌋, w the first word of its row's block, whichever rank the row is on, so that all
    /// classes are drawn alike.
    @Test func drawnClassesAreThoseOfTheWords() {
        func draw(_ columns: Int, firstRow: Int, classes: Int = 10) -> [UInt8] {
            let labels = ClassLabels(classes: classes, columns: columns, arena: Arena(usesHugePages: false))
            labels.draw(
                Pass(
                    kernels: .fastest, columns: columns, kind: .generator, seed: 11, step: 3, firstRow: firstRow))
            return Array(UnsafeBufferPointer(start: labels.drawn, count: columns))
        }
        let all = draw(1_024, firstRow: 0)
        var words = [UInt32](repeating: 0, count: 4 * 1_024)
        words.withUnsafeMutableBufferPointer {
            guard let base = $0.baseAddress else { return }
            Kernels.fastest.randomWords(
                RandomKey(seed: 11, stream: RandomStream.generatorLabels, step: 3, firstRow: 0), base, 1, 1_024, 1_024)
        }
        #expect(all == words.prefix(1_024).map { UInt8(Double($0) * 10 / 0x1p32) })
        #expect(draw(1_024, firstRow: 0, classes: 26) == words.prefix(1_024).map { UInt8(Double($0) * 26 / 0x1p32) })
        for label in 0..<UInt8(10) {
            // 102 are expected, with a standard deviation of 10.
            #expect((60...145).contains(all.count { $0 == label }), "class \(label)")
        }
        #expect(draw(16, firstRow: 40) == Array(all[40..<56]))
    }
}
