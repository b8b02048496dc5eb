import Foundation
import Kernels

/// Memory that ends where an inaccessible page begins, so that reading or writing past the end stops the test, and
/// that is filled and preceded by a pattern, so that a stray write shows.
final class Memory<Element: BitwiseCopyable> {
    let base: UnsafeMutablePointer<Element>
    let count: Int
    private let mapping: UnsafeMutableRawPointer
    private let mappedBytes: Int

    private static var pattern: UInt8 { 0x5b }

    init(count: Int) {
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let bytes = count * MemoryLayout<Element>.stride
        let usable = (bytes + 64 + page - 1) / page * page
        mappedBytes = usable + page
        guard
            let mapping = mmap(nil, mappedBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            mapping != MAP_FAILED, mprotect(mapping + usable, page, PROT_NONE) == 0
        else { preconditionFailure("mmap of \(mappedBytes) bytes failed") }
        self.mapping = mapping
        memset(mapping, Int32(Self.pattern), usable)
        base = (mapping + usable - bytes).bindMemory(to: Element.self, capacity: count)
        self.count = count
    }

    convenience init(_ values: [Element]) {
        self.init(count: values.count)
        for (i, value) in values.enumerated() { base[i] = value }
    }

    deinit { munmap(mapping, mappedBytes) }

    subscript(i: Int) -> Element {
        get { base[i] }
        set { base[i] = newValue }
    }

    var copy: Memory {
        let other = Memory(count: count)
        memcpy(other.base, base, count * MemoryLayout<Element>.stride)
        return other
    }

    /// Whether the bytes before the first element still hold the pattern.
    var isPrefixIntact: Bool {
        let before = UnsafeRawBufferPointer(start: mapping, count: UnsafeRawPointer(base) - UnsafeRawPointer(mapping))
        return before.allSatisfy { $0 == Self.pattern }
    }
}

/// Whether two floats have the same bits. NaNs are equal: which payload and sign survive an operation on two of them
/// depends on the order of an instruction's operands, and no NaN ever reaches a weight.
func areSame(_ a: Float, _ b: Float) -> Bool { a.bitPattern == b.bitPattern || (a.isNaN && b.isNaN) }

extension Memory<Float> {
    /// Describes the first element that differs from the twin's, or a write before the first one; nil if all is well.
    func difference(from twin: Memory<Float>) -> String? {
        guard isPrefixIntact else { return "a write before the first element" }
        guard memcmp(base, twin.base, count * 4) != 0 else { return nil }
        for i in 0..<count where !areSame(base[i], twin.base[i]) {
            return "element \(i) is \(base[i]) (\(hex(base[i]))), the twin's is \(twin.base[i]) (\(hex(twin.base[i])))"
        }
        return nil
    }
}

extension Memory<Double> {
    /// The same of doubles.
    func difference(from twin: Memory<Double>) -> String? {
        guard isPrefixIntact else { return "a write before the first element" }
        for i in 0..<count where base[i].bitPattern != twin.base[i].bitPattern && !(base[i].isNaN && twin.base[i].isNaN) {
            return "sum \(i) is \(base[i]), the twin's is \(twin.base[i])"
        }
        return nil
    }
}

/// Keeps memory whose last visible use is a pointer to it; to be called in a `defer`.
func keep<each T>(_ memory: repeat each T) { withExtendedLifetime((repeat each memory)) {} }

func hex(_ x: Float) -> String { String(x.bitPattern, radix: 16) }

/// The kernels of every instruction set that this machine has.
let tables = InstructionSet.available.compactMap(Kernels.select)

/// The same in bf16; on a CPU that multiplies pairs at once also without its doing so.
let bfloat16Tables = tables.flatMap { table in
    [table.rounding(to: .bf16, usesNative: false)]
        + (Kernels.hasNativeBFloat16 && table.instructionSet == .avx512 ? [table.rounding(to: .bf16, usesNative: true)] : [])
}

/// Kernels and the twins whose bits they must give.
let families: [(twin: Kernels, tables: [Kernels])] = [(.reference, tables), (.bfloat16Reference, bfloat16Tables)]

extension Kernels {
    /// For messages of tests.
    var name: String { description + (hasNativeProducts ? ", native" : "") }
}

func roundedUp(_ x: Int, to multiple: Int = 16) -> Int { (x + multiple - 1) / multiple * multiple }
