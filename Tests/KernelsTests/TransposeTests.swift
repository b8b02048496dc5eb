import Kernels
import Testing

@Suite struct TransposeTests {
    /// Columns are copied, and what lies beside them stays.
    @Test func copiesColumns() {
        var random = SplitMix64(6)
        for rows in [1, 2, 17, 40] {
            for columns in 1...40 {
                let (row, outRow) = (columns + rows % 3, columns + 5)
                let x = random.units(rows * row)
                defer { keep(x) }
                let blank = random.units(rows * outRow)
                let twin = blank.copy
                Kernels.reference.copyColumns(x.base, row, rows, columns, twin.base, outRow)
                for kernels in tables {
                    let output = blank.copy
                    kernels.copyColumns(x.base, row, rows, columns, output.base, outRow)
                    let difference = output.difference(from: twin)
                    #expect(difference == nil, "\(kernels.instructionSet), \(rows) × \(columns)")
                }
            }
        }
    }

    @Test func equalsTwinAtEverySize() {
        var random = SplitMix64(5)
        for rows in 1...33 {
            for columns in 1...33 {
                let row = columns + rows % 3
                let outRow = roundedUp(rows) + columns % 3
                let x = random.units((rows - 1) * row + roundedUp(columns))
                defer { keep(x) }
                let blank = Memory<Float>(count: (columns - 1) * outRow + roundedUp(rows))
                let twin = blank.copy
                Kernels.reference.transpose(x.base, row, rows, columns, twin.base, outRow)
                for kernels in tables {
                    let output = blank.copy
                    kernels.transpose(x.base, row, rows, columns, output.base, outRow)
                    // What is written between `rows` and the next multiple of 16 depends on the instruction set.
                    for c in 0..<columns {
                        for r in rows..<roundedUp(rows) { output[c * outRow + r] = blank[0] }
                    }
                    if let difference = output.difference(from: twin) {
                        Issue.record("\(kernels.instructionSet), \(rows) × \(columns): \(difference)")
                    }
                }
            }
        }
    }
}
