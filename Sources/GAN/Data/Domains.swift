import MessagePassing

/// The data of a run: one set, or the two domains of a CycleGAN.
struct Domains {
    let first: DataSource
    let second: DataSource?

    /// Finds them on all ranks.
    /// - Parameters:
    ///   - domain: that names the second one as a function of a data set, if one does.
    ///   - preferred: which set to take where a folder holds several and nothing else says it.
    init(_ options: RunOptions, domain: KnownDomain?, wanted: String?, preferred: String?, world: World) throws {
        try world.agree { try Domains.check(options, domain, wanted) }
        let source = try DataSource(path: options.dataFolder, wanted: wanted ?? domain?.dataset, preferred: preferred, world: world)
        if let domain {
            (first, second) = try world.agree { try source.halves(domain) }
        } else if let path = options.secondDataFolder {
            let second = try DataSource(path: path, wanted: nil, preferred: nil, world: world)
            var first = source
            first.format.setSecond(second.format)
            (self.first, self.second) = (first, second)
        } else {
            (first, second) = (source, nil)
        }
    }

    /// Refuses options that contradict each other.
    static func check(_ options: RunOptions, _ domain: KnownDomain?, _ wanted: String?) throws {
        guard let domain else { return }
        if let path = options.secondDataFolder {
            throw Failure(
                .usage, "--data-b \(path) and --domain-b \(domain.text) both say what B is; use one of them")
        }
        if let wanted, wanted != domain.dataset {
            throw Failure(
                .usage, "--dataset \(wanted) and --domain-b \(domain.text) name two data sets; leave --dataset away")
        }
    }

    /// Refuses data that a configuration's networks are not for.
    func validate(_ configuration: Configuration) throws {
        try configuration.validate(for: first.format, at: first.path)
        let isCycle = configuration.game == .cyclegan
        if let second {
            guard isCycle else {
                throw Failure(
                    .usage, "preset \(configuration.preset) trains \(configuration.game.description), which has one domain; give --data "
                        + "alone, or --preset cyclegan28")
            }
            try configuration.second.validate(forPicturesOf: second.format, at: second.path)
        } else if isCycle {
            throw Failure(
                .usage, "preset \(configuration.preset) translates between two domains; give --data-a and --data-b, or --domain-b "
                    + "mnist:inverse")
        }
    }

    /// What tells the data from others without reading all of them.
    static func fingerprint(_ options: RunOptions, _ domain: KnownDomain?, wanted: String?, preferred: String?) throws -> String {
        try check(options, domain, wanted)
        let first = try DataSource.fingerprint(
            path: options.dataFolder, wanted: wanted ?? domain?.dataset, preferred: preferred)
        if let domain { return "\(domain.text) of \(first)" }
        guard let path = options.secondDataFolder else { return first }
        return try "\(first) and \(DataSource.fingerprint(path: path, wanted: nil, preferred: nil))"
    }
}

extension DataSource {
    /// The first half of these images, and a known function of the second. Where the files have a test part, it is that of both,
    /// through the function in the second.
    /// - Throws: bad data where they are not grey, or not of one size.
    func halves(_ domain: KnownDomain) throws -> (first: DataSource, second: DataSource) {
        let halves = try singly().halves()
        var second = try source(halves.second).transformed(domain, isTraining: true)
        var first = source(halves.first)
        first.format.setSecond(second.format)
        if let test = try publishedTestPart() {
            // In the same order as their functions.
            let images = source(try test.singly())
            first.testPart = [images]
            second.testPart = [try images.transformed(domain, isTraining: false)]
        }
        return (first, second)
    }

    /// These images, through a known function.
    func transformed(_ domain: KnownDomain, isTraining: Bool) throws -> DataSource {
        try source(TransformedImages(singly(), domain, isTraining: isTraining))
    }

    private func source(_ images: any ImageSource) -> DataSource {
        DataSource(path: path, format: images.format, files: .images(images))
    }

    /// The images, to be read one by one.
    private func singly() throws -> any ImageSource {
        try withFiles {
            switch files {
            case .idx(let files): try IDXImages(files)
            case .images(let images): images
            }
        }
    }
}
