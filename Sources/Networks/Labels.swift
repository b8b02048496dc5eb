import Kernels

/// Appends the class of each row to its features, or to the channels of every pixel: y = [x; e], e_c = 1 for c the row's
/// class and 0 otherwise (Mirza and Osindero 2014). The columns of the next layer's weights that meet e are the classes'
/// embedding. The appended part has no gradient.
final class LabelConcatenation: Layer {
    private let shape: Shape
    private let classes: Int
    var inputs: Int { shape.features }
    var outputs: Int { shape.pixels * (shape.channels + classes) }

    init(_ shape: Shape, classes: Int) {
        self.shape = shape
        self.classes = classes
    }

    func forward(_ x: Matrix, _ y: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        move(x, y, pass) { channel, row in
            for column in 0..<pass.columns { row[column] = pass.label(column) == channel ? 1 : 0 }
        }
    }

    func tangent(_ dx: Matrix, _ dy: Matrix, y: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        move(dx, dy, pass) { _, row in row.update(repeating: 0, count: pass.columns) }
    }

    func inputGradient(_ dy: Matrix, _ dx: Matrix, x: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        for pixel in 0..<shape.pixels {
            copy(
                part(dy, pixel, channels: shape.channels + classes), part(dx, pixel, channels: shape.channels),
                features: shape.channels, columns: pass.columns)
        }
    }

    private func move(
        _ x: Matrix, _ y: Matrix, _ pass: Pass, fill: (_ channel: Int, _ row: UnsafeMutablePointer<Float>) -> Void
    ) {
        for pixel in 0..<shape.pixels {
            let target = part(y, pixel, channels: shape.channels + classes)
            copy(part(x, pixel, channels: shape.channels), target, features: shape.channels, columns: pass.columns)
            for channel in 0..<classes { fill(channel, target.base + (shape.channels + channel) * y.stride) }
        }
    }

    private func part(_ matrix: Matrix, _ pixel: Int, channels: Int) -> Matrix {
        Matrix(matrix.base + pixel * channels * matrix.stride, features: channels, stride: matrix.stride)
    }
}

/// y = x₀ + x_{1 + c}, c the row's class. After a linear layer of 1 + classes outputs this is a discriminator that judges by
/// projection (Miyato and Koyama 2018): (w + e_c)ᵀ φ + b₀ + b_c, e_c the embedding of the class and φ the linear layer's input.
final class LabelProjection: Layer {
    let inputs: Int
    var outputs: Int { 1 }

    init(classes: Int) { inputs = 1 + classes }

    func forward(_ x: Matrix, _ y: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        for column in 0..<pass.columns {
            y.base[column] = x.base[column] + x.base[(1 + pass.label(column)) * x.stride + column]
        }
    }

    func tangent(_ dx: Matrix, _ dy: Matrix, y: Matrix, _ memory: LayerMemory, _ pass: Pass) { forward(dx, dy, memory, pass) }

    func inputGradient(_ dy: Matrix, _ dx: Matrix, x: Matrix, _ memory: LayerMemory, _ pass: Pass) {
        for feature in 0..<inputs {
            let row = dx.base + feature * dx.stride
            for column in 0..<pass.columns {
                row[column] = feature == 0 || feature == 1 + pass.label(column) ? dy.base[column] : 0
            }
        }
    }
}

extension Pass {
    /// The class of a column; of those past the batch's rows any.
    fileprivate func label(_ column: Int) -> Int {
        guard let labels else { preconditionFailure("a layer asks for labels where there are none") }
        return Int(labels[column])
    }
}
