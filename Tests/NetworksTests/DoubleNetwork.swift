import Foundation
import Networks

/// A network as a textbook writes it: one row of the batch at a time, double precision, nothing fused, nothing shared.
struct DoubleNetwork {
    let layers: [LayerSpecification]
    /// Weights [outputs, inputs] and biases of each linear layer, by the layer's number in the list.
    var weights: [Int: [Double]] = [:]
    var biases: [Int: [Double]] = [:]

    /// - Parameter parameters: the flat buffer of a layout.
    init(_ layers: [LayerSpecification], _ layout: ParameterLayout, _ parameters: [Float]) {
        self.layers = layers
        for tensor in layout.tensors {
            let values = tensor.range.map { Double(parameters[$0]) }
            let parts = tensor.name.split(separator: ".")
            guard parts.count == 3, let index = Int(parts[1]) else { preconditionFailure(tensor.name) }
            if parts[2] == "weight" { weights[index] = values } else { biases[index] = values }
        }
    }

    /// The input of each layer, and the output last.
    /// - Parameter masks: of each dropout layer, 0 or 1/(1 − p).
    func activations(_ x: [Double], masks: [Int: [Double]]) -> [[Double]] {
        var all = [x]
        for (index, layer) in layers.enumerated() {
            let x = all[index]
            let y: [Double] =
                switch layer.description {
                case let linear as LinearDescription:
                    (0..<linear.outputs).map { o in
                        var sum: Double = biases[index]?[o] ?? 0
                        for i in 0..<linear.inputs { sum += weights[index]![o * linear.inputs + i] * x[i] }
                        return sum
                    }
                case let activation as ActivationDescription:
                    switch activation.function {
                    case .relu, .leakyReLU: x.map { $0 > 0 ? $0 : Double(Float(activation.slope)) * $0 }
                    case .tanh: x.map { Foundation.tanh($0) }
                    case .sigmoid: x.map { 1 / (1 + exp(-$0)) }
                    }
                case is DropoutDescription: masks[index].map { zip(x, $0).map(*) } ?? x
                case is PReLUDescription: zip(x, weights[index]!).map { $0 > 0 ? $0 : $0 * $1 }
                default: preconditionFailure("\(layer) mixes rows or pixels")
                }
            all.append(y)
        }
        return all
    }

    /// Gradients of one row: of the input, and added to those of the weights and biases.
    func backward(
        _ activations: [[Double]], masks: [Int: [Double]], _ outputGradient: [Double], weights dw: inout [Int: [Double]],
        biases db: inout [Int: [Double]]
    ) -> [Double] {
        var dy = outputGradient
        for (index, layer) in layers.enumerated().reversed() {
            let (x, y) = (activations[index], activations[index + 1])
            switch layer.description {
            case let linear as LinearDescription:
                let (inputs, outputs) = (linear.inputs, linear.outputs)
                var dx = [Double](repeating: 0, count: inputs)
                for o in 0..<outputs {
                    db[index, default: Array(repeating: 0, count: outputs)][o] += dy[o]
                    for i in 0..<inputs {
                        dw[index, default: Array(repeating: 0, count: inputs * outputs)][o * inputs + i] += dy[o] * x[i]
                        dx[i] += dy[o] * weights[index]![o * inputs + i]
                    }
                }
                dy = dx
            case let activation as ActivationDescription:
                switch activation.function {
                case .relu, .leakyReLU: dy = zip(dy, x).map { $1 > 0 ? $0 : Double(Float(activation.slope)) * $0 }
                case .tanh: dy = zip(dy, y).map { $0 * (1 - $1 * $1) }
                case .sigmoid: dy = zip(dy, y).map { $0 * $1 * (1 - $1) }
                }
            case is PReLUDescription:
                dw[index] = zip(dw[index] ?? Array(repeating: 0, count: x.count), zip(dy, x)).map { $0 + ($1.1 > 0 ? 0 : $1.0 * $1.1) }
                dy = zip(dy, zip(x, weights[index]!)).map { $1.0 > 0 ? $0 : $0 * $1.1 }
            case is DropoutDescription: dy = masks[index].map { zip(dy, $0).map(*) } ?? dy
            default: preconditionFailure("\(layer) mixes rows or pixels")
            }
        }
        return dy
    }
}
