/// Memory that a layer works with. Layers of a network take turns with most of it, so that the largest need counts.
public struct LayerNeeds: Sendable {
    /// Floats that one call uses.
    var workspace = 0
    /// Floats of each column of a pass that one call uses besides.
    var columnWorkspace = 0
    /// Doubles that are kept of each pass.
    var saved = 0
    /// Floats that are kept of each column of a pass, in memory of the layer's own.
    var kept = 0
    /// Features of an input that the gradient of the weights transposes, and rows of that gradient.
    var transposedInputs = 0, gradientRows = 0
    /// Rows of the gradient of a convolution's weights, pixels that it transposes, and rows of that of its bias.
    var convolutionRows = 0, convolutionPixels = 0, biasRows = 0
    /// Numbers that are summed over the batch at once.
    public internal(set) var statistics = 0
    /// Floats of each of the host's rows that `SharedRows` lays out, of all layers together.
    var sharedRows = 0

    /// Of a layer that calls `BatchSums.addRowGradients` for so many parameters at once.
    public static func rowSums(of parameters: Int) -> LayerNeeds {
        LayerNeeds(gradientRows: parameters, biasRows: parameters)
    }

    mutating func include(_ other: LayerNeeds) {
        workspace = max(workspace, other.workspace)
        columnWorkspace = max(columnWorkspace, other.columnWorkspace)
        saved = max(saved, other.saved)
        transposedInputs = max(transposedInputs, other.transposedInputs)
        gradientRows = max(gradientRows, other.gradientRows)
        convolutionRows = max(convolutionRows, other.convolutionRows)
        convolutionPixels = max(convolutionPixels, other.convolutionPixels)
        biasRows = max(biasRows, other.biasRows)
        statistics = max(statistics, other.statistics)
        sharedRows += other.sharedRows
    }
}

/// The memory of one layer, given to it with each call.
public struct LayerMemory {
    /// The layer's own, its tensors one behind the other, each from a multiple of 16 elements on.
    public let parameters: UnsafePointer<Float>
    /// Running statistics.
    let buffers: UnsafeMutablePointer<Float>
    /// Numbers kept from forward to backward, from this call's slot on, and the distance to the next slot's.
    let saved: UnsafeMutablePointer<Double>
    let savedStride: Int
    /// Floats kept of each column, [slots, kept, stride], from the slot of the activations on.
    let kept: Matrix
    /// The same memory, from the slot of the gradients or tangents on.
    let keptDerivatives: Matrix
    let workspace: UnsafeMutablePointer<Float>
}

extension LayerMemory {
    /// Of a layer by itself.
    public init(parameters: UnsafePointer<Float>, needs: LayerNeeds, columns: Int, arena: Arena) {
        let kept = arena.matrix(features: needs.kept, stride: columns)
        self.init(
            parameters: parameters, buffers: arena.floats(0), saved: arena.doubles(needs.saved), savedStride: 0, kept: kept,
            keptDerivatives: kept,
            workspace: arena.floats(needs.workspace + needs.columnWorkspace * columns))
    }
}
