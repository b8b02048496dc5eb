/// The layers of a specification, with rectifiers fused into the layers before them, and their parameters.
public struct NetworkPlan: Sendable {
    public let input: Shape
    public let output: Shape
    public let layers: [any Layer]
    /// The number in the specification of each layer, as in the names of its tensors.
    public let layerNumbers: [Int]
    public let layout: ParameterLayout
    /// Running statistics.
    public let bufferLayout: ParameterLayout
    public let needs: LayerNeeds
    /// Whether the ranks of a host can sum the gradients of all their rows together; see `SharedRows`.
    public let sharesRows: Bool
    /// Whether every layer makes each column of that column alone, so that passes can be joined; see `Network`.
    public let isColumnwise: Bool
    let isSpectral: Bool
    let offsets: [Int]
    let bufferOffsets: [Int]
    /// Where the parameters of layers begin, ascending; those of small layers belong to the layer before them.
    public let buckets: [Int]
    /// The fewest values that a layer normalises by for each row of the batch, if one does.
    public let normalizedPixels: Int?
    /// Fewer parameters than this are not worth a message of their own.
    private static let smallestBucket = 16_384

    public var inputs: Int { input.features }
    public var outputs: Int { output.features }

    /// - Parameters:
    ///   - input: shape of the network's input.
    ///   - role: keeps the random numbers of a step's two networks apart.
    ///   - isSpectral: whether the weights of all linear and convolutional layers are divided by their largest singular value.
    /// - Throws: `ShapeError` where a layer does not take what the one before it gives.
    public init(
        _ specifications: [LayerSpecification], input: Shape, role: NetworkRole = .discriminator, isSpectral: Bool = false
    ) throws {
        var builder = LayerBuilder(specifications: specifications, role: role, isSpectral: isSpectral, shape: input)
        var numbers: [Int] = []
        while builder.index < specifications.count {
            numbers.append(builder.index)
            try builder.addLayer()
        }
        layerNumbers = numbers
        let layers = builder.layers
        guard layers.contains(where: { !$0.tensors.isEmpty }) else {
            throw ShapeError(description: "no layer has parameters; a network needs at least one that has")
        }
        self.input = input
        output = builder.shape
        self.layers = layers
        sharesRows = layers.allSatisfy(\.sumsProductsOnly)
        isColumnwise = layers.allSatisfy(\.isColumnwise)
        var needs = LayerNeeds()
        for layer in layers { needs.include(layer.needs) }
        self.isSpectral = isSpectral
        if isSpectral { needs.include(LayerNeeds(statistics: 2 * layers.count)) }
        self.needs = needs
        normalizedPixels = builder.normalizedPixels
        layout = ParameterLayout(layers.flatMap(\.tensors))
        bufferLayout = ParameterLayout(layers.flatMap(\.buffers))
        let offsets = NetworkPlan.offsets(layers.map(\.tensors.count), layout)
        self.offsets = offsets
        bufferOffsets = NetworkPlan.offsets(layers.map(\.buffers.count), bufferLayout)
        var end = layout.count
        buckets = zip(layers, offsets).reversed().compactMap { layer, offset in
            guard !layer.tensors.isEmpty, offset == 0 || end - offset >= NetworkPlan.smallestBucket else { return nil }
            end = offset
            return offset
        }.reversed()
    }

    /// Where the tensors of each layer begin.
    private static func offsets(_ counts: [Int], _ layout: ParameterLayout) -> [Int] {
        var next = 0
        return counts.map { count in
            defer { next += count }
            return next < layout.tensors.count ? layout.tensors[next].offset : 0
        }
    }
}

/// Layers that do not fit together.
public struct ShapeError: Error, CustomStringConvertible, Sendable {
    public let description: String
}

/// Makes layers of their specifications, one after the other.
private struct LayerBuilder {
    let specifications: [LayerSpecification]
    let role: NetworkRole
    let isSpectral: Bool
    /// What the layers so far give.
    var shape: Shape
    var index = 0
    var layers: [any Layer] = []
    var normalizedPixels: Int?

    mutating func addLayer() throws {
        let specification = specifications[index]
        switch specification {
        case .linear(let inputs, let outputs, let hasBias):
            guard shape.isInOrder, inputs == shape.features else { throw misfit("linear [\(inputs) → \(outputs)]") }
            let fusion = takeFusion()
            layers.append(
                Linear(
                    index: index, inputs: inputs, outputs: outputs, hasBias: hasBias, slope: fusion.slope,
                    inputSlope: fusion.inputSlope, isFusedWithNext: fusion.isFusedWithNext, isSpectral: isSpectral))
            shape = Shape(channels: outputs)
            index += fusion.slope == nil ? 1 : 2
        case .convolution(let parameters): try addConvolution(parameters)
        case .batchNormalization(let channels):
            guard channels == shape.channels || channels == shape.features && shape.isInOrder else {
                throw misfit("batch_norm of \(channels)")
            }
            let slope = specifications.rectifierSlope(at: index + 1)
            layers.append(BatchNormalization(index: index, features: shape.features, channels: channels, slope: slope))
            let pixels = shape.features / channels
            normalizedPixels = min(normalizedPixels ?? pixels, pixels)
            index += slope == nil ? 1 : 2
        case .layerNormalization(let channels):
            guard channels == shape.channels || channels == shape.features && shape.isInOrder, shape.features > 1 else {
                throw misfit("layer_norm of \(channels)")
            }
            let slope = specifications.rectifierSlope(at: index + 1)
            layers.append(LayerNormalization(index: index, features: shape.features, channels: channels, slope: slope))
            index += slope == nil ? 1 : 2
        case .minibatchDiscrimination(let inputs, let kernels, let dimensions):
            guard shape.isInOrder, inputs == shape.features else { throw misfit("minibatch_discrimination of \(inputs)") }
            layers.append(MinibatchDiscrimination(index: index, inputs: inputs, kernels: kernels, dimensions: dimensions))
            shape = Shape(channels: inputs + kernels)
            index += 1
        case .reshape(let channels, let height, let width):
            let target = Shape(channels: channels, height: height, width: width)
            guard target.features == shape.features else { throw misfit("reshape to \(target)") }
            layers.append(Reshape(from: shape, to: target))
            shape = target
            index += 1
        case .upsample(let factor):
            let result = Shape(channels: shape.channels, height: factor * shape.height, width: factor * shape.width)
            try check(result, "upsample by \(factor)")
            layers.append(Upsample(shape, factor: factor))
            shape = result
            index += 1
        case .label(let classes):
            let result = Shape(channels: shape.channels + classes, height: shape.height, width: shape.width)
            try check(result, "label of \(classes) classes")
            layers.append(LabelConcatenation(shape, classes: classes))
            shape = result
            index += 1
        case .projection(let classes):
            guard shape.isInOrder, shape.features == 1 + classes else { throw misfit("projection of \(classes) classes") }
            layers.append(LabelProjection(classes: classes))
            shape = Shape(channels: 1)
            index += 1
        case .sign:
            guard role == .generator, index == 0 else {
                throw ShapeError(
                    description: "layer \(index), sign, lets no gradient through; it can only be the first of the generator")
            }
            layers.append(Sign(features: shape.features))
            index += 1
        case .relu, .leakyReLU, .tanh, .sigmoid, .dropout:
            layers.append(elementwise(specification))
            index += 1
        }
    }

    private func elementwise(_ specification: LayerSpecification) -> any Layer {
        let features = shape.features
        return switch specification {
        case .tanh: Activation(features: features, function: .tanh)
        case .sigmoid: Activation(features: features, function: .sigmoid)
        case .leakyReLU(let slope): Activation(features: features, function: .leakyReLU(slope: Float(slope)))
        case .dropout(let probability): Dropout(index: index, of: role, shape: shape, probability: probability)
        default: Activation(features: features, function: .leakyReLU(slope: 0))
        }
    }

    private mutating func addConvolution(_ p: LayerSpecification.Convolution) throws {
        let name = p.isTransposed ? "conv_transpose2d" : "conv2d"
        let text = "\(name) [\(p.inputs) → \(p.outputs)] of kernel \(p.kernel), stride \(p.stride), padding \(p.padding)"
        func side(_ length: Int) -> Int {
            p.isTransposed
                ? (length - 1) * p.stride + p.kernel - 2 * p.padding : (length + 2 * p.padding - p.kernel) / p.stride + 1
        }
        let result = Shape(channels: p.outputs, height: side(shape.height), width: side(shape.width))
        let fits = min(shape.height, shape.width) + 2 * p.padding >= p.kernel || p.isTransposed
        guard p.inputs == shape.channels, fits, min(result.height, result.width) > 0 else { throw misfit(text) }
        try check(result, text)
        let (large, small) = p.isTransposed ? (result, shape) : (shape, result)
        let places = small.pixels * p.kernel * p.kernel
        guard places <= 1 << 22 else {
            throw ShapeError(
                description: "layer \(index), \(text), has \(places) places of its kernel in an image; at most 4,194,304 are laid out")
        }
        let fusion = takeFusion()
        let convolution = Convolution2d(
            index: index,
            geometry: ConvolutionGeometry(
                channels: large.channels, height: large.height, width: large.width, outputs: small.channels,
                outputHeight: small.height, outputWidth: small.width, kernel: p.kernel, stride: p.stride, padding: p.padding),
            isTransposed: p.isTransposed, hasBias: p.hasBias, slope: fusion.slope, inputSlope: fusion.inputSlope,
            isFusedWithNext: fusion.isFusedWithNext, isSpectral: isSpectral)
        layers.append(Linear(convolution) ?? convolution)
        shape = result
        index += fusion.slope == nil ? 1 : 2
    }

    /// The rectifiers after and before an affine layer that its products include.
    private func takeFusion() -> (slope: Float?, inputSlope: Float?, isFusedWithNext: Bool) {
        let slope = specifications.rectifierSlope(at: index + 1)
        return (
            // A spectrally normalised layer wants to see the gradient before the rectifier's derivative is in it.
            slope, !isSpectral && specifications.isAffine(at: index - 2) ? specifications.rectifierSlope(at: index - 1) : nil,
            !isSpectral && slope != nil && specifications.isAffine(at: index + 2)
        )
    }

    /// A few layers that enlarge would ask for more memory than there is, and for sizes that no number holds.
    private func check(_ result: Shape, _ layer: String) throws {
        guard max(result.height, result.width) <= 1_024, result.features <= 1 << 24 else {
            throw ShapeError(
                description: "layer \(index), \(layer), gives \(result); the sides of an image must be at most 1,024 and its "
                    + "features at most 16,777,216")
        }
    }

    private func misfit(_ layer: String) -> ShapeError {
        let before = index == 0 ? "the network's input" : "layer \(index - 1), \(specifications[index - 1].name),"
        return ShapeError(description: "layer \(index), \(layer), does not take what \(before) gives: \(shape)")
    }
}

extension [LayerSpecification] {
    fileprivate func isAffine(at index: Int) -> Bool {
        guard indices.contains(index) else { return false }
        return switch self[index] {
        case .linear, .convolution: true
        default: false
        }
    }

    fileprivate func rectifierSlope(at index: Int) -> Float? {
        guard indices.contains(index) else { return nil }
        return switch self[index] {
        case .relu: 0
        case .leakyReLU(let slope): Float(slope)
        default: nil
        }
    }
}
