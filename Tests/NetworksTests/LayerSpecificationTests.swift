import Foundation
import Networks
import Testing

@Suite struct LayerSpecificationTests {
    private func decode(_ json: String) throws -> [LayerSpecification] {
        try JSONDecoder().decode([LayerSpecification].self, from: Data(json.utf8))
    }

    private static let layers: [LayerSpecification] = [
        .linear(inputs: 1, outputs: 65_536), .relu, .leakyReLU(slope: 0.2), .leakyReLU(slope: 0), .tanh, .sigmoid,
        .dropout(probability: 0.3), .dropout(probability: 0),
    ]

    @Test func everyLayerSurvivesTheFile() throws {
        let data = try JSONEncoder().encode(Self.layers)
        #expect(try JSONDecoder().decode([LayerSpecification].self, from: data) == Self.layers)
    }

    /// What a user writes, by name.
    @Test func readsTheNamesOfTheFormat() throws {
        let json = """
            [{"type": "linear", "inputs": 64, "outputs": 256}, {"type": "relu"}, {"type": "leaky_relu", "slope": 0.2},
             {"type": "tanh"}, {"type": "sigmoid"}, {"type": "dropout", "probability": 0.5}]
            """
        #expect(
            try decode(json) == [
                .linear(inputs: 64, outputs: 256), .relu, .leakyReLU(slope: 0.2), .tanh, .sigmoid, .dropout(probability: 0.5),
            ])
    }

    @Test(arguments: [
        (#"{"type": "conv"}"#, "unknown layer type \"conv\"; known are linear, relu, leaky_relu, tanh, sigmoid, dropout"),
        (#"{"type": "linear", "inputs": 0, "outputs": 4}"#, "0 inputs and 4 outputs; both must be 1 … 65,536"),
        (#"{"type": "linear", "inputs": -3, "outputs": 4}"#, "both must be 1 … 65,536"),
        (#"{"type": "linear", "inputs": 4, "outputs": 65537}"#, "both must be 1 … 65,536"),
        (#"{"type": "linear", "inputs": 9223372036854775807, "outputs": 9223372036854775807}"#, "both must be 1 … 65,536"),
        (#"{"type": "linear", "inputs": 4, "outputs": 4, "bias": false}"#, "unknown field \"bias\" of a layer of type linear"),
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

    /// Missing fields, wrong types, and numbers that are no integers of 64 bits.
    @Test(arguments: [
        "{}", #"{"type": null}"#, #"{"type": 3}"#, #"{"type": ["linear"]}"#, "[]", "3", "null", #""relu""#,
        #"{"type": "linear"}"#, #"{"type": "linear", "inputs": 4}"#, #"{"type": "linear", "inputs": "4", "outputs": 4}"#,
        #"{"type": "linear", "inputs": 4.5, "outputs": 4}"#, #"{"type": "linear", "inputs": 1e30, "outputs": 4}"#,
        #"{"type": "linear", "inputs": 99999999999999999999, "outputs": 4}"#, #"{"type": "linear", "inputs": null, "outputs": 4}"#,
        #"{"type": "leaky_relu"}"#, #"{"type": "dropout", "probability": "0.5"}"#, #"{"type": "dropout", "probability": 1e999}"#,
        #"{"TYPE": "relu"}"#, #"{"type": "ReLU"}"#, #"{"type": ""}"#,
    ])
    func refusesWhatIsNoLayer(json: String) {
        #expect(throws: (any Error).self) { try decode("[\(json)]") }
    }
}
