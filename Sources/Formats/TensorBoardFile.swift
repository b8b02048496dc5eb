import Glibc

/// A new file of events for TensorBoard, `events.out.tfevents.<seconds>.<host>.<process>`.
///
/// It is a sequence of records, each one a message of Protocol Buffers in TFRecord's frame, all numbers little-endian:
/// the message's length [8 bytes], the masked CRC-32C of these [4], the message, and its masked CRC-32C [4]
/// (https://www.tensorflow.org/tutorials/load_data/tfrecord). A record goes out in one call of `write`, so that a process that
/// is killed leaves whole ones.
///
/// TensorBoard reads the files of a folder in the order of their names. A new name follows all that are there, whatever the
/// clock says.
public final class TensorBoardFile {
    public let path: String
    /// Whether the folder held no such file before.
    public let isFirst: Bool
    private let descriptor: Int32
    /// Bytes of whole records.
    private var length = 0

    private static let prefix = "events.out.tfevents."

    /// - Throws: `FormatError` of kind `io`; here and below.
    public convenience init(folder: String) throws {
        let seconds = try (folderEntries(folder) ?? []).compactMap { name -> Int? in
            guard name.hasPrefix(TensorBoardFile.prefix) else { return nil }
            let digits = name.dropFirst(TensorBoardFile.prefix.count).prefix { $0 != "." }
            return digits.count == 10 ? Int(digits) : nil
        }.max()
        let name = "\(TensorBoardFile.prefix)\(max(Int(realSeconds()), (seconds ?? 0) + 1)).\(hostName()).\(getpid())"
        let path = "\(folder)/\(name)"
        let descriptor = try systemCall("create", path: path) {
            open(path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        }
        self.init(path: path, descriptor: descriptor, isFirst: seconds == nil)
    }

    /// Takes over `descriptor`, open for appending.
    package init(path: String, descriptor: Int32, isFirst: Bool) {
        (self.path, self.descriptor, self.isFirst) = (path, descriptor, isFirst)
    }

    deinit { close(descriptor) }

    /// Appends a record; after an error the file ends with the record before.
    func append(_ message: [UInt8]) throws {
        let record = Self.record(of: message)
        do {
            var rest = record[...]
            while !rest.isEmpty {
                let written = try systemCall("write", path: path) {
                    rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
                }
                rest = rest.dropFirst(written)
            }
        } catch {
            ftruncate(descriptor, length)
            throw error
        }
        length += record.count
    }

    /// A message in its frame.
    static func record(of message: [UInt8]) -> [UInt8] {
        func bytes(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
        let count = bytes(UInt64(message.count))
        return count + bytes(maskedCRC32C(count)) + message + bytes(maskedCRC32C(message))
    }
}

/// Since 1970.
func realSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// As part of a file's name.
private func hostName() -> String {
    var buffer = [CChar](repeating: 0, count: 256)
    guard gethostname(&buffer, buffer.count - 1) == 0 else { return "host" }
    let plain = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._".utf8)
    let name = buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }.map { plain.contains($0) ? $0 : UInt8(ascii: "_") }
    return String(decoding: name, as: UTF8.self)
}

/// CRC-32C (RFC 3720, 12.1), of the reflected polynomial 82F63B78.
func crc32C(_ bytes: [UInt8]) -> UInt32 {
    crcTable.withUnsafeBufferPointer { table in
        bytes.withUnsafeBufferPointer { bytes in
            ~bytes.reduce(UInt32.max) { crc, byte in crc >> 8 ^ table[Int((crc ^ UInt32(byte)) & 0xff)] }
        }
    }
}

/// Rotated and shifted, since the CRC of bytes that hold their own CRC tells little.
func maskedCRC32C(_ bytes: [UInt8]) -> UInt32 {
    let crc = crc32C(bytes)
    return (crc >> 15 | crc << 17) &+ 0xa282_ead8
}

private let crcTable: [UInt32] = (0..<256).map { byte in
    (0..<8).reduce(UInt32(byte)) { crc, _ in crc & 1 == 0 ? crc >> 1 : crc >> 1 ^ 0x82f6_3b78 }
}
