import CZlib

/// Decompresses a gzip file of one or more members, with two bounded buffers: zlib's window and its input.
final class GzipInflater {
    private let file: InputFile
    private let input = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
    /// On the heap because zlib keeps its address.
    private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    private var offset = 0
    private var isBetweenMembers = false

    init(file: InputFile) throws {
        self.file = file
        stream.initialize(to: z_stream())
        let gzipOnly: Int32 = 16
        let status = inflateInit2_(
            stream, MAX_WBITS + gzipOnly, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        guard status == Z_OK else { throw FormatError(.io, path: file.path, "zlib cannot start (code \(status))") }
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
        input.deallocate()
    }

    /// The contract of `ByteSource.read(into:)`.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let wanted = min(buffer.count, Int(UInt32.max))
        stream.pointee.next_out = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_out = UInt32(wanted)
        while stream.pointee.avail_out == wanted, wanted > 0 {
            if stream.pointee.avail_in == 0, try !refill() {
                if isBetweenMembers { return 0 }
                throw invalid("the gzip data are cut short after \(offset) bytes")
            }
            if isBetweenMembers { try startMember() }
            try decompress()
        }
        return wanted - Int(stream.pointee.avail_out)
    }

    private func decompress() throws {
        let status = inflate(stream, Z_NO_FLUSH)
        switch status {
        case Z_OK: break
        case Z_STREAM_END: isBetweenMembers = true
        case Z_MEM_ERROR: throw FormatError(.io, path: file.path, "zlib is out of memory")
        default:
            let reason = stream.pointee.msg.map { String(cString: $0) } ?? "code \(status)"
            throw invalid("the gzip data are damaged before byte \(position): \(reason)")
        }
    }

    private func startMember() throws {
        guard stream.pointee.next_in.pointee == 0x1f else {
            throw invalid("expected the end of the file or more gzip data at byte \(position), found something else")
        }
        inflateReset(stream)
        isBetweenMembers = false
    }

    /// False at the end of the file.
    private func refill() throws -> Bool {
        let count = try file.read(into: input, at: offset)
        offset += count
        stream.pointee.next_in = input.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_in = UInt32(count)
        return count > 0
    }

    /// The compressed bytes consumed.
    private var position: Int { offset - Int(stream.pointee.avail_in) }

    private func invalid(_ message: String) -> FormatError {
        FormatError(.invalid, path: file.path, "\(message); fetch the file again")
    }
}
