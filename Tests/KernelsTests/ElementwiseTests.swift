import Kernels
import Testing

@Suite struct ElementwiseTests {
    /// A kernel that changes x where it stands, given another matrix y of its shape.
    struct InPlace: Sendable, CustomTestStringConvertible {
        let testDescription: String
        /// Whether the result depends on y.
        var usesOther = false
        let run: @Sendable (_ kernels: Kernels, _ x: Kernels.MutableFloats, _ y: Kernels.Floats, _ shape: Shape) -> Void

        static let all: [InPlace] = [
            InPlace(testDescription: "leakyReLU") { $0.leakyReLU($1, $3.features, $3.columns, $3.row, 0.2) },
            InPlace(testDescription: "leakyReLU, slope 0") { $0.leakyReLU($1, $3.features, $3.columns, $3.row, 0) },
            InPlace(testDescription: "tanh") { $0.tanh($1, $3.features, $3.columns, $3.row) },
            InPlace(testDescription: "sigmoid") { $0.sigmoid($1, $3.features, $3.columns, $3.row) },
            InPlace(testDescription: "leakyReLUBackward", usesOther: true) {
                $0.leakyReLUBackward($1, $2, $3.features, $3.columns, $3.row, 0.2)
            },
            InPlace(testDescription: "tanhBackward", usesOther: true) { $0.tanhBackward($1, $2, $3.features, $3.columns, $3.row) },
            InPlace(testDescription: "sigmoidBackward", usesOther: true) {
                $0.sigmoidBackward($1, $2, $3.features, $3.columns, $3.row)
            },
            // The scales of the columns are the first row of y.
            InPlace(testDescription: "scaleColumns", usesOther: true) { $0.scaleColumns($1, $2, $3.features, $3.columns, $3.row) },
            InPlace(testDescription: "mixColumns into x", usesOther: true) {
                $0.mixColumns($1, $2, $2, $1, $3.features, $3.columns, $3.row)
            },
            InPlace(testDescription: "addScaled", usesOther: true) { kernels, x, y, shape in
                for feature in 0..<shape.features {
                    kernels.addScaled(x + feature * shape.row, y + feature * shape.row, 0.3, shape.columns)
                }
            },
        ]
    }

    struct Shape {
        var features, columns, row: Int
        var count: Int { (features - 1) * row + columns }
    }

    private func check(_ kernel: InPlace, _ x: Memory<Float>, _ y: Memory<Float>, _ shape: Shape) {
        let twin = x.copy
        kernel.run(.reference, twin.base, y.base, shape)
        for kernels in tables where shape.columns % kernels.columnMultiple == 0 {
            let output = x.copy
            kernel.run(kernels, output.base, y.base, shape)
            if let difference = output.difference(from: twin) {
                Issue.record("\(kernels.instructionSet), \(shape): \(difference)")
            }
        }
    }

    @Test(arguments: InPlace.all)
    func equalsTwinAtEverySize(kernel: InPlace) {
        var random = SplitMix64(1)
        for features in 1...13 {
            for columns in stride(from: 8, through: 80, by: 8) {
                let shape = Shape(features: features, columns: columns, row: columns + features % 3)
                check(kernel, random.units(shape.count), random.units(shape.count), shape)
            }
        }
    }

    /// Every special value with every other one, and bit patterns of any kind.
    @Test(arguments: InPlace.all)
    func equalsTwinAtSpecialValues(kernel: InPlace) {
        let values = specialAndRandomValues(atLeast: 4_096, seed: 2)
        for shift in 0..<specialValues.count {
            if shift > 0 && !kernel.usesOther { break }
            let count = shift == 0 ? values.count : roundedUp(specialValues.count)
            let x = Memory<Float>(Array(values.prefix(count)))
            let y = Memory<Float>((0..<count).map { values[($0 + shift) % count] })
            check(kernel, x, y, Shape(features: 1, columns: count, row: count))
        }
    }

    /// 1 is x, 0 is y, and each column has its own share; the rows of x, y and the result may be apart.
    @Test func mixesEachColumn() {
        let (features, columns, row) = (3, 16, 24)
        let x = Memory<Float>((0..<features * row).map { Float($0) })
        let y = Memory<Float>((0..<features * row).map { Float(1_000 - 3 * $0) })
        let shares = Memory<Float>((0..<columns).map { Float($0 % 5) / 4 })
        defer { keep(x, y, shares) }
        for kernels in tables + [.reference] {
            let output = Memory<Float>(Array(repeating: -1, count: features * row))
            kernels.mixColumns(x.base, y.base, shares.base, output.base, features, columns, row)
            for i in 0..<features * row {
                let share = i % row < columns ? shares[i % row] : 0
                let expected = i % row < columns ? share * x[i] + (1 - share) * y[i] : -1
                #expect(output[i] == expected, "\(kernels.instructionSet), element \(i)")
            }
        }
    }

    @Test func tanhAndSigmoidKeepNaN() {
        let quiet = (0..<512).map { Float(bitPattern: 0x7fc0_0000 | UInt32($0)) }
        for kernels in tables {
            for kernel in [kernels.tanh, kernels.sigmoid] {
                let x = Memory<Float>(quiet)
                kernel(x.base, 1, x.count, x.count)
                for i in 0..<x.count { #expect(x[i].isNaN, "\(kernels.instructionSet) at payload \(i)") }
            }
        }
    }

    /// (b/255 − 1/2) / (1/2), every byte and every count.
    @Test func pixelsAreNormalized() {
        for count in Array(1...33) + [255, 256] {
            for first in [0, 100, 256 - min(count, 256)] {
                let bytes = Memory<UInt8>((0..<count).map { UInt8(truncatingIfNeeded: first + $0) })
                defer { keep(bytes) }
                let expected = Memory<Float>((0..<count).map { (Float(bytes[$0]) / 255 - 0.5) / 0.5 })
                for kernels in tables + [.reference] {
                    let output = Memory<Float>(count: count)
                    kernels.normalizeBytes(bytes.base, output.base, count, bytes.base + 1_000_000)
                    #expect(output.difference(from: expected) == nil, "\(kernels.instructionSet), \(count) pixels")
                }
            }
        }
    }
}
