import Kernels
import MessagePassing
import Networks

/// Both passes of each network in the columns of one, where a rank has so few rows that half of every vector would stay
/// empty: the discriminator judges real and fake rows at once, and the generator draws the fakes of both updates at once.
/// A column is made of that column alone, so that its bits are the same.
///
/// The discriminator's slot 0 are the real rows and slot 1 G(z₁); then slot 0 are the rows of the generator's own step. The
/// generator's slot 0 are the fakes of that step, slot 1 G(z₁) where it is not the same.
struct JoinedPasses {
    /// Columns of each pass.
    private let columns: Int
    private let kernels: Kernels
    private let noise, outputs, gradient: Matrix

    /// - Parameter columns: of both passes.
    /// - Returns: nil where the rows do not fit in half of them, a layer looks at more than a column, or something else
    ///   comes between the passes. Between hosts passes stay apart too: reductions hide behind them.
    init?(
        _ configuration: Configuration, plans: [NetworkPlan], rows: Int, columns: Int, communicator: any Communicator,
        kernels: Kernels, arena: Arena
    ) {
        guard columns % 16 == 0, rows <= columns / 2, plans.allSatisfy(\.isColumnwise), configuration.criticSteps == 1,
            configuration.instanceNoise == 0, configuration.gradientPenalty == 0,
            communicator.localRanks.count == communicator.size
        else { return nil }
        self.columns = columns / 2
        self.kernels = kernels
        noise = arena.matrix(features: configuration.latentDimension, stride: columns)
        outputs = arena.matrix(features: 1, stride: columns)
        gradient = arena.matrix(features: 1, stride: columns)
    }

    /// Fills a slot with noise.
    func fillNoise(_ key: RandomKey, into z: Matrix) {
        kernels.randomNormals(key, noise.base, noise.features, noise.stride, noise.stride)
        copy(noise, to: z)
    }

    /// Copies a slot to another.
    func copy(_ x: Matrix, to y: Matrix) {
        precondition(x.features == y.features, "\(x.features) features for \(y.features)")
        kernels.copyColumns(x.base, x.stride, x.features, columns, y.base, y.stride)
    }

    /// The outputs of a slot, and their gradient when `body` has made it, where both have all of a pass's columns.
    func widen(_ output: Matrix, _ outputGradient: Matrix, _ body: (_ outputs: Matrix, _ gradient: Matrix) -> Void) {
        copy(output, to: outputs)
        body(outputs, gradient)
        copy(gradient, to: outputGradient)
    }
}
