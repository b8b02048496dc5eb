import Kernels
import MessagePassing
import Networks

/// The optimiser on the segment that this rank owns, and what it keeps of each parameter there.
final class ShardedOptimizer {
    let segment: Range<Int>
    let first: UnsafeMutablePointer<Float>
    let second: UnsafeMutablePointer<Float>
    /// The parameters' moving average, if one is kept.
    let average: UnsafeMutablePointer<Float>?
    let optimizer: Optimizer
    /// Number of the next update, from 1.
    var number = 1
    /// What it multiplies the learning rate with.
    var learningRateScale = 1.0
    /// Makes gradients of what was summed, before they are used.
    var finishGradient: ((_ gradient: UnsafeMutablePointer<Float>, _ elements: Range<Int>) -> Void)?
    private let clip: Float?
    private let averageDecay: ((_ update: Int) -> Double)?
    private let kernels: Kernels

    /// - Parameters:
    ///   - clip: the largest magnitude of a parameter after an update.
    ///   - averageDecay: the share of the moving average that an update keeps, by its number; nil where none is kept.
    init(
        _ segment: Range<Int>, optimizer: Optimizer, clip: Double?, averageDecay: ((_ update: Int) -> Double)?, kernels: Kernels,
        arena: Arena
    ) {
        self.segment = segment
        self.optimizer = optimizer
        self.clip = clip.map { Float($0) }
        self.averageDecay = averageDecay
        self.kernels = kernels
        first = arena.floats(segment.count)
        second = arena.floats(optimizer.moments.count > 1 ? segment.count : 0)
        average = averageDecay == nil ? nil : arena.floats(segment.count)
    }

    /// Updates some elements of the segment. `gradient` and `parameters` point to the first of them.
    func update(
        _ gradient: UnsafeMutablePointer<Float>, _ parameters: UnsafeMutablePointer<Float>, _ elements: Range<Int>
    ) {
        let offset = elements.lowerBound - segment.lowerBound
        finishGradient?(gradient, elements)
        optimizer.apply(
            update: number, learningRateScale: learningRateScale, gradient: gradient, parameters: parameters,
            first: first + offset, second: second + offset, count: elements.count, kernels: kernels)
        if let clip { kernels.clip(parameters, clip, elements.count) }
        if let average, let averageDecay {
            kernels.average(average + offset, parameters, Float(1 - averageDecay(number)), elements.count)
        }
    }
}
