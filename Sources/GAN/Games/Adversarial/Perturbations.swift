import Kernels
import Networks

/// Changes to what the discriminator sees (noise on images) and to what it is told (smoothed or flipped targets). Each random
/// number depends only on seed, update, pass and row.
final class Perturbations {
    private let configuration: Configuration
    private let columns: Int
    private let firstRow: Int
    private let kernels: Kernels
    private let words: RowWords
    private let targets, levels: UnsafeMutablePointer<Float>
    private let noise: Matrix

    init(_ configuration: Configuration, columns: Int, firstRow: Int, kernels: Kernels, arena: Arena) {
        self.configuration = configuration
        self.columns = columns
        self.firstRow = firstRow
        self.kernels = kernels
        words = RowWords(columns: columns, arena: arena)
        (targets, levels) = (arena.floats(columns), arena.floats(columns))
        noise = arena.matrix(features: configuration.instanceNoise > 0 ? configuration.image.features : 0, stride: columns)
    }

    /// x += σ n, n normal (Sønderby et al. 2017). Where levels are mixed, each row has a σ of its own, evenly from 0 to that one:
    /// the discriminator then sees images at every level of noise at once (as in Wang et al. 2023).
    func addNoise(to x: Matrix, _ pass: Pass, sigma: Float) {
        guard sigma > 0 else { return }
        let key = RandomKey(
            seed: pass.seed, stream: RandomStream.instanceNoise(pass.kind), step: pass.step, firstRow: firstRow)
        kernels.randomNormals(key, noise.base, noise.features, columns, noise.stride)
        if configuration.mixesInstanceNoise {
            kernels.scaleColumns(noise.base, levels(pass), noise.features, columns, noise.stride)
        }
        kernels.addScaled(x.base, noise.base, sigma, noise.features * noise.stride)
    }

    /// The level of each row, w · 2⁻³², w the stream's word.
    func levels(_ pass: Pass) -> UnsafePointer<Float> {
        let words = words.draw(RandomStream.instanceNoiseLevel(pass.kind), pass)
        for column in 0..<columns { levels[column] = Float(words[column]) * 0x1p-32 }
        return UnsafePointer(levels)
    }

    /// The targets of the discriminator's rows where they are not all the same: real images are 1 − smoothing (Salimans et
    /// al. 2016), fake ones 0, and some rows are told the other.
    func targets(_ target: Loss.Target, _ pass: Pass) -> UnsafePointer<Float>? {
        guard pass.kind != .generator, configuration.labelSmoothing > 0 || configuration.labelFlip > 0 else { return nil }
        let real = Float(1 - configuration.labelSmoothing)
        let threshold = UInt32(min((configuration.labelFlip * 0x1p32).rounded(), 0x1p32 - 1))
        let stream = target == .one ? RandomStream.realFlips : RandomStream.fakeFlips
        let words = words.draw(stream, pass)
        for column in 0..<columns { targets[column] = (target == .one) != (words[column] < threshold) ? real : 0 }
        return UnsafePointer(targets)
    }
}
