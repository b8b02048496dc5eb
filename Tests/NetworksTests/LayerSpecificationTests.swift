import Foundation
import Networks
import Testing

@Suite struct LayerSpecificationTests {
    private func decode(_ json: String) throws -> [LayerSpecification] {
        try JSONDecoder().decode([LayerSpecification].self, from: Data(json.utf8))
    }

    private static let layers: [LayerSpecification] = [
        .linear(inputs: 1, outputs: 65_536), .linear(inputs: 3, outputs: 4, hasBias: false), .relu, .leakyReLU(slope: 0.2),
        .leakyReLU(slope: 0), .tanh, .sigmoid, .sign,
        .dropout(probability: 0.3), .dropout(probability: 0),
        .convolution(.init(inputs: 1, outputs: 64, kernel: 4, stride: 2, padding: 1, hasBias: false)),
        .convolution(.init(isTransposed: true, inputs: 64, outputs: 3, kernel: 5)), .batchNormalization(channels: 64),
        .reshape(channels: 3, height: 7, width: 9), .upsample(factor: 2),
    ]

    @Test func everyLayerSurvivesTheFile() throws {
        let data = try JSONEncoder().encode(Self.layers)
        #expect(try JSONDecoder().decode([LayerSpecification].self, from: data) == Self.layers)
    }

    /// A layer of a program's own is known where the program says so, and nowhere else.
    @Test func readsLayersOfAProgramsOwn() throws {
        let json = #"[{"type": "linear", "inputs": 4, "outputs": 3}, {"type": "prelu"}]"#
        let layers = try LayerSpecification.withTypes([PReLUDescription()]) { try decode(json) }
        #expect(layers == [.linear(inputs: 4, outputs: 3), LayerSpecification(PReLUDescription())])
        #expect(try NetworkPlan(layers, input: Shape(channels: 4)).layout.tensors.map(\.name).last == "main.1.weight")
        #expect(throws: ShapeError.self) { try NetworkPlan([layers[1]], input: Shape(channels: 1, height: 2, width: 2)) }
        #expect(throws: (any Error).self) { try decode(json) }
        #expect(throws: (any Error).self) {
            try LayerSpecification.withTypes([PReLUDescription()]) { try decode(#"[{"type": "prelu", "slope": 1}]"#) }
        }
    }

    /// What a user writes, by name.
    @Test func readsTheNamesOfTheFormat() throws {
        let json = """
            [{"type": "linear", "inputs": 64, "outputs": 256, "bias": false}, {"type": "linear", "inputs": 256, "outputs": 64},
             {"type": "relu"}, {"type": "leaky_relu", "slope": 0.2},
             {"type": "tanh"}, {"type": "sigmoid"}, {"type": "sign"}, {"type": "dropout", "probability": 0.5},
             {"type": "conv2d", "inputs": 1, "outputs": 64, "kernel": 4, "stride": 2, "padding": 1, "bias": false},
             {"type": "conv_transpose2d", "inputs": 64, "outputs": 1, "kernel": 5, "stride": 1, "padding": 0},
             {"type": "batch_norm", "channels": 64}, {"type": "reshape", "channels": 64, "height": 7, "width": 9},
             {"type": "upsample", "factor": 2}]
            """
        #expect(
            try decode(json) == [
                // Without the word, there is a bias.
                .linear(inputs: 64, outputs: 256, hasBias: false), .linear(inputs: 256, outputs: 64), .relu,
                .leakyReLU(slope: 0.2), .tanh, .sigmoid, .sign,
                .dropout(probability: 0.5),
                .convolution(.init(inputs: 1, outputs: 64, kernel: 4, stride: 2, padding: 1, hasBias: false)),
                .convolution(.init(isTransposed: true, inputs: 64, outputs: 1, kernel: 5)),
                .batchNormalization(channels: 64), .reshape(channels: 64, height: 7, width: 9), .upsample(factor: 2),
            ])
    }

    @Test(arguments: [
        (
            #"{"type": "conv"}"#,
            "unknown layer type \"conv\"; known are linear, conv2d, conv_transpose2d, batch_norm, "
        ),
        (#"{"type": "linear", "inputs": 0, "outputs": 4}"#, "a layer of type linear with inputs 0; it must be 1 … 65536"),
        (#"{"type": "linear", "inputs": -3, "outputs": 4}"#, "inputs -3; it must be 1 … 65536"),
        (#"{"type": "linear", "inputs": 4, "outputs": 65537}"#, "outputs 65537; it must be 1 … 65536"),
        (#"{"type": "linear", "inputs": 9223372036854775807, "outputs": 4}"#, "inputs 9223372036854775807; it must be 1 … 65536"),
        (conv2d(["inputs": 0]), "a layer of type conv2d with inputs 0; it must be 1 … 8192"),
        (conv2d(["outputs": 8193]), "outputs 8193; it must be 1 … 8192"),
        (conv2d(["kernel": 0]), "kernel 0; it must be 1 … 32"),
        (conv2d(["kernel": 33]), "kernel 33; it must be 1 … 32"),
        (conv2d(["stride": 0]), "stride 0; it must be 1 … 32"),
        (conv2d(["stride": -9_223_372_036_854_775_807]), "it must be 1 … 32"),
        (conv2d(["padding": -1]), "padding -1; it must be 0 … 32"),
        (conv2d(["padding": 33], type: "conv_transpose2d"), "a layer of type conv_transpose2d with padding 33; it must be 0 … 32"),
        (
            conv2d(["output_padding": 2], type: "conv_transpose2d"),
            "a layer of type conv_transpose2d with output_padding 2; it must be 0 … 1"
        ),
        (conv2d(["output_padding": -1], type: "conv_transpose2d"), "output_padding -1; it must be 0 … 1"),
        (conv2d(["output_padding": 1, "stride": 1], type: "conv_transpose2d"), "output_padding 1; it must be 0 … 0"),
        (conv2d(["output_padding": 1]), "unknown field \"output_padding\" of a layer of type conv2d"),
        (conv2d(["dilation": 2]), "unknown field \"dilation\" of a layer of type conv2d"),
        (#"{"type": "batch_norm", "channels": 0}"#, "a layer of type batch_norm with channels 0; it must be 1 … 65536"),
        (#"{"type": "batch_norm", "channels": 4, "momentum": 0.2}"#, "unknown field \"momentum\" of a layer of type batch_norm"),
        (#"{"type": "reshape", "channels": 65537, "height": 1, "width": 1}"#, "channels 65537; it must be 1 … 65536"),
        (#"{"type": "reshape", "channels": 1, "height": 0, "width": 1}"#, "height 0; it must be 1 … 1024"),
        (#"{"type": "reshape", "channels": 1, "height": 1, "width": 1025}"#, "width 1025; it must be 1 … 1024"),
        (#"{"type": "upsample", "factor": 0}"#, "a layer of type upsample with factor 0; it must be 1 … 16"),
        (#"{"type": "upsample", "factor": 17}"#, "factor 17; it must be 1 … 16"),
        (#"{"type": "linear", "inputs": 4, "outputs": 4, "kernel": 1}"#, "unknown field \"kernel\" of a layer of type linear"),
        (#"{"type": "relu", "slope": 0.1}"#, "unknown field \"slope\" of a layer of type relu"),
        (#"{"type": "leaky_relu", "slope": -0.1}"#, "a slope of -0.1; it must be 0 … 1"),
        (#"{"type": "leaky_relu", "slope": 1e300}"#, "it must be 0 … 1"),
        (#"{"type": "dropout", "probability": 1}"#, "a dropout probability of 1.0; it must be at least 0 and less than 1"),
        (#"{"type": "dropout", "probability": -1e-9}"#, "it must be at least 0 and less than 1"),
    ])
    func refusesAndSaysWhy(json: String, reason: String) {
        let error = #expect(throws: DecodingError.self) { try decode("[\(json)]") }
        guard case .dataCorrupted(let context)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(context.debugDescription.contains(reason), "\(context.debugDescription)")
        #expect(context.codingPath.first?.intValue == 0)
    }

    /// Without output padding a file has the bytes that it had before there was any.
    @Test(arguments: [(0, ""), (1, "\"output_padding\":1,")])
    func writesOutputPaddingWhereThereIsAny(pixels: Int, field: String) throws {
        let layer = LayerSpecification.convolution(
            .init(isTransposed: true, inputs: 3, outputs: 2, kernel: 3, stride: 2, padding: 1, outputPadding: pixels))
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let data = try encoder.encode(layer)
        #expect(
            String(decoding: data, as: UTF8.self)
                == "{\"bias\":true,\"inputs\":3,\"kernel\":3,\(field)\"outputs\":2,\"padding\":1,\"stride\":2,"
                + "\"type\":\"conv_transpose2d\"}")
        #expect(try JSONDecoder().decode(LayerSpecification.self, from: data) == layer)
    }

    /// A convolution in a model file, with these fields besides or instead.
    private static func conv2d(_ fields: [String: Int], type: String = "conv2d") -> String {
        let all = ["inputs": 1, "outputs": 2, "kernel": 4, "stride": 2, "padding": 1].merging(fields) { $1 }
        return "{\"type\": \"\(type)\", \(all.map { "\"\($0)\": \($1)" }.joined(separator: ", "))}"
    }

    /// Missing fields, wrong types, and numbers that are no integers of 64 bits.
    @Test(arguments: [
        "{}", #"{"type": null}"#, #"{"type": 3}"#, #"{"type": ["linear"]}"#, "[]", "3", "null", #""relu""#,
        #"{"type": "linear", "inputs": 4, "outputs": 4, "bias": 0.5}"#, #"{"type": "linear"}"#,
        #"{"type": "linear", "inputs": 4}"#, #"{"type": "linear", "inputs": "4", "outputs": 4}"#,
        #"{"type": "linear", "inputs": 4.5, "outputs": 4}"#, #"{"type": "linear", "inputs": 1e30, "outputs": 4}"#,
        #"{"type": "linear", "inputs": 99999999999999999999, "outputs": 4}"#, #"{"type": "linear", "inputs": null, "outputs": 4}"#,
        #"{"type": "leaky_relu"}"#, #"{"type": "dropout", "probability": "0.5"}"#, #"{"type": "dropout", "probability": 1e999}"#,
        #"{"type": "conv2d", "inputs": 1, "outputs": 2, "stride": 2, "padding": 1}"#,
        #"{"type": "conv2d", "inputs": 1, "outputs": 2, "kernel": [4, 4], "stride": 2, "padding": 1}"#,
        #"{"type": "conv2d", "inputs": 1, "outputs": 2, "kernel": 4, "stride": 2, "padding": 1, "bias": 3}"#,
        #"{"type": "batch_norm"}"#, #"{"type": "batch_norm", "channels": 1.5}"#, #"{"type": "reshape", "channels": 1, "height": 2}"#,
        #"{"type": "upsample"}"#, #"{"type": "upsample", "factor": "2"}"#,
        #"{"TYPE": "relu"}"#, #"{"type": "ReLU"}"#, #"{"type": ""}"#,
    ])
    func refusesWhatIsNoLayer(json: String) {
        #expect(throws: (any Error).self) { try decode("[\(json)]") }
    }
}
