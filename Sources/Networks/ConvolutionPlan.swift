import Kernels

/// The geometry of a convolution (Dumoulin and Visin 2016): for each output pixel (i, j) and tap (u, v) the input pixel
/// (stride · i − padding + u, stride · j − padding + v). Backwards it is that of a transposed one.
struct ConvolutionGeometry: Equatable {
    /// C, H, W of the larger side, O, OH, OW of the smaller one.
    let channels, height, width: Int
    let outputs, outputHeight, outputWidth: Int
    let kernel, stride, padding: Int

    var taps: Int { kernel * kernel }
    var pixels: Int { height * width }
    var outputPixels: Int { outputHeight * outputWidth }

    /// The input pixel that a tap of an output pixel reads, or nil in the padding.
    func input(_ output: Int, _ tap: Int) -> Int? {
        let row = output / outputWidth * stride - padding + tap / kernel
        let column = output % outputWidth * stride - padding + tap % kernel
        return row >= 0 && row < height && column >= 0 && column < width ? row * width + column : nil
    }
}

/// Which pixels a convolution reads for which: laid out once for each layer.
final class ConvolutionPlan: @unchecked Sendable {
    /// Pixels that have the same taps, at the same distances.
    struct Group {
        let positions: UnsafeMutableBufferPointer<ConvolutionPosition>
        let taps: UnsafeMutableBufferPointer<ConvolutionTap>
    }

    let geometry: ConvolutionGeometry
    /// Output pixels from input pixels; a tap's weights are `channels` long.
    let gather: [Group]
    /// Input pixels from output pixels, as the gradient of the input and a transposed convolution have them: by parity, if
    /// the stride is 2. A tap's weights are `scatterDepth` long.
    let scatter: [Group]
    let scatterDepth: Int
    /// Pairs of an output pixel and the input pixel that a tap reads, one list for each call of the weight-gradient kernel; −1
    /// is padding. Where a call takes all taps together, because they fill vectors (few channels) or each does by itself, its
    /// list is [taps, outputPixels]; otherwise there is a list for each tap.
    let pairs: [UnsafeMutableBufferPointer<ConvolutionPosition>]

    init(_ geometry: ConvolutionGeometry) {
        self.geometry = geometry
        var forward = Array(repeating: [(tap: Int, pixel: Int)](), count: geometry.outputPixels)
        var backward = Array(repeating: [(tap: Int, pixel: Int)](), count: geometry.pixels)
        var pairs = Array(repeating: [ConvolutionPosition](), count: geometry.taps)
        let takesTapsAtOnce = geometry.channels < 16 || geometry.channels % 16 == 0
        for tap in 0..<geometry.taps {
            for output in 0..<geometry.outputPixels {
                let input = geometry.input(output, tap)
                if let input {
                    forward[output].append((tap, input))
                    backward[input].append((tap, output))
                }
                if input != nil || takesTapsAtOnce {
                    pairs[tap].append(ConvolutionPosition(source: Int32(input ?? -1), target: Int32(output)))
                }
            }
        }
        gather = ConvolutionPlan.groups(forward, depth: geometry.channels)
        scatterDepth = geometry.outputs.paddedToVectors
        scatter = ConvolutionPlan.groups(backward, depth: scatterDepth)
        self.pairs = (takesTapsAtOnce ? [Array(pairs.joined())] : pairs).map(ConvolutionPlan.buffer)
    }

    deinit {
        for group in gather + scatter {
            group.positions.deallocate()
            group.taps.deallocate()
        }
        for pairs in pairs { pairs.deallocate() }
    }

    /// Pixels grouped by their taps and the distances between what those read.
    private static func groups(_ pixels: [[(tap: Int, pixel: Int)]], depth: Int) -> [Group] {
        var numbers: [[Int32]: Int] = [:]
        var found: [(taps: [ConvolutionTap], positions: [ConvolutionPosition])] = []
        for (target, taps) in pixels.enumerated() {
            let source = taps.first?.pixel ?? 0
            let key = taps.flatMap { [Int32($0.tap), Int32($0.pixel - source)] }
            if numbers[key] == nil {
                numbers[key] = found.count
                found.append((taps.map { ConvolutionTap(weight: Int32($0.tap * depth), source: Int32($0.pixel - source)) }, []))
            }
            found[numbers[key] ?? 0].positions.append(ConvolutionPosition(source: Int32(source), target: Int32(target)))
        }
        return found.map { Group(positions: buffer($0.positions), taps: buffer($0.taps)) }
    }

    private static func buffer<Element>(_ elements: [Element]) -> UnsafeMutableBufferPointer<Element> {
        let buffer = UnsafeMutableBufferPointer<Element>.allocate(capacity: max(1, elements.count))
        _ = buffer.initialize(from: elements)
        return UnsafeMutableBufferPointer(rebasing: buffer[..<elements.count])
    }
}
