import Foundation
import MessagePassing
import Testing

@testable import GAN

/// Fréchet and kernel distances, and the linear algebra below them, against scipy, numpy and torch-fidelity.
@Suite(.timeLimit(.minutes(15))) struct MeasureDistanceTests {
    @Test(arguments: MeasureValues.expected.cases) func frechetDistanceEqualsSciPys(test: MeasureValues.Expected.Case) throws {
        let (world, sets) = (try MeasureValues.alone(), try MeasureValues.sets(test))
        let made = try Gaussian(sets.made, world: world)
        let distance = made.frechetDistance(to: try Gaussian(sets.real, world: world))
        #expect(isNear(distance, test.fid), "\(distance), SciPy \(test.fid)")
        #expect(made.frechetDistance(to: made) < 1e-12)
        #expect(made.factor.count < test.made)
        if test.name == "collapsed" { #expect(made.factor.isEmpty && made.variance == 0) }
    }

    @Test(arguments: MeasureValues.expected.cases) func kernelDistanceEqualsNumPys(test: MeasureValues.Expected.Case) throws {
        let (world, sets) = (try MeasureValues.alone(), try MeasureValues.sets(test))
        let made = ThirdMoment(sets.made, world: world)
        let distance = try made.kernelDistance(to: ThirdMoment(sets.real, world: world))
        #expect(isNear(distance, test.kid), "\(distance), NumPy \(test.kid)")
    }

    /// Of every step-th picture from the first on, 60 of them.
    @Test func kernelDistanceOfSubsetsEqualsTorchFidelitys() throws {
        let world = try MeasureValues.alone()
        let (real, made) = (try MeasureValues.features(1, 260, 24), try MeasureValues.features(2, 240, 24))
        for subset in MeasureValues.expected.kidSubsets {
            let pictures = (0..<60).map { subset.first + subset.step * $0 }
            let distance = try ThirdMoment(Features(made, pictures: pictures), world: world)
                .kernelDistance(to: ThirdMoment(Features(real, pictures: pictures), world: world))
            #expect(isNear(distance, subset.value), "\(distance), torch-fidelity \(subset.value)")
        }
    }

    /// The sum over all pairs, as it is defined.
    @Test(arguments: [1, 3, 4, 7, 8]) func kernelSumIsThatOverPairs(dimension: Int) throws {
        let world = try MeasureValues.alone()
        let (x, y) = (try MeasureValues.features(1, 131, dimension), try MeasureValues.features(2, 5, dimension))
        var sum = 0.0
        for n in 0..<x.count {
            for m in 0..<y.count {
                let product = (0..<dimension).reduce(0.0) { $0 + Double(x[n][$1]) * Double(y[m][$1]) }
                sum += pow(product / Double(dimension) + 1, 3)
            }
        }
        let found = try ThirdMoment(x, world: world).kernelSum(ThirdMoment(y, world: world))
        #expect(isNear(found, sum, within: 1e-13), "\(found), \(sum)")
    }

    @Test(arguments: MeasureValues.expected.eigenvalues) func eigenvaluesEqualLAPACKs(test: MeasureValues.Expected.Eigenvalues) {
        let n = test.size
        func general(_ i: Int, _ j: Int) -> Double { Double(MeasureValues.random(77, min(i, j), max(i, j)) - 512) / 512 }
        func element(_ i: Int, _ j: Int) -> Double {
            switch test.kind {
            case "general": general(i, j)
            case "deficient": (0..<17).reduce(0) { $0 + general(i, $1) * general(j, $1) }
            case "repeated": i == j ? Double(i % 3) : abs(i - j) == 1 && min(i, j) % 2 == 0 ? 0.5 : 0
            case "ones": 1
            case "graded": general(i, j) * pow(2, Double(-i)) * pow(2, Double(-j))
            default: 0
            }
        }
        let values = symmetricEigenvalues((0..<n * n).map { element($0 / n, $0 % n) }, size: n)
        let largest = test.values.reduce(0) { max($0, abs($1)) }
        #expect(values.count == n)
        let worst = zip(values, test.values).reduce(0.0) { max($0, abs($1.0 - $1.1)) }
        #expect(worst <= 1e-13 * largest, "\(worst) of \(largest)")
    }

    @Test func choleskyFactorMakesTheMatrix() {
        let rows = (0..<6).map { i in (0..<9).map { Double(MeasureValues.random(5, i, $0) - 512) } }
        let matrix = (0..<9).map { j in (0..<9).map { k in rows.reduce(0) { $0 + $1[j] * $1[k] } } }
        let factor = pivotedCholesky(matrix)
        #expect(factor.count == 6)
        for j in 0..<9 {
            for k in 0..<9 {
                let product = factor.reduce(0) { $0 + $1[j] * $1[k] }
                #expect(abs(product - matrix[j][k]) < 1e-14 * max(matrix[j][j], matrix[k][k]) * 9)
            }
        }
        #expect(pivotedCholesky([]).isEmpty && pivotedCholesky([[0, 0], [0, 0]]).isEmpty && pivotedCholesky([[4]]) == [[2]])
    }

    /// Against the C library's, which this machine's may miss by an ulp.
    @Test func elementaryFunctionsAreAccurate() {
        for step in -70_000...70_000 {
            let x = Double(step) * 0.010_101
            if x > -708, x < 709 { #expect(isNear(GAN.exponential(x), Foundation.exp(x), within: 1e-15), "exp \(x)") }
            let y = Foundation.exp(x / 10)
            #expect(isNear(GAN.logarithm(y), Foundation.log(y), within: 1e-15), "ln \(y)")
            let z = 1 + Double(step) * 0x1p-52
            #expect(isNear(GAN.logarithm(z), Foundation.log(z), within: 1e-15), "ln \(z)")
        }
        #expect(GAN.exponential(0) == 1 && GAN.exponential(-1e9) == 0 && GAN.exponential(1e9) == .infinity)
        #expect(GAN.exponential(.nan).isNaN && GAN.logarithm(1) == 0)
    }
}
