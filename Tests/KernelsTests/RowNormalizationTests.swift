import Kernels
import Testing

@Suite struct RowNormalizationTests {
    @Test(arguments: [(1, 1, 8, 0), (1, 7, 16, 0), (4, 3, 16, 16), (9, 5, 48, 0), (6, 1, 80, 3)])
    func equalTwins(pixels: Int, channels: Int, columns: Int, padding: Int) {
        for values in Values.allCases {
            check(pixels: pixels, channels: channels, columns: columns, padding: padding, values)
        }
    }

    private func check(pixels: Int, channels: Int, columns: Int, padding: Int, _ values: Values) {
        var random = SplitMix64(UInt64(pixels * channels * columns))
        let row = columns + padding
        let features = pixels * channels
        let count = (features - 1) * row + columns
        let (x, y) = (random.draw(values, count), random.draw(values, count))
        let ofColumns = (0..<5).map { _ in random.draw(values, columns) }
        let (scale, shift) = (random.draw(values, channels), random.draw(values, channels))
        defer { keep(x, y, ofColumns, scale, shift) }
        let (mean, inverse) = (ofColumns[0].base, ofColumns[1].base)
        let operations: [(name: String, run: (Kernels, Memory<Float>) -> Void)] = [
            ("normalizeRows", {
                $0.normalizeRows(
                    x.base, $1.base, pixels, channels, columns, row, mean, inverse, scale.base, shift.base, 1)
            }),
            ("normalizeRows with a rectifier", {
                $0.normalizeRows(
                    x.base, $1.base, pixels, channels, columns, row, mean, inverse, scale.base, shift.base, 0.2)
            }),
            ("normalizeRowsBackward", {
                $0.normalizeRowsBackward(
                    $1.base, x.base, features, columns, row, mean, ofColumns[2].base, ofColumns[3].base, ofColumns[4].base)
            }),
            ("scaleChannels", { $0.scaleChannels(x.base, $1.base, pixels, channels, columns, row, scale.base) }),
            ("sumNormalized", { kernels, output in
                let channelSize = channels * row
                for channel in 0..<channels {
                    let sums = Memory<Float>(count: columns)
                    kernels.sumNormalized(
                        y.base + channel * row, x.base + channel * row, pixels, columns, channelSize, mean, inverse, sums.base)
                    for n in 0..<columns { output[channel * row + n] = sums[n] }
                }
            }),
        ]
        for (name, run) in operations {
            let twin = y.copy
            run(.reference, twin)
            for kernels in tables where columns % kernels.columnMultiple == 0 {
                let output = y.copy
                run(kernels, output)
                if let difference = output.difference(from: twin) { Issue.record("\(name), \(kernels.name): \(difference)") }
            }
        }
    }
}
