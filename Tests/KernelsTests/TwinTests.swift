import Kernels
import Testing

/// The twins' results as checksums, the same on every machine: a kernel that equals its twin on two of them then gives the
/// same bits on both.
@Suite struct TwinTests {
    /// A kernel by the name of its member in the table, and what its twins give, in fp32 and in bf16.
    struct Pin: Sendable, CustomTestStringConvertible {
        let name: String
        let checksum: UInt64
        let run: @Sendable (_ kernels: Kernels, _ results: inout Checksum) -> Void
        var testDescription: String { name }

        init(_ name: String, _ checksum: UInt64, _ run: @escaping @Sendable (Kernels, inout Checksum) -> Void) {
            (self.name, self.checksum, self.run) = (name, checksum, run)
        }
    }

    /// After a change of a formula, the checksums that the test says it found are the new ones.
    @Test(arguments: Pin.all)
    func giveTheSameBitsEverywhere(pin: Pin) {
        var results = Checksum()
        for twins in [Kernels.reference, .bfloat16Reference] { pin.run(twins, &results) }
        let found = String(results.value, radix: 16)
        #expect(results.value == pin.checksum, "\(pin.name): 0x\(found)")
    }

    /// Every kernel of the table but those that have no result.
    @Test func areAllPinned() {
        let names = Pin.all.map(\.name)
        #expect(Set(names).count == names.count)
        // Embedded Swift, for another machine than this, has no mirrors.
        #if !hasFeature(Embedded)
        let others = ["lanes", "roundsToBFloat16", "hasNativeProducts", "multiplyAddPeak", "read"]
        let members = Mirror(reflecting: Kernels.reference).children.compactMap(\.label)
        #expect(Set(names) == Set(members).subtracting(others))
        #endif
    }
}

/// FNV-1a (Fowler, Noll and Vo) of results, each NaN as the same one.
struct Checksum {
    private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

    private mutating func add(_ word: UInt64) {
        for shift in stride(from: 0, to: 64, by: 8) { value = (value ^ (word >> UInt64(shift) & 0xff)) &* 0x100_0000_01b3 }
    }

    mutating func add(_ memory: Memory<Float>) {
        for i in 0..<memory.count { add(memory[i].isNaN ? .max : UInt64(memory[i].bitPattern)) }
    }
    mutating func add(_ memory: Memory<Double>) {
        for i in 0..<memory.count { add(memory[i].isNaN ? .max : memory[i].bitPattern) }
    }
    mutating func add(_ memory: Memory<UInt32>) { for i in 0..<memory.count { add(UInt64(memory[i])) } }
    mutating func add(_ flag: Bool) { add(flag ? 1 : 0) }

    /// What a kernel makes of [features, columns] matrices of which it changes the first: of each kind of values, and of
    /// the special values met with one another.
    mutating func addMatrices(_ count: Int, _ run: (_ x: [Kernels.MutableFloats], _ features: Int, _ columns: Int) -> Void) {
        var random = SplitMix64(UInt64(count))
        for values in Values.allCases {
            let matrices = (0..<count).map { _ in random.draw(values, 5 * 48) }
            run(matrices.map(\.base), 5, 48)
            add(matrices[0])
            keep(matrices)
        }
        let values = specialAndRandomValues(atLeast: 512, seed: 9)
        for shift in [0, 1, 5, 11, 29, 43] {
            let matrices = (0..<count).map { m in Memory<Float>((0..<512).map { values[($0 + m * shift) % 512] }) }
            run(matrices.map(\.base), 1, 512)
            add(matrices[0])
            keep(matrices)
        }
    }

    /// What an update makes of gradient, parameters and two moments.
    mutating func addUpdate(_ run: (_ state: [Kernels.MutableFloats], _ count: Int) -> Void) {
        var random = SplitMix64(12)
        for values in Values.allCases {
            let state = (0..<4).map { _ in random.draw(values, 512) }
            for i in 0..<512 { state[3][i] = state[3][i].magnitude }
            for _ in 0..<3 { run(state.map(\.base), 512) }
            for memory in state { add(memory) }
        }
    }
}
