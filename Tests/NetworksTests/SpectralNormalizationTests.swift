import Kernels
import Networks
import Testing

/// Spectral normalisation of every layer that has a matrix, as PyTorch's `spectral_norm` defines it (dim 1 of a transposed
/// convolution's weights is the output), against plain double precision.
@Suite(.timeLimit(.minutes(15))) struct SpectralNormalizationTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var input: Shape
        var layers: [LayerSpecification]
    }

    private static func convolution(
        _ inputs: Int, _ outputs: Int, _ kernel: Int, stride: Int = 1, padding: Int = 0, transposed: Bool = false, bias: Bool = true
    ) -> LayerSpecification {
        .convolution(
            .init(
                isTransposed: transposed, inputs: inputs, outputs: outputs, kernel: kernel, stride: stride, padding: padding,
                hasBias: bias))
    }

    static let cases: [Case] = [
        Case(testDescription: "transposed convolutions, then others", input: Shape(channels: 3), layers: [
            convolution(3, 4, 3, transposed: true, bias: false), .leakyReLU(slope: 0.2),
            convolution(4, 2, 4, stride: 2, padding: 1, transposed: true), .leakyReLU(slope: 0.3), convolution(2, 3, 3, stride: 2),
            .leakyReLU(slope: 0.2), .reshape(channels: 12, height: 1, width: 1), .linear(inputs: 12, outputs: 2, hasBias: false),
        ]),
        Case(testDescription: "transposed with a bias from one pixel", input: Shape(channels: 5), layers: [
            convolution(5, 3, 2, transposed: true), .relu, convolution(3, 2, 3, padding: 1, transposed: true, bias: false),
            convolution(2, 1, 2),
        ]),
        Case(testDescription: "linear layers with a bias and without", input: Shape(channels: 7), layers: [
            .linear(inputs: 7, outputs: 6, hasBias: false), .leakyReLU(slope: 0.2), .linear(inputs: 6, outputs: 5), .relu,
            .linear(inputs: 5, outputs: 1, hasBias: false),
        ]),
        Case(testDescription: "a transposed convolution last", input: Shape(channels: 2, height: 3, width: 2), layers: [
            convolution(2, 4, 1), convolution(4, 3, 3, stride: 2, padding: 1, transposed: true),
        ]),
    ]

    @Test(arguments: cases) func equalsDouble(test: Case) throws {
        // They take their time, and no kernel changes them.
        var derivatives: [String: [Double]] = [:]
        for kernels in tables {
            let rig = try NetworkRig(
                test.layers, input: test.input, batch: 16, shards: 0..<8, of: 8, kernels: kernels, isSpectral: true)
            let (network, layout) = (rig.network, rig.plan.layout)
            func buffer(_ index: Int, _ name: String) throws -> [Double] {
                let tensor = try #require(network.bufferLayout.tensors.first { $0.name == "main.\(index).weight_\(name)" })
                return tensor.values(in: network.buffers).map(Double.init)
            }
            var parameters: [String: [Double]] = [:]
            for tensor in layout.tensors { parameters[tensor.name] = tensor.values(in: rig.parameters).map(Double.init) }
            let indices = test.layers.indices.filter { parameters["main.\($0).weight_orig"] != nil }
            #expect(network.bufferLayout.tensors.map(\.name) == indices.flatMap { ["main.\($0).weight_u", "main.\($0).weight_v"] })

            // One power iteration.
            var vectors: [Int: (u: [Double], v: [Double])] = [:]
            for index in indices {
                let matrix = SpectralReference.matrix(test.layers[index], parameters["main.\(index).weight_orig"] ?? [])
                let old = try buffer(index, "u")
                let columns = matrix[0].indices.map { column in matrix.map { $0[column] } }
                let v = SpectralReference.unit(columns.map { SpectralReference.dot($0, old) })
                vectors[index] = (SpectralReference.unit(matrix.map { SpectralReference.dot($0, v) }), v)
            }
            network.parametersChanged()
            for index in indices {
                let expected = try #require(vectors[index])
                let found = (u: try buffer(index, "u"), v: try buffer(index, "v"))
                #expect(found.u.count == expected.u.count && found.v.count == expected.v.count)
                for (a, b) in zip(found.u + found.v, expected.u + expected.v) { #expect(abs(a - b) < 1e-6, "layer \(index)") }
                vectors[index] = found
            }

            try rig.run()
            network.finishGradient(rig.gradients[0], 0..<layout.count)
            let reference = SpectralReference(layers: test.layers, input: test.input, vectors: vectors)
            let exact = reference.output(parameters, row: 3, slot: 1)
            let output = network.output.slot(1)
            let shape = rig.plan.output
            for (feature, y) in exact.enumerated() {
                let (channel, pixel) = feature.quotientAndRemainder(dividingBy: shape.height * shape.width)
                let found = output.base[(pixel * shape.channels + channel) * output.stride + 3]
                #expect(abs(Double(found) - y) < 2e-6 * max(1, abs(y)), "feature \(feature), \(kernels.instructionSet)")
            }
            for tensor in layout.tensors {
                let found = tensor.values(in: rig.gradients[0])
                let expected =
                    derivatives[tensor.name] ?? found.indices.map { reference.derivative(parameters, tensor.name, $0) }
                derivatives[tensor.name] = expected
                let scale = expected.reduce(1e-3) { max($0, abs($1)) }
                for (element, value) in expected.enumerated() {
                    #expect(
                        abs(Double(found[element]) - value) < 1e-5 * scale,
                        "\(tensor.name)[\(element)], \(kernels.instructionSet): \(found[element]), \(value)")
                }
            }
        }
    }
}

/// What a network of spectrally normalised layers computes, as a textbook writes it, and derivatives as differences.
private struct SpectralReference {
    let layers: [LayerSpecification]
    let input: Shape
    /// u and v of each layer, constant.
    let vectors: [Int: (u: [Double], v: [Double])]

    static func dot(_ x: [Double], _ y: [Double]) -> Double {
        var sum = 0.0
        for i in x.indices { sum += x[i] * y[i] }
        return sum
    }

    static func unit(_ x: [Double]) -> [Double] {
        let norm = dot(x, x).squareRoot()
        return x.map { $0 / norm }
    }

    /// Weights in PyTorch's order as the matrix [out, in · k²].
    static func matrix(_ layer: LayerSpecification, _ weights: [Double]) -> [[Double]] {
        switch layer.description {
        case let linear as LinearDescription:
            return (0..<linear.outputs).map { o in (0..<linear.inputs).map { weights[o * linear.inputs + $0] } }
        case let p as ConvolutionDescription:
            let taps = p.kernel * p.kernel
            return (0..<p.outputs).map { o in
                (0..<p.inputs * taps).map { column in
                    let (c, tap) = column.quotientAndRemainder(dividingBy: taps)
                    return weights[(p.isTransposed ? c * p.outputs + o : o * p.inputs + c) * taps + tap]
                }
            }
        default: return []
        }
    }

    /// [C, H, W] of one row.
    func output(_ parameters: [String: [Double]], row: Int, slot: Int) -> [Double] {
        var x = (0..<input.features).map { Double(NetworkRig.value(1 + slot, row, $0)) }
        var (height, width) = (input.height, input.width)
        for (index, layer) in layers.enumerated() {
            let weights = parameters["main.\(index).weight_orig"] ?? []
            let matrix = SpectralReference.matrix(layer, weights)
            var sigma = 1.0
            if let (u, v) = vectors[index] { sigma = SpectralReference.dot(u, matrix.map { SpectralReference.dot($0, v) }) }
            let bias = parameters["main.\(index).bias"]
            switch layer.description {
            case is LinearDescription:
                let products = matrix.map { SpectralReference.dot($0, x) / sigma }
                x = products.indices.map { products[$0] + (bias?[$0] ?? 0) }
            case let p as ConvolutionDescription:
                let taps = p.kernel * p.kernel
                func side(_ n: Int) -> Int {
                    p.isTransposed ? (n - 1) * p.stride + p.kernel - 2 * p.padding : (n + 2 * p.padding - p.kernel) / p.stride + 1
                }
                let (newHeight, newWidth) = (side(height), side(width))
                let (smallHeight, smallWidth) = p.isTransposed ? (height, width) : (newHeight, newWidth)
                let (largeHeight, largeWidth) = p.isTransposed ? (newHeight, newWidth) : (height, width)
                let newPixels = newHeight * newWidth
                var y: [Double] = (0..<p.outputs * newPixels).map { bias?[$0 / newPixels] ?? 0 }
                for o in 0..<p.outputs {
                    for c in 0..<p.inputs {
                        for tap in 0..<taps {
                            let w = matrix[o][c * taps + tap] / sigma
                            for i in 0..<smallHeight {
                                for j in 0..<smallWidth {
                                    let a = i * p.stride + tap / p.kernel - p.padding
                                    let b = j * p.stride + tap % p.kernel - p.padding
                                    guard (0..<largeHeight).contains(a), (0..<largeWidth).contains(b) else { continue }
                                    if p.isTransposed {
                                        y[(o * largeHeight + a) * largeWidth + b] += w * x[(c * smallHeight + i) * smallWidth + j]
                                    } else {
                                        y[(o * smallHeight + i) * smallWidth + j] += w * x[(c * largeHeight + a) * largeWidth + b]
                                    }
                                }
                            }
                        }
                    }
                }
                (x, height, width) = (y, newHeight, newWidth)
            case let activation as ActivationDescription:
                x = x.map { $0 > 0 ? $0 : Double(Float(activation.slope)) * $0 }
            case let reshape as ReshapeDescription: (height, width) = (reshape.height, reshape.width)
            default: preconditionFailure("\(layer)")
            }
        }
        return x
    }

    /// The derivative of ⟨y, dy⟩, summed over both passes of all rows, by one parameter.
    func derivative(_ parameters: [String: [Double]], _ name: String, _ element: Int) -> Double {
        let h = 1e-5
        func value(_ h: Double) -> Double {
            var parameters = parameters
            parameters[name]?[element] += h
            var sum = 0.0
            for slot in 0..<2 {
                for row in 0..<16 {
                    let y = output(parameters, row: row, slot: slot)
                    for (feature, y) in y.enumerated() { sum += y * Double(NetworkRig.value(3 + slot, row, feature)) }
                }
            }
            return sum
        }
        return (value(h) - value(-h)) / (2 * h)
    }
}
