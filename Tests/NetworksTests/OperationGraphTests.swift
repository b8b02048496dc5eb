import Testing

@testable import Networks

/// Which operations layers are. That these compute what the layers do, Tests/Launch/test_export.py shows.
@Suite struct OperationGraphTests {
    private func graph(_ layers: [LayerSpecification], _ input: Shape, isFlat: Bool = false, to output: Shape) -> OperationGraph {
        OperationGraph(layers, from: .init("x", input, isFlat: isFlat), to: .init("y", output))
    }

    private func names(_ graph: OperationGraph) -> [String] { graph.nodes.map(\.operation) }

    /// Each takes what the one before gives; features become pixels where pixels are asked for, and not before.
    @Test func chain() {
        let graph = graph(
            [
                .linear(inputs: 6, outputs: 32), .batchNormalization(channels: 32), .relu, .reshape(channels: 8, height: 2, width: 2),
                .convolution(.init(isTransposed: true, inputs: 8, outputs: 1, kernel: 3, stride: 2, padding: 1, outputPadding: 1)), .tanh,
            ], Shape(channels: 6), isFlat: true, to: Shape(channels: 1, height: 4, width: 4))
        #expect(names(graph) == ["Gemm", "BatchNormalization", "Relu", "Reshape", "ConvTranspose", "Tanh"])
        #expect(graph.nodes[0].inputs == ["x", "main.0.weight", "main.0.bias"])
        for (node, previous) in zip(graph.nodes.dropFirst(), graph.nodes) { #expect(node.inputs[0] == previous.output) }
        #expect(graph.nodes[5].output == "y")
        #expect(graph.nodes[4].attributes["output_padding"] == .integers([1, 1]))
        #expect(graph.constants.map(\.numbers) == [.integers([0, 8, 2, 2])])
        #expect(!graph.takesClasses)
    }

    /// An output of another shape, as many numbers, is seen as that.
    @Test func outputIsSeenAsPictures() {
        let graph = graph([.linear(inputs: 4, outputs: 9)], Shape(channels: 4), isFlat: true, to: Shape(channels: 1, height: 3, width: 3))
        #expect(names(graph) == ["Gemm", "Reshape"])
        let kernel = LayerSpecification.convolution(.init(inputs: 4, outputs: 9, hasBias: false))
        let other = self.graph([kernel], Shape(channels: 4), to: Shape(channels: 1, height: 3, width: 3))
        #expect(names(other) == ["Conv", "Flatten", "Reshape"])
        #expect(other.constants.map(\.numbers) == [.integers([0, 1, 3, 3])])
    }

    /// Names of tensors in a block are those of PyTorch's module; the sum is of what went in.
    @Test func block() {
        let image = Shape(channels: 2, height: 4, width: 4)
        let graph = graph(
            [.relu, .residual([.reflectionPadding(1), .convolution(.init(inputs: 2, outputs: 2, kernel: 3))])], image, to: image)
        #expect(names(graph) == ["Relu", "Pad", "Conv", "Add"])
        #expect(graph.tensors == ["main.1.conv_block.1.weight", "main.1.conv_block.1.bias"])
        #expect(graph.nodes[3].inputs == [graph.nodes[0].output, graph.nodes[2].output])
    }

    /// One input of classes, however many layers are told them; constants that are alike are one.
    @Test func classes() {
        let graph = graph(
            [.label(classes: 3), .linear(inputs: 5, outputs: 2), .label(classes: 3), .linear(inputs: 5, outputs: 4), .projection(classes: 3)],
            Shape(channels: 2), isFlat: true, to: Shape(channels: 1))
        #expect(graph.takesClasses)
        #expect(graph.nodes.filter { $0.operation == "OneHot" }.allSatisfy { $0.inputs[0] == "classes" })
        #expect(Set(graph.constants.map(\.name)).count == graph.constants.count)
        #expect(graph.constants.count { $0.numbers == .floats([0, 1]) } == 1)
        let names = graph.nodes.map(\.output)
        #expect(Set(names).count == names.count)
    }
}
