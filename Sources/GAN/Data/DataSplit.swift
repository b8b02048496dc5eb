import MessagePassing

/// A data set in two parts: classifiers train on one, and they and pictures of generators are measured by the other.
struct DataSplit {
    let training, heldOut: DataSource
    /// Whether the held-out part has files of its own; otherwise it is every tenth picture of each class.
    let isPublished: Bool

    /// `10,000 test images of mnist`; `every tenth picture of each class, 712 of 7,124`.
    var description: String {
        let count = Double(heldOut.count).grouped
        if isPublished { return "\(count) test images of \(heldOut.format.name)" }
        let pictures = heldOut.format.classes == nil ? "every tenth picture" : "every tenth picture of each class"
        return "\(pictures), \(count) of \(Double(training.count + heldOut.count).grouped)"
    }
}

extension DataSource {
    /// These data in two parts. Where a test part lies beside the files it is held out: MNIST's `t10k-…`, EMNIST's `…-test-…`,
    /// CIFAR-10's `test_batch.bin`. Otherwise every tenth picture of each class is, or of all where there are no labels.
    /// A test part may have no labels where the training part has some; whoever needs them is told when it is read.
    ///
    /// - Throws: `Failure`: bad data where the test part's pictures have another shape than the others, where nothing is left to
    ///   hold out, or where files are damaged; I/O.
    func split() throws -> DataSplit {
        if let test = try publishedTestPart() { return DataSplit(training: self, heldOut: test, isPublished: true) }
        return try withFiles {
            switch files {
            case .idx(let files): try split(IDXImages(files))
            case .images(let images): try split(images)
            }
        }
    }

    /// The test part that lies beside the files; nil where there is none.
    func publishedTestPart() throws -> DataSource? {
        if let test = testPart.first { return test }
        return try withFiles {
            switch files {
            case .idx(let files):
                try files.testPart().map { DataSource(path: path, format: $0.format, files: .idx($0)) }
            case .images(let images):
                try (images as? CIFARBatches)?.testPart().map { DataSource(path: path, format: $0.format, files: .images($0)) }
            }
        }
    }

    /// The same on all ranks.
    /// - Throws on all ranks: bad data where they do not see the same parts, too.
    func split(world: World) throws -> DataSplit {
        let split = try world.agree {
            try world.storing("looking for test images", because: DataSource.reason) { try self.split() }
        }
        let parts = [split.training, split.heldOut].map { $0.fingerprint ?? "\($0.count) images" }
        try world.compare("test part of \(path)", ([split.description] + parts).joined(separator: "; "), .badData)
        return split
    }

    private func split(_ images: any ImageSource) throws -> DataSplit {
        let parts = try images.withEveryTenthHeldOut()
        guard parts.heldOut.count > 0 else {
            throw Failure(
                .badData, "\(path): every tenth picture of a class is held out for testing, and no class has ten; add pictures")
        }
        func source(_ part: ImagePart) -> DataSource { DataSource(path: path, format: part.format, files: .images(part)) }
        return DataSplit(training: source(parts.training), heldOut: source(parts.heldOut), isPublished: false)
    }
}
