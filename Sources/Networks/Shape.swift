/// Channels and sides of an image; plain features are channels of one pixel.
public struct Shape: Equatable, Sendable, CustomStringConvertible {
    public var channels, height, width: Int

    public init(channels: Int, height: Int = 1, width: Int = 1) {
        self.channels = channels
        self.height = height
        self.width = width
    }

    public var pixels: Int { height * width }
    public var features: Int { channels * pixels }
    public var description: String { pixels == 1 ? "\(channels) features" : "\(channels) × \(height) × \(width)" }

    /// Where the feature of PyTorch's number lies.
    public func place(_ feature: Int) -> Int { feature % pixels * channels + feature / pixels }
    /// Images that lie in memory one behind the other, [n, H, W, C], in PyTorch's order, [n, C, H, W].
    public func inOrder<Value>(_ values: [Value]) -> [Value] {
        isInOrder ? values : values.indices.map { values[$0 / features * features + place($0 % features)] }
    }

    /// Whether features lie in PyTorch's order.
    public var isInOrder: Bool { channels == 1 || pixels == 1 }
}
