import MessagePassing
import Networks

extension [LayerSpecification] {
    /// A discriminator's layers with minibatch discrimination before the last linear one, which then takes `kernels` inputs
    /// more. Where a convolution comes last, as in a DCGAN, a linear layer of the pixels that it covers takes its place.
    ///
    /// - Throws: a usage failure where no such layer comes last, or there is minibatch discrimination already.
    public func addingMinibatchDiscrimination(kernels: Int, dimensions: Int) throws -> [LayerSpecification] {
        func reject(_ reason: String) -> Failure { Failure(.usage, "minibatch discrimination: \(reason)") }
        guard kernels > 0, dimensions > 0, kernels <= 65_536 / dimensions else {
            throw reject(
                "\(kernels) kernels of \(dimensions) dimensions; both must be at least 1, and their product at most 65,536")
        }
        if contains(where: \.comparesRows) { throw reject("the discriminator has a layer of it already") }
        guard let last = lastIndex(where: \.isAffine) else {
            throw reject("the discriminator has no linear layer for it to come before")
        }
        var layers = self
        func scoring(_ inputs: Int, _ outputs: Int, hasBias: Bool = true) -> [LayerSpecification] {
            [
                .minibatchDiscrimination(inputs: inputs, kernels: kernels, dimensions: dimensions),
                .linear(inputs: inputs + kernels, outputs: outputs, hasBias: hasBias),
            ]
        }
        switch self[last].description {
        case let linear as LinearDescription:
            layers.replaceSubrange(last...last, with: scoring(linear.inputs, linear.outputs, hasBias: linear.hasBias))
        case let convolution as ConvolutionDescription where !convolution.isTransposed && convolution.padding == 0:
            // Of an image as large as its kernel; the plan of the network tells if it is not.
            let features = convolution.inputs * convolution.kernel * convolution.kernel
            layers.replaceSubrange(
                last...last,
                with: [.reshape(channels: features, height: 1, width: 1)] + scoring(features, convolution.outputs))
        default:
            throw reject(
                "layer \(last), \(self[last].name), is the discriminator's last with weights; a linear layer, or a convolution of "
                    + "the whole image without padding, is needed there")
        }
        return layers
    }
}

extension Configuration {
    /// Adds minibatch discrimination of so many kernels of 5 dimensions to the discriminator, if it is not there already.
    /// - Throws: a usage failure where it cannot be added, or is there with other sizes.
    public mutating func setMinibatchDiscrimination(kernels: Int) throws {
        let isThere = discriminator.contains { layer in
            guard let layer = layer.description as? MinibatchDiscriminationDescription else { return false }
            return layer.kernels == kernels && layer.dimensions == 5
        }
        if !isThere { discriminator = try discriminator.addingMinibatchDiscrimination(kernels: kernels, dimensions: 5) }
    }
}
