import CZlib
import Formats
import Foundation
import GAN

/// Feeds a reader, picked by the environment variable `FUZZ_TARGET`, whatever libFuzzer makes up.
///
/// A reader may refuse its input with an error; anything else that ends it is a finding. The arguments are libFuzzer's
/// (https://llvm.org/docs/LibFuzzer.html#options).
@main struct Fuzz {
    static func main() {
        guard target != nil else {
            fatalError("FUZZ_TARGET must be one of \(Target.allCases.map(\.rawValue))")
        }
        var argumentCount = CommandLine.argc
        var arguments = CommandLine.unsafeArgv
        exit(
            runFuzzer(&argumentCount, &arguments) { start, count in
                let bytes = UnsafeRawBufferPointer(start: start, count: count)
                try? target?.read(inputFile.replaceContents(bytes))
                if target == .png {
                    repaired(bytes).withUnsafeBytes { try? target?.read(inputFile.replaceContents($0)) }
                }
                return 0
            })
    }
}

/// libFuzzer's loop, for a program with a `main` of its own.
@_silgen_name("LLVMFuzzerRunDriver")
private func runFuzzer(
    _ argumentCount: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ readOneInput: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

private let target = getenv("FUZZ_TARGET").flatMap { Target(rawValue: String(cString: $0)) }

private enum Target: String, CaseIterable {
    case gzip, idx, safetensors, json, png, jpeg, npy

    func read(_ path: String) throws {
        switch self {
        case .gzip: try readGzip(path)
        case .idx: try readIDX(path)
        case .safetensors: try readSafetensors(path)
        case .json: try readConfiguration(path)
        case .png, .jpeg: try readPicture(path)
        case .npy: try readArray(path)
        }
    }
}

/// What a fuzzed file may make its reader produce, which keeps the executions short.
private let outputLimit = 1 << 22

private func readGzip(_ path: String) throws {
    let source = try ByteSource(path: path)
    var piece = [UInt8](repeating: 0, count: 1000)
    var total = 0
    while total < outputLimit {
        let count = try piece.withUnsafeMutableBytes { try source.read(into: $0) }
        if count == 0 { break }
        total += count
    }
    if let size = source.size { precondition(total >= min(size, outputLimit)) }
}

private func readIDX(_ path: String) throws {
    let reader = try IDXReader(path: path)
    precondition(reader.itemSize == reader.dimensions.dropFirst().reduce(1, *))
    precondition(reader.headerBytes.count == 4 + 4 * reader.dimensions.count)
    let size = reader.dimensions[0] * reader.itemSize
    if size <= outputLimit {
        var count = 0
        try IDXReader(path: path).readAll { count += $0.count }
        precondition(count == size)
    }
    guard reader.itemSize <= outputLimit else { return }
    for step in 1...1000 where reader.remainingItems > 0 {
        let room = outputLimit / max(reader.itemSize, 1)
        let count = min(reader.remainingItems, step * step, room)
        var items = [UInt8](repeating: 0, count: count * reader.itemSize)
        try items.withUnsafeMutableBytes { try reader.readItems(count, into: $0) }
    }
    if reader.remainingItems == 0 { try reader.finish() }
}

private func readSafetensors(_ path: String) throws {
    let file = try SafetensorsFile(path: path)
    precondition(Set(file.tensorNames) == Set(file.tensors.keys))
    for (name, tensor) in file.tensors where tensor.elementType == .float32 {
        var floats = [Float](repeating: 0, count: tensor.count)
        try floats.withUnsafeMutableBufferPointer { try file.readFloats(name, into: $0) }
    }
    try file.verifyDigest()
}

/// PNG and JPEG alike: the first bytes decide.
private func readPicture(_ path: String) throws {
    let header = try PictureHeader(path: path)
    guard header.channels * header.height * header.width <= outputLimit else { return }
    let picture = try Picture(path: path)
    precondition([picture.channels, picture.height, picture.width] == [header.channels, header.height, header.width])
    let small = picture.croppedToSquare().resized(height: 5, width: 3)
    precondition(small.converted(toChannels: 1).pixels.count == 15)
}

/// A PNG file with the right check value in each chunk: mutations hardly ever find one.
private func repaired(_ png: UnsafeRawBufferPointer) -> [UInt8] {
    var bytes = Array(png)
    var offset = 8
    while offset + 12 <= bytes.count {
        let length = bytes[offset..<offset + 4].reduce(0) { $0 << 8 | Int($1) }
        let end = offset + 8 + length
        guard end + 4 <= bytes.count else { break }
        let value = bytes.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map { crc32(0, $0 + offset + 4, UInt32(length + 4)) } ?? 0
        }
        for i in 0..<4 { bytes[end + i] = UInt8(truncatingIfNeeded: value >> (24 - 8 * i)) }
        offset = end + 4
    }
    return bytes
}

private func readArray(_ path: String) throws {
    let reader = try NPYReader(path: path)
    let count = min(reader.shape.reduce(1, *), outputLimit)
    switch reader.elementType {
    case .uint8:
        let bytes = try reader.readBytes(first: 0, count: count, range: .zeroToOne)
        let integers = try reader.readIntegers(first: 0, count: count)
        precondition(integers == bytes.map { Int($0) })
    case .integer:
        let integers = try reader.readIntegers(first: 0, count: count)
        precondition(integers.count == count)
    case .float32, .float64:
        guard count > 0 else { return }
        let floats = try reader.readFloats(first: 0, count: count)
        precondition(floats.count == count && floats.allSatisfy(\.isFinite))
        let least = try reader.valueBounds(first: 0, count: count).least
        _ = try reader.readBytes(first: 0, count: count, range: least < 0 ? .minusOneToOne : .zeroToOne)
    }
}

/// A model file. One that is accepted must come back from what is written of it, whatever network it describes.
private func readConfiguration(_ path: String) throws {
    // Foundation's own reading of an empty file leaks its buffer.
    let descriptor = open(path, O_RDONLY)
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 1 << 17)
    let count = max(0, read(descriptor, &bytes, bytes.count))
    let configuration = try Configuration(json: Data(bytes[..<count]), preset: nil, path: "model.json")
    try configuration.validate()
    let copy = try Configuration(json: Data(try configuration.json().utf8), preset: nil, path: "copy")
    precondition(copy == configuration, "\(copy) is not \(configuration)")
    precondition(configuration.totalSteps(images: configuration.batchSize) > 0)
    let differences = try configuration.differences(from: copy)
    precondition(differences.isEmpty, "\(differences)")
}

private let inputFile = InputFile()

/// A file without a name in a folder, so that nothing is left of it; `/proc` has a path to it all the same.
private struct InputFile {
    private let descriptor: CInt

    init() {
        var template = Array("/dev/shm/fuzz-XXXXXX".utf8CString)
        descriptor = mkstemp(&template)
        unlink(template)
    }

    /// The path of the file, which now holds `bytes`.
    func replaceContents(_ bytes: UnsafeRawBufferPointer) -> String {
        guard ftruncate(descriptor, 0) == 0, pwrite(descriptor, bytes.baseAddress, bytes.count, 0) == bytes.count else {
            fatalError("cannot write the input: \(String(cString: strerror(errno)))")
        }
        return "/proc/self/fd/\(descriptor)"
    }
}
