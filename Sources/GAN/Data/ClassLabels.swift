import Networks

/// The classes of this rank's rows in a step.
struct ClassLabels {
    /// Of the real images, and of the fakes beside them.
    let real: UnsafeMutablePointer<UInt8>
    /// Of the generator's own step.
    let drawn: UnsafeMutablePointer<UInt8>
    /// How many classes there are.
    private let count: Int
    private let words: RowWords

    init(classes count: Int, columns: Int, arena: Arena) {
        self.count = count
        func labels() -> UnsafeMutablePointer<UInt8> {
            UnsafeMutableRawPointer(arena.floats(columns)).bindMemory(to: UInt8.self, capacity: columns)
        }
        (real, drawn) = (labels(), labels())
        words = RowWords(columns: columns, arena: arena)
    }

    /// The classes of a pass's rows: fakes are of those of the real images beside them, the generator's own are drawn if its
    /// images are fresh.
    func of(_ kind: PassKind, isFresh: Bool) -> UnsafePointer<UInt8> {
        UnsafePointer(kind == .generator && isFresh ? drawn : real)
    }

    /// Draws classes: that of a row is ⌊C w / 2³²⌋, w the stream's word, of C classes.
    func draw(_ pass: Pass) {
        let words = words.draw(RandomStream.generatorLabels, pass)
        for column in 0..<pass.columns { drawn[column] = UInt8((UInt64(words[column]) * UInt64(count)) >> 32) }
    }
}
