/// A published data set of IDX files, by the names of its files.
public struct KnownDataset: Equatable, Sendable {
    /// As `--dataset` has it.
    public let name: String
    /// Where torchvision puts its files.
    let tree: String
    /// What the names of its files begin with.
    let prefix: String
    let classes: Int
    /// The label of the first class.
    let firstLabel: UInt8
    /// Whether rows and columns of the pictures are exchanged in the files.
    let isTransposed: Bool

    /// What the pictures of a file are for.
    enum Part { case training, test }

    func images(of part: Part) -> String { "\(prefix)\(word(for: part))-images-idx3-ubyte" }
    func labels(of part: Part) -> String { "\(prefix)\(word(for: part))-labels-idx1-ubyte" }

    private func word(for part: Part) -> String { part == .training ? "train" : prefix.isEmpty ? "t10k" : "test" }

    var format: DataFormat { DataFormat(name: name, channels: 1, size: KnownDataset.imageSize, classes: classes) }

    /// MNIST and what took over the names of its files: Fashion-MNIST (Xiao et al. 2017) and KMNIST (Clanuwat et al. 2018).
    private init(_ name: String, tree: String) {
        (self.name, self.tree, prefix, classes, firstLabel, isTransposed) = (name, tree, "", 10, 0, false)
    }

    /// A split of EMNIST (Cohen et al. 2017).
    private init(emnist split: String, classes: Int, firstLabel: UInt8 = 0) {
        (name, tree, prefix) = ("emnist-\(split)", "EMNIST/raw", "emnist-\(split)-")
        (self.classes, self.firstLabel, isTransposed) = (classes, firstLabel, true)
    }

    /// That of the pictures of MNIST, and of all that took its form.
    static let imageSize = ImageSize(side: 28)

    public static let mnist = KnownDataset("mnist", tree: "MNIST/raw")

    public static let all = [
        mnist, KnownDataset("fashion", tree: "FashionMNIST/raw"), KnownDataset("kmnist", tree: "KMNIST/raw"),
        KnownDataset(emnist: "byclass", classes: 62), KnownDataset(emnist: "bymerge", classes: 47),
        KnownDataset(emnist: "balanced", classes: 47), KnownDataset(emnist: "letters", classes: 26, firstLabel: 1),
        KnownDataset(emnist: "digits", classes: 10), KnownDataset(emnist: "mnist", classes: 10),
    ]

    /// The set of this name, if there is one.
    init?(_ name: String?) {
        guard let known = KnownDataset.all.first(where: { $0.name == name }) else { return nil }
        self = known
    }
}
