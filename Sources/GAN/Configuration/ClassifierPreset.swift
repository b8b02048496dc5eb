import Networks

extension Preset {
    /// A classifier of three convolutions and a hidden layer of 128, whose outputs are the features that pictures are measured
    /// by.
    static let classifier28 = Preset("classifier28") { images in
        let classes = try images.classes()
        let corner = try images.quarter(channels: 64)
        func normalization(_ channels: Int) -> [LayerSpecification] { [.batchNormalization(channels: channels), .relu] }
        var classifier28 = Configuration()
        classifier28.game = .classifier
        classifier28.classifier =
            [reducing(images.shape.channels, 32)] + normalization(32) + [reducing(32, 64)] + normalization(64)
            + [reducing(64, 64, kernel: 3, stride: 1, padding: 1)] + normalization(64)
            + gathering(corner, to: 128, hasBias: false) + normalization(128)
            + [.dropout(probability: 0.3), .linear(inputs: 128, outputs: classes)]
        classifier28.batchSize = 128
        classifier28.epochs = 5
        classifier28.learningRate = 2e-3
        classifier28.learningRateFlat = .epochs(1)
        classifier28.learningRateDecay = .epochs(4)
        classifier28.logInterval = .steps(100)
        classifier28.evaluateInterval = .epochs(1)
        return classifier28
    }
}
