import Kernels

/// What a random number is for. The Philox counter is (block, row, step, stream), the key the seed's low and high word;
/// no generator has a state.
///
/// | stream | block | row | step |
/// |---|---|---|---|
/// | `generatorWeights`, `discriminatorWeights`, `classifierWeights`, `cycleWeights` + player | number of the tensor | element / 4 | 0 |
/// | `shuffle`, `secondShuffle` (of domain B) | logical shard | position / 4 | number of the permutation |
/// | `discriminatorNoise`, `generatorNoise` | latent dimension / 4 | global row of the batch | step, from 0 |
/// | `sampleNoise` | latent dimension / 4 | number of the picture | 0 |
/// | `generatorLabels` | 0 | global row of the batch | step, from 0 |
/// | `realFlips`, `fakeFlips` | 0 | global row of the batch | step, from 0 |
/// | `mirror`, `secondMirror` (of domain B) | 0 | global row of the batch | step, from 0 |
/// | `poolA`, `poolB` | 0 | global row of the batch | step, from 0 |
/// | `colours` | 0 … 23 | number of the picture | 0 of training pictures, 1 of others |
/// | `penaltyMix` | 0 | global row of the batch | step, from 0 |
/// | level of the instance noise, 20 + pass | 0 | global row of the batch | step, from 0 |
/// | instance noise, 16 + pass | pixel / 4 | global row of the batch | step, from 0 |
/// | dropout, 256 · (1 + pass + 3 · network) + layer | feature / 4 | global row of the batch | step, from 0 |
///
/// Features of an image are numbered as they lie in memory, [H, W, C].
///
/// Where a step updates the discriminator n times, what is the discriminator's is numbered by its updates: update i of step t
/// is n · t + i.
public enum RandomStream {
    public static let generatorWeights: UInt32 = 0
    public static let discriminatorWeights: UInt32 = 1
    public static let shuffle: UInt32 = 2
    public static let discriminatorNoise: UInt32 = 3
    public static let generatorNoise: UInt32 = 4
    public static let sampleNoise: UInt32 = 5
    public static let generatorLabels: UInt32 = 7
    public static let realFlips: UInt32 = 8
    public static let fakeFlips: UInt32 = 9
    public static let penaltyMix: UInt32 = 10
    public static let mirror: UInt32 = 11
    public static let classifierWeights: UInt32 = 12
    public static let secondShuffle: UInt32 = 13
    public static let secondMirror: UInt32 = 14
    public static let poolA: UInt32 = 24
    public static let poolB: UInt32 = 25
    public static let colours: UInt32 = 26
    /// The first of four.
    public static let cycleWeights: UInt32 = 28

    /// The noise on what the discriminator sees in a pass.
    public static func instanceNoise(_ pass: PassKind) -> UInt32 { 16 + pass.rawValue }

    /// How much of it each row gets, where that is mixed.
    public static func instanceNoiseLevel(_ pass: PassKind) -> UInt32 { 20 + pass.rawValue }

    /// The dropout masks of a layer in a pass of a step. Layers are numbered as in the model file; those in blocks, in the order
    /// in which they come, by multiples of 2¹⁶ from the first on.
    public static func dropout(of network: NetworkRole, pass: PassKind, layer: Int) -> UInt32 {
        256 * (1 + pass.rawValue + 3 * network.rawValue) + UInt32(layer)
    }
}

extension RandomKey {
    public init(seed: UInt64, stream: UInt32, step: Int = 0, firstRow: Int = 0, firstBlock: Int = 0) {
        self.init(
            key0: UInt32(truncatingIfNeeded: seed), key1: UInt32(truncatingIfNeeded: seed >> 32), stream: stream,
            step: UInt32(truncatingIfNeeded: step), first_row: UInt32(truncatingIfNeeded: firstRow),
            first_block: UInt32(truncatingIfNeeded: firstBlock))
    }
}

extension Kernels {
    /// The words of consecutive rows in order: word i of row r is number 4r + i.
    public func words(_ key: RandomKey, count: Int) -> [UInt32] {
        let rows = (count + 3) / 4
        let stride = rows.paddedToVectors
        return withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 4 * stride) { buffer -> [UInt32] in
            guard let base = buffer.baseAddress else { return [] }
            randomWords(key, base, 1, stride, stride)
            return (0..<count).map { base[$0 % 4 * stride + $0 / 4] }
        }
    }
}

extension Kernels {
    /// The words of a row's blocks in order: word i of block b is number 4b + i.
    public func blocks(_ key: RandomKey, count: Int) -> [UInt32] {
        let stride = 8
        return withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 4 * count * stride) { buffer -> [UInt32] in
            guard let base = buffer.baseAddress else { return [] }
            randomWords(key, base, count, stride, stride)
            return (0..<4 * count).map { base[$0 * stride] }
        }
    }

    /// Normal numbers: number e is that of feature e mod 4 in row e / 4.
    func normals(_ key: RandomKey, count: Int) -> [Float] {
        let stride = ((count + 3) / 4).paddedToVectors
        return withUnsafeTemporaryAllocation(of: Float.self, capacity: 4 * stride) { buffer -> [Float] in
            guard let base = buffer.baseAddress else { return [] }
            randomNormals(key, base, 4, stride, stride)
            return (0..<count).map { base[$0 % 4 * stride + $0 / 4] }
        }
    }
}

/// One random word for each column of a pass, in memory that is laid out once.
public struct RowWords {
    private let words: UnsafeMutablePointer<UInt32>
    private let columns: Int

    public init(columns: Int, arena: Arena) {
        self.columns = columns
        words = UnsafeMutableRawPointer(arena.floats(4 * columns)).bindMemory(to: UInt32.self, capacity: 4 * columns)
    }

    /// Word 0 of block 0 of each of the pass's rows.
    public func draw(_ stream: UInt32, _ pass: Pass) -> UnsafePointer<UInt32> {
        precondition(pass.columns <= columns, "\(pass.columns) columns, room for \(columns)")
        let key = RandomKey(seed: pass.seed, stream: stream, step: pass.step, firstRow: pass.firstRow)
        pass.kernels.randomWords(key, words, 1, pass.columns, pass.columns)
        return UnsafePointer(words)
    }
}

/// Fills `order` with permutation number `number` of 0 ..< count for a shard, by Fisher and Yates: for i from count − 1 down
/// to 1 element i is exchanged with element ⌊w · (i + 1) / 2³²⌋, w the stream's word number i. Allocates nothing.
public func fillPermutation(
    _ order: UnsafeMutableBufferPointer<UInt32>, shard: Int, number: Int, seed: UInt64, stream: UInt32 = RandomStream.shuffle,
    kernels: Kernels
) {
    for i in order.indices { order[i] = UInt32(i) }
    let chunk = 64
    withUnsafeTemporaryAllocation(of: UInt32.self, capacity: chunk) { words in
        guard let base = words.baseAddress else { return }
        for start in stride(from: (order.count - 1) / chunk * chunk, through: 0, by: -chunk) {
            let key = RandomKey(
                seed: seed, stream: stream, step: number, firstRow: start / 4, firstBlock: shard)
            kernels.randomWords(key, base, 1, chunk / 4, chunk / 4)
            for i in stride(from: min(start + chunk, order.count) - 1, through: max(start, 1), by: -1) {
                // Word i of the stream is word i mod 4 of row i / 4.
                let word = base[i % 4 * (chunk / 4) + (i - start) / 4]
                order.swapAt(i, Int((UInt64(word) * UInt64(i + 1)) >> 32))
            }
        }
    }
}
